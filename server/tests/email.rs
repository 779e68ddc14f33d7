//! The channel by e-mail against a mail server that others wrote (aiosmtpd), and against bad ones.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

mod peer_support;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use offchannel_server::channels::Channel;
use offchannel_server::domain::delivery::Attempt;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use self::peer_support::{Peer, certify, configured, delivery, hostile, now, python, script};

const LOGIN: &str = "username = 'offchannel'\npassword = 'pass word'";

/// A mail server, and the folder of its certificate.
struct Server {
    peer: Peer,
    folder: TempDir,
    port: String,
    tls: &'static str,
}

impl Server {
    fn start(tls: &'static str, auth: &[&str]) -> Option<Self> {
        let python = python()?;
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let mut command = Command::new(python);
        command.arg(script("smtp.py")).args(["--tls", tls]).args(auth);
        command.arg("--certificate").arg(folder.path().join("server.pem"));
        command.arg("--key").arg(folder.path().join("server.key"));
        let peer = Peer::start(&mut command);
        let port = peer.line();
        Some(Self { peer, folder, port, tls })
    }

    /// A channel to it.
    fn channel(&self, to: &str, more: &str) -> Arc<dyn Channel> {
        channel(self.folder.path(), &self.port, self.tls, to, more)
    }

    fn mail(&self) -> Value {
        serde_json::from_str(&self.peer.line()).unwrap()
    }
}

fn channel(folder: &Path, port: &str, tls: &str, to: &str, more: &str) -> Arc<dyn Channel> {
    let keys = format!(
        "kind = 'email'\nhost = 'localhost'\nport = {port}\ntls = '{tls}'\nto = {to}\n\
         from = 'Offchannel <offchannel@example.org>'\nhostname = 'collector.example.org'\n{more}"
    );
    configured(folder, &keys)
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let mut found = mail["headers"].as_array().unwrap().iter().filter(|header| header[0] == name);
    let one = found.next().unwrap_or_else(|| panic!("no {name} in {mail}"));
    assert!(found.next().is_none(), "{name} twice in {mail}");
    one[1].as_str().unwrap()
}

fn names(mail: &Value) -> Vec<&str> {
    mail["headers"].as_array().unwrap().iter().map(|header| header[0].as_str().unwrap()).collect()
}

#[track_caller]
fn retried(attempt: Attempt) -> String {
    let Attempt::Retry { error, .. } = attempt else { panic!("{attempt:?}") };
    error
}

#[track_caller]
fn given_up(attempt: Attempt) -> String {
    let Attempt::GiveUp { error } = attempt else { panic!("{attempt:?}") };
    error
}

#[tokio::test]
async fn a_mail_is_handed_over_after_starttls_and_signing_in() {
    let Some(server) = Server::start("starttls", &["--auth", "PLAIN"]) else { return };
    let channel = server.channel("['soc@example.org', '{owner}']", &format!("ca_file = 'ca.pem'\n{LOGIN}"));
    let sent = delivery(2, "sam-laptop");
    let tried = channel.try_out(&sent, now()).await;
    assert_eq!((tried.attempt, tried.said.as_deref()), (Attempt::Accepted, Some("250 OK")));
    let mail = server.mail();
    assert_eq!((&mail["encrypted"], &mail["user"]), (&true.into(), &"offchannel".into()));
    assert_eq!(mail["from"], "offchannel@example.org");
    assert_eq!(mail["to"], serde_json::json!(["soc@example.org", "ada@example.org"]));
    assert_eq!(header(&mail, "Message-ID"), format!("<{}@example.org>", sent.id));
    assert_eq!(header(&mail, "References"), format!("<{}@example.org>", sent.alert));
    assert_eq!(header(&mail, "In-Reply-To"), format!("<{}@example.org>", sent.alert));
    assert_eq!(header(&mail, "Auto-Submitted"), "auto-generated");
    assert!(!names(&mail).iter().any(|name| name.starts_with("List-")), "{mail}");
    assert_eq!(mail["parts"], serde_json::json!(["multipart/alternative", "text/plain", "text/html"]));
    assert_eq!(mail["defects"], serde_json::json!([]));
    for part in ["plain", "html"] {
        assert!(mail[part].as_str().unwrap().contains("sam-laptop"), "{mail}");
    }
}

