//! Peers that others wrote, on the loopback interface, and what it takes to talk to them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use jiff::Timestamp;
use offchannel_server::channels::{self, Channel};
use offchannel_server::config::{Config, Overrides};
use offchannel_server::domain::delivery::{Delivery, NotifiedUnit};
use offchannel_server::domain::trial;
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Longest time to wait for something that is to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Names that try something.
pub const HOSTILE: [&str; 12] = [
    "a\u{202e}gpj.exe",
    "line\r\nBcc: x@evil.example\r\n\r\nbody",
    "\n.\nMAIL FROM:<x@evil.example>",
    "=cmd|'/c calc'!A1",
    "a|b\\|c=d\\=e]\"f\\",
    "<script>alert(1)</script> <img src=\"http://evil.example/x\">",
    "<13>1 2026-03-04T10:00:00Z h a - - - forged",
    "x cs1=forged act=resolved msg=forged",
    "\u{0}\u{1b}[31mred\u{7f}\u{85}\u{2028}",
    "\u{1f480}\u{200d}\u{e0001}\u{feff}",
    "=?utf-8?q?encoded?= %s ${x} $!x %0A",
    "שלום عربى 日本語",
];

/// [`HOSTILE`], and the same 4 KiB long.
pub fn hostile() -> Vec<String> {
    let long = |name: &&str| name.repeat(4_096 / name.len() + 1);
    HOSTILE.iter().map(|name| (*name).to_owned()).chain(HOSTILE.iter().map(long)).collect()
}

pub fn now() -> Timestamp {
    Timestamp::from_second(1_772_618_400).unwrap()
}

/// An alert with this for everything that a device can choose.
pub fn delivery(number: u8, name: &str) -> Delivery {
    let (id, alert) = (DeliveryId::from_random([number; 16]), AlertId::from_random([1; 16]));
    let mut delivery = trial::delivery(id, alert, ChannelName::new("any").unwrap(), now());
    let n = &mut delivery.notification;
    n.test = false;
    n.device.as_mut().unwrap().hostname = name.to_owned();
    n.app.as_mut().unwrap().name = name.to_owned();
    n.unit = Some(NotifiedUnit {
        id: "finance".to_owned(),
        name: "Finance".to_owned(),
        owner: Some("Ada".to_owned()),
        owner_email: Some("ada@example.org".to_owned()),
    });
    let place = &mut n.evidence[0];
    (place.identifier, place.version) = (name.to_owned(), Some(name.to_owned()));
    n.evidence = vec![n.evidence[0].clone(); 10];
    delivery
}

/// A channel as its configuration makes it.
pub fn configured(folder: &Path, keys: &str) -> Arc<dyn Channel> {
    let path = folder.join("server.toml");
    std::fs::write(&path, format!("[[channel]]\nname = 'any'\nallow_private = true\n{keys}\n")).unwrap();
    let loaded = Config::load_from(Some(&path), BTreeMap::new(), &Overrides::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    channels::build(&loaded.config.channels[0]).unwrap()
}

/// Makes a CA, `ca.pem`, and a certificate of it for the loopback interface, `server.pem` and `server.key`.
pub fn certify(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// The Python that has the peers, or nothing, which is said.
#[expect(clippy::print_stdout, reason = "what is skipped is said")]
#[expect(clippy::disallowed_methods, reason = "tests/run says where the peers are")]
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("OFFCHANNEL_TEST_PEERS").filter(|path| !path.is_empty()).map(PathBuf::from);
    if python.is_none() {
        println!(
            "SKIPPED: set OFFCHANNEL_TEST_PEERS to what tests/peers/run install says last; tests/run does so"
        );
    }
    python
}

/// The path of a program in `tests/peers`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers").join(name)
}

/// A program that runs until it is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    lines: Receiver<String>,
}

impl Peer {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (say, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, lines }
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// What it has printed beyond.
    pub fn more(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// That it still runs.
    pub fn assert_alive(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the peer ended");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
