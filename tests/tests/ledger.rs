//! Repetition: what somebody has had before counts on other devices, after a restart, and when nothing is open.

use offchannel_tests::device::dpkg;
use offchannel_tests::site::POLICY;
use offchannel_tests::{Device, Site, wait_for};
use serde_json::Value;

/// From the second breach of a person on, and from the third of a unit.
const STEPS: &str = r#"
[[escalation]]
id = "again"
breaches = 2
within = "30d"
by = "person"
to = "owner"

[[escalation]]
id = "many"
breaches = 3
within = "30d"
by = "unit"
to = "leadership"
"#;

fn telegram() -> Vec<offchannel_shared::inventory::Sighting> {
    vec![dpkg("telegram", "telegram-desktop", "4.6.5")]
}

/// A device of this person in this unit.
fn device_of(site: &Site, person: &str, unit: &str) -> Device {
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    let assign =
        ["device", "assign", device.id.as_str(), "--person", person, "--unit", unit, "--author", "sam"];
    site.json(&assign);
    device
}

fn escalations(site: &Site) -> Vec<Value> {
    let heard = site.receiver.heard();
    heard.into_iter().filter(|heard| heard.kind == "alert.escalated").map(|heard| heard.data).collect()
}

#[test]
fn the_second_breach_of_a_person_is_escalated_wherever_and_whenever_the_first_one_was() {
    let mut site = Site::with_policy(&format!("{POLICY}{STEPS}"));
    for arguments in [
        &["unit", "add", "head-office", "--owner", "Ada Doe", "--owner-email", "ada@example.org"][..],
        &["unit", "add", "finance", "--parent", "head-office"],
        &["unit", "add", "legal", "--parent", "head-office"],
    ] {
        site.json(&[arguments, &["--author", "sam"]].concat());
    }
    let (laptop, phone) = (device_of(&site, "4711", "finance"), device_of(&site, "4711", "legal"));
    let other = device_of(&site, "4712", "finance");
    let client = site.client();
    laptop.send(&client, &laptop.report(1, telegram()));
    laptop.send(&client, &laptop.report(2, Vec::new()));
    site.receiver.wait_for("alert.resolved", "telegram");
    other.send(&client, &other.report(1, telegram()));
    assert!(escalations(&site).is_empty(), "a first breach is none too many");
    // The first device is retired: what was on it counts all the same, also after a restart.
    site.json(&["device", "retire", laptop.id.as_str()]);
    site.stop();
    site.start();
    phone.send(&client, &phone.report(1, telegram()));
    let escalated = site.receiver.wait_for("alert.escalated", "telegram");
    assert_eq!(escalated.data["escalation"]["step"], "again", "{:#}", escalated.data);
    assert_eq!(escalated.data["escalation"]["to"], "owner");
    assert_eq!(escalated.data["note"], "2nd breach of the same person within 30d");
    assert!(!escalated.data.to_string().contains("4711"), "who it is stays here: {:#}", escalated.data);

    // The third one in the unit is another person's first.
    other.send(&client, &other.report(2, Vec::new()));
    other.send(&client, &other.report(3, telegram()));
    let steps = |site: &Site| {
        let told = escalations(site);
        let mut steps: Vec<_> = told.iter().map(|told| told["escalation"]["step"].to_string()).collect();
        steps.sort();
        steps
    };
    wait_for("both steps of the last alert", || {
        if steps(&site).len() == 3 { Ok(()) } else { Err(format!("{:?}", steps(&site))) }
    });
    assert_eq!(steps(&site), ["\"again\"", "\"again\"", "\"many\""]);
}

#[test]
fn what_was_decided_stands_beside_the_counts() {
    let site = Site::serving();
    site.json(&["unit", "add", "finance", "--author", "sam"]);
    let device = device_of(&site, "=4711", "finance");
    device.send(&site.client(), &device.report(1, telegram()));
    let alert = site.receiver.wait_for("alert.opened", "telegram").alert().to_owned();
    let nobody = site.run(&["ledger", "decide", "--measure", "warned", "--note", "x", "--by", "ada"]);
    assert!(nobody.failure().contains("--unit, --person or --device"), "{nobody:#?}");
    let unknown =
        ["ledger", "decide", "--unit", "nowhere", "--measure", "warned", "--note", "x", "--by", "ada"];
    assert!(site.run(&unknown).failure().contains("there is no unit nowhere"));
    let decide = ["ledger", "decide", "--person", "=4711", "--measure", "trained", "--alert", &alert];
    site.json(&[&decide[..], &["--note", "a course on 2026-12-01", "--by", "Ada Doe"]].concat());
    let summary = site.json(&["ledger", "summary", "--by", "person", "--within", "1d"]);
    let count = &summary["counts"][0];
    assert_eq!((&count["id"], &count["breaches"], &count["active"]), (&"=4711".into(), &1.into(), &1.into()));
    assert_eq!(count["decision"]["measure"], "trained", "{summary:#}");
    assert_eq!(count["decision"]["by"], "Ada Doe");
    let decisions = site.run(&["ledger", "decisions", "--person", "=4711"]).stdout;
    assert!(decisions.contains("a course on 2026-12-01"), "{decisions}");
    let csv = site.run(&["ledger", "list", "--unit", "finance", "--format", "csv"]).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "at,alert,device,unit,person,kind,rule,app,severity,returned");
    assert!(
        lines[1].contains(",finance,'=4711,prohibited-app,no-consumer-messaging,telegram,high,no"),
        "{csv}"
    );
}
