//! Connections: accepted up to a limit, bounded in time at every step, ended gracefully.
//!
//! Beyond the limit a connection is accepted and closed at once. To leave it in the backlog would keep its
//! agent waiting for an answer that may not come in time; closed, it comes back later, each at its own moment.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::stall::Stall;
use crate::config::Limits;
use crate::metrics::Metrics;

/// Largest head of a request, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// How long requests under way may take once the server is to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be accepted, because there are no more file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves agents over TLS until `stopped` is true, or nobody is left who could say so; then requests under
/// way are finished, within ten seconds.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    metrics: Metrics,
    stopped: watch::Receiver<bool>,
) {
    let acceptor = Some(TlsAcceptor::from(tls));
    run(listener, Server { acceptor, router, limits, metrics: Some(metrics), stopped }).await;
}

/// Serves over plain HTTP, for metrics and probes on a listener of their own, until `stopped` is true. Its
/// connections are not counted among those of agents.
pub async fn serve_plain(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) {
    run(listener, Server { acceptor: None, router, limits, metrics: None, stopped }).await;
}

async fn run(listener: TcpListener, server: Server) {
    let limits = server.limits;
    let room = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let mut stopped = server.stopped.clone();
    let server = Arc::new(server);
    let mut connections = JoinSet::new();
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = told(&mut stopped) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            if let Some(metrics) = &server.metrics {
                metrics.connection_refused();
            }
            if !full {
                tracing::warn!(
                    limit = limits.connections,
                    "too many connections: new ones are closed at once"
                );
            }
            full = true;
            continue;
        };
        full = false;
        let server = Arc::clone(&server);
        connections.spawn(async move {
            let _open = server.metrics.as_ref().map(Metrics::connection);
            server.connection(stream).await;
            drop(permit);
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were cut off at shutdown");
        connections.shutdown().await;
    }
}

struct Server {
    acceptor: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    metrics: Option<Metrics>,
    stopped: watch::Receiver<bool>,
}

impl Server {
    async fn connection(&self, stream: TcpStream) {
        // Answers are small and wait for nothing: Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let stream = Stall::new(stream, self.limits.request_timeout);
        let Some(acceptor) = &self.acceptor else {
            return self.requests(stream).await;
        };
        let mut stopped = self.stopped.clone();
        let handshake = tokio::time::timeout(self.limits.handshake_timeout, acceptor.accept(stream));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            () = told(&mut stopped) => return,
        };
        match handshake {
            Ok(Ok(stream)) => self.requests(stream).await,
            Ok(Err(error)) => self.handshake_failed(&error),
            Err(_) => self.handshake_failed(&std::io::ErrorKind::TimedOut.into()),
        }
    }

    fn handshake_failed(&self, error: &std::io::Error) {
        if let Some(metrics) = &self.metrics {
            metrics.handshake_failed();
        }
        tracing::debug!(%error, "a TLS handshake failed");
    }

    async fn requests(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Runs from the end of the last answer: it bounds idle connections as well as slow heads.
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(HEAD_MAX)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut stopped = self.stopped.clone();
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = told(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Resolves when the server is to stop, or nobody is left who could say so.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
