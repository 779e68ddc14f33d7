//! The collector is killed again and again: what it acknowledged is there afterwards, and nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offchannel_shared::wire::{REPORT_PATH, ReportResponse};
use offchannel_tests::clock::{instant, now};
use offchannel_tests::device::{dpkg, json, random};
use offchannel_tests::{Agent, Client, Device, Heard, Root, Site, wait_for, wait_until};

/// How often the collector is killed.
const KILLS: usize = 12;

/// A moment within so many milliseconds.
fn moment(most: u64) -> Duration {
    Duration::from_millis(u64::from_le_bytes(random()) % most)
}

/// Sends one revision after the other until nobody answers; odd ones have the app, even ones do not.
/// Returns the last that was acknowledged.
fn send_until_it_ends(client: &Client, device: &Device, from: u64, acknowledged: &AtomicU64) {
    for revision in from.. {
        let sightings =
            if revision % 2 == 1 { vec![dpkg("telegram", "telegram-desktop", "1")] } else { Vec::new() };
        let body = json(&device.report(revision, sightings));
        let headers = device.signer.sign(REPORT_PATH, &body, now());
        match client.request("POST", REPORT_PATH, &headers, &body) {
            Err(_) => return,
            Ok(answer) => {
                let answer: ReportResponse = answer.ok();
                assert_eq!(answer.accepted_revision, revision);
                acknowledged.store(revision, Ordering::SeqCst);
            }
        }
    }
}

/// What was heard twice is the same under the same id, and without it every change was heard in its order.
#[expect(clippy::print_stdout, reason = "how much was heard twice belongs to what the test says")]
fn once_and_in_order(heard: &[Heard]) {
    let mut known: BTreeMap<&str, &Heard> = BTreeMap::new();
    let mut order = Vec::new();
    for one in heard {
        match known.insert(&one.id, one) {
            None => order.push(one.kind.as_str()),
            Some(first) => assert_eq!((&first.kind, &first.data), (&one.kind, &one.data)),
        }
    }
    for (number, kind) in order.iter().enumerate() {
        let expected = match number {
            0 => "alert.opened",
            number if number % 2 == 1 => "alert.resolved",
            _ => "alert.reopened",
        };
        assert_eq!(*kind, expected, "number {number} of {order:?}");
    }
    println!("{} requests, {} notifications", heard.len(), order.len());
}

#[test]
fn no_acknowledged_report_is_lost_when_the_collector_is_killed() {
    let mut site = Site::serving();
    let device = Device::enrol(&site.client(), &site.token());
    let acknowledged = AtomicU64::new(0);
    let mut on_record = 0;
    for kill in 1..=KILLS {
        let client = site.client();
        std::thread::scope(|scope| {
            scope.spawn(|| send_until_it_ends(&client, &device, on_record + 1, &acknowledged));
            // At least one is acknowledged in every life, then it ends at any moment.
            let least = on_record + 1;
            wait_for("an acknowledged report", || {
                let revision = acknowledged.load(Ordering::SeqCst);
                if revision >= least { Ok(()) } else { Err(format!("revision {revision}")) }
            });
            wait_until(instant() + moment(150));
            site.kill();
        });
        site.start();
        let acknowledged = acknowledged.load(Ordering::SeqCst);
        let stored = site.only_device()["device"]["revision"].as_u64().expect("a revision");
        // The last one may have been stored without that anybody was told.
        assert!(
            stored == acknowledged || stored == acknowledged + 1,
            "kill {kill}: revision {acknowledged} was acknowledged, {stored} is stored"
        );
        on_record = stored;
        // Every revision was a change of state, so the history has one entry for each.
        let alert = site.alert_about("telegram");
        let history = site.history(alert["id"].as_str().expect("an id"));
        assert_eq!(history.len() as u64, stored, "kill {kill}: {history:?}");
        for (number, action) in history.iter().enumerate() {
            let expected = if number == 0 {
                "opened"
            } else if number % 2 == 1 {
                "resolved"
            } else {
                "reopened"
            };
            assert_eq!(action, expected, "kill {kill}, entry {number}: {history:?}");
        }
    }
    // Every change has its one delivery, whatever became of it.
    let deliveries = site.json(&["delivery", "list", "--all", "--limit", "0"]);
    let deliveries = deliveries["deliveries"].as_array().expect("deliveries");
    assert_eq!(deliveries.len() as u64, on_record);
    let dead = deliveries.iter().filter(|delivery| delivery["state"] == "dead").count();
    assert_eq!(dead, 0);
    let delivered: BTreeSet<&str> = deliveries
        .iter()
        .filter(|delivery| delivery["state"] == "delivered")
        .map(|delivery| delivery["id"].as_str().expect("an id"))
        .collect();
    let heard = site.receiver.heard();
    once_and_in_order(&heard);
    let heard: BTreeSet<&str> = heard.iter().map(|heard| heard.id.as_str()).collect();
    assert!(
        delivered.is_subset(&heard),
        "these count as delivered and were never heard: {:?}",
        delivered.difference(&heard)
    );
    println!("{on_record} reports over {KILLS} kills, {} delivered", delivered.len());
}

#[test]
fn an_agent_lives_through_the_deaths_of_its_collector() {
    let mut site = Site::serving();
    let mut root = Root::new();
    let agent = Agent::running(&site, &root);
    site.wait_for_report();
    for kill in 1..=KILLS {
        root.toggle("telegram-desktop", "4.6.5");
        wait_until(instant() + moment(500));
        let acknowledged = agent.state()["acknowledged"].as_u64().expect("a revision");
        site.kill();
        site.start();
        let stored = site.only_device()["device"]["revision"].as_u64().expect("a revision");
        assert!(stored >= acknowledged, "kill {kill}: the agent was told {acknowledged}, {stored} is stored");
        let wanted = if root.has("telegram-desktop") { "open" } else { "resolved" };
        wait_for("the collector to know what is there", || {
            let alerts = site.alerts();
            match alerts.as_slice() {
                [alert] if alert["state"] == wanted => Ok(()),
                other => Err(format!("kill {kill}: it should be {wanted}: {other:#?}")),
            }
        });
    }
    let alert = site.alert_about("telegram");
    let history = site.history(alert["id"].as_str().expect("an id"));
    assert_eq!(history.len(), KILLS, "each state lasted until it was known: {history:?}");
}
