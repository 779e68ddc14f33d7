//! A collector on a real socket, over real TLS, with a real database and a clock that can be set; and
//! devices that talk to it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use offchannel_server::clock::SettableClock;
use offchannel_server::config::{Limits, TlsConfig};
use offchannel_server::domain::published::Publication;
use offchannel_server::domain::route::Routes;
use offchannel_server::metrics::Metrics;
use offchannel_server::service::{Service, TokenRequest};
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_server::{http as collector, tls};
use offchannel_shared::device::Ownership;
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{ChannelName, Epoch};
use offchannel_shared::inventory::Inventory;
use offchannel_shared::signing::SigningKey;
use offchannel_shared::signing::request::sign;
use offchannel_shared::span::Span;
use offchannel_shared::wire;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const POLICY: &str = include_str!("../../src/quickstart/policy.toml");

/// The instant at which every test starts, in seconds.
pub const START: i64 = 1_800_000_000;

/// Limits that no test meets by accident.
pub const LIMITS: Limits = Limits {
    connections: 100,
    handshake_timeout: Duration::from_secs(20),
    header_timeout: Duration::from_secs(20),
    request_timeout: Duration::from_secs(20),
    body_max: wire::BODY_MAX,
    body_decompressed_max: wire::BODY_DECOMPRESSED_MAX,
};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// A collector that serves.
pub struct Server {
    pub address: SocketAddr,
    pub clock: SettableClock,
    pub service: Service,
    pub metrics: Metrics,
    connector: TlsConnector,
    pub stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts that it is a refusal in the form of every refusal; returns its message.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> String {
        let body: wire::ErrorBody =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"));
        assert_eq!((self.status.as_u16(), body.error.code.as_str()), (status, code), "{self:?}");
        assert_eq!(body.schema, wire::SCHEMA);
        assert_eq!(self.headers["content-type"], "application/json");
        body.error.message
    }

    #[track_caller]
    pub fn accepted(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()
    }
}

impl Server {
    /// A collector with the example policy in force.
    pub async fn start() -> Self {
        Self::with(LIMITS, Some(POLICY), &[]).await
    }

    /// A collector with these limits, this policy in force, and alerts queued for these channels.
    pub async fn with(limits: Limits, policy: Option<&str>, channels: &[ChannelName]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = SettableClock::at(at(0));
        let options = OpenOptions { create: true, migrate: true, announce: false, now: at(0) };
        let store = SqliteStore::open(&folder.path().join("offchannel.db"), &options).unwrap();
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        let routes = Routes::new(channels, Vec::new());
        let service =
            Service::start(store, Arc::new(clock.clone()), key, routes, Publication::Alone).await.unwrap();
        if let Some(policy) = policy {
            service.publish_policy(policy, "test", "", None).await.unwrap();
        }
        // TLS lives by the real clock: rustls checks certificates by it.
        let now = Timestamp::try_from(std::fs::metadata(folder.path()).unwrap().modified().unwrap()).unwrap();
        let own = TlsConfig::Own(folder.path().join("tls"));
        let server_tls = tls::server_config(&own, "localhost", now).unwrap();
        let connector = connector(&tls::ca_file(&own).unwrap());
        let metrics = Metrics::default();
        let router = collector::router(service.clone(), &limits, &metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving =
            tokio::spawn(collector::serve(listener, server_tls, router, limits, metrics.clone(), stopped));
        Self { address, clock, service, metrics, connector, stop, serving, _folder: folder }
    }

    /// Stops the collector and waits until it has ended.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.serving.await.unwrap();
    }

