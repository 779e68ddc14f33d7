//! A collector that speaks the wire types over TLS, verifies what it gets, and can misbehave.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use offchannel_agent::clock::Clock;
use offchannel_shared::device::Placement;
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::policy::{BUNDLE_SCHEMA, BUNDLE_TYPE, Bundle, parse};
use offchannel_shared::signing::request::{Claim, RequestError};
use offchannel_shared::signing::{Envelope, PublicKey, SigningKey};
use offchannel_shared::wire::*;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The one token that is accepted.
pub const TOKEN: &str = "tok_test.secret";
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is carried out, its answer never arrives.
    LoseAnswer,
    /// 503 with `Retry-After` in seconds.
    Busy(u32),
    /// A refusal.
    Refuse(u16, &'static str),
    /// Something that is no collector answers.
    Redirect,
    /// An answer without end.
    Endless,
}

/// What the collector was told.
#[derive(Debug, Default)]
pub struct Told {
    /// Paths of all requests, in order.
    pub paths: Vec<String>,
    /// Times of all requests, since the start.
    pub times: Vec<Duration>,
    /// All that was said once TLS and compression were taken off: line, headers and body of each request.
    pub said: Vec<String>,
    /// All reports that were accepted, in order.
    pub reports: Vec<ReportRequest>,
    /// All goodbyes.
    pub goodbyes: Vec<GoodbyeReason>,
    /// Public keys by device.
    pub devices: BTreeMap<DeviceId, PublicKey>,
    /// What was wrong with requests.
    pub complaints: Vec<String>,
}