#[tokio::test]
async fn tls_from_the_first_byte_and_login_work_too() {
    let Some(server) = Server::start("implicit", &["--auth", "LOGIN"]) else { return };
    let channel = server.channel("['soc@example.org']", &format!("ca_file = 'ca.pem'\n{LOGIN}"));
    assert_eq!(channel.send(&delivery(2, "sam-laptop"), now()).await, Attempt::Accepted);
    let mail = server.mail();
    assert_eq!((&mail["encrypted"], &mail["user"]), (&true.into(), &"offchannel".into()));
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_another_ca_vouches_for() {
    let Some(server) = Server::start("starttls", &[]) else { return };
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    let channel =
        channel(other.path(), &server.port, "starttls", "['soc@example.org']", "ca_file = 'ca.pem'");
    let error = retried(channel.send(&delivery(2, "sam-laptop"), now()).await);
    assert!(error.contains("TLS handshake"), "{error}");
    assert_eq!(server.peer.more(), Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_password_can_be_put_right() {
    let Some(server) = Server::start("starttls", &["--auth", "PLAIN"]) else { return };
    let wrong = "ca_file = 'ca.pem'\nusername = 'offchannel'\npassword = 'hunter2'";
    let channel = server.channel("['soc@example.org']", wrong);
    let error = retried(channel.send(&delivery(2, "sam-laptop"), now()).await);
    assert!(error.contains("535 ") && !error.contains("hunter2"), "{error}");
    assert!(!format!("{channel:?}").contains("hunter2"));
}

#[tokio::test]
async fn what_the_server_says_decides_for_each_recipient() {
    let Some(server) = Server::start("none", &[]) else { return };
    let attempt = async |to: &str| server.channel(to, "").send(&delivery(2, "sam-laptop"), now()).await;
    let error = given_up(attempt("['never@example.org']").await);
    assert!(error.contains("never@example.org (550 5.1.1 no such mailbox here)"), "{error}");
    let error = retried(attempt("['later@example.org', 'never@example.org']").await);
    assert!(error.contains("later@example.org (451 4.7.1 greylisted") && error.contains("550"), "{error}");
    let error = given_up(attempt("['spam@example.org']").await);
    assert!(error.contains("554 5.7.1 this looks like spam"), "{error}");
    let error = retried(attempt("['full@example.org']").await);
    assert!(error.contains("452 4.3.1"), "{error}");
    assert_eq!(server.peer.more(), Vec::<String>::new());
    let Attempt::InPart { error } = attempt("['never@example.org', 'soc@example.org']").await else {
        panic!("not in part")
    };
    assert!(
        error.contains("never@example.org (550") && error.contains("took it for soc@example.org"),
        "{error}"
    );
    assert_eq!(server.mail()["to"], serde_json::json!(["soc@example.org"]));
}

#[tokio::test]
async fn who_has_the_mail_does_not_get_it_again_when_others_are_tried_again() {
    let Some(server) = Server::start("none", &[]) else { return };
    let channel = server.channel("['soc@example.org', 'second@example.org', 'never@example.org']", "");
    let sent = delivery(2, "sam-laptop");
    let error = retried(channel.send(&sent, now()).await);
    assert!(
        error.contains("second@example.org (451") && error.contains("took it for soc@example.org"),
        "{error}"
    );
    let Attempt::InPart { error } = channel.send(&sent, now()).await else { panic!("not in part") };
    assert!(error.contains("never@example.org (550"), "{error}");
    let (first, second) = (server.mail(), server.mail());
    assert_eq!(first["to"], serde_json::json!(["soc@example.org"]));
    assert_eq!(second["to"], serde_json::json!(["second@example.org"]));
    assert_eq!(header(&first, "Message-ID"), header(&second, "Message-ID"));
    // By hand, it goes to everybody once more.
    assert!(matches!(channel.send(&sent, now()).await, Attempt::InPart { .. }));
    assert_eq!(server.mail()["to"], serde_json::json!(["soc@example.org", "second@example.org"]));
}

#[tokio::test]
async fn without_anybody_to_write_to_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let channel = channel(folder.path(), "9", "none", "['{assignee}']", "");
    let error = given_up(channel.send(&delivery(2, "sam-laptop"), now()).await);
    assert!(error.contains("nobody to write to"), "{error}");
}

#[tokio::test]
async fn hostile_names_arrive_as_harmless_text() {
    let Some(mut server) = Server::start("none", &[]) else { return };
    let channel = server.channel("['soc@example.org']", "");
    assert_eq!(channel.send(&delivery(2, "sam-laptop"), now()).await, Attempt::Accepted);
    let usual = server.mail();
    let hidden =
        |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200d}\u{feff}\u{2028}\u{e0001}".contains(c);
    for name in hostile() {
        assert_eq!(channel.send(&delivery(2, &name), now()).await, Attempt::Accepted, "{name:?}");
        let mail = server.mail();
        assert_eq!(names(&mail), names(&usual), "{name:?}");
        assert_eq!(
            (&mail["to"], &mail["parts"], &mail["defects"]),
            (&usual["to"], &usual["parts"], &usual["defects"])
        );
        let subject = header(&mail, "Subject");
        assert!(subject.chars().count() <= 120 && !subject.contains(char::is_control), "{subject:?}");
        for part in ["plain", "html"] {
            let text = mail[part].as_str().unwrap().replace("\r\n", "\n");
            assert!(!text.contains(hidden) && !text.contains("://evil"), "{text:?}");
        }
        let tags = |mail: &Value| mail["html"].as_str().unwrap().matches('<').count();
        assert_eq!(tags(&mail), tags(&usual), "{name:?}");
    }
    server.peer.assert_alive();
}

/// A bad mail server: takes one connection, answers each line as `answer` says, and notes what it heard. `None` is
/// silence. TLS begins at once, or after the answer to STARTTLS.
async fn bad(
    greeting: &'static str,
    tls: TlsAcceptor,
    implicit: bool,
    answer: fn(&str, bool) -> Option<&'static str>,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        if implicit {
            let mut stream = tls.accept(stream).await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
            talk(stream, &noted, |line| answer(line, true)).await;
            return;
        }
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let stream = talk(stream, &noted, |line| answer(line, false)).await;
        if let Some(stream) = stream {
            let stream = tls.accept(stream).await.unwrap();
            talk(stream, &noted, |line| answer(line, true)).await;
        }
    });
    (port, heard)
}

