//! The channel to syslog receivers against rsyslog, and against receivers that do not read.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "each test uses its part")]
mod peer_support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use offchannel_server::channels::{Channel, text};
use offchannel_server::domain::delivery::Attempt;
use offchannel_shared::policy::Severity;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use self::peer_support::{PATIENCE, Peer, certify, configured, delivery, hostile, now, python, script};

/// rsyslog with a configuration of its own, and the folder in which it works.
struct Rsyslog {
    peer: Peer,
    folder: TempDir,
    port: String,
    tls: bool,
}

impl Rsyslog {
    #[expect(clippy::print_stdout, reason = "what is skipped is said")]
    fn start(tls: bool) -> Option<Self> {
        let program =
            ["/usr/sbin/rsyslogd", "/sbin/rsyslogd"].into_iter().find(|path| Path::new(path).exists());
        let modules =
            ["/usr/lib/x86_64-linux-gnu/rsyslog", "/usr/lib/aarch64-linux-gnu/rsyslog", "/usr/lib64/rsyslog"];
        let driver = modules.iter().any(|folder| Path::new(folder).join("lmnsd_ossl.so").exists());
        let Some(program) = program.filter(|_| driver || !tls) else {
            println!("SKIPPED: rsyslog is not on this machine (apt-get install rsyslog rsyslog-openssl)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let driver = if tls {
            "StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\""
        } else {
            ""
        };
        let config = format!(
            r#"
global(workDirectory="{work}" defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
       defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" {driver})
template(name="all" type="string" string="%jsonmesg%\n")
input(type="imtcp" port="0" address="127.0.0.1" listenPortFileName="{port}")
action(type="omfile" file="{out}" template="all")
"#,
            work = folder.path().display(),
            ca = at("ca.pem"),
            certificate = at("server.pem"),
            key = at("server.key"),
            port = at("port"),
            out = at("out"),
        );
        std::fs::write(folder.path().join("rsyslog.conf"), config).unwrap();
        let mut command = Command::new(program);
        command.arg("-n").arg("-f").arg(at("rsyslog.conf")).arg("-i").arg(at("pid"));
        let peer = Peer::start(&mut command);
        let port = waited(|| {
            let port = std::fs::read_to_string(folder.path().join("port")).ok()?;
            port.trim().parse::<u16>().ok().filter(|port| *port > 0).map(|port| port.to_string())
        });
        Some(Self { peer, folder, port, tls })
    }

    fn channel(&self, more: &str) -> Arc<dyn Channel> {
        let tls = if self.tls { "tls = 'implicit'\nca_file = 'ca.pem'" } else { "tls = 'none'" };
        channel(self.folder.path(), &self.port, &format!("{tls}\n{more}"))
    }

    /// What has arrived, once there are so many messages.
    fn messages(&self, count: usize) -> Vec<Value> {
        let read = || {
            let text = std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
            let lines: Vec<String> = text.split_terminator('\n').map(str::to_owned).collect();
            // rsyslog says something itself when it starts.
            let ours = lines.iter().filter(|line| !line.contains("\"rsyslogd\""));
            let ours: Vec<Value> = ours.filter_map(|line| serde_json::from_str(line).ok()).collect();
            (ours.len() >= count).then_some(ours)
        };
        waited(read)
    }
}

/// What `get` gives once it gives something.
#[track_caller]
fn waited<T>(get: impl Fn() -> Option<T>) -> T {
    let (step, mut left) = (Duration::from_millis(20), PATIENCE);
    loop {
        if let Some(got) = get() {
            return got;
        }
        left = left.checked_sub(step).expect("it did not happen in time");
        std::thread::park_timeout(step);
    }
}

fn channel(folder: &Path, port: &str, more: &str) -> Arc<dyn Channel> {
    let keys = format!(
        "kind = 'syslog'\nhost = 'localhost'\nport = {port}\nhostname = 'collector.example.org'\n{more}"
    );
    configured(folder, &keys)
}

fn text<'a>(message: &'a Value, key: &str) -> &'a str {
    message[key].as_str().unwrap_or_else(|| panic!("no {key} in {message}"))
}

/// The body without its mark of UTF-8.
fn body(message: &Value) -> &str {
    text(message, "msg").trim_start_matches('\u{feff}')
}

