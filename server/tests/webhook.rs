//! The webhook channel against a real receiver on the loopback interface that does what it is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "receivers that are down are tried in http_delivery")]
#[path = "http_support/receiver.rs"]
mod receiver;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use offchannel_server::channels::http::HttpConfig;
use offchannel_server::channels::net::AllowPrivate;
use offchannel_server::channels::webhook::{Config, Webhook};
use offchannel_server::channels::{self, Channel as _, ChannelConfig, ChannelKind};
use offchannel_server::domain::alert::{AlertAction, AlertKind, AlertState};
use offchannel_server::domain::delivery::{
    Attempt, Delivery, DeliveryState, Notification, NotifiedAlert, NotifiedDevice,
};
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use offchannel_shared::policy::Severity;
use offchannel_shared::span::Span;
use ring::hmac;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use self::receiver::{Manner, Receiver, complete, header, status};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const PATIENCE: Duration = Duration::from_secs(20);

fn webhook(url: &str, allow_private: AllowPrivate, timeout: Duration) -> Webhook {
    let http = HttpConfig { target: url.parse().unwrap(), ca_pem: None, timeout, allow_private };
    let config = Config { http, secret: SECRET.parse().unwrap() };
    Webhook::new(ChannelName::new("siem").unwrap(), config).unwrap()
}

fn to(receiver: &Receiver) -> Webhook {
    webhook(&format!("http://{}/hooks/a?b=c", receiver.address), AllowPrivate::Any, PATIENCE)
}

fn now() -> Timestamp {
    Timestamp::from_second(1_772_618_400).unwrap()
}

fn delivery() -> Delivery {
    let alert = NotifiedAlert {
        id: AlertId::from_random([1; 16]),
        kind: AlertKind::DeviceSilent,
        severity: Severity::Low,
        state: AlertState::Open,
        opened_at: now(),
        cause: None,
        reopened: 0,
        assignee: None,
        snoozed_until: None,
    };
    let device = NotifiedDevice {
        id: "dev_1".to_owned(),
        hostname: "sam-laptop".to_owned(),
        platform: "linux".to_owned(),
        unit: None,
    };
    Delivery {
        id: DeliveryId::from_random([2; 16]),
        channel: ChannelName::new("siem").unwrap(),
        alert: alert.id.clone(),
        notification: Notification {
            action: AlertAction::Opened,
            at: now(),
            actor: "collector".to_owned(),
            note: None,
            alert,
            device: Some(device),
            app: None,
            rule: None,
            unit: None,
            escalation: None,
            evidence: Vec::new(),
            troubles: Vec::new(),
            test: false,
        },
        created_at: now(),
        due_at: now(),
        attempts: 0,
        state: DeliveryState::Pending,
        digest: None,
        last_error: None,
    }
}

async fn attempt(manner: Manner) -> Attempt {
    let receiver = Receiver::start(&[manner]).await;
    to(&receiver).send(&delivery(), now()).await
}

#[track_caller]
fn retried(attempt: Attempt) -> (String, Option<Span>) {
    match attempt {
        Attempt::Retry { error, after } => (error, after),
        other
        @ (Attempt::Delivered | Attempt::Accepted | Attempt::InPart { .. } | Attempt::GiveUp { .. }) => {
            panic!("{other:?}")
        }
    }
}

#[tokio::test]
async fn a_webhook_is_signed_so_that_the_receiver_can_check_it() {
    let mut receiver = Receiver::start(&[status("200 OK")]).await;
    assert_eq!(to(&receiver).send(&delivery(), now()).await, Attempt::Delivered);
    let heard = receiver.heard.recv().await.unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hooks/a?b=c HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(head, "host"), receiver.address.to_string());
    assert_eq!(header(head, "content-type"), "application/json");
    assert_eq!(header(head, "webhook-id"), delivery().id.as_str());
    assert_eq!(header(head, "webhook-timestamp"), "1772618400");
    let signature = header(head, "webhook-signature").strip_prefix("v1,").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(&SECRET["whsec_".len()..]).unwrap());
    let signed = format!("{}.1772618400.{body}", delivery().id);
    hmac::verify(&key, signed.as_bytes(), &STANDARD.decode(signature).unwrap()).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["type"], &body["timestamp"]), (&"alert.opened".into(), &"2026-03-04T10:00:00Z".into()));
    assert_eq!(body["data"]["alert"]["kind"], "device-silent");
}

#[tokio::test]
async fn each_attempt_is_signed_anew_under_the_same_id() {
    let mut receiver = Receiver::start(&[status("500 Oops")]).await;
    let webhook = to(&receiver);
    retried(webhook.send(&delivery(), now()).await);
    retried(webhook.send(&delivery(), Span::minutes(5).after(now())).await);
    let (first, second) = (receiver.heard.recv().await.unwrap(), receiver.heard.recv().await.unwrap());
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    assert_eq!(header(&second, "webhook-timestamp"), "1772618700");
    assert_ne!(header(&first, "webhook-signature"), header(&second, "webhook-signature"));
}

