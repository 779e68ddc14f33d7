//! The main job, end to end: an app comes, the alert opens and the webhook hears it; it goes, the alert resolves.

use jiff::Timestamp;
use offchannel_shared::inventory::{Health, SourceHealth};
use offchannel_tests::clock::{instant, now};
use offchannel_tests::device::dpkg;
use offchannel_tests::{Agent, Device, Root, Site, wait_for};

const VERSION: &str = "4.6.5+ds-2+b1";

#[test]
fn an_alert_follows_an_app_that_comes_goes_and_comes_back() {
    let site = Site::serving();
    let mut root = Root::new();
    let _agent = Agent::running(&site, &root);
    let device = site.wait_for_report();
    assert_eq!(device["status"], "compliant", "{device:#?}");

    let installed = instant();
    root.install("telegram-desktop", VERSION);
    let opened = site.receiver.wait_for("alert.opened", "telegram");
    println!("from the rename of the package database to the webhook: {:?}", opened.at - installed);
    let data = &opened.data;
    assert_eq!(data["alert"]["kind"], "prohibited-app", "{data:#}");
    assert_eq!(data["alert"]["severity"], "high", "{data:#}");
    assert_eq!(data["rule"]["id"], "no-consumer-messaging", "{data:#}");
    assert_eq!(data["rule"]["reason"], "We cannot keep records of it.", "{data:#}");
    assert_eq!(data["rule"]["alternatives"][0], "Microsoft Teams", "{data:#}");
    assert_eq!(data["device"]["id"], device["id"], "{data:#}");
    let evidence = data["evidence"].as_array().expect("evidence");
    assert_eq!(evidence.len(), 1, "{data:#}");
    for (field, value) in
        [("source", "dpkg"), ("identifier", "telegram-desktop"), ("version", VERSION), ("scope", "system")]
    {
        assert_eq!(evidence[0][field], value, "{field} of {data:#}");
    }
    let alert = site.alert_about("telegram");
    assert_eq!((&alert["state"], alert["id"].as_str()), (&"open".into(), Some(opened.alert())), "{alert:#}");

    root.remove("telegram-desktop");
    let resolved = site.receiver.wait_for("alert.resolved", "telegram");
    assert_eq!(resolved.alert(), opened.alert());
    assert_eq!(resolved.data["alert"]["cause"], "removed", "{:#}", resolved.data);
    assert_eq!(site.alert_about("telegram")["state"], "resolved");

    root.install("telegram-desktop", VERSION);
    let reopened = site.receiver.wait_for("alert.reopened", "telegram");
    assert_eq!(reopened.alert(), opened.alert(), "the same alert comes back");
    assert_eq!(reopened.data["alert"]["reopened"], 1, "{:#}", reopened.data);
    let alert = site.alert_about("telegram");
    assert_eq!((&alert["state"], &alert["reopened"]), (&"open".into(), &1.into()), "{alert:#}");
    assert_eq!(site.history(opened.alert()), ["opened", "resolved", "reopened"]);
    assert_eq!(site.receiver.heard().len(), 3, "nothing is heard twice: {:#?}", site.receiver.heard());
    let device = site.only_device();
    assert_eq!(device["device"]["status"], "breach", "{device:#}");
}

#[test]
fn another_version_of_a_prohibited_app_is_no_new_alert() {
    let site = Site::serving();
    let mut root = Root::new();
    root.install("telegram-desktop", "4.6.4-1");
    let _agent = Agent::running(&site, &root);
    let opened = site.receiver.wait_for("alert.opened", "telegram");
    root.install("telegram-desktop", VERSION);
    wait_for("the new version to be reported", || {
        let device = site.only_device();
        if device["sightings"][0]["version"] == VERSION { Ok(()) } else { Err(format!("{device:#}")) }
    });
    assert_eq!(site.history(opened.alert()), ["opened"]);
}

