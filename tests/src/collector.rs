//! A collector of the tests' own, which can do what a real one never does: offer older and altered policies.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use flate2::read::GzDecoder;
use offchannel_shared::device::Placement;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::policy::{BUNDLE_SCHEMA, BUNDLE_TYPE, Bundle, parse};
use offchannel_shared::signing::{Envelope, SigningKey};
use offchannel_shared::span::Span;
use offchannel_shared::wire::{
    CHECK_IN_PATH, CheckInRequest, CheckInResponse, ENROL_PATH, EnrolResponse, GOODBYE_PATH, REPORT_PATH,
    ReportRequest, ReportResponse, SCHEMA,
};
use rustls::crypto::ring::default_provider;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;

use crate::clock::now;
use crate::device::{json, random};
use crate::port::Port;
use crate::wait::{LIMIT, wait_for};

/// Seconds between check-ins that it asks for: the least that an agent takes.
const CHECK_IN: u32 = 5;

#[derive(Debug)]
struct State {
    key: SigningKey,
    ending: bool,
    /// Goes out with every answer.
    offer: Option<Envelope>,
    check_ins: Vec<CheckInRequest>,
    reports: Vec<ReportRequest>,
}

/// The collector; it ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    port: Port,
    folder: TempDir,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

/// A bundle as the collector's own key signs it.
pub fn bundle(version: u64, policy: &str) -> Bundle {
    let parsed = parse(policy).unwrap_or_else(|problems| panic!("{problems}"));
    Bundle {
        schema: BUNDLE_SCHEMA,
        version,
        issued_at: now(),
        expires_at: Span::minutes(60).after(now()),
        placement: Placement::default(),
        policy: parsed.policy,
    }
}

/// How much had come at an instant.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    check_ins: usize,
    reports: usize,
}

impl Collector {
    /// A collector that offers this bundle at enrolment.
    pub fn start(first: &Bundle) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certified =
            rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
        std::fs::write(folder.path().join("ca.crt"), certified.cert.pem()).expect("a certificate file");
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a private key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .expect("certificate and key");
        let key = SigningKey::from_seed(&random::<32>()).expect("a key");
        let offer = Some(seal(first, &key));
        let state = State { key, ending: false, offer, check_ins: Vec::new(), reports: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address()).expect("the collector's port");
        let (config, shared) = (Arc::new(config), Arc::clone(&state));
        let thread = std::thread::spawn(move || serve(&listener, &config, &shared));
        Self { port, folder, state, thread: Some(thread) }
    }

    /// Where agents reach it.
    pub fn url(&self) -> String {
        format!("https://{}", self.port.address())
    }

    /// The CA of its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// An agent of it that was never started.
    pub fn agent(&self, root: &Path) -> crate::Agent {
        crate::Agent::new(&self.url(), &self.ca_file(), "oct1_anything", root)
    }

    /// The bundle as this collector signs it.
    pub fn seal(&self, bundle: &Bundle) -> Envelope {
        seal(bundle, &self.state().key)
    }

    /// Offers this with every answer from now on.
    pub fn offer(&self, envelope: Option<Envelope>) {
        self.state().offer = envelope;
    }

    /// What has come so far; taken before the thing that is to be waited for is set off.
    pub fn mark(&self) -> Mark {
        let state = self.state();
        Mark { check_ins: state.check_ins.len(), reports: state.reports.len() }
    }

    /// Waits for a check-in or report, after those of now, that has something.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, find: impl Fn(&[CheckInRequest], &[ReportRequest]) -> Option<T>) -> T {
        self.wait_after(&self.mark(), what, find)
    }

    /// Waits for a check-in or report after the mark that has something.
    #[track_caller]
    pub fn wait_after<T>(
        &self,
        mark: &Mark,
        what: &str,
        find: impl Fn(&[CheckInRequest], &[ReportRequest]) -> Option<T>,
    ) -> T {
        wait_for(what, || {
            let state = self.state();
            let (check_ins, reports) = (&state.check_ins[mark.check_ins..], &state.reports[mark.reports..]);
            find(check_ins, reports).ok_or_else(|| format!("came {check_ins:#?} and {reports:#?}"))
        })
    }

    /// The last report.
    pub fn last_report(&self) -> Option<ReportRequest> {
        self.state().reports.last().cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.state().ending = true;
        drop(TcpStream::connect(self.port.address()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn seal(bundle: &Bundle, key: &SigningKey) -> Envelope {
    Envelope::seal(BUNDLE_TYPE, &json(bundle), key)
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, state: &Arc<Mutex<State>>) {
    for stream in listener.incoming() {
        if state.lock().unwrap_or_else(PoisonError::into_inner).ending {
            return;
        }
        let Ok(stream) = stream else { continue };
        let (config, state) = (Arc::clone(config), Arc::clone(state));
        // An agent that hangs up has its reasons; what counts is what it asked before.
        std::thread::spawn(move || answer(stream, config, &state).ok());
    }
}

/// Answers one request of a connection and closes it.
fn answer(stream: TcpStream, config: Arc<ServerConfig>, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&chunk[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            break (head, bytes.split_off(end + 4));
        }
    };
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
    let have = body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[have..])?;
    if field("content-encoding:") == Some("gzip") {
        let mut plain = Vec::new();
        GzDecoder::new(body.as_slice()).read_to_end(&mut plain)?;
        body = plain;
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = respond(path, &body, &mut state.lock().unwrap_or_else(PoisonError::into_inner))?;
    let status = if answer.is_empty() { "204 No Content" } else { "200 OK" };
    let length = answer.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), &answer].concat())?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn respond(path: &str, body: &[u8], state: &mut State) -> std::io::Result<Vec<u8>> {
    let (bundle, server_time) = (state.offer.clone(), now());
    Ok(match path {
        ENROL_PATH => json(&EnrolResponse {
            schema: SCHEMA,
            device_id: DeviceId::from_random(random()),
            signing_keys: vec![state.key.public().clone()],
            bundle: bundle.ok_or_else(|| std::io::Error::other("there is nothing to enrol with"))?,
            next_check_in: CHECK_IN,
            server_time,
        }),
        CHECK_IN_PATH => {
            state.check_ins.push(serde_json::from_slice(body)?);
            json(&CheckInResponse {
                schema: SCHEMA,
                next_check_in: CHECK_IN,
                bundle,
                accepted: None,
                report_wanted: false,
                server_time,
            })
        }
        REPORT_PATH => {
            let report: ReportRequest = serde_json::from_slice(body)?;
            let accepted_revision = report.revision;
            state.reports.push(report);
            json(&ReportResponse {
                schema: SCHEMA,
                accepted_revision,
                next_check_in: CHECK_IN,
                bundle,
                server_time,
            })
        }
        GOODBYE_PATH => Vec::new(),
        other => return Err(std::io::Error::other(format!("no such route: {other}"))),
    })
}