#[tokio::test]
async fn every_success_is_a_delivery() {
    for line in ["200 OK", "202 Accepted", "204 No Content"] {
        assert_eq!(attempt(status(line)).await, Attempt::Delivered, "{line}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_given_up() {
    assert!(matches!(attempt(status("410 Gone")).await, Attempt::GiveUp { .. }));
}

#[tokio::test]
async fn a_receiver_that_has_trouble_is_tried_again() {
    for line in [
        "400 Bad Request",
        "401 Unauthorized",
        "404 Not Found",
        "408 Request Timeout",
        "500 Oops",
        "503 Busy",
    ] {
        let (error, after) = retried(attempt(status(line)).await);
        assert!(error.contains(&line[..3]), "{error}");
        assert_eq!(after, None);
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    for (value, seconds) in [("7200", 7200), ("Wed, 04 Mar 2026 10:10:00 GMT", 600)] {
        let answer =
            format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
        let (_, after) = retried(attempt(Manner::Answer(answer)).await);
        assert_eq!(after, Some(Span::seconds(seconds)));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = Receiver::start(&[status("200 OK")]).await;
    for code in [301, 302, 307, 308] {
        let location = format!("http://{}/", elsewhere.address);
        let answer = format!("HTTP/1.1 {code} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let (error, _) = retried(attempt(Manner::Answer(answer)).await);
        assert!(error.contains("redirects are not followed"), "{error}");
    }
    assert!(elsewhere.heard.try_recv().is_err(), "the redirect was followed");
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_no_more_than_the_time_given() {
    let receiver = Receiver::start(&[Manner::Hang]).await;
    let webhook =
        webhook(&format!("http://{}/", receiver.address), AllowPrivate::Any, Duration::from_millis(200));
    let (error, _) = retried(tokio::time::timeout(PATIENCE, webhook.send(&delivery(), now())).await.unwrap());
    assert!(error.contains("no answer within 0.2 s"), "{error}");
}

#[tokio::test]
async fn what_is_no_answer_is_tried_again() {
    for manner in [Manner::HangUp, Manner::Answer("SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned())] {
        let (error, _) = retried(attempt(manner).await);
        assert!(error.contains("no answer could be read"), "{error}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1024 * 1024));
    let receiver = Receiver::start(&[Manner::Answer(endless)]).await;
    retried(to(&receiver).send(&delivery(), now()).await);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let webhook = webhook(&format!("http://{closed}/"), AllowPrivate::Any, PATIENCE);
    let (error, _) = retried(webhook.send(&delivery(), now()).await);
    assert!(error.contains("cannot connect to"), "{error}");
}

#[tokio::test]
async fn a_private_address_is_not_reached_without_leave_whatever_its_name() {
    let mut receiver = Receiver::start(&[status("200 OK")]).await;
    let port = receiver.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"] {
        let webhook = webhook(&format!("https://{host}:{port}/"), AllowPrivate::None, PATIENCE);
        let (error, _) = retried(webhook.send(&delivery(), now()).await);
        assert!(error.contains("which is refused"), "{host}: {error}");
    }
    let other = AllowPrivate::Only(vec!["10.0.0.0/8".parse().unwrap(), "siem.internal".parse().unwrap()]);
    let webhook_elsewhere = webhook(&format!("http://127.0.0.1:{port}/"), other, PATIENCE);
    retried(webhook_elsewhere.send(&delivery(), now()).await);
    assert!(receiver.heard.try_recv().is_err(), "a private address was reached");
    let this = AllowPrivate::Only(vec!["127.0.0.0/8".parse().unwrap()]);
    let webhook = webhook(&format!("http://127.0.0.1:{port}/"), this, PATIENCE);
    assert_eq!(webhook.send(&delivery(), now()).await, Attempt::Delivered);
}

#[tokio::test]
async fn a_receiver_over_tls_is_believed_only_under_its_ca_and_name() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut read = Vec::new();
            while !complete(&read) {
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).await.unwrap();
                read.extend_from_slice(&buffer[..length]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let of = |host: &str, ca_pem| {
        let target = format!("https://{host}:{port}/").parse().unwrap();
        let http = HttpConfig { target, ca_pem, timeout: PATIENCE, allow_private: AllowPrivate::Any };
        Config { http, secret: SECRET.parse().unwrap() }
    };
    let send = async |config| {
        let name = ChannelName::new("siem").unwrap();
        let config = ChannelConfig { name, enabled: true, kind: ChannelKind::Webhook(config) };
        channels::build(&config).unwrap().send(&delivery(), now()).await
    };
    assert_eq!(send(of("localhost", Some(certificate.pem()))).await, Attempt::Delivered);
    for other in [of("localhost", None), of("127.0.0.1", Some(certificate.pem()))] {
        let (error, _) = retried(send(other).await);
        assert!(error.contains("TLS handshake"), "{error}");
    }
    let broken = of("localhost", Some("no certificate".to_owned()));
    assert!(Webhook::new(ChannelName::new("siem").unwrap(), broken).is_err());
}
