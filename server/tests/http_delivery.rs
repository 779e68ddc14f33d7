//! From a report to a webhook: the jobs, with real channels, a real database and real receivers.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "the refusals run in http_refusals")]
mod http_support;
#[expect(dead_code, reason = "receivers that hang up are tried in webhook")]
#[path = "http_support/receiver.rs"]
mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use offchannel_server::channels::http::HttpConfig;
use offchannel_server::channels::net::AllowPrivate;
use offchannel_server::channels::webhook::Config;
use offchannel_server::channels::{self, Channel, ChannelConfig, ChannelKind};
use offchannel_server::domain::delivery::{Delivery, DeliveryState};
use offchannel_server::jobs::{self, JobsHandle};
use offchannel_server::store::DeliveryFilter;
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::ChannelName;
use offchannel_shared::inventory::Inventory;
use offchannel_shared::wire;
use serde_json::{Value, json};

use self::http_support::{LIMITS, POLICY, Server, at, report};
use self::receiver::{Manner, Receiver, header, status};

const PATIENCE: Duration = Duration::from_secs(20);

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

fn channel(text: &str, receiver: &Receiver) -> Arc<dyn Channel> {
    let target = format!("http://{}/", receiver.address).parse().unwrap();
    let http = HttpConfig { target, ca_pem: None, timeout: PATIENCE, allow_private: AllowPrivate::Any };
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse().unwrap();
    let config = Config { http, secret };
    channels::build(&ChannelConfig { name: name(text), enabled: true, kind: ChannelKind::Webhook(config) })
        .unwrap()
}

async fn server(channels: &[&str]) -> Server {
    let names: Vec<ChannelName> = channels.iter().copied().map(name).collect();
    Server::with(LIMITS, Some(POLICY), &names).await
}

fn work(server: &Server, channels: Vec<Arc<dyn Channel>>) -> JobsHandle {
    let clock = Arc::new(server.clock.clone());
    jobs::spawn(server.service.clone(), channels, clock, server.metrics.clone()).unwrap()
}

/// A report of a device on which a messenger is installed that the policy prohibits.
fn telegram(revision: u64) -> Value {
    let inventory = json!({
        "sightings": [{
            "app": "telegram", "source": "dpkg", "namespace": "dpkg", "identifier": "telegram-desktop",
            "scope": "system", "grade": "installed", "version": "4.6.5",
        }],
        "sources": [],
    });
    let mut report = report(revision);
    report["digest"] = json!(Digest::of(&serde_json::from_value::<Inventory>(inventory.clone()).unwrap()));
    report["inventory"] = inventory;
    report
}

/// The next webhook about a prohibited app; others, about the approved one that is missing, are passed over.
async fn hear(receiver: &mut Receiver) -> (String, Value) {
    let hearing = async {
        loop {
            let heard = receiver.heard.recv().await.unwrap();
            let (head, body) = heard.split_once("\r\n\r\n").unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            if body["data"]["alert"]["kind"] == "prohibited-app" {
                return (head.to_owned(), body);
            }
        }
    };
    tokio::time::timeout(PATIENCE, hearing).await.expect("nothing was heard")
}

#[tokio::test]
async fn an_app_that_comes_and_goes_is_heard_of_on_the_webhook() {
    let mut receiver = Receiver::start(&[status("200 OK")]).await;
    let server = server(&["siem"]).await;
    let jobs = work(&server, vec![channel("siem", &receiver)]);
    let device = server.device().await;
    device.post(wire::REPORT_PATH, &telegram(1)).await.accepted();
    let (_, opened) = hear(&mut receiver).await;
    assert_eq!(opened["type"], "alert.opened");
    assert_eq!(opened["data"]["app"]["id"], "telegram");
    assert_eq!(opened["data"]["evidence"][0]["version"], "4.6.5");
    device.post(wire::REPORT_PATH, &report(2)).await.accepted();
    let (_, resolved) = hear(&mut receiver).await;
    assert_eq!(resolved["type"], "alert.resolved");
    assert_eq!(resolved["data"]["alert"]["id"], opened["data"]["alert"]["id"]);
    jobs.stop().await;
    let delivered = server.service.deliveries(DeliveryFilter::default()).await.unwrap();
    assert!(delivered.iter().all(|delivery| delivery.state == DeliveryState::Delivered), "{delivered:?}");
    let text = server.metrics.render(&server.service.stats());
    let line = format!(
        "offchannel_delivery_attempts_total{{channel=\"siem\",outcome=\"delivered\"}} {}",
        delivered.len()
    );
    assert!(text.lines().any(|found| found == line), "expected {line:?} in:\n{text}");
}

