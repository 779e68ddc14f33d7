//! Speaking to the collector: one signed request over one TLS connection, one typed outcome.

mod exchange;
mod outcome;
mod tls;

use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use offchannel_shared::signing::SigningKey;
use offchannel_shared::wire::{
    CHECK_IN_PATH, COMPRESS_FROM, CheckInRequest, CheckInResponse, ENROL_PATH, EnrolRequest, EnrolResponse,
    GOODBYE_PATH, GoodbyeRequest, REPORT_PATH, ROTATE_PATH, ReportRequest, ReportResponse, RotateRequest,
    RotateResponse,
};
use std::io::Write as _;

pub use exchange::Client;
pub use outcome::Outcome;
pub use tls::{TlsError, trust};

/// Longest wait for a connection, TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for an answer, once connected.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A registered key for a token.
    Enrol(Box<EnrolRequest>),
    /// Nothing changed.
    CheckIn(CheckInRequest),
    /// The inventory.
    Report(Box<ReportRequest>),
    /// Another key.
    Rotate(RotateRequest),
    /// The agent stops.
    Goodbye(GoodbyeRequest),
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To an enrolment.
    Enrol(Box<EnrolResponse>),
    /// To a check-in.
    CheckIn(CheckInResponse),
    /// To a report.
    Report(ReportResponse),
    /// To a rotation of the key.
    Rotate(RotateResponse),
    /// To a goodbye.
    Goodbye,
}

/// What makes a request the device's own.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The device's key.
    pub key: &'a SigningKey,
    /// The device id, or the public key at enrolment.
    pub key_id: &'a str,
    /// When the request is made, by the collector's clock as far as it is known.
    pub now: Timestamp,
}

/// Why nothing usable came back.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request cannot be written as JSON or compressed.
    #[error("cannot write the request")]
    Encode(#[source] std::io::Error),
    /// The system gives no random bytes.
    #[error("cannot get random bytes from the system")]
    Random(#[source] getrandom::Error),
    /// No TCP connection.
    #[error("cannot connect to {0}")]
    Connect(String, #[source] std::io::Error),
    /// No TLS connection: most often an unknown certificate, or a clock that is far off.
    #[error("cannot make a TLS connection to {0}; check server.ca_file and this device's clock")]
    Tls(String, #[source] std::io::Error),
    /// It took too long.
    #[error("{server} did not {what} within {seconds} s")]
    Timeout {
        /// Which collector.
        server: String,
        /// What it did not do.
        what: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The exchange broke.
    #[error("the exchange with {0} broke")]
    Http(String, #[source] hyper::Error),
    /// The request cannot be made: a header has characters that no header may have.
    #[error("cannot make the request")]
    Request(#[source] http::Error),
    /// The answer is longer than any collector's.
    #[error("the answer of {server} is longer than {max} bytes, or broke off")]
    Length {
        /// Which collector.
        server: String,
        /// How much is read at most.
        max: usize,
        /// What was met.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is not a collector's.
    #[error("{server} answered with status {status}, but not as a collector does; check server.url")]
    NotACollector {
        /// Which collector.
        server: String,
        /// What it answered.
        status: u16,
        /// Why that is no answer, if it could not be read.
        #[source]
        cause: Option<serde_json::Error>,
    },
}

impl Request {
    /// The path that it is posted to.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Enrol(_) => ENROL_PATH,
            Self::CheckIn(_) => CHECK_IN_PATH,
            Self::Report(_) => REPORT_PATH,
            Self::Rotate(_) => ROTATE_PATH,
            Self::Goodbye(_) => GOODBYE_PATH,
        }
    }

    /// The body as it is sent, and whether it is compressed.
    fn body(&self) -> Result<(Vec<u8>, bool), ClientError> {
        let json = match self {
            Self::Enrol(request) => serde_json::to_vec(request),
            Self::CheckIn(request) => serde_json::to_vec(request),
            Self::Report(request) => serde_json::to_vec(request),
            Self::Rotate(request) => serde_json::to_vec(request),
            Self::Goodbye(request) => serde_json::to_vec(request),
        };
        let json = json.map_err(|error| ClientError::Encode(error.into()))?;
        if json.len() < COMPRESS_FROM {
            return Ok((json, false));
        }
        let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 4), Compression::fast());
        let compressed =
            encoder.write_all(&json).and_then(|()| encoder.finish()).map_err(ClientError::Encode)?;
        Ok((compressed, true))
    }

    /// Reads a successful answer.
    fn read(&self, body: &[u8]) -> Result<Answer, serde_json::Error> {
        match self {
            Self::Enrol(_) => serde_json::from_slice(body).map(Answer::Enrol),
            Self::CheckIn(_) => serde_json::from_slice(body).map(Answer::CheckIn),
            Self::Report(_) => serde_json::from_slice(body).map(Answer::Report),
            Self::Rotate(_) => serde_json::from_slice(body).map(Answer::Rotate),
            Self::Goodbye(_) => Ok(Answer::Goodbye),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use offchannel_shared::ids::Epoch;
    use offchannel_shared::wire::{GoodbyeReason, SCHEMA};

    use super::*;

    #[test]
    fn bodies_are_compressed_from_the_limit_up() {
        let goodbye =
            Request::Goodbye(GoodbyeRequest { schema: SCHEMA, reason: GoodbyeReason::Stop, stays_up: false });
        assert_eq!(goodbye.body().unwrap(), (br#"{"schema":1,"reason":"stop"}"#.to_vec(), false));
        let request = CheckInRequest {
            schema: SCHEMA,
            epoch: Epoch::from_random([1; 16]),
            revision: 1,
            digest: None,
            policy_version: 1,
            policy_expires_at: None,
            agent_version: "x".repeat(COMPRESS_FROM),
            accepted: None,
        };
        let (body, compressed) = Request::CheckIn(request.clone()).body().unwrap();
        assert!(compressed && body.len() < COMPRESS_FROM);
        let mut json = String::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut json).unwrap();
        assert_eq!(serde_json::from_str::<CheckInRequest>(&json).unwrap(), request);
    }
}
