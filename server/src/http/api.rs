//! The policy, for programs of the organisation: read it, ask what a change would do, publish it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, InvalidHeaderValue,
};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use offchannel_shared::ids::DraftId;
use offchannel_shared::policy::Problem;
use offchannel_shared::wire::SCHEMA;
use serde::Serialize;

use super::agent::finished;
use super::refusal::Refusal;
use super::router::Shared;
use super::{bearer, body};
use crate::domain::api_token::Right;
use crate::domain::policy_whatif::{Effect, Totals};
use crate::service::{PublishRequest, Published, WhatIf, Words};

/// Why a policy is published, in UTF-8.
const COMMENT: HeaderName = HeaderName::from_static("offchannel-comment");
/// When it is to take force.
const EFFECTIVE_FROM: HeaderName = HeaderName::from_static("offchannel-effective-from");
/// Most devices that are told one by one of what a policy would change.
const EFFECTS: usize = 100;

/// What came of a publication.
#[derive(Debug, Serialize)]
struct Answer {
    schema: u32,
    /// `checked`, `published`, `scheduled` or `proposed`.
    outcome: &'static str,
    /// The version that was published.
    version: Option<u64>,
    effective_from: Option<Timestamp>,
    /// What somebody else has to approve.
    proposal: Option<DraftId>,
    /// Scheduled versions that will never take force now.
    overtaken: Vec<u64>,
    warnings: Vec<String>,
    what_if: Option<Change>,
}

/// What a policy would change.
#[derive(Debug, Serialize)]
struct Change {
    in_force: u64,
    as_of: Timestamp,
    totals: Totals,
    not_reported: u64,
    /// Apps that devices do not report now: where they are cannot be known beforehand.
    unseen_apps: Vec<String>,
    devices: Vec<Effect>,
}

/// A version as an entity tag.
pub(super) fn etag(version: u64) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_str(&format!("\"{version}\""))
}

/// The newest policy that was not cancelled, byte for byte.
pub(super) async fn policy(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    bearer::permitted(&headers, Right::PolicyRead, &shared).await?;
    let service = shared.service.clone();
    let policy = finished(&shared, async move { service.policy(None).await }).await?;
    let Some(policy) = policy else { return Err(Refusal::nothing_published()) };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/toml")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (ETAG, tag(policy.version)?),
    ];
    Ok((headers, policy.source).into_response())
}

/// Publishes a policy, or says what it would change.
pub(super) async fn publish(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let token = bearer::permitted(&head.headers, Right::PolicyPublish, &shared).await?;
    let dry_run = match head.uri.query() {
        None | Some("" | "dry-run=false") => false,
        Some("dry-run=true") => true,
        Some(_) => return Err(Refusal::malformed("expected no query, or dry-run=true")),
    };
    let expected = expected(&head.headers)?;
    if expected.is_none() && !dry_run {
        return Err(Refusal::version_missing());
    }
    let comment = text(&head.headers, &COMMENT)?.unwrap_or_default();
    let effective_from = match text(&head.headers, &EFFECTIVE_FROM)? {
        None => None,
        Some(text) => Some(text.parse::<Timestamp>().map_err(|_| {
            let expected = "expected a time such as 2026-12-01T09:00:00Z";
            Refusal::malformed(format!("{EFFECTIVE_FROM}: {expected}, found {text:?}"))
        })?),
    };
    let encoding = body::announced_text(&head.headers, &shared.limits)?;
    let sent = body::receive(body, &shared.limits).await?;
    let source = body::text(sent, encoding, &shared.limits)?;
    let service = shared.service.clone();
    if dry_run {
        let what_if = finished(&shared, async move { service.what_if(&source, EFFECTS).await }).await?;
        return Ok(Json(Answer::checked(what_if)).into_response());
    }
    let words = Words { author: format!("api: {}", token.label), comment };
    let request = PublishRequest { source, words, expected, effective_from, draft: None };
    let published = finished(&shared, async move { service.publish(request).await }).await?;
    match &published {
        Published::Version { policy, .. } => {
            tracing::info!(version = policy.version, token = %token.id, "a program published a policy");
            Ok(([(ETAG, tag(policy.version)?)], Json(Answer::of(published))).into_response())
        }
        Published::Proposed { draft, .. } => {
            tracing::info!(proposal = %draft.id, token = %token.id, "a program proposed a policy");
            Ok((StatusCode::ACCEPTED, Json(Answer::of(published))).into_response())
        }
    }
}

fn tag(version: u64) -> Result<HeaderValue, Refusal> {
    etag(version).map_err(|_| Refusal::malformed("the version cannot be written"))
}

/// The version that the policy is to follow: 0 for none.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let inner = value.to_str().ok().and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"'));
    let version = inner.and_then(|text| text.parse().ok());
    let malformed = || Refusal::malformed("if-match: expected one version in quotes, such as \"3\"");
    version.map(Some).ok_or_else(malformed)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes());
    text.map(|text| Some(text.to_owned())).map_err(|_| Refusal::malformed(format!("{name}: expected UTF-8")))
}

fn lines(warnings: &[Problem]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

impl Answer {
    fn checked(what_if: WhatIf) -> Self {
        Self {
            schema: SCHEMA,
            outcome: "checked",
            version: None,
            effective_from: None,
            proposal: None,
            overtaken: Vec::new(),
            warnings: lines(&what_if.warnings),
            what_if: Some(Change {
                in_force: what_if.in_force,
                as_of: what_if.as_of,
                totals: what_if.totals,
                not_reported: what_if.not_reported,
                unseen_apps: what_if.unseen.apps.iter().map(ToString::to_string).collect(),
                devices: what_if.effects,
            }),
        }
    }

    fn of(published: Published) -> Self {
        let empty = Self {
            schema: SCHEMA,
            outcome: "published",
            version: None,
            effective_from: None,
            proposal: None,
            overtaken: Vec::new(),
            warnings: Vec::new(),
            what_if: None,
        };
        match published {
            Published::Version { policy, overtaken, warnings } => Self {
                outcome: if policy.effective_from.is_some() { "scheduled" } else { "published" },
                version: Some(policy.version),
                effective_from: policy.effective_from,
                overtaken,
                warnings: lines(&warnings),
                ..empty
            },
            Published::Proposed { draft, warnings } => Self {
                outcome: "proposed",
                effective_from: draft.proposal.and_then(|proposal| proposal.effective_from),
                proposal: Some(draft.id),
                warnings: lines(&warnings),
                ..empty
            },
        }
    }
}
