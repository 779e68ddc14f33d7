//! One request, one answer, one connection.
//!
//! Check-ins are minutes apart: a connection kept open would cost both sides more than TLS session
//! resumption saves. Redirections are never followed.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use offchannel_shared::signing::request;
use offchannel_shared::wire::ANSWER_MAX;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, ClientError, Outcome, Request, Signer};
use crate::config::ServerUrl;

/// The way to one collector.
#[derive(Clone)]
pub struct Client {
    server: ServerUrl,
    connector: TlsConnector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Client {
    /// Speaks to this collector, trusted as `tls` says.
    pub fn new(server: ServerUrl, tls: Arc<ClientConfig>) -> Self {
        Self { server, connector: TlsConnector::from(tls) }
    }

    /// The collector.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Sends a request and waits for its answer.
    pub async fn exchange(&self, request: &Request, signer: Signer<'_>) -> Outcome {
        match self.try_exchange(request, signer).await {
            Ok((status, headers, body)) => {
                Outcome::of(request, &self.server.to_string(), status, &headers, &body)
            }
            Err(error) => Outcome::Unreachable(error),
        }
    }

    async fn try_exchange(
        &self,
        request: &Request,
        signer: Signer<'_>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), ClientError> {
        let signed = self.signed(request, signer)?;
        let late = |what, limit: std::time::Duration| {
            let server = self.server.to_string();
            move |_| ClientError::Timeout { server, what, seconds: limit.as_secs() }
        };
        let stream = timeout(CONNECT_TIMEOUT, self.connect())
            .await
            .map_err(late("accept the connection", CONNECT_TIMEOUT))??;
        timeout(ANSWER_TIMEOUT, self.ask(stream, signed)).await.map_err(late("answer", ANSWER_TIMEOUT))?
    }

    fn signed(
        &self,
        request: &Request,
        signer: Signer<'_>,
    ) -> Result<http::Request<Full<Bytes>>, ClientError> {
        let (body, compressed) = request.body()?;
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(ClientError::Random)?;
        let mut builder = http::Request::post(request.path())
            .header(HOST, self.server.authority())
            .header(USER_AGENT, concat!("offchannel-agent/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        if compressed {
            builder = builder.header(CONTENT_ENCODING, "gzip");
        }
        let signature =
            request::sign(signer.key, signer.key_id, "POST", request.path(), &body, signer.now, nonce);
        for (name, value) in signature {
            builder = builder.header(name, value);
        }
        builder.body(Full::new(Bytes::from(body))).map_err(ClientError::Request)
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, ClientError> {
        let server = || self.server.to_string();
        let stream = TcpStream::connect((self.server.host(), self.server.port()))
            .await
            .map_err(|cause| ClientError::Connect(server(), cause))?;
        // One small request and one small answer: waiting to fill packets only adds delay. A socket
        // that refuses the option still works.
        let _ = stream.set_nodelay(true);
        let connect = self.connector.connect(self.server.name().clone(), stream);
        connect.await.map_err(|cause| ClientError::Tls(server(), cause))
    }

    async fn ask(
        &self,
        stream: TlsStream<TcpStream>,
        request: http::Request<Full<Bytes>>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), ClientError> {
        let broke = |cause| ClientError::Http(self.server.to_string(), cause);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
        let answer = async {
            let (head, body) = sender.send_request(request).await.map_err(broke)?.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|cause| {
                ClientError::Length { server: self.server.to_string(), max: ANSWER_MAX, cause }
            })?;
            Ok((head.status, head.headers, body.to_bytes()))
        };
        tokio::pin!(answer);
        tokio::pin!(connection);
        // The connection makes progress only while it is polled. Once it is done, whether well or not,
        // `answer` knows.
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        }
    }
}
