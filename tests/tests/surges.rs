//! Many new breaches in one unit: one alert about the unit, to people once, to programs each.

use std::fs;

use offchannel_tests::device::dpkg;
use offchannel_tests::site::POLICY;
use offchannel_tests::{Device, Site, wait_for};

/// Five breaches in a unit within a day are a surge.
const SURGE: &str = "\n[unit_surge]\nbreaches = 5\nwithin = \"24h\"\nseverity = \"critical\"\n";

/// The site's webhook stands for a channel that people read: single breaches are folded.
fn folding(policy: &str) -> Site {
    let mut site = Site::bare();
    let config = fs::read_to_string(site.config()).expect("the configuration");
    fs::write(site.config(), format!("{config}\n[[route]]\nchannel = \"hook\"\nsurge = \"fold\"\n"))
        .expect("the configuration");
    let migrated = site.run(&["migrate"]);
    assert_eq!(migrated.code, 0, "{migrated:#?}");
    site.publish(policy);
    site.start();
    for arguments in [
        &["unit", "add", "head-office", "--owner", "Ada Doe", "--owner-email", "ada@example.org"][..],
        &["unit", "add", "finance", "--parent", "head-office"],
    ] {
        site.json(&[arguments, &["--author", "sam"]].concat());
    }
    site
}

/// So many devices of a unit, each with Telegram from now on.
fn breaching(site: &Site, unit: &str, count: usize) -> Vec<Device> {
    let client = site.client();
    (0..count)
        .map(|_| {
            let device = Device::enrol(&client, &site.token());
            site.json(&["device", "assign", device.id.as_str(), "--unit", unit, "--author", "sam"]);
            device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
            device
        })
        .collect()
}

fn told(site: &Site, kind: &str) -> usize {
    site.receiver.heard().iter().filter(|heard| heard.says(kind, "telegram")).count()
}

#[test]
fn a_surge_is_one_alert_to_whoever_answers_for_the_unit_and_breaches_are_told_no_more_one_by_one() {
    let mut site = folding(&format!("{POLICY}{SURGE}"));
    breaching(&site, "finance", 5);
    let surge = site.receiver.wait_for_kind("alert.opened", "unit-surge");
    assert_eq!(surge.data["unit"]["id"], "finance", "{:#}", surge.data);
    assert_eq!(surge.data["unit"]["owner"], "Ada Doe", "{:#}", surge.data);
    assert_eq!(surge.data["alert"]["severity"], "critical");
    assert_eq!(surge.data["note"], "5 new breaches within 1d");
    assert!(surge.data.get("device").is_none(), "{:#}", surge.data);

    // Also after a restart.
    site.stop();
    site.start();
    breaching(&site, "finance", 7);
    wait_for("all alerts", || {
        let alerts = site.alerts();
        if alerts.len() == 13 { Ok(()) } else { Err(format!("{} alerts", alerts.len())) }
    });
    // Elsewhere each is told.
    breaching(&site, "head-office", 1);
    site.receiver.wait("the one that is elsewhere", |heard| {
        heard
            .iter()
            .find(|one| one.says("alert.opened", "telegram") && one.data["unit"]["id"] == "head-office")
            .cloned()
    });
    assert_eq!(
        told(&site, "alert.opened"),
        6,
        "five before the surge was one, and the one that is elsewhere"
    );

    let alert = surge.alert();
    let listed = site.run(&["alert", "list", "--kind", "unit-surge"]).stdout;
    assert!(listed.contains("unit finance"), "{listed}");
    let within = site.json(&["alert", "list", "--unit", "head-office", "--kind", "unit-surge"]);
    assert_eq!(within["alerts"].as_array().map(Vec::len), Some(1), "{within:#}");
    site.json(&["alert", "acknowledge", alert, "--note", "I talk to them", "--by", "ada"]);
    let shown = site.run(&["alert", "show", alert]).stdout;
    assert!(shown.contains("Unit    finance") && shown.contains("I talk to them"), "{shown}");
    // Where the policy has no surges any more, this is none.
    site.publish(POLICY);
    let resolved = site.receiver.wait_for_kind("alert.resolved", "unit-surge");
    assert_eq!((resolved.alert(), &resolved.data["alert"]["cause"]), (alert, &"removed".into()));
}
