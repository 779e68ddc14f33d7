//! What an agent takes as policy: signed by the right key, unaltered, in time, and never older.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offchannel_shared::inventory::Health;
use offchannel_shared::policy::BUNDLE_TYPE;
use offchannel_shared::signing::{Envelope, SigningKey};
use offchannel_shared::span::Span;
use offchannel_shared::wire::ReportRequest;
use offchannel_tests::clock::now;
use offchannel_tests::collector::bundle;
use offchannel_tests::device::{json, random};
use offchannel_tests::{Agent, Collector, Root};

fn policy(app: &str) -> String {
    format!(
        "schema = 1\nname = \"Trust\"\ncheck_in_every = \"5s\"\n\n\
         [[rule]]\nid = \"no-{app}\"\nverdict = \"prohibited\"\napps = [\"{app}\"]\n"
    )
}

/// Why the agent says it refused a policy; `None` if it says that all is well.
fn refusal(report: &ReportRequest) -> Option<String> {
    let health =
        report.inventory.sources.iter().find(|part| part.source == "policy").map(|part| &part.health);
    match health {
        Some(Health::Ok) => None,
        Some(Health::Failed(why)) => Some(why.clone()),
        other => panic!("the health of the policy should be ok or failed: {other:?}"),
    }
}

fn apps(report: &ReportRequest) -> BTreeSet<&str> {
    report.inventory.sightings.iter().map(|sighting| sighting.app.as_str()).collect()
}

/// A collector that has version 2 about Telegram in force, and an agent that has it, on a machine with both apps.
fn begin() -> (Collector, Root, Agent) {
    let collector = Collector::start(&bundle(2, &policy("telegram")));
    let mut root = Root::new();
    root.install("hexchat", "2.16.1-1");
    root.install("telegram-desktop", "1");
    let mut agent = collector.agent(root.path());
    let mark = collector.mark();
    agent.start();
    let first = collector.wait_after(&mark, "the first report", |_, reports| reports.last().cloned());
    assert_eq!(
        (refusal(&first), apps(&first), first.policy_version),
        (None, BTreeSet::from(["telegram"]), 2)
    );
    (collector, root, agent)
}

#[test]
fn a_policy_that_cannot_be_trusted_is_refused_and_the_last_good_one_stays() {
    let (collector, mut root, _agent) = begin();
    let good = collector.seal(&bundle(3, &policy("hexchat")));
    let mut altered = good.clone();
    let text = STANDARD
        .decode(&altered.payload)
        .map(|bytes| String::from_utf8_lossy(&bytes).replace("\"no-", "\"on-"));
    altered.payload = STANDARD.encode(text.expect("a payload"));
    assert_ne!(altered, good);
    let mut expired = bundle(3, &policy("hexchat"));
    expired.expires_at = Span::minutes(1).before(now());
    let stranger = SigningKey::from_seed(&random::<32>()).expect("a key");
    let foreign = Envelope::seal(BUNDLE_TYPE, &json(&bundle(3, &policy("hexchat"))), &stranger);
    let other_type = Envelope { payload_type: "application/json".to_owned(), ..good.clone() };
    let bad = [
        (
            "older",
            collector.seal(&bundle(1, &policy("hexchat"))),
            "has version 1, older than version 2 in force",
        ),
        ("altered", altered, "is not signed by a trusted key"),
        ("expired", collector.seal(&expired), "expired at"),
        ("of another key", foreign, "is not signed by a trusted key"),
        ("not a policy", other_type, "payload type"),
    ];
    for (number, (what, envelope, expected)) in bad.into_iter().enumerate() {
        collector.offer(Some(envelope));
        // A change is reported at once, and the answer to the report carries the offer.
        root.install("telegram-desktop", &format!("2.{number}"));
        let report = collector.wait(&format!("the refusal of the bundle that is {what}"), |_, reports| {
            reports.iter().find(|report| refusal(report).is_some_and(|why| why.contains(expected))).cloned()
        });
        assert_eq!((apps(&report), report.policy_version), (BTreeSet::from(["telegram"]), 2), "{what}");
    }
    collector.offer(Some(good));
    root.install("telegram-desktop", "3");
    let report = collector.wait("the good bundle to be in force", |_, reports| {
        reports
            .iter()
            .find(|report| report.policy_version == 3 && !apps(report).contains("telegram"))
            .cloned()
    });
    assert_eq!((refusal(&report), apps(&report)), (None, BTreeSet::from(["hexchat"])));
}

#[test]
fn a_restart_does_not_make_an_agent_take_an_older_policy() {
    let (collector, mut root, mut agent) = begin();
    agent.kill();
    collector.offer(Some(collector.seal(&bundle(1, &policy("hexchat")))));
    let mark = collector.mark();
    agent.start();
    root.install("telegram-desktop", "2");
    let report = collector.wait_after(&mark, "the refusal of the older bundle", |_, reports| {
        reports.iter().find(|report| refusal(report).is_some()).cloned()
    });
    assert_eq!((apps(&report), report.policy_version), (BTreeSet::from(["telegram"]), 2));
    assert!(refusal(&report).is_some_and(|why| why.contains("older")), "{report:#?}");
}

#[test]
fn a_policy_file_that_was_altered_on_disk_is_not_used() {
    let (collector, root, mut agent) = begin();
    agent.kill();
    let file = agent.state_dir().join("policy.json");
    let stranger = SigningKey::from_seed(&random::<32>()).expect("a key");
    let foreign = Envelope::seal(BUNDLE_TYPE, &json(&bundle(9, &policy("hexchat"))), &stranger);
    std::fs::write(&file, json(&foreign)).expect("an altered policy file");
    let mark = collector.mark();
    agent.start();
    // Without a policy it asks for one, gets version 2 again and goes on with it.
    let asked = collector
        .wait_after(&mark, "the agent to ask for a policy", |check_ins, _| check_ins.first().cloned());
    assert_eq!(asked.policy_version, 0, "{asked:#?}");
    let report =
        collector.wait_after(&mark, "a report by the genuine policy", |_, reports| reports.last().cloned());
    assert_eq!((apps(&report), report.policy_version), (BTreeSet::from(["telegram"]), 2), "{report:#?}");
    drop(root);
}