/// Answers until STARTTLS is answered, and returns the connection then.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    heard: &Mutex<Vec<String>>,
    answer: impl Fn(&str) -> Option<&'static str>,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        heard.lock().unwrap().push(line.trim_end().to_owned());
        if let Some(answer) = answer(line.trim_end()) {
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return None;
            }
            if line.starts_with("STARTTLS") {
                return Some(stream.into_inner());
            }
        }
        line.clear();
    }
    None
}

async fn try_bad(
    greeting: &'static str,
    tls: &str,
    answer: fn(&str, bool) -> Option<&'static str>,
) -> (Attempt, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let (port, heard) = bad(greeting, acceptor(folder.path()), tls == "implicit", answer).await;
    let login = if tls == "none" { "" } else { LOGIN };
    let more = format!("ca_file = 'ca.pem'\ntimeout = '2s'\n{login}");
    let channel = channel(folder.path(), &port, tls, "['soc@example.org']", &more);
    let attempt = channel.send(&delivery(2, "sam-laptop"), now()).await;
    let heard = heard.lock().unwrap().clone();
    (attempt, heard)
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn nothing_is_sent_where_starttls_is_not_offered() {
    let (attempt, heard) = try_bad("220 hello\r\n", "starttls", |line, _| match line {
        line if line.starts_with("EHLO") => Some("250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"),
        _ => Some("250 OK\r\n"),
    })
    .await;
    assert!(retried(attempt).contains("STARTTLS"));
    assert!(heard.iter().all(|line| line.starts_with("EHLO")), "{heard:?}");
}

#[tokio::test]
async fn what_was_said_before_tls_counts_for_nothing() {
    // Answers for the whole conversation, put in by somebody on the way; the server itself refuses the recipient.
    let (attempt, heard) = try_bad("220 hello\r\n", "starttls", |line, secure| match line {
        line if line.starts_with("EHLO") && !secure => Some("250-mail.test\r\n250 STARTTLS\r\n"),
        "STARTTLS" => Some(
            "220 go on\r\n250-mail.test\r\n250 AUTH PLAIN\r\n235 OK\r\n250 OK\r\n250 OK\r\n354 go on\r\n250 OK\r\n",
        ),
        line if line.starts_with("EHLO") => Some("250-mail.test\r\n250 AUTH PLAIN\r\n"),
        line if line.starts_with("AUTH") => Some("235 OK\r\n"),
        line if line.starts_with("RCPT") => Some("550 no\r\n"),
        _ => Some("250 OK\r\n"),
    })
    .await;
    assert!(
        !matches!(attempt, Attempt::Accepted | Attempt::Delivered | Attempt::InPart { .. }),
        "{attempt:?}"
    );
    assert!(!heard.iter().any(|line| line == "DATA"), "{heard:?}");
}

#[tokio::test]
async fn a_server_that_repeats_the_password_does_not_have_it_logged() {
    let (attempt, heard) = try_bad("220 hello\r\n", "implicit", |line, _| match line {
        line if line.starts_with("EHLO") => Some("250-mail.test\r\n250 AUTH PLAIN\r\n"),
        // The user name and password of LOGIN in base64, and the password.
        line if line.starts_with("AUTH") => Some("535 AUTH PLAIN AG9mZmNoYW5uZWwAcGFzcyB3b3Jk pass word\r\n"),
        _ => Some("250 OK\r\n"),
    })
    .await;
    assert_eq!(heard.get(1).map(String::as_str), Some("AUTH PLAIN AG9mZmNoYW5uZWwAcGFzcyB3b3Jk"));
    let error = retried(attempt);
    assert!(error.contains("535 AUTH PLAIN (password) (password)"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_alone_after_a_while() {
    let (attempt, _) = try_bad("", "none", |_, _| None).await;
    assert!(retried(attempt).contains("within 2 s"));
    let (attempt, heard) = try_bad("220 hello\r\n", "none", |line, _| match line {
        "DATA" => Some("354 go on\r\n"),
        "." => None,
        line if ["EHLO", "MAIL", "RCPT"].iter().any(|verb| line.starts_with(verb)) => Some("250 OK\r\n"),
        _ => None,
    })
    .await;
    assert!(retried(attempt).contains("within 2 s"));
    assert_eq!(heard.last().map(String::as_str), Some("."));
}

#[tokio::test]
async fn a_server_that_does_not_say_goodbye_has_taken_the_mail() {
    let (attempt, _) = try_bad("220 hello\r\n", "none", |line, _| match line {
        "DATA" => Some("354 go on\r\n"),
        "." => Some("250 OK\r\n"),
        line if ["EHLO", "MAIL", "RCPT"].iter().any(|verb| line.starts_with(verb)) => Some("250 OK\r\n"),
        _ => None,
    })
    .await;
    assert_eq!(attempt, Attempt::Accepted);
}

#[tokio::test]
async fn a_server_that_does_not_end_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    tokio::spawn(async move {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        while stream.write_all(&[b'2'; 4_096]).await.is_ok() {}
    });
    let folder = tempfile::tempdir().unwrap();
    let channel = channel(folder.path(), &port, "none", "['soc@example.org']", "");
    let error = retried(channel.send(&delivery(2, "sam-laptop"), now()).await);
    assert!(error.contains("says too much"), "{error}");
}
