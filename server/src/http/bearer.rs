//! Programs of the organisation: who they are, by a token that they carry.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::refusal::Refusal;
use super::router::Shared;
use crate::domain::api_token::{ApiToken, Right};

/// The token of a request, if it may do this.
pub(super) async fn permitted(
    headers: &HeaderMap,
    right: Right,
    shared: &Shared,
) -> Result<ApiToken, Refusal> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return Err(Refusal::api_token_missing()) };
    let text = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let text = text.ok_or_else(Refusal::api_token_missing)?;
    match tokio::time::timeout(shared.limits.request_timeout, shared.service.permit(text, right)).await {
        Ok(permitted) => Ok(permitted?),
        Err(_) => Err(Refusal::unavailable("the store does not answer: come back later")),
    }
}
