//! What happens around every request: refusals become JSON, and it is counted and logged.

use std::sync::Arc;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{ALLOW, ETAG, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use offchannel_shared::wire::{ErrorBody, ErrorDetail, SCHEMA};

use super::api;
use super::refusal::Refusal;
use super::router::{POLICY, ROUTES, Shared};
use crate::clock::Stopwatch;

/// The name of everything that is no route: what was asked for is the peer's to choose and not ours to log.
const NO_ROUTE: &str = "none";

/// Serves a request.
pub(super) async fn around(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Stopwatch::start();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = ROUTES.into_iter().find(|route| Some(*route) == matched).unwrap_or(NO_ROUTE);
    let response = next.run(request).await;
    let (response, code) = with_json(response, route, &shared);
    let (status, duration) = (response.status(), started.elapsed());
    shared.metrics.request(route, status.as_u16(), duration);
    let (status, duration_us) = (status.as_u16(), u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    match code {
        None => tracing::debug!(%method, route, status, duration_us, "request"),
        Some(code) if route == NO_ROUTE => {
            tracing::debug!(%method, route, status, duration_us, code, "request refused")
        }
        Some(code) => tracing::info!(%method, route, status, duration_us, code, "request refused"),
    }
    response
}

/// Writes out a refusal, and makes one of an error that the framework answered by itself.
fn with_json(mut response: Response, route: &str, shared: &Shared) -> (Response, Option<&'static str>) {
    let status = response.status();
    let refusal = match response.extensions_mut().remove::<Refusal>() {
        Some(refusal) => refusal,
        None if status.is_client_error() || status.is_server_error() => Refusal::of_framework(status),
        None => return (response, None),
    };
    shared.metrics.refusal(refusal.code);
    let detail = ErrorDetail {
        code: refusal.code.to_owned(),
        message: refusal.message,
        server_time: shared.service.now(),
    };
    let mut refused = (refusal.status, Json(ErrorBody { schema: SCHEMA, error: detail })).into_response();
    if let Some(seconds) = refusal.retry_after {
        refused.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    if let Some(Ok(version)) = refusal.version.map(api::etag) {
        refused.headers_mut().insert(ETAG, version);
    }
    if refusal.status == StatusCode::UNAUTHORIZED && route == POLICY {
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED
        && let Some(allow) = response.headers_mut().remove(ALLOW)
    {
        refused.headers_mut().insert(ALLOW, allow);
    }
    (refused, Some(refusal.code))
}
