//! The channels to services of others, against a real receiver that does what it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "receivers that are down are tried in http_delivery")]
#[path = "http_support/receiver.rs"]
mod receiver;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use offchannel_server::channels::{self, Channel, Tried};
use offchannel_server::clock::{Clock as _, SystemClock};
use offchannel_server::config::{Config, Overrides};
use offchannel_server::domain::alert::{AlertAction, AlertKind, AlertState, Cause};
use offchannel_server::domain::delivery::{Attempt, Delivery, NotifiedUnit};
use offchannel_server::domain::digest::{Digest, InDigest};
use offchannel_server::domain::trial;
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use offchannel_shared::policy::Severity;
use serde_json::{Value, json};

use self::receiver::{Manner, Receiver, header, status};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const TOKEN: &str = "12345678-1234-1234-1234-123456789012";
const KEY: &str = "R0123456789abcdef0123456789ABCDE";
/// A part of every address, as a secret one has it.
const PATH: &str = "/services/T0SECRET1/B0SECRET2?sig=s3cr3ts1g";

/// The channels over HTTP: a name, and the keys beside name and address.
const CHANNELS: [(&str, &str); 7] = [
    ("webhook", "kind = 'webhook'\nsecret = '{secret}'"),
    ("teams", "kind = 'teams'"),
    ("slack", "kind = 'slack'"),
    ("splunk", "kind = 'splunk'\ntoken = '{token}'\nindex = 'security'"),
    ("pagerduty", "kind = 'pagerduty'\nrouting_key = '{key}'"),
    ("ocsf-signed", "kind = 'ocsf'\nsecret = '{secret}'"),
    ("ocsf-bearer", "kind = 'ocsf'\ntoken = '{token}'"),
];

fn keys(name: &str) -> String {
    let (_, keys) = CHANNELS.iter().find(|(known, _)| *known == name).unwrap();
    keys.replace("{secret}", SECRET).replace("{token}", TOKEN).replace("{key}", KEY)
}

/// A channel as its configuration makes it.
fn channel(name: &str, url: &str, allow_private: &str) -> Arc<dyn Channel> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    let keys = keys(name);
    let text = format!(
        "[[channel]]\nname = '{name}'\n{keys}\nurl = '{url}'\nallow_private = {allow_private}\ntimeout = '20s'\n"
    );
    std::fs::write(&path, text).unwrap();
    let loaded = Config::load_from(Some(&path), BTreeMap::new(), &Overrides::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    let shown = format!("{loaded:?} {:?}", channels::build(&loaded.config.channels[0]).unwrap());
    unsaid(&shown);
    channels::build(&loaded.config.channels[0]).unwrap()
}

/// Asserts that a text has none of the secrets.
#[track_caller]
fn unsaid(text: &str) {
    for secret in ["MDEyMzQ1", TOKEN, KEY, "T0SECRET1", "B0SECRET2", "s3cr3ts1g"] {
        assert!(!text.contains(secret), "the secret {secret} is in {text}");
    }
}

fn to(name: &str, receiver: &Receiver) -> Arc<dyn Channel> {
    channel(name, &format!("http://{}{PATH}", receiver.address), "true")
}

fn tried() -> Delivery {
    let (id, alert) = (DeliveryId::from_random([2; 16]), AlertId::from_random([1; 16]));
    trial::delivery(id, alert, ChannelName::new("any").unwrap(), SystemClock.now())
}

/// A real notification, with this for everything that a device can choose.
fn delivery(name: &str) -> Delivery {
    let mut delivery = tried();
    let n = &mut delivery.notification;
    n.test = false;
    n.alert.severity = Severity::High;
    n.device.as_mut().unwrap().hostname = name.to_owned();
    n.app.as_mut().unwrap().name = name.to_owned();
    n.unit = Some(NotifiedUnit {
        id: "finance".to_owned(),
        name: "Finance".to_owned(),
        owner: Some("Ada".to_owned()),
        owner_email: None,
    });
    n.rule.as_mut().unwrap().reason = name.to_owned();
    let place = &mut n.evidence[0];
    (place.identifier, place.version) = (name.to_owned(), Some(name.to_owned()));
    n.evidence = vec![n.evidence[0].clone(); 10];
    delivery
}