#[tokio::test]
async fn rsyslog_reads_every_part_of_a_message() {
    for tls in [false, true] {
        let Some(rsyslog) = Rsyslog::start(tls) else { return };
        let channel = rsyslog.channel("body = 'json'\nfacility = 'audit'\nenterprise_number = 4711");
        let mut sent = delivery(2, "sam-laptop");
        sent.notification.alert.severity = Severity::High;
        assert_eq!(channel.send(&sent, now()).await, Attempt::Accepted, "TLS: {tls}");
        let message = rsyslog.messages(1).remove(0);
        assert_eq!(text(&message, "pri"), (13 * 8 + 3).to_string());
        assert_eq!(text(&message, "hostname"), "collector.example.org");
        assert_eq!(text(&message, "programname"), "offchannel");
        assert_eq!((text(&message, "msgid"), text(&message, "procid")), ("alert.opened", "-"));
        assert!(text(&message, "timereported").starts_with("2026-03-04T10:00:00"), "{message}");
        let structured = text(&message, "structured-data");
        assert!(structured.starts_with("[offchannel@4711 id=\""), "{structured}");
        assert!(structured.contains(&format!("id=\"{}\"", sent.id)), "{structured}");
        assert!(structured.contains("host=\"sam-laptop\""), "{structured}");
        assert!(text(&message, "rawmsg").contains("] \u{feff}{"), "{message}");
        let body: Value = serde_json::from_str(body(&message)).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]["alert"]["id"]),
            (&"alert.opened".into(), &sent.alert.as_str().into())
        );
    }
}

#[tokio::test]
async fn hostile_names_arrive_as_one_harmless_message_each() {
    let Some(mut rsyslog) = Rsyslog::start(true) else { return };
    let hidden = |c: char| c.is_control() || "\u{202e}\u{200d}\u{2028}\u{e0001}".contains(c);
    let mut count = 0;
    for kind in ["json", "cef"] {
        let channel = rsyslog.channel(&format!("body = '{kind}'"));
        for name in hostile() {
            assert_eq!(channel.send(&delivery(2, &name), now()).await, Attempt::Accepted, "{name:?}");
            count += 1;
            let messages = rsyslog.messages(count);
            assert_eq!(messages.len(), count, "{name:?} made more than one message");
            let message = &messages[count - 1];
            let raw = text(message, "rawmsg");
            // A line break would arrive as #012.
            assert!(
                raw.len() <= 2_048 && !raw.contains(hidden) && !raw.contains("#0"),
                "{} {raw:?}",
                raw.len()
            );
            assert_eq!(text(message, "msgid"), "alert.opened");
            if kind == "json" {
                let body: Value = serde_json::from_str(body(message)).unwrap();
                let arrived = body["data"]["app"]["name"].as_str().unwrap();
                let whole =
                    arrived == name || arrived.strip_suffix('…').is_some_and(|cut| name.starts_with(cut));
                assert!(whole, "{name:?} arrived as {arrived:?}");
                assert!(name.len() > 200 || arrived == name, "{name:?} was cut to {arrived:?}");
            }
        }
    }
    rsyslog.peer.assert_alive();
}

#[tokio::test]
async fn a_reader_of_cef_finds_the_same_values() {
    let (Some(python), Some(rsyslog)) = (python(), Rsyslog::start(false)) else { return };
    let channel = rsyslog.channel("body = 'cef'\noctets_max = 8096");
    let names: Vec<String> = hostile().into_iter().chain(["sam-laptop".to_owned()]).collect();
    for name in &names {
        assert_eq!(channel.send(&delivery(2, name), now()).await, Attempt::Accepted);
    }
    let messages = rsyslog.messages(names.len());
    let mut reader = Command::new(python)
        .arg(script("cef.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = messages.iter().map(|message| format!("{}\n", body(message))).collect();
    reader.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let read: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len(), names.len());
    for (name, values) in names.iter().zip(&read) {
        let shown = text::clean(name, 400);
        for (key, expected) in [
            ("DeviceVendor", "Offchannel"),
            ("DeviceEventClassID", "prohibited-app"),
            ("dvchost", "collector.example.org"),
            ("act", "opened"),
            ("dhost", &shown),
            ("app", &shown),
            ("version", &shown),
            ("unit", "Finance"),
            ("duser", "Ada"),
        ] {
            assert_eq!(values[key], expected, "{key} of {name:?}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_resets_the_connection_has_not_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // Closing what has unread data resets the connection.
        stream.readable().await.unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let attempt = channel(folder.path(), &port, "tls = 'none'").send(&delivery(2, "sam-laptop"), now()).await;
    let Attempt::Retry { error, .. } = attempt else { panic!("{attempt:?}") };
    assert!(error.contains("broke the connection off"), "{error}");
}

#[tokio::test]
async fn nothing_is_said_to_a_receiver_that_another_ca_vouches_for() {
    let Some(rsyslog) = Rsyslog::start(true) else { return };
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    let more = "tls = 'implicit'\nca_file = 'ca.pem'";
    let attempt = channel(other.path(), &rsyslog.port, more).send(&delivery(2, "sam-laptop"), now()).await;
    let Attempt::Retry { error, .. } = attempt else { panic!("{attempt:?}") };
    assert!(error.contains("TLS handshake"), "{error}");
    assert_eq!(rsyslog.messages(0).len(), 0);
}