    pub async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// Sends a request over a connection of its own.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = self.connect().await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, &[], b"")).await
    }

    /// Writes bytes as they are and reads everything until the connection ends.
    pub async fn raw(&self, bytes: Vec<u8>) -> Answer {
        let (mut reader, mut writer) = tokio::io::split(self.connect().await.unwrap());
        // The collector may hang up while this is being written: what it answered is what counts.
        let writing = tokio::spawn(async move {
            let _ = writer.write_all(&bytes).await;
            let _ = writer.flush().await;
            writer
        });
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            read.extend_from_slice(&buffer[..length]);
        }
        drop(writing.await.unwrap());
        parse(&read)
    }

    /// A token for one device.
    pub async fn token(&self, max_uses: u32, life: Span) -> offchannel_server::service::NewToken {
        let request = TokenRequest {
            label: "test".to_owned(),
            ownership: Ownership::Corporate,
            unit: None,
            labels: BTreeSet::new(),
            max_uses,
            life,
        };
        self.service.create_token(request).await.unwrap()
    }

    /// A device that is enrolled.
    pub async fn device(&self) -> Device<'_> {
        let token = self.token(1, Span::minutes(60)).await;
        let mut device = Device::new(self);
        let answer = device.post(wire::ENROL_PATH, &device.enrol_body(&token.text)).await.accepted();
        device.id = answer["device_id"].as_str().unwrap().to_owned();
        device
    }
}

/// A device with a key of its own.
pub struct Device<'s> {
    server: &'s Server,
    pub key: SigningKey,
    /// The key id of its requests: its public key, and its device id once it is enrolled.
    pub id: String,
}

impl<'s> Device<'s> {
    pub fn new(server: &'s Server) -> Self {
        static SEED: AtomicU8 = AtomicU8::new(50);
        let key = SigningKey::from_seed(&[SEED.fetch_add(1, Ordering::SeqCst); 32]).unwrap();
        let id = key.public().to_string();
        Self { server, key, id }
    }

    pub fn enrol_body(&self, token: &str) -> Value {
        json!({
            "schema": 1, "token": token, "public_key": self.key.public(), "agent_version": "0.1.0",
            "facts": facts(),
        })
    }

    /// Headers that sign a body, made at a second of the device's clock.
    pub fn sign_at(&self, path: &str, body: &[u8], second: i64) -> Vec<(String, String)> {
        static NONCE: AtomicU8 = AtomicU8::new(0);
        let nonce = [NONCE.fetch_add(1, Ordering::SeqCst); 16];
        let headers = sign(&self.key, &self.id, "POST", path, body, at(second), nonce);
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub async fn post_bytes(&self, path: &str, body: &[u8], more: &[(&str, &str)]) -> Answer {
        let mut headers = self.sign_at(path, body, 0);
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.server.send(request("POST", path, &headers, body)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, &serde_json::to_vec(body).unwrap(), &[("content-type", "application/json")])
            .await
    }
}

pub fn request(method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

/// The head of a request as bytes, which asks to close the connection afterwards.
pub fn head(method: &str, path: &str, headers: &[(String, String)], more: &[(&str, &str)]) -> Vec<u8> {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let lines: String =
        headers.iter().cloned().chain(more).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n").into_bytes()
}

pub fn facts() -> Value {
    json!({ "hostname": "sam-laptop", "platform": "linux", "os": "Debian", "arch": "x86_64", "machine": "" })
}

pub fn check_in() -> Value {
    let epoch = Epoch::from_random([1; 16]);
    json!({ "schema": 1, "epoch": epoch, "revision": 0, "policy_version": 1, "agent_version": "0.1.0" })
}

pub fn report(revision: u64) -> Value {
    let inventory = Inventory::default();
    json!({
        "schema": 1, "epoch": Epoch::from_random([1; 16]), "revision": revision, "digest": Digest::of(&inventory),
        "observed_at": at(0), "policy_version": 1, "agent_version": "0.1.0", "catalogue_version": "1",
        "facts": facts(), "inventory": inventory,
    })
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packer, plain).unwrap();
    packer.finish().unwrap()
}

fn connector(ca_file: &Path) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(PathBuf::from(ca_file)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn parse(read: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(read);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer in {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap();
    let mut response = Response::builder().status(status);
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        response = response.header(name, value);
    }
    let (head, body) = response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap().into_parts();
    Answer { status: head.status, headers: head.headers, body }
}
