//! One request over one new connection, and what an answer to it means for a delivery.

mod target;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::span::Span;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};

pub use target::{Target, TargetError};

use super::net::{self, AllowPrivate, DialError, TlsSetupError};
use crate::domain::delivery::Attempt;

/// Largest head of an answer that is read, in bytes; the body is not read at all.
const HEAD_MAX: usize = 16 * 1024;
/// Longest wait that a receiver may ask for with `Retry-After`.
const AFTER_MAX: Span = Span::minutes(24 * 60);

/// Why an attempt came to no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No valid request, or no valid answer.
    #[error("no answer could be read")]
    Http(#[source] hyper::Error),
    /// A header with characters that no header may have.
    #[error("the request could not be made")]
    Request(#[source] http::Error),
    /// Too slow.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

/// What a receiver answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
}

/// The settings that all channels over HTTP share.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to send.
    pub target: Target,
    /// The CAs of the receiver in PEM, instead of the system's.
    pub ca_pem: Option<String>,
    /// Longest time for one attempt, all in all.
    pub timeout: Duration,
    /// Which addresses may be reached beside public ones.
    pub allow_private: AllowPrivate,
}

/// Sends to one target.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    allow_private: AllowPrivate,
}

impl Client {
    pub(super) fn new(config: HttpConfig) -> Result<Self, TlsSetupError> {
        let HttpConfig { target, ca_pem, timeout, allow_private } = config;
        let tls = if target.tls() { Some(net::tls(ca_pem.as_deref(), &[b"http/1.1"])?) } else { None };
        Ok(Self { target, tls, timeout, allow_private })
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// [`HttpError`] if there is no answer.
    pub(super) async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let answer = tokio::time::timeout(self.timeout, self.try_post(headers, body)).await;
        answer.unwrap_or(Err(HttpError::Timeout(self.timeout)))
    }

    async fn try_post(&self, headers: &[(&'static str, String)], body: Vec<u8>) -> Result<Answer, HttpError> {
        let (host, port) = (self.target.host(), self.target.port());
        let stream = net::connect(host, port, self.tls.is_some(), &self.allow_private).await?;
        match &self.tls {
            None => self.exchange(stream, headers, body).await,
            Some(tls) => {
                let stream = net::secured(stream, self.target.server_name(), tls).await?;
                self.exchange(stream, headers, body).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::post(self.target.path())
            .header(HOST, self.target.host_header())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("offchannel/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(HttpError::Request)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(HttpError::Http)?;
        // The connection is driven here and not in a task of its own: it ends with this attempt.
        let mut connection = Box::pin(connection);
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = connection.as_mut() => {
                drop(connection);
                // The answer may have been read in the same breath in which the connection ended, even if it
                // ended badly; what was answered is what counts.
                answer.await.map_err(|error| ended.err().unwrap_or(error))
            }
        };
        let answer = answer.map_err(HttpError::Http)?;
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Answer { status: answer.status(), retry_after: retry_after.map(str::to_owned) })
    }
}

impl From<HttpError> for Attempt {
    /// What comes to no answer is tried again.
    fn from(error: HttpError) -> Self {
        Self::Retry { error: error_chain(&error).to_string(), after: None }
    }
}

impl Answer {
    /// That it is to be tried again, and not before the receiver said.
    pub(super) fn retry(&self, now: Timestamp) -> Attempt {
        let status = self.status;
        let error = if status.is_redirection() {
            format!("the receiver answered {status}: redirects are not followed, set url to where it points")
        } else {
            format!("the receiver answered {status}")
        };
        let after = self.retry_after.as_deref().and_then(|text| retry_after(text, now));
        Attempt::Retry { error, after }
    }
}

/// RFC 9110, section 10.2.3: seconds or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Span> {
    let text = text.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            u64::try_from(at.as_second().saturating_sub(now.as_second())).unwrap_or(0)
        }
    };
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).min(AFTER_MAX.as_seconds());
    Some(Span::seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_an_end() {
        let now = Timestamp::from_second(1_772_618_400).unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999", Some(86_400)),
            ("Wed, 04 Mar 2026 10:01:30 GMT", Some(90)),
            ("Wed, 04 Mar 2020 10:01:30 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(retry_after(text, now).map(Span::as_seconds), seconds, "{text:?}");
        }
    }
}