#[tokio::test]
async fn a_webhook_that_failed_is_sent_again_under_its_id_when_it_is_due() {
    let mut receiver = Receiver::start(&[status("500 Oops"), status("500 Oops"), status("200 OK")]).await;
    let server = server(&["siem"]).await;
    let device = server.device().await;
    device.post(wire::REPORT_PATH, &telegram(1)).await.accepted();
    let jobs = work(&server, vec![channel("siem", &receiver)]);
    let (first, _) = hear(&mut receiver).await;
    // The outcome is written after the answer, by the clock of that moment.
    let written = async {
        let tried = |all: Vec<Delivery>| all.iter().all(|delivery| delivery.attempts == 1);
        while !tried(server.service.deliveries(DeliveryFilter::default()).await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.expect("the outcome was not written");
    server.clock.set(at(30));
    let (second, _) = hear(&mut receiver).await;
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    assert_ne!(header(&first, "webhook-timestamp"), header(&second, "webhook-timestamp"));
    jobs.stop().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_channel() {
    let hanging = Receiver::start(&[Manner::Hang]).await;
    let mut receiver = Receiver::start(&[status("202 Accepted")]).await;
    let server = server(&["hanging", "siem"]).await;
    let jobs = work(&server, vec![channel("hanging", &hanging), channel("siem", &receiver)]);
    let device = server.device().await;
    for body in [telegram(1), report(2), telegram(3)] {
        device.post(wire::REPORT_PATH, &body).await.accepted();
        hear(&mut receiver).await;
    }
    // What hangs is cut off; its lease runs out and it is sent again, by this worker or another.
    drop(jobs);
}

/// Waits until everything that may be sent by the clock has been tried.
async fn tried_by(server: &Server, second: i64) {
    let trying = async {
        loop {
            let filter = DeliveryFilter { states: vec![DeliveryState::Pending], ..DeliveryFilter::default() };
            let pending = server.service.deliveries(filter).await.unwrap();
            let first = |one: &Delivery| {
                !pending.iter().any(|other| other.alert == one.alert && other.created_at < one.created_at)
            };
            if pending.iter().all(|one| one.due_at > at(second) || !first(one)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("what is due was not tried");
}

#[tokio::test]
async fn a_receiver_that_was_down_for_six_hours_hears_every_alert_once_and_in_order() {
    const HALF_AN_HOUR: i64 = 1_800;
    let mut receiver = Receiver::start(&[status("200 OK")]).await;
    let server = server(&["siem"]).await;
    let jobs = work(&server, vec![channel("siem", &receiver)]);
    let device = server.device().await;
    receiver.down.store(true, Ordering::SeqCst);
    for step in 0..12 {
        let second = i64::try_from(step).unwrap() * HALF_AN_HOUR;
        server.clock.set(at(second));
        let mut report = if step % 2 == 0 { telegram(step + 1) } else { report(step + 1) };
        report["observed_at"] = json!(at(second));
        let body = serde_json::to_vec(&report).unwrap();
        let headers = device.sign_at(wire::REPORT_PATH, &body, second);
        server.send(http_support::request("POST", wire::REPORT_PATH, &headers, &body)).await.accepted();
        tried_by(&server, second).await;
    }
    assert!(receiver.heard.try_recv().is_err(), "a receiver that is down hears nothing");
    receiver.down.store(false, Ordering::SeqCst);
    // As often as it takes: each time the clock is set to when the next one is due.
    let filter = DeliveryFilter { states: vec![DeliveryState::Pending], ..DeliveryFilter::default() };
    while let Some(due) =
        server.service.deliveries(filter.clone()).await.unwrap().iter().map(|one| one.due_at).max()
    {
        let second = due.as_second() - at(0).as_second() + 1;
        server.clock.set(at(second));
        tried_by(&server, second).await;
    }
    jobs.stop().await;
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    while let Ok(request) = receiver.heard.try_recv() {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(ids.insert(header(head, "webhook-id").to_owned()), "heard twice: {head}");
        let body: Value = serde_json::from_str(body).unwrap();
        let alert = body["data"]["alert"]["id"].as_str().unwrap().to_owned();
        heard.entry(alert).or_default().push(body["type"].as_str().unwrap().to_owned());
    }
    let all = server.service.deliveries(DeliveryFilter::default()).await.unwrap();
    assert!(all.iter().all(|one| one.state == DeliveryState::Delivered), "{all:#?}");
    assert_eq!(ids.len(), all.len());
    let turns = heard.values().find(|turns| turns.len() > 2).expect("the alert about the app");
    let expected: Vec<&str> = (0..12)
        .map(|step| match step {
            0 => "alert.opened",
            step if step % 2 == 0 => "alert.reopened",
            _ => "alert.resolved",
        })
        .collect();
    assert_eq!(*turns, expected);
}

#[tokio::test]
async fn a_delivery_is_not_sent_while_an_earlier_one_of_its_alert_waits() {
    let mut receiver = Receiver::start(&[status("500 Oops"), status("200 OK")]).await;
    let server = server(&["siem"]).await;
    let jobs = work(&server, vec![channel("siem", &receiver)]);
    let device = server.device().await;
    device.post(wire::REPORT_PATH, &telegram(1)).await.accepted();
    // All of what is due is tried once, and fails or not; the alert about the app may be either.
    tried_by(&server, 0).await;
    device.post(wire::REPORT_PATH, &report(2)).await.accepted();
    tried_by(&server, 0).await;
    server.clock.set(at(3_600));
    tried_by(&server, 3_600).await;
    jobs.stop().await;
    let mut order = Vec::new();
    while let Ok(request) = receiver.heard.try_recv() {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        if body["data"]["alert"]["kind"] == "prohibited-app" {
            order.push(body["type"].as_str().unwrap().to_owned());
        }
    }
    order.dedup();
    assert_eq!(order, ["alert.opened", "alert.resolved"]);
}

#[tokio::test]
async fn what_was_cut_off_is_sent_again_under_its_id() {
    let mut receiver = Receiver::start(&[Manner::Hang, Manner::Hang, status("200 OK")]).await;
    let server = server(&["siem"]).await;
    let device = server.device().await;
    let jobs = work(&server, vec![channel("siem", &receiver)]);
    device.post(wire::REPORT_PATH, &telegram(1)).await.accepted();
    let (cut_off, _) = hear(&mut receiver).await;
    // As a kill does: nobody writes how it went.
    drop(jobs);
    let jobs = work(&server, vec![channel("siem", &receiver)]);
    server.clock.set(at(600));
    let (again, _) = hear(&mut receiver).await;
    assert_eq!(header(&cut_off, "webhook-id"), header(&again, "webhook-id"));
    jobs.stop().await;
}

#[tokio::test]
async fn a_delivery_that_is_dead_stays_visible_with_its_reason() {
    let mut receiver = Receiver::start(&[status("410 Gone")]).await;
    let server = server(&["siem"]).await;
    let jobs = work(&server, vec![channel("siem", &receiver)]);
    server.device().await.post(wire::REPORT_PATH, &telegram(1)).await.accepted();
    hear(&mut receiver).await;
    jobs.stop().await;
    let filter = DeliveryFilter { states: vec![DeliveryState::Dead], ..DeliveryFilter::default() };
    let dead = server.service.deliveries(filter).await.unwrap();
    assert!(!dead.is_empty());
    assert!(
        dead.iter().all(|delivery| delivery.last_error.as_ref().is_some_and(|error| error.contains("410")))
    );
}

#[tokio::test]
async fn when_a_device_was_heard_of_is_written_at_the_end() {
    let server = server(&[]).await;
    let jobs = work(&server, Vec::new());
    let device = server.device().await;
    device.post(wire::REPORT_PATH, &report(1)).await.accepted();
    server.clock.set(at(100));
    let body = serde_json::to_vec(&http_support::check_in()).unwrap();
    let headers = device.sign_at(wire::CHECK_IN_PATH, &body, 100);
    server.send(http_support::request("POST", wire::CHECK_IN_PATH, &headers, &body)).await.accepted();
    jobs.stop().await;
    let id = offchannel_shared::ids::DeviceId::new(device.id.clone()).unwrap();
    let stored = server.service.store().device(&id).await.unwrap().unwrap();
    assert_eq!(stored.last_seen, at(100));
}