fn answer(line: &str, body: &str) -> Manner {
    Manner::Answer(format!("HTTP/1.1 {line}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

async fn attempt(name: &str, manner: Manner) -> Tried {
    let receiver = Receiver::start(&[manner]).await;
    to(name, &receiver).try_out(&delivery("sam-laptop"), SystemClock.now()).await
}

/// `delivered`, `accepted`, `retry` or `dead`.
fn outcome(tried: &Tried) -> &'static str {
    match tried.attempt {
        Attempt::Delivered => "delivered",
        Attempt::Accepted | Attempt::InPart { .. } => "accepted",
        Attempt::Retry { .. } => "retry",
        Attempt::GiveUp { .. } => "dead",
    }
}

#[tokio::test]
async fn each_receiver_is_understood_in_its_own_way() {
    let ok = r#"{"text":"Success","code":0}"#;
    let busy = r#"{"text":"Server is busy","code":9}"#;
    for (name, line, body, expected) in [
        ("teams", "202 Accepted", "", "accepted"),
        ("teams", "200 OK", "1", "accepted"),
        ("teams", "400 Bad Request", r#"{"error":{"code":"WorkflowTriggerIsNotEnabled"}}"#, "retry"),
        ("teams", "404 Not Found", "", "dead"),
        ("teams", "410 Gone", "", "dead"),
        ("teams", "413 Payload Too Large", "", "dead"),
        ("teams", "429 Too Many Requests", "", "retry"),
        ("teams", "502 Bad Gateway", "", "retry"),
        ("slack", "200 OK", "ok", "delivered"),
        ("slack", "400 Bad Request", "invalid_blocks", "dead"),
        ("slack", "403 Forbidden", "action_prohibited", "dead"),
        ("slack", "404 Not Found", "no_service", "dead"),
        ("slack", "410 Gone", "channel_is_archived", "dead"),
        ("slack", "429 Too Many Requests", "", "retry"),
        ("slack", "500 Oops", "rollup_error", "retry"),
        ("splunk", "200 OK", ok, "delivered"),
        ("splunk", "200 OK", "<html>a proxy</html>", "retry"),
        ("splunk", "400 Bad Request", r#"{"text":"Invalid data format","code":6}"#, "dead"),
        ("splunk", "400 Bad Request", r#"{"text":"Incorrect index","code":7}"#, "retry"),
        ("splunk", "403 Forbidden", r#"{"text":"Invalid token","code":4}"#, "retry"),
        ("splunk", "503 Busy", busy, "retry"),
        ("pagerduty", "202 Accepted", r#"{"status":"success"}"#, "accepted"),
        ("pagerduty", "400 Bad Request", r#"{"status":"invalid event"}"#, "dead"),
        ("pagerduty", "429 Too Many Requests", "", "retry"),
        ("pagerduty", "500 Oops", "", "retry"),
        ("ocsf-signed", "200 OK", "", "delivered"),
        ("ocsf-bearer", "204 No Content", "", "delivered"),
        ("ocsf-bearer", "401 Unauthorized", "", "retry"),
        ("ocsf-bearer", "410 Gone", "", "dead"),
    ] {
        let tried = attempt(name, answer(line, body)).await;
        assert_eq!(outcome(&tried), expected, "{name}: {line} {body}: {tried:?}");
        let said = tried.said.unwrap();
        assert!(said.starts_with(&line[..3]) && said.contains(body), "{name}: {said}");
    }
}

#[tokio::test]
async fn every_receiver_gets_the_time_that_it_asks_for() {
    for (name, _) in CHANNELS {
        let busy = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n";
        let tried = attempt(name, Manner::Answer(busy.to_owned())).await;
        let Attempt::Retry { after: Some(after), .. } = tried.attempt else { panic!("{name}: {tried:?}") };
        assert_eq!(after.as_seconds(), 90);
    }
}

#[tokio::test]
async fn an_answer_without_an_end_counts_by_its_status() {
    let endless = Manner::Answer("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nok".to_owned());
    let receiver = Receiver::start(&[endless]).await;
    let tried = to("slack", &receiver).try_out(&delivery("sam-laptop"), SystemClock.now()).await;
    assert_eq!(outcome(&tried), "delivered", "{tried:?}");
    let large = answer("200 OK", &"x".repeat(1_000_000));
    assert_eq!(outcome(&attempt("webhook", large).await), "delivered");
}

#[tokio::test]
async fn what_a_receiver_quotes_brings_no_secret_to_light() {
    for (name, _) in CHANNELS {
        let quoted = format!("Cannot POST {PATH} with {TOKEN} {KEY}\r\n\u{1b}[31m");
        let tried = attempt(name, answer("418 Teapot", &quoted)).await;
        let Attempt::Retry { error, .. } = &tried.attempt else { panic!("{name}: {tried:?}") };
        assert!(error.contains("418") && error.contains("Cannot POST /"), "{name}: {error}");
        for text in [error, tried.said.as_ref().unwrap()] {
            assert!(!text.contains("SECRET") && !text.contains("s3cr3t"), "{name}: {text}");
            assert!(!text.contains(char::is_control), "{name}: {text:?}");
        }
        if keys(name).contains(TOKEN) {
            assert!(!error.contains(TOKEN), "{name}: {error}");
        }
        if keys(name).contains(KEY) {
            assert!(!error.contains(KEY), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn no_channel_reaches_a_private_address_without_leave() {
    let mut receiver = Receiver::start(&[status("200 OK")]).await;
    let port = receiver.address.port();
    for (name, _) in CHANNELS {
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let channel = channel(name, &format!("https://{host}:{port}{PATH}"), "false");
            let tried = channel.try_out(&delivery("sam-laptop"), SystemClock.now()).await;
            let Attempt::Retry { error, .. } = &tried.attempt else { panic!("{name}: {tried:?}") };
            assert!(error.contains("which is refused"), "{name} to {host}: {error}");
            unsaid(error);
        }
    }
    assert!(receiver.heard.try_recv().is_err(), "a private address was reached");
}

#[tokio::test]
async fn each_kind_says_who_it_is_in_the_way_of_its_receiver() {
    let heard = async |name: &str, manner: Manner| {
        let mut receiver = Receiver::start(&[manner]).await;
        to(name, &receiver).send(&delivery("sam-laptop"), SystemClock.now()).await;
        receiver.heard.recv().await.unwrap()
    };
    let splunk = heard("splunk", status("200 OK")).await;
    assert_eq!(header(&splunk, "authorization"), format!("Splunk {TOKEN}"));
    let bearer = heard("ocsf-bearer", status("200 OK")).await;
    assert_eq!(header(&bearer, "authorization"), format!("Bearer {TOKEN}"));
    assert!(heard("pagerduty", status("202 Accepted")).await.contains(KEY));
    for name in ["teams", "slack"] {
        let heard = heard(name, status("200 OK")).await;
        assert!(heard.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")), "{heard}");
    }
}

#[tokio::test]
async fn a_test_is_marked_as_one_in_every_format() {
    for (name, _) in CHANNELS {
        let mut receiver = Receiver::start(&[status("202 Accepted")]).await;
        to(name, &receiver).send(&tried(), SystemClock.now()).await;
        let heard = receiver.heard.recv().await.unwrap();
        let (_, body) = heard.split_once("\r\n\r\n").unwrap();
        let marked = ["TEST: ", "\"type\":\"channel.test\""].iter().any(|mark| body.contains(mark));
        assert!(marked, "{name}: {body}");
    }
}

#[test]
fn chats_are_not_told_more_a_second_than_they_take() {
    let per_second = |name| channel(name, "https://h/x", "false").per_second().map(u32::from);
    assert_eq!((per_second("teams"), per_second("slack"), per_second("webhook")), (Some(4), Some(1), None));
}

/// Everything that the validators are to see: each action, an alert about a unit, and names as nobody wants them.
fn deliveries() -> Vec<Delivery> {
    let mut all: Vec<Delivery> = AlertAction::ALL
        .into_iter()
        .map(|action| {
            let mut delivery = delivery("sam-laptop");
            delivery.notification.action = action;
            delivery
        })
        .collect();
    let mut resolved = delivery("sam-laptop");
    resolved.notification.action = AlertAction::Resolved;
    (resolved.notification.alert.state, resolved.notification.alert.cause) =
        (AlertState::Resolved, Some(Cause::Removed));
    let mut unit = delivery("x");
    let n = &mut unit.notification;
    (n.device, n.app, n.rule, n.evidence) = (None, None, None, Vec::new());
    n.alert.kind = AlertKind::DeviceSilent;
    all.extend([resolved, unit, tried(), delivery("")]);
    for name in [
        "a\u{202e}b\u{0}\r\nX-Header: forged",
        "=cmd|'/c calc'!A1",
        "<!channel> [x](https://e) **b** {{DATE(2026-01-01T00:00:00Z)}} `z` &lt;",
        "\"}],\"text\":\"forged\\",
        &"w\u{fc}rst \u{1f480}|&<".repeat(500),
    ] {
        all.push(delivery(name));
    }
    all
}

/// All of [`deliveries`] in one message.
fn digested() -> Vec<Delivery> {
    let message = deliveries().first().map(|first| first.id.clone());
    let part = |mut delivery: Delivery| {
        delivery.digest =
            Some(InDigest { group: "daily at 08:00, UTC".to_owned(), message: message.clone() });
        delivery
    };
    deliveries().into_iter().map(part).collect()
}

#[tokio::test]
async fn what_is_sent_passes_the_validators_of_others() {
    let Some(validators) = validators() else {
        println!(
            "SKIPPED: run tests/validators/run install, and set OFFCHANNEL_TEST_VALIDATORS to tests/validators/run"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in CHANNELS {
        let answer = answer("200 OK", r#"{"text":"Success","code":0}"#);
        let mut receiver = Receiver::start(&[answer]).await;
        let channel = to(name, &receiver);
        for (number, delivery) in deliveries().iter().enumerate() {
            let tried = channel.try_out(delivery, SystemClock.now()).await;
            assert!(matches!(tried.attempt, Attempt::Delivered | Attempt::Accepted), "{name}: {tried:?}");
            // PagerDuty has no event for some actions.
            while let Ok(heard) = receiver.heard.try_recv() {
                write(folder.path(), name, number, &heard);
            }
        }
    }
    for name in ["webhook", "teams", "slack"] {
        let answer = answer("200 OK", r#"{"text":"Success","code":0}"#);
        let mut receiver = Receiver::start(&[answer]).await;
        let parts = digested();
        let attempt = to(name, &receiver).send_digest(&Digest::of(&parts).unwrap(), SystemClock.now()).await;
        assert!(matches!(attempt, Attempt::Delivered | Attempt::Accepted), "{name}: {attempt:?}");
        write(folder.path(), name, 99, &receiver.heard.try_recv().unwrap());
    }
    let output = Command::new(validators).arg("check").arg(folder.path()).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{said}");
}

/// Writes a request for the validators.
fn write(folder: &Path, name: &str, number: usize, heard: &str) {
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let headers: BTreeMap<String, &str> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    let request: Value = json!({ "channel": name, "secret": SECRET, "headers": headers, "body": body });
    std::fs::write(folder.join(format!("{name}-{number:02}.json")), request.to_string()).unwrap();
}

/// The script that runs the validators, if whoever runs the tests has installed them.
#[expect(clippy::disallowed_methods, reason = "tests/run says so in the environment")]
fn validators() -> Option<std::ffi::OsString> {
    std::env::var_os("OFFCHANNEL_TEST_VALIDATORS").filter(|path| !path.is_empty())
}