struct State {
    told: Told,
    faults: VecDeque<(&'static str, Fault)>,
    bundle: Envelope,
    clock_ahead: i64,
    /// Seconds to the next check-in, as agents are told.
    check_in_every: u32,
    pace: Pace,
}

/// How fast this collector's time goes by: as fast as that of a device whose clock was made faster.
struct Pace {
    factor: u32,
    /// The device's time when it was first heard of, and this machine's then.
    since: Option<(Timestamp, Duration)>,
}

impl Pace {
    fn now(&mut self, clock: &Clock, head: &http::request::Parts) -> Timestamp {
        let (now, elapsed) = (clock.now(), clock.elapsed());
        if self.factor == 1 {
            return now;
        }
        let signed = || Claim::read(&head.headers).map_or(now, |claim| claim.created);
        let (start, since) = *self.since.get_or_insert_with(|| (signed(), elapsed));
        let passed = SignedDuration::try_from((elapsed - since) * self.factor).unwrap();
        start.checked_add(passed).unwrap()
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: Clock,
}

/// A running collector.
pub struct Collector {
    shared: Arc<Shared>,
    address: SocketAddr,
    certificate: String,
}

/// The key that signs policies.
pub fn signing_key() -> SigningKey {
    SigningKey::from_seed(&[5; 32]).unwrap()
}

/// A signed policy. `rules` is TOML.
pub fn bundle(version: u64, rules: &str, key: &SigningKey) -> Envelope {
    let text =
        format!("schema = 1\nname = \"Test policy\"\nstale_after = \"7d\"\ncheck_in_every = \"5m\"\n{rules}");
    let now = Clock::system().now();
    let bundle = Bundle {
        schema: BUNDLE_SCHEMA,
        version,
        issued_at: now,
        expires_at: now.checked_add(SignedDuration::from_hours(24 * 30)).unwrap(),
        placement: Placement::default(),
        policy: parse(&text).unwrap().policy,
    };
    Envelope::seal(BUNDLE_TYPE, &serde_json::to_vec(&bundle).unwrap(), key)
}

const RULES: &str = r#"
[[rule]]
id = "no-consumer-messaging"
verdict = "prohibited"
kinds = ["consumer"]
severity = "high"
grace = "72h"
grades = ["installed"]
reason = "We cannot meet our duties."
alternatives = ["microsoft-teams"]
records_step = true
"#;

impl Collector {
    pub fn start() -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let state = State {
            told: Told::default(),
            faults: VecDeque::new(),
            bundle: bundle(1, RULES, &signing_key()),
            clock_ahead: 0,
            check_in_every: 5,
            pace: Pace { factor: 1, since: None },
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), clock: Clock::system() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (tls, serving) = (TlsAcceptor::from(Arc::new(tls)), Arc::clone(&shared));
        // Serves until the test process ends.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                serve(TcpListener::from_std(listener).unwrap(), tls, serving).await;
            });
        });
        Self { shared, address, certificate: certified.cert.pem() }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The next request to this path fails so. Several faults are used in order.
    pub fn fault(&self, path: &'static str, fault: Fault) {
        self.lock().faults.push_back((path, fault));
    }

    /// Has this policy from now on.
    pub fn publish(&self, bundle: Envelope) {
        self.lock().bundle = bundle;
    }

    /// Its clock is so many seconds ahead from now on.
    pub fn clock_ahead(&self, seconds: i64) {
        self.lock().clock_ahead = seconds;
    }

    /// Its time goes by so many times as fast, as that of its device does.
    #[cfg(target_os = "linux")]
    pub fn hurry(&self, factor: u32) {
        self.lock().pace.factor = factor;
    }

    /// Asks for check-ins after so many seconds.
    #[cfg(target_os = "linux")]
    pub fn check_in_every(&self, seconds: u32) {
        self.lock().check_in_every = seconds;
    }

    /// Waits until the condition holds, and returns what it gave.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, condition: impl FnMut(&Told) -> Option<T>) -> T {
        self.wait_at_most(PATIENCE, what, condition)
    }

    /// The same, with another limit.
    #[track_caller]
    pub fn wait_at_most<T>(
        &self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut(&Told) -> Option<T>,
    ) -> T {
        let mut state = self.lock();
        let start = self.shared.clock.elapsed();
        loop {
            assert_eq!(state.told.complaints, Vec::<String>::new());
            if let Some(found) = condition(&state.told) {
                return found;
            }
            let left = limit.saturating_sub(self.shared.clock.elapsed() - start);
            assert!(!left.is_zero(), "waited {limit:?} for {what}; told so far: {:#?}", state.told);
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for a report that names exactly these apps.
    #[track_caller]
    pub fn wait_for_apps(&self, apps: &[&str]) -> ReportRequest {
        self.wait_for(&format!("a report of {apps:?}"), |told| {
            let last = told.reports.last()?;
            let found: Vec<&str> = last.inventory.sightings.iter().map(|s| s.app.as_str()).collect();
            (found == apps).then(|| last.clone())
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // An agent that does not trust us, or was killed, breaks off; that is its right.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(|request| answer(request, &shared));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: http::Request<Incoming>,
    shared: &Shared,
) -> Result<http::Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
    let body = body.to_bytes();
    let mut state = shared.state.lock().unwrap();
    let path = head.uri.path().to_owned();
    state.told.paths.push(path.clone());
    state.told.times.push(shared.clock.elapsed());
    let fault = state.faults.iter().position(|(at, _)| *at == path).and_then(|at| state.faults.remove(at));
    let now = state.pace.now(&shared.clock, &head);
    let now = now.checked_add(SignedDuration::from_secs(state.clock_ahead)).unwrap();
    let response = match fault.map(|(_, fault)| fault) {
        Some(Fault::Busy(seconds)) => Ok(refusal(503, codes::UNAVAILABLE, "busy", now, Some(seconds))),
        Some(Fault::Refuse(status, code)) => Ok(refusal(status, code, "the test says no", now, None)),
        Some(Fault::Redirect) => Ok(http::Response::builder()
            .status(302)
            .header("location", "https://127.0.0.1:1/")
            .body(Full::default())
            .unwrap()),
        Some(Fault::Endless) => Ok(http::Response::new(Full::from(vec![b' '; ANSWER_MAX + 1]))),
        fault => {
            let response = handle(&mut state, &head, &body, now);
            if fault.is_some() { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(response) }
        }
    };
    shared.changed.notify_all();
    response
}

fn handle(
    state: &mut State,
    head: &http::request::Parts,
    body: &Bytes,
    now: Timestamp,
) -> http::Response<Full<Bytes>> {
    match try_handle(state, head, body, now) {
        Ok(response) => response,
        Err(Refusal::Skew) => refusal(401, codes::CLOCK_SKEW, "the clocks differ", now, None),
        Err(Refusal::Unknown) => refusal(401, codes::DEVICE_UNKNOWN, "no such device", now, None),
        Err(Refusal::Token) => refusal(403, codes::TOKEN_REFUSED, "no such token", now, None),
        Err(Refusal::Stale) => refusal(409, codes::REVISION_STALE, "a later revision is here", now, None),
        Err(Refusal::Wrong(complaint)) => {
            state.told.complaints.push(complaint);
            refusal(400, codes::MALFORMED, "see the test's complaints", now, None)
        }
    }
}

enum Refusal {
    Skew,
    Unknown,
    Token,
    Stale,
    /// What no agent may ever send; fails the test.
    Wrong(String),
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

fn try_handle(
    state: &mut State,
    head: &http::request::Parts,
    sent: &Bytes,
    now: Timestamp,
) -> Result<http::Response<Full<Bytes>>, Refusal> {
    let path = head.uri.path();
    let wrong = |what: &dyn std::fmt::Display| Refusal::Wrong(format!("{path}: {what}"));
    let body = if head.headers.contains_key("content-encoding") {
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(sent.as_ref()).read_to_end(&mut body).map_err(|error| wrong(&error))?;
        body
    } else {
        sent.to_vec()
    };
    if (body.len() >= COMPRESS_FROM) != head.headers.contains_key("content-encoding") {
        return Err(wrong(&"compressed, or not, against the rule"));
    }
    let text = String::from_utf8_lossy(&body);
    state.told.said.push(format!("{} {} {:?} {text}", head.method, head.uri, head.headers));
    let claim = Claim::read(&head.headers).map_err(|error| wrong(&error))?;
    let verify = |key: &PublicKey| match claim.verify(key, head.method.as_str(), path, sent, now) {
        Ok(()) => Ok(()),
        Err(RequestError::Skew { .. }) => Err(Refusal::Skew),
        Err(error) => Err(wrong(&error)),
    };
    if path == ENROL_PATH {
        let request: EnrolRequest = serde_json::from_slice(&body)?;
        if claim.key_id != request.public_key.to_string() {
            return Err(wrong(&"keyid is not the public key"));
        }
        verify(&request.public_key)?;
        if request.token != TOKEN {
            return Err(Refusal::Token);
        }
        // The same key again is the same device, whose answer got lost.
        let known =
            state.told.devices.iter().find(|(_, key)| **key == request.public_key).map(|(id, _)| id.clone());
        let fresh = u8::try_from(state.told.devices.len()).unwrap();
        let device_id = known.unwrap_or_else(|| DeviceId::from_random([fresh; 16]));
        state.told.devices.insert(device_id.clone(), request.public_key);
        return Ok(json(&EnrolResponse {
            schema: SCHEMA,
            device_id,
            signing_keys: vec![signing_key().public().clone()],
            bundle: state.bundle.clone(),
            next_check_in: state.check_in_every,
            server_time: now,
        }));
    }
    let device = DeviceId::new(claim.key_id.clone()).map_err(|error| wrong(&error))?;
    let key = state.told.devices.get(&device).cloned().ok_or(Refusal::Unknown)?;
    verify(&key)?;
    let newer = |version: u64| (version != bundle_version(&state.bundle)).then(|| state.bundle.clone());
    match path {
        CHECK_IN_PATH => {
            let request: CheckInRequest = serde_json::from_slice(&body)?;
            let same = state.told.reports.last().is_some_and(|last| {
                last.epoch == request.epoch
                    && last.revision == request.revision
                    && Some(&last.digest) == request.digest.as_ref()
            });
            Ok(json(&CheckInResponse {
                schema: SCHEMA,
                next_check_in: state.check_in_every,
                bundle: newer(request.policy_version),
                accepted: None,
                report_wanted: !same,
                server_time: now,
            }))
        }
        REPORT_PATH => {
            let request: ReportRequest = serde_json::from_slice(&body)?;
            if Digest::of(&request.inventory) != request.digest {
                return Err(wrong(&"the digest is not that of the inventory"));
            }
            let same_epoch = || state.told.reports.iter().filter(|r| r.epoch == request.epoch);
            if same_epoch().any(|r| r.revision == request.revision && r.digest != request.digest) {
                return Err(wrong(&"a revision came twice with different content"));
            }
            if same_epoch().any(|r| r.revision > request.revision) {
                return Err(Refusal::Stale);
            }
            let response = json(&ReportResponse {
                schema: SCHEMA,
                accepted_revision: request.revision,
                next_check_in: state.check_in_every,
                bundle: newer(request.policy_version),
                server_time: now,
            });
            state.told.reports.push(request);
            Ok(response)
        }
        GOODBYE_PATH => {
            let request: GoodbyeRequest = serde_json::from_slice(&body)?;
            state.told.goodbyes.push(request.reason);
            Ok(http::Response::builder().status(204).body(Full::default()).unwrap())
        }
        _ => Err(wrong(&"no such path")),
    }
}

fn bundle_version(envelope: &Envelope) -> u64 {
    // Unopened: the test also publishes what no key vouches for.
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::STANDARD.decode(&envelope.payload).unwrap();
    let bundle: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    bundle["version"].as_u64().unwrap()
}

fn json(value: &impl serde::Serialize) -> http::Response<Full<Bytes>> {
    http::Response::new(Full::from(serde_json::to_vec(value).unwrap()))
}

fn refusal(
    status: u16,
    code: &str,
    message: &str,
    server_time: Timestamp,
    retry_after: Option<u32>,
) -> http::Response<Full<Bytes>> {
    let error = ErrorDetail { code: code.to_owned(), message: message.to_owned(), server_time };
    let mut response = json(&ErrorBody { schema: SCHEMA, error });
    *response.status_mut() = status.try_into().unwrap();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
