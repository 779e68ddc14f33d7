//! What the answer to a request means. Pure.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use offchannel_shared::wire::ErrorBody;

use super::{Answer, ClientError, Request};

/// Longest message of a collector that is repeated in logs, in characters.
const MESSAGE_MAX: usize = 500;

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It was done.
    Accepted(Answer),
    /// Not now: the collector is busy or has a fault of its own.
    Later {
        /// The status.
        status: u16,
        /// What the collector asks for, if it does.
        retry_after: Option<Duration>,
    },
    /// It was understood and refused.
    Refused {
        /// The status.
        status: u16,
        /// One of [`offchannel_shared::wire::codes`], or another that this agent does not know.
        code: String,
        /// What was wrong and what to do.
        message: String,
        /// The collector's clock.
        server_time: Timestamp,
    },
    /// No collector answered.
    Unreachable(ClientError),
}

impl Outcome {
    pub(super) fn of(
        request: &Request,
        server: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let not_ours = |cause| {
            let server = server.to_owned();
            Self::Unreachable(ClientError::NotACollector { server, status: status.as_u16(), cause })
        };
        if status.is_success() {
            return match request.read(body) {
                Ok(answer) => Self::Accepted(answer),
                Err(error) => not_ours(Some(error)),
            };
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Self::Later { status: status.as_u16(), retry_after: retry_after(headers) };
        }
        if !status.is_client_error() {
            // A redirection, say of a hotel's login page. Following it could carry the request to
            // somebody else.
            return not_ours(None);
        }
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(ErrorBody { error, .. }) => Self::Refused {
                status: status.as_u16(),
                code: error.code.chars().take(64).collect(),
                message: error.message.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect(),
                server_time: error.server_time,
            },
            Err(error) => not_ours(Some(error)),
        }
    }
}

/// The seconds of a `Retry-After` header. Its other form, a date, is not what a collector sends,
/// and would need the clocks to agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use offchannel_shared::wire::{GoodbyeReason, GoodbyeRequest, SCHEMA};
    use proptest::prelude::*;

    use super::*;

    fn outcome(status: u16, retry_after: &str, body: &[u8]) -> Outcome {
        let request = Request::CheckIn(offchannel_shared::wire::CheckInRequest {
            schema: SCHEMA,
            epoch: offchannel_shared::ids::Epoch::from_random([1; 16]),
            revision: 0,
            digest: None,
            policy_version: 0,
            policy_expires_at: None,
            agent_version: String::new(),
            accepted: None,
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry_after.parse().unwrap());
        Outcome::of(&request, "s", StatusCode::from_u16(status).unwrap(), &headers, body)
    }

    #[test]
    fn every_kind_of_answer_is_told_apart() {
        let error = br#"{"schema":1,"error":{"code":"device_unknown","message":"a\nb","server_time":"2026-01-01T00:00:00Z"}}"#;
        let refused = outcome(401, "", error);
        assert!(
            matches!(&refused, Outcome::Refused { status: 401, code, message, .. }
            if code == "device_unknown" && message == "ab"),
            "{refused:?}"
        );
        let later = outcome(503, "17", error);
        let wait = Some(Duration::from_secs(17));
        assert!(
            matches!(later, Outcome::Later { status: 503, retry_after } if retry_after == wait),
            "{later:?}"
        );
        for (status, after) in [(500, ""), (429, "Fri, 31 Dec 1999 23:59:59 GMT"), (502, "-1")] {
            let later = outcome(status, after, b"<html>");
            assert!(matches!(later, Outcome::Later { retry_after: None, .. }), "{later:?}");
        }
        for (status, body) in [(200, b"<html>".as_slice()), (302, b""), (404, b"<html>"), (204, b"")] {
            let unreachable = outcome(status, "", body);
            assert!(
                matches!(unreachable, Outcome::Unreachable(ClientError::NotACollector { .. })),
                "{unreachable:?}"
            );
        }
        let goodbye =
            Request::Goodbye(GoodbyeRequest { schema: SCHEMA, reason: GoodbyeReason::Stop, stays_up: false });
        let done = Outcome::of(&goodbye, "s", StatusCode::NO_CONTENT, &HeaderMap::new(), b"");
        assert!(matches!(done, Outcome::Accepted(Answer::Goodbye)), "{done:?}");
    }

    proptest! {
        #[test]
        fn any_answer_is_judged_without_panic(status in 100u16..600, body: Vec<u8>) {
            let _ = outcome(status, "1", &body);
        }
    }
}
