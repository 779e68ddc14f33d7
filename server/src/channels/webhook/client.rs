//! One POST over one new connection: resolve, check the addresses, connect to a checked one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::AllowPrivate;
use super::target::Target;

/// Largest head of an answer that is read, in bytes; the body is not read at all.
const HEAD_MAX: usize = 16 * 1024;

/// Why an attempt came to no answer, or a webhook cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The file of the receiver's CAs.
    #[error("ca_file has no certificate in PEM that can be used")]
    Authorities,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The name of the host.
    #[error("the host {host} cannot be resolved")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address may not be reached.
    #[error("the host {host} has the address {address}, which is refused: {why}")]
    Refused {
        /// The host.
        host: String,
        /// One of its addresses.
        address: IpAddr,
        /// Why.
        why: &'static str,
    },
    /// The name has no address.
    #[error("the host {0} has no address")]
    NoAddress(String),
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No TLS connection.
    #[error("the TLS handshake with {host} failed")]
    Handshake {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No valid request, or no valid answer.
    #[error("no answer could be read")]
    Http(#[source] hyper::Error),
    /// A header with characters that no header may have.
    #[error("the request could not be made")]
    Request(#[source] http::Error),
}

/// What a receiver answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<String>,
}

/// Sends to one target.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    tls: Option<Arc<ClientConfig>>,
    allow_private: AllowPrivate,
}

impl Client {
    pub(super) fn new(
        target: Target,
        ca_pem: Option<&str>,
        allow_private: AllowPrivate,
    ) -> Result<Self, WebhookError> {
        let tls = if target.tls() { Some(Arc::new(tls(ca_pem)?)) } else { None };
        Ok(Self { target, tls, allow_private })
    }

    /// Posts a body. Has no time limit of its own.
    pub(super) async fn post(
        &self,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, WebhookError> {
        let stream = self.connect().await?;
        let Some(tls) = &self.tls else {
            return self.exchange(stream, headers, body).await;
        };
        let connector = TlsConnector::from(Arc::clone(tls));
        let failed = |source| WebhookError::Handshake { host: self.target.host().to_owned(), source };
        let stream = connector.connect(self.target.server_name(), stream).await.map_err(failed)?;
        self.exchange(stream, headers, body).await
    }

    /// Resolves once and connects to the addresses that were checked, so that a second answer of the name
    /// service cannot lead elsewhere.
    async fn connect(&self) -> Result<TcpStream, WebhookError> {
        let host = self.target.host();
        let resolved = tokio::net::lookup_host((host, self.target.port()))
            .await
            .map_err(|source| WebhookError::Resolve { host: host.to_owned(), source })?;
        let mut error = WebhookError::NoAddress(host.to_owned());
        for address in resolved {
            let ip = address.ip().to_canonical();
            if let Err(why) = self.allow_private.check(host, ip, self.tls.is_some()) {
                error = WebhookError::Refused { host: host.to_owned(), address: ip, why };
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => error = WebhookError::Connect { address, source },
            }
        }
        Err(error)
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Answer, WebhookError> {
        let mut request = Request::post(self.target.path())
            .header(HOST, self.target.host_header())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("offchannel/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(WebhookError::Request)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(WebhookError::Http)?;
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
        let answer = answer.map_err(WebhookError::Http)?;
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(Answer { status: answer.status(), retry_after: retry_after.map(str::to_owned) })
    }
}

fn tls(ca_pem: Option<&str>) -> Result<ClientConfig, WebhookError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| WebhookError::Authorities)?;
                roots.add(certificate).map_err(|_| WebhookError::Authorities)?;
            }
            if roots.is_empty() {
                return Err(WebhookError::Authorities);
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            let (added, refused) = roots.add_parsable_certificates(system.certs);
            if added == 0 {
                tracing::warn!(
                    refused,
                    "the system has no CA certificates: no webhook over https:// will be trusted"
                );
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(WebhookError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
