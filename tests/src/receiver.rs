//! A receiver of webhooks: a real HTTP server that checks every signature and answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;

use crate::clock::{instant, now};
use crate::port::Port;
use crate::wait::LIMIT;

/// What receiver and collector share; base64 of 32 bytes.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// How long a webhook may be under way before it counts as a replay (Standard Webhooks).
const TOLERANCE: i64 = 300;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 200: it took the webhook.
    Takes,
    /// 500: not now.
    Fails,
    /// 410: never again.
    Gone,
}

/// A webhook whose signature was right.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its id, the same at every attempt.
    pub id: String,
    /// What it is about: `alert.opened`, ...
    pub kind: String,
    /// Everything else.
    pub data: Value,
    /// How it was answered.
    pub answered: Mode,
    /// When it came.
    pub at: Instant,
}

impl Heard {
    /// The app that it is about, or nothing.
    pub fn app(&self) -> &str {
        self.data["app"]["id"].as_str().unwrap_or_default()
    }

    /// The alert that it is about.
    pub fn alert(&self) -> &str {
        self.data["alert"]["id"].as_str().expect("a webhook names its alert")
    }

    /// Whether it says this of this app.
    pub fn says(&self, kind: &str, app: &str) -> bool {
        self.kind == kind && self.app() == app
    }
}

#[derive(Debug)]
struct State {
    mode: Mode,
    ending: bool,
    heard: Vec<Heard>,
    /// What was wrong with a request; any of it fails the test.
    faults: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver of webhooks on a port of its own.
#[derive(Debug)]
pub struct Receiver {
    port: Port,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// A receiver that takes everything.
    pub fn new() -> Self {
        let state = State { mode: Mode::Takes, ending: false, heard: Vec::new(), faults: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let mut receiver = Self { port: Port::reserve(), shared, thread: None };
        receiver.up();
        receiver
    }

    /// The address for the collector's configuration.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.port.address())
    }

    /// Answers differently from now on.
    pub fn answer(&self, mode: Mode) {
        self.shared.state().mode = mode;
    }

    /// Listens again after [`Receiver::down`].
    pub fn up(&mut self) {
        let listener = TcpListener::bind(self.port.address()).expect("the receiver's port");
        let shared = Arc::clone(&self.shared);
        shared.state().ending = false;
        self.thread = Some(std::thread::spawn(move || serve(&listener, &shared)));
    }

    /// Listens no longer: whoever connects is refused.
    pub fn down(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.state().ending = true;
        // Wakes the thread, which waits for a connection.
        drop(TcpStream::connect(self.port.address()));
        let _ = thread.join();
    }

    /// Everything that was heard so far.
    #[track_caller]
    pub fn heard(&self) -> Vec<Heard> {
        let state = self.shared.state();
        assert!(state.faults.is_empty(), "the receiver got wrong requests: {:#?}", state.faults);
        state.heard.clone()
    }

    /// Waits until `find` finds something in what was heard.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, find: impl Fn(&[Heard]) -> Option<T>) -> T {
        let found = self.wait_at_most(LIMIT, find);
        found.unwrap_or_else(|| {
            panic!("waited {LIMIT:?} for the webhook of {what}; heard {:#?}", self.heard())
        })
    }

    /// Waits until `find` finds something in what was heard, or the time is over.
    #[track_caller]
    pub fn wait_at_most<T>(&self, limit: Duration, find: impl Fn(&[Heard]) -> Option<T>) -> Option<T> {
        let end = instant() + limit;
        let mut state = self.shared.state();
        loop {
            assert!(state.faults.is_empty(), "the receiver got wrong requests: {:#?}", state.faults);
            if let Some(found) = find(&state.heard) {
                return Some(found);
            }
            let left = end.saturating_duration_since(instant());
            if left.is_zero() {
                return None;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the first webhook that says this of this app.
    #[track_caller]
    pub fn wait_for(&self, kind: &str, app: &str) -> Heard {
        self.wait(&format!("{kind} of {app:?}"), |heard| {
            heard.iter().find(|heard| heard.says(kind, app)).cloned()
        })
    }

    /// Waits for the first webhook that says this of an alert of this kind.
    #[track_caller]
    pub fn wait_for_kind(&self, kind: &str, alert: &str) -> Heard {
        self.wait(&format!("{kind} of {alert:?}"), |heard| {
            heard.iter().find(|heard| heard.kind == kind && heard.data["alert"]["kind"] == alert).cloned()
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.down();
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().ending {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            if let Err(fault) = take(&stream, &shared) {
                shared.state().faults.push(fault);
            }
            shared.changed.notify_all();
        });
    }
}

/// Takes one request from a connection and closes it.
fn take(mut stream: &TcpStream, shared: &Shared) -> Result<(), String> {
    stream.set_read_timeout(Some(LIMIT)).map_err(|error| error.to_string())?;
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            // A collector that is killed leaves half a request.
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) if line.trim().is_empty() => break,
            Ok(_) => head.push(line.trim().to_owned()),
        }
    }
    let header = |name: &str| {
        let fields = head.iter().skip(1).filter_map(|line| line.split_once(':'));
        let mut values =
            fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        values.next().ok_or_else(|| format!("no header {name} in {head:?}"))
    };
    let length: usize = header("content-length")?.parse().map_err(|_| "no length".to_owned())?;
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return Ok(());
    }
    if !head.first().is_some_and(|line| line.starts_with("POST /hook HTTP/1.1")) {
        return Err(format!("not a request for the hook: {:?}", head.first()));
    }
    if header("content-type")? != "application/json" {
        return Err(format!("not JSON: {head:?}"));
    }
    let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
    verify(id, time, header("webhook-signature")?, &body)?;
    let body: Value =
        serde_json::from_slice(&body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let kind = body["type"].as_str().ok_or_else(|| format!("the body has no type: {body}"))?;
    // Noted before it is answered: a collector that knows it was taken must find it noted.
    let mode = {
        let mut state = shared.state();
        let answered = state.mode;
        state.heard.push(Heard {
            id: id.to_owned(),
            kind: kind.to_owned(),
            data: body["data"].clone(),
            answered,
            at: instant(),
        });
        answered
    };
    let status = match mode {
        Mode::Takes => "200 OK",
        Mode::Fails => "500 Internal Server Error",
        Mode::Gone => "410 Gone",
    };
    // A collector that is killed does not read the answer.
    let _ = stream
        .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
    Ok(())
}

/// Checks a signature as <https://www.standardwebhooks.com> says, without the collector's code.
fn verify(id: &str, time: &str, signatures: &str, body: &[u8]) -> Result<(), String> {
    let at: i64 = time.parse().map_err(|_| format!("{time:?} is no time"))?;
    if (now().as_second() - at).abs() > TOLERANCE {
        return Err(format!("the webhook is of {at}, which is too far from now"));
    }
    let secret = SECRET.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok()).expect("a secret");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let signed = [format!("{id}.{time}.").as_bytes(), body].concat();
    let right = |text: &str| {
        let signature = text.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        signature.is_some_and(|signature| hmac::verify(&key, &signed, &signature).is_ok())
    };
    if signatures.split(' ').any(right) { Ok(()) } else { Err(format!("wrong signature {signatures:?}")) }
}
