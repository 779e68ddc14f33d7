//! Refusals: which status and code each has, and what it tells.
//!
//! A refusal travels in the extensions of a response until [`super::envelope`] writes it out, because only
//! that knows the time.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::signing::request::RequestError;
use offchannel_shared::wire::codes;

use crate::domain::api_token::ApiTokenError;
use crate::domain::ingest;
use crate::service::ServiceError;
use crate::store::StoreError;

/// 408: the body did not arrive in time. Not among the codes that agents act on; they go by the status.
const TIMEOUT: &str = "timeout";
/// 415: a content type other than JSON. As above.
const TYPE_UNKNOWN: &str = "type_unknown";
/// 401 and 403: a program without a token, or with one that may not do this. These and the following are for programs of
/// the organisation, not for agents.
const API_TOKEN_REFUSED: &str = "api_token_refused";
/// 412: the policy is at another version than the one that was named.
const VERSION_CONFLICT: &str = "version_conflict";
/// 422: a policy that cannot be used.
const POLICY_INVALID: &str = "policy_invalid";
/// 428: no version was named.
const VERSION_MISSING: &str = "version_missing";
/// After how many seconds to come back when the collector cannot serve.
const RETRY_AFTER: u32 = 30;

/// Why a request is not served.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) retry_after: Option<u32>,
    /// The version of the policy that there is.
    pub(super) version: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, version: None }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, codes::NOT_FOUND, "there is no such route")
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "this route has other methods, see the allow header";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, codes::METHOD_NOT_ALLOWED, message)
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::MALFORMED, message)
    }

    pub(super) fn schema_unknown(error: &ServiceError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::SCHEMA_UNKNOWN, error.to_string())
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, codes::TOO_LARGE, message)
    }

    pub(super) fn encoding_unknown() -> Self {
        let message = "expected no content-encoding, or gzip";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, codes::ENCODING_UNKNOWN, message)
    }

    pub(super) fn type_unknown(expected: &str) -> Self {
        let message = format!("expected content-type: {expected}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, TYPE_UNKNOWN, message)
    }

    pub(super) fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, TIMEOUT, "the body did not arrive in time")
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, codes::UNAVAILABLE, message);
        Self { retry_after: Some(RETRY_AFTER), ..refusal }
    }

    pub(super) fn device_unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, codes::DEVICE_UNKNOWN, message)
    }

    pub(super) fn signature_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, codes::SIGNATURE_INVALID, message)
    }

    pub(super) fn replayed() -> Self {
        let message = "this request was seen before: sign each request with a new nonce";
        Self::new(StatusCode::UNAUTHORIZED, codes::REPLAYED, message)
    }

    /// There is no policy to read.
    pub(super) fn nothing_published() -> Self {
        Self::new(StatusCode::NOT_FOUND, codes::NOT_FOUND, "no policy was published here yet")
    }

    /// No program says who it is.
    pub(super) fn api_token_missing() -> Self {
        let message = "expected authorization: Bearer TOKEN, as `token api create` printed it";
        Self::new(StatusCode::UNAUTHORIZED, API_TOKEN_REFUSED, message)
    }

    /// A change that does not say what it is a change of.
    pub(super) fn version_missing() -> Self {
        let message = "expected if-match: \"VERSION\", the etag of the policy that this one is to follow";
        Self::new(StatusCode::PRECONDITION_REQUIRED, VERSION_MISSING, message)
    }

    fn internal() -> Self {
        let message = "the collector failed at this request; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, codes::INTERNAL, message)
    }

    /// For an error that the framework answered by itself.
    pub(super) fn of_framework(status: StatusCode) -> Self {
        let code = if status.is_server_error() { codes::INTERNAL } else { codes::MALFORMED };
        Self::new(status, code, status.canonical_reason().unwrap_or("refused"))
    }

    /// For a task that did not end well: a fault of this program.
    pub(super) fn of_task(error: &tokio::task::JoinError) -> Self {
        tracing::error!(error = %error, "a request was not served to its end");
        Self::internal()
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let code = match error {
            RequestError::Missing(_) | RequestError::Malformed(..) => codes::SIGNATURE_MISSING,
            RequestError::Digest | RequestError::Signature => codes::SIGNATURE_INVALID,
            RequestError::Skew { .. } => codes::CLOCK_SKEW,
        };
        Self::new(StatusCode::UNAUTHORIZED, code, error.to_string())
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::Refused(refusal) => {
                let (status, code) = match refusal {
                    ingest::Refusal::Retired(_) => (StatusCode::UNAUTHORIZED, codes::DEVICE_UNKNOWN),
                    ingest::Refusal::KeyReplaced(_) => (StatusCode::UNAUTHORIZED, codes::KEY_REPLACED),
                    ingest::Refusal::KeyTaken => (StatusCode::CONFLICT, codes::KEY_TAKEN),
                    ingest::Refusal::KeyUnproven => (StatusCode::UNPROCESSABLE_ENTITY, codes::KEY_UNPROVEN),
                    ingest::Refusal::RevisionStale { .. } => (StatusCode::CONFLICT, codes::REVISION_STALE),
                    ingest::Refusal::DigestMismatch { .. } => {
                        (StatusCode::UNPROCESSABLE_ENTITY, codes::DIGEST_MISMATCH)
                    }
                    // No agent does anything to an alert.
                    ingest::Refusal::Act(_) => (StatusCode::UNPROCESSABLE_ENTITY, codes::MALFORMED),
                    ingest::Refusal::TooMany { .. } => (StatusCode::PAYLOAD_TOO_LARGE, codes::TOO_LARGE),
                };
                Self::new(status, code, refusal.to_string())
            }
            ServiceError::Exception(error) => Self::malformed(error.to_string()),
            ServiceError::Ruling(error) => Self::malformed(error.to_string()),
            ServiceError::Token(token) => {
                Self::new(StatusCode::FORBIDDEN, codes::TOKEN_REFUSED, token.to_string())
            }
            ServiceError::DeviceUnknown => Self::device_unknown(error.to_string()),
            ServiceError::Schema(_) => Self::schema_unknown(&error),
            ServiceError::Invalid(why) => Self::malformed(why),
            ServiceError::NoPolicy => Self::unavailable("no policy is in force here yet: come back later"),
            ServiceError::Store(StoreError::Full | StoreError::Busy | StoreError::Closed) => {
                tracing::error!(error = %error_chain(&error), "a request could not be served");
                Self::unavailable("the collector cannot store anything at the moment: come back later")
            }
            ServiceError::Policy(problems) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, POLICY_INVALID, problems.to_string())
            }
            ServiceError::ApiToken(refused) => {
                let status = match refused {
                    ApiTokenError::Lacks(_) => StatusCode::FORBIDDEN,
                    ApiTokenError::Malformed
                    | ApiTokenError::Unknown
                    | ApiTokenError::Revoked(_)
                    | ApiTokenError::Expired(_) => StatusCode::UNAUTHORIZED,
                };
                Self::new(status, API_TOKEN_REFUSED, refused.to_string())
            }
            ServiceError::Approval(why) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, codes::MALFORMED, why.to_string())
            }
            ServiceError::Store(conflict @ StoreError::Conflict { found, .. }) => {
                let refusal =
                    Self::new(StatusCode::PRECONDITION_FAILED, VERSION_CONFLICT, conflict.to_string());
                Self { version: Some(*found), ..refusal }
            }
            ServiceError::Judging(error) => Self::of_task(error),
            ServiceError::Store(_)
            | ServiceError::Plan(_)
            | ServiceError::StoredPolicy { .. }
            | ServiceError::Bundle(_)
            | ServiceError::Random(_) => {
                tracing::error!(error = %error_chain(&error), "a request could not be served");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_busy_full_or_closed_is_a_reason_to_come_back() {
        for error in [StoreError::Busy, StoreError::Full, StoreError::Closed] {
            let refusal = Refusal::from(ServiceError::Store(error));
            assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{refusal:?}");
            assert_eq!(refusal.retry_after, Some(RETRY_AFTER), "{refusal:?}");
        }
    }
}
