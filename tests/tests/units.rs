//! The organisation end to end: a unit moves, and the agents in it are judged by the rules of the new place.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offchannel_tests::{Agent, Root, Site, wait_for};
use serde_json::Value;

const POLICY: &str = r#"schema = 1
name = "Places"
stale_after = "1h"
check_in_every = "5s"

[[rule]]
id = "no-telegram-in-legal"
verdict = "prohibited"
apps = ["telegram"]
where = { unit = ["legal"] }

[[rule]]
id = "no-hexchat-there"
verdict = "prohibited"
apps = ["hexchat"]
where = { label = ["kiosk", "lab"] }
"#;

/// `head-office` with `finance` and `legal`.
fn organised(site: &Site) {
    for arguments in [
        &["unit", "add", "head-office", "--owner", "Ada Doe", "--owner-email", "ada@example.org"][..],
        &["unit", "add", "finance", "--parent", "head-office"],
        &["unit", "add", "legal", "--parent", "head-office"],
    ] {
        change(site, arguments);
    }
}

/// Runs a command that changes something and must succeed.
#[track_caller]
fn change(site: &Site, arguments: &[&str]) -> Value {
    site.json(&[arguments, &["--author", "Sam Doe"]].concat())
}

/// The apps that the only device reported.
fn reported(site: &Site) -> Vec<String> {
    let device = site.only_device();
    let sightings = device["sightings"].as_array().expect("sightings");
    sightings.iter().map(|one| one["app"].as_str().expect("an app").to_owned()).collect()
}

#[test]
fn devices_follow_their_unit_and_their_labels_to_other_rules() {
    let site = Site::with_policy(POLICY);
    organised(&site);
    let mut root = Root::new();
    root.install("telegram-desktop", "4.6.5");
    root.install("hexchat", "2.16.1-1");
    let (_, token) = site.token_with(&["--unit", "finance"]);
    let mut agent = Agent::new(&site.url(), &site.ca_file(), &token, root.path());
    agent.start();
    let device = site.wait_for_report();
    assert_eq!(device["units"], serde_json::json!(["finance", "head-office"]), "{device:#}");
    assert_eq!(reported(&site), [""; 0], "nobody asks about these apps in this place");

    // The device itself is not touched: what is above its unit changes.
    change(&site, &["unit", "move", "finance", "--to", "legal"]);
    let opened = site.receiver.wait_for("alert.opened", "telegram");
    assert_eq!(opened.data["rule"]["id"], "no-telegram-in-legal", "{:#}", opened.data);
    assert_eq!(opened.data["device"]["unit"], "finance", "{:#}", opened.data);
    // Whoever answers for the nearest unit above that has somebody.
    let unit = &opened.data["unit"];
    assert_eq!((&unit["id"], &unit["owner"]), (&"finance".into(), &"Ada Doe".into()), "{unit:#}");
    assert_eq!(unit["owner_email"], "ada@example.org", "{unit:#}");
    assert_eq!(reported(&site), ["telegram"]);
    let bundle = || fs::read_to_string(agent.state_dir().join("policy.json")).expect("the agent's policy");
    let before = bundle();

    let id = device["id"].as_str().expect("an id");
    let label =
        |change| site.run(&["device", "label", "--author", "Sam Doe", "--format", "json", id, change]).json();
    label("+kiosk");
    let opened = site.receiver.wait_for("alert.opened", "hexchat");
    assert_eq!(opened.data["rule"]["id"], "no-hexchat-there", "{:#}", opened.data);
    assert_ne!(bundle(), before, "the agent got another bundle of the same version");
    assert_eq!(site.only_device()["device"]["policy_version"], 1);

    // Nothing of it stays when it goes back.
    change(&site, &["unit", "move", "finance", "--to", "head-office"]);
    label("-kiosk");
    site.receiver.wait_for("alert.resolved", "telegram");
    site.receiver.wait_for("alert.resolved", "hexchat");
    wait_for("the agent to keep to itself what nobody asks about", || {
        let apps = reported(&site);
        if apps.is_empty() { Ok(()) } else { Err(format!("it reports {apps:?}")) }
    });
}

#[test]
fn nothing_of_labels_and_persons_reaches_the_device() {
    let site = Site::with_policy(POLICY);
    organised(&site);
    let root = Root::new();
    let (_, token) =
        site.token_with(&["--unit", "legal", "--device-label", "kiosk", "--device-label", "vip"]);
    let mut agent = Agent::new(&site.url(), &site.ca_file(), &token, root.path());
    agent.start();
    let device = site.wait_for_report();
    assert_eq!(device["labels"], serde_json::json!(["kiosk", "vip"]), "{device:#}");
    change(&site, &["device", "assign", device["id"].as_str().expect("an id"), "--person", "staff-4711"]);
    assert_eq!(site.only_device()["device"]["person"], "staff-4711");
    // The envelope's payload is base64; `explain` shows what the agent knows.
    let envelope = fs::read_to_string(agent.state_dir().join("policy.json")).expect("the agent's policy");
    let envelope: Value = serde_json::from_str(&envelope).expect("JSON");
    let payload = find_payload(&envelope).expect("a payload");
    for word in ["kiosk", "vip", "label", "staff-4711"] {
        assert!(!payload.contains(word), "{word} in {payload}");
    }
    assert!(payload.contains("no-hexchat-there"), "a rule for its label is its rule: {payload}");
}

/// The bundle inside a DSSE envelope, wherever the agent's file keeps it.
fn find_payload(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => match fields.get("payload") {
            Some(Value::String(text)) => {
                let bytes = STANDARD.decode(text).expect("base64");
                Some(String::from_utf8(bytes).expect("UTF-8"))
            }
            _ => fields.values().find_map(find_payload),
        },
        _ => None,
    }
}
