//! A client that can send a collector any bytes, over TLS.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use offchannel_shared::wire::ErrorBody;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::wait::LIMIT;

/// Makes one connection for each request.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client that trusts one CA.
    pub fn new(address: SocketAddr, ca_file: &Path) -> Self {
        let pem = fs::read(ca_file).unwrap_or_else(|error| panic!("no CA in {}: {error}", ca_file.display()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.expect("a certificate in PEM")).expect("a usable certificate");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address, config: Arc::new(config) }
    }

    /// Sends these bytes, then reads until the peer closes.
    ///
    /// # Errors
    /// What went wrong; nothing is wrong with a peer that closes early.
    pub fn exchange(&self, request: &[u8]) -> Result<Answer, String> {
        let stream = TcpStream::connect(self.address).map_err(|error| format!("no connection: {error}"))?;
        stream.set_read_timeout(Some(LIMIT)).expect("a limit on reading");
        stream.set_write_timeout(Some(LIMIT)).expect("a limit on writing");
        let name = ServerName::from(self.address.ip());
        let connection = ClientConnection::new(Arc::clone(&self.config), name).expect("a TLS client");
        let mut stream = StreamOwned::new(connection, stream);
        // A peer that has seen enough answers and closes; that answer counts.
        let sent = stream.write_all(request).and_then(|()| stream.flush());
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        Answer::parse(&answer)
            .ok_or_else(|| format!("no answer: sent {sent:?}, read {read:?}, got {answer:?}"))
    }

    /// Sends a request with these header fields beside those that every request has.
    ///
    /// # Errors
    /// As [`Client::exchange`].
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.exchange(&[head.as_bytes(), body].concat())
    }

    /// Sends a POST request with a JSON body to a collector that must answer.
    #[track_caller]
    pub fn post(&self, path: &str, headers: &[(&str, String)], body: &[u8]) -> Answer {
        let mut all = vec![("content-type", "application/json".to_owned())];
        all.extend(headers.iter().cloned());
        self.request("POST", path, &all, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<(String, String)> = lines.filter_map(field).collect();
        let body = bytes[end + 4..].to_vec();
        // Without its end it is no answer.
        let length =
            headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, n)| n.parse().ok());
        (length.unwrap_or(body.len()) == body.len()).then_some(Self { status, headers, body })
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body of an answer that must be 200.
    #[track_caller]
    pub fn ok<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "refused: {}", self.text());
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("unexpected ({error}): {}", self.text()))
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// Status, code and message of a refusal.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String, String) {
        let body: Result<ErrorBody, _> = serde_json::from_slice(&self.body);
        let body =
            body.unwrap_or_else(|error| panic!("no refusal ({error}): {} {}", self.status, self.text()));
        (self.status, body.error.code, body.error.message)
    }

    /// The body as a text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
