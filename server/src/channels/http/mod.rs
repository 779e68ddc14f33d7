//! One request over one new connection, and what an answer to it means for a delivery.

mod answer;
mod channel;
mod target;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use offchannel_shared::error_chain::error_chain;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};

pub use answer::Answer;
pub use channel::{Format, HttpChannel, Post};
pub use target::{Target, TargetError};

use super::net::{self, AllowPrivate, DialError, TlsSetupError};
use crate::domain::delivery::Attempt;

/// Largest head of an answer that is read, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// How much of the body of an answer is read, in bytes.
const BODY_MAX: usize = 4 * 1024;
/// Longest time for the body of an answer. The status is there then, and mostly all that counts.
const BODY_TIME: Duration = Duration::from_secs(3);
/// Shortest part of a path that may be a secret.
const SECRET_MIN: usize = 6;

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
pub struct Client {
    target: Target,
    /// What no answer may bring into logs and lists: receivers quote what they were asked.
    secrets: Vec<String>,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    allow_private: AllowPrivate,
}

impl Client {
    /// Sends to the target of these settings. `secrets` are what is sent beside it and must not be shown.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub(super) fn new(config: HttpConfig, secrets: &[&str]) -> Result<Self, TlsSetupError> {
        let HttpConfig { target, ca_pem, timeout, allow_private } = config;
        let tls = if target.tls() { Some(net::tls(ca_pem.as_deref(), &[b"http/1.1"])?) } else { None };
        let parts = target.path().split(['/', '?', '&', '=']).filter(|part| part.len() >= SECRET_MIN);
        let mut secrets: Vec<String> = secrets.iter().copied().chain(parts).map(str::to_owned).collect();
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(Self { target, secrets, tls, timeout, allow_private })
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// [`HttpError`] if there is no answer.
    pub(super) async fn post(&self, post: Post) -> Result<Answer, HttpError> {
        let answer = tokio::time::timeout(self.timeout, self.try_post(post)).await;
        answer.unwrap_or(Err(HttpError::Timeout(self.timeout)))
    }

    async fn try_post(&self, post: Post) -> Result<Answer, HttpError> {
        let (host, port) = (self.target.host(), self.target.port());
        let stream = net::connect(host, port, self.tls.is_some(), &self.allow_private).await?;
        match &self.tls {
            None => self.exchange(stream, post).await,
            Some(tls) => {
                let stream = net::secured(stream, self.target.server_name(), tls).await?;
                self.exchange(stream, post).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        Post { headers, body }: Post,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::post(self.target.path())
            .header(HOST, self.target.host_header())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("offchannel/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(HttpError::Request)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(HttpError::Http)?;
        // The connection is driven here and not in a task of its own: it ends with this attempt.
        let mut connection = Some(Box::pin(connection));
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = drive(&mut connection) => {
                connection = None;
                // The answer may have been read in the same breath in which the connection ended, even if it
                // ended badly; what was answered is what counts.
                answer.await.map_err(|error| ended.err().unwrap_or(error))
            }
        };
        let (head, mut incoming) = answer.map_err(HttpError::Http)?.into_parts();
        let mut body = Vec::new();
        let reading = async {
            while let Some(Ok(frame)) = incoming.frame().await {
                let left = BODY_MAX.saturating_sub(body.len());
                body.extend(frame.into_data().unwrap_or_default().into_iter().take(left));
                if body.len() >= BODY_MAX {
                    break;
                }
            }
        };
        // Whatever becomes of the body, the answer is its status.
        let _ = tokio::time::timeout(BODY_TIME, async {
            let mut reading = pin!(reading);
            tokio::select! {
                biased;
                () = &mut reading => {}
                _ = drive(&mut connection) => reading.await,
            }
        })
        .await;
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: head.status,
            retry_after: retry_after.map(str::to_owned),
            body: self.without_secrets(&String::from_utf8_lossy(&body)),
        })
    }

    fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[...]"))
    }
}

/// Drives a connection; one that has ended is waited for in vain.
async fn drive<C: Future + Unpin>(connection: &mut Option<C>) -> C::Output {
    match connection {
        Some(connection) => connection.await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?})", self.target)
    }
}

impl From<HttpError> for Attempt {
    /// What comes to no answer is tried again.
    fn from(error: HttpError) -> Self {
        Self::Retry { error: error_chain(&error).to_string(), after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_brings_a_secret_to_light() {
        let config = HttpConfig {
            target: "http://h/services/T0000AAA/s3cr3tpart?sig=abcdefgh".parse().unwrap(),
            ca_pem: None,
            timeout: BODY_TIME,
            allow_private: AllowPrivate::Any,
        };
        let client = Client::new(config, &["token-1234"]).unwrap();
        let quoted = "Cannot POST /services/T0000AAA/s3cr3tpart?sig=abcdefgh with token-1234";
        let shown = client.without_secrets(quoted);
        for secret in ["T0000AAA", "s3cr3tpart", "abcdefgh", "token-1234"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.starts_with("Cannot POST /"), "{shown}");
        assert!(!format!("{client:?}").contains("s3cr3t"), "{client:?}");
    }
}