#[test]
fn what_came_and_went_while_the_collector_was_down_is_not_lost() {
    let mut site = Site::serving();
    let mut root = Root::new();
    let agent = Agent::running(&site, &root);
    site.wait_for_report();
    // Its first report is acknowledged, so that everything after it is a transition.
    agent.wait_for_state("the first report to be acknowledged", |state| {
        state["acknowledged"].as_u64().filter(|revision| *revision > 0)
    });

    let stopped = now();
    assert!(site.stop().success(), "the collector stops cleanly");
    let transitions = |count: usize| {
        let what = format!("{count} transitions to be on the agent's disk");
        agent.wait_for_state(&what, |state| (state["transitions"].as_array()?.len() == count).then_some(()));
    };
    root.install("telegram-desktop", VERSION);
    transitions(1);
    root.remove("telegram-desktop");
    transitions(2);
    let started = now();
    site.start();

    let opened = site.receiver.wait_for("alert.opened", "telegram");
    let resolved = site.receiver.wait_for("alert.resolved", "telegram");
    assert_eq!(opened.alert(), resolved.alert());
    assert_eq!(opened.data["evidence"][0]["version"], VERSION, "{:#}", opened.data);
    assert_eq!(site.history(opened.alert()), ["opened", "resolved"]);
    let shown = site.json(&["alert", "show", opened.alert()]);
    for event in shown["history"].as_array().expect("a history") {
        let at: Timestamp = event["at"].as_str().and_then(|at| at.parse().ok()).expect("an instant");
        assert!(stopped <= at && at <= started, "it happened from {stopped} to {started}, not at {at}");
    }
    let sightings = &site.only_device()["sightings"];
    assert_eq!(sightings.as_array().map(Vec::len), Some(0), "{sightings:#}");
}

#[test]
fn an_agent_that_stops_says_goodbye_and_raises_no_alert() {
    let site = Site::serving();
    let root = Root::new();
    let mut agent = Agent::running(&site, &root);
    site.wait_for_report();
    assert!(agent.stop().success(), "the agent stops cleanly");
    let device = site.only_device();
    assert_eq!(device["device"]["goodbye"]["reason"], "stop", "{device:#}");
    assert_eq!(site.alerts(), Vec::<serde_json::Value>::new());

    agent.start();
    wait_for("the agent to be back", || {
        let device = site.only_device();
        if device["device"]["goodbye"].is_null() { Ok(()) } else { Err(format!("{device:#}")) }
    });
    assert_eq!(site.devices().len(), 1);
}

#[test]
fn an_agent_that_refuses_its_policy_is_an_alert_until_it_takes_one() {
    let site = Site::serving();
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    let why = "the policy bundle has version 1, older than version 2 in force".to_owned();
    let ill = vec![SourceHealth { source: "policy".to_owned(), health: Health::Failed(why) }];
    device.send(&client, &device.report_with(1, vec![dpkg("telegram", "telegram-desktop", VERSION)], ill));
    let opened = site.receiver.wait("a refused policy", |heard| {
        heard.iter().find(|heard| heard.data["alert"]["kind"] == "policy-refused").cloned()
    });
    assert_eq!(opened.data["device"]["id"], device.id.as_str(), "{:#}", opened.data);
    let told = &opened.data["troubles"];
    assert_eq!((&told[0]["source"], &told[0]["health"]), (&"policy".into(), &"failed".into()), "{told:#}");
    site.receiver.wait_for("alert.opened", "telegram");

    device.send(&client, &device.report(2, Vec::new()));
    site.receiver.wait("a policy that was taken", |heard| {
        heard.iter().find(|heard| heard.kind == "alert.resolved" && heard.alert() == opened.alert()).cloned()
    });
}

#[test]
fn an_app_is_not_gone_because_its_place_cannot_be_read() {
    let site = Site::serving();
    let mut root = Root::new();
    root.install("telegram-desktop", VERSION);
    let _agent = Agent::running(&site, &root);
    let opened = site.receiver.wait_for("alert.opened", "telegram");
    root.damage();
    wait_for("the damage to be reported", || {
        let device = site.only_device();
        let sources = device["sources"].as_array().expect("sources");
        let dpkg = sources.iter().find(|source| source["source"] == "dpkg").expect("dpkg");
        if dpkg["health"] == "ok" { Err(format!("{dpkg:#}")) } else { Ok(()) }
    });
    assert_eq!(site.history(opened.alert()), ["opened"], "nobody has seen it go");
}
