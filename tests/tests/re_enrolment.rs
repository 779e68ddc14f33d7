//! A device whose collector does not know it any more enrols again by itself, once there is a token for it.

use std::fs;

use offchannel_tests::{Agent, Root, Site, wait_for};
use serde_json::Value;

/// Puts a token where the agent looks for one, as device management does it.
fn place_token(agent: &Agent, token: &str) {
    let file = agent.token_file();
    let draft = file.with_extension("new");
    fs::write(&draft, format!("{token}\n")).expect("a token file");
    fs::rename(draft, file).expect("a token file");
}

fn id(device: &Value) -> String {
    device["id"].as_str().expect("an id").to_owned()
}

#[track_caller]
fn wait_for_another_device(site: &Site, old: &str) -> Value {
    wait_for("another device that has reported", || {
        let devices = site.devices();
        let new = devices.iter().find(|device| device["id"] != old && !device["reported_at"].is_null());
        new.cloned().ok_or_else(|| format!("{devices:#?}"))
    })
}

#[test]
fn a_running_agent_of_a_retired_device_enrols_again_with_a_token() {
    let site = Site::serving();
    let mut root = Root::new();
    root.install("telegram-desktop", "4.6.5");
    let mut agent = Agent::running(&site, &root);
    let old = id(&site.wait_for_report());
    wait_for("the first token to be gone", || {
        if agent.token_file().exists() { Err("it is there".to_owned()) } else { Ok(()) }
    });
    let pid = agent.process().id();
    let before = agent.wait_for_state("the acknowledgement", |state| {
        (state["acknowledged"].as_u64() >= Some(1)).then(|| state.clone())
    });
    // The token is there before the collector refuses, so that nobody has to wait for the next attempt.
    place_token(&agent, &site.token());
    assert_eq!(site.run(&["device", "retire", &old]).code, 0);
    let new = wait_for_another_device(&site, &old);
    assert_eq!(agent.process().id(), pid, "it is the same process");
    assert!(!agent.token_file().exists(), "the token is used, and worth something to others");
    let state = agent.wait_for_state("the new name", |state| {
        let known = state["enrolment"]["device_id"] == new["id"] && state["acknowledged"].as_u64() >= Some(1);
        known.then(|| state.clone())
    });
    assert_ne!(state["epoch"], before["epoch"], "another life");
    assert_eq!(state["first_seen"], before["first_seen"], "what was known stays known");
    assert!(state["trouble"].is_null(), "{state:#}");
    let shown = site.json(&["device", "show", &id(&new)]);
    assert_eq!(shown["sightings"][0]["app"], "telegram", "{shown:#}");
    assert_eq!(shown["alerts"].as_array().map(Vec::len), Some(1), "nothing but the app: {shown:#}");
    // It goes on under its new name, also after a restart.
    root.remove("telegram-desktop");
    wait_for("the removal to be told", || {
        let shown = site.json(&["device", "show", &id(&new)]);
        if shown["alerts"][0]["state"] == "resolved" { Ok(()) } else { Err(format!("{shown:#}")) }
    });
    agent.stop();
    agent.start();
    root.install("telegram-desktop", "4.6.5");
    wait_for("the app to be told again", || {
        let shown = site.json(&["device", "show", &id(&new)]);
        if shown["alerts"][0]["state"] == "open" { Ok(()) } else { Err(format!("{shown:#}")) }
    });
    assert_eq!(site.devices().len(), 1, "one besides the retired one");
}

#[test]
fn without_a_token_it_says_what_to_do_and_a_bad_one_is_no_end() {
    let site = Site::serving();
    let root = Root::new();
    let mut agent = Agent::running(&site, &root);
    let old = id(&site.wait_for_report());
    assert_eq!(site.run(&["device", "retire", &old]).code, 0);
    let trouble =
        agent.wait_for_state("the trouble", |state| state["trouble"]["what"].as_str().map(str::to_owned));
    assert!(trouble.contains("put a new token where enrolment.token_file says"), "{trouble}");
    let status = agent.command(&["status"]);
    assert!(status.stdout.contains("put a new token"), "{status:#?}");

    // A token that was revoked is refused, which the agent survives.
    let (revoked, text) = site.token_with(&[]);
    assert_eq!(site.run(&["token", "revoke", &revoked]).code, 0);
    agent.stop();
    place_token(&agent, &text);
    agent.start();
    let trouble = agent.wait_for_state("the refusal", |state| {
        state["trouble"]["what"].as_str().filter(|what| what.contains("revoked")).map(str::to_owned)
    });
    assert!(trouble.contains("ask for a new one"), "{trouble}");
    assert!(!trouble.contains(&text), "the token is in the state file");
    assert!(agent.process().ended().is_none(), "an agent that ends hides the device");
    assert!(agent.token_file().exists(), "nobody has used it");

    place_token(&agent, &site.token());
    agent.stop();
    agent.start();
    wait_for_another_device(&site, &old);
}

#[test]
fn a_collector_whose_database_was_lost_gets_its_devices_back() {
    let mut site = Site::serving();
    let mut root = Root::new();
    root.install("telegram-desktop", "4.6.5");
    // A policy that the new database does not have, and whose version is higher than any of it.
    site.publish(offchannel_tests::site::POLICY);
    let agent = Agent::running(&site, &root);
    let old = id(&site.wait_for_report());
    site.stop();
    for file in ["offchannel.db", "offchannel.db-announced"] {
        fs::remove_file(site.data().join(file)).expect("the database");
    }
    assert_eq!(site.run(&["migrate"]).code, 0);
    site.publish(offchannel_tests::site::POLICY);
    place_token(&agent, &site.token());
    site.start();
    let new = wait_for_another_device(&site, &old);
    let shown = site.json(&["device", "show", &id(&new)]);
    assert_eq!(shown["sightings"][0]["app"], "telegram", "{shown:#}");
    assert_eq!(shown["device"]["policy_version"], 1, "the policy of the new database is in force: {shown:#}");
    let alerts: Vec<&Value> = shown["alerts"].as_array().expect("alerts").iter().collect();
    assert_eq!(alerts.len(), 1, "{shown:#}");
}
