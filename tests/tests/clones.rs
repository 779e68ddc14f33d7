//! Disk images that were copied with an enrolled agent in them: two real agents, one identity.

use std::fs;
use std::path::Path;

use offchannel_tests::{Agent, Root, Site, wait_for};
use serde_json::Value;

/// The tree of another machine.
fn other_machine(machine_id: &str) -> Root {
    let root = Root::new();
    fs::write(root.path().join("etc/machine-id"), format!("{machine_id}\n")).expect("a machine id");
    root
}

/// A copy of an agent's state, which has no token, on another machine.
fn copied(site: &Site, original: &Agent, root: &Root) -> Agent {
    let copy = Agent::of(site, root);
    fs::remove_file(copy.token_file()).expect("the token");
    copy_state(&original.state_dir(), &copy.state_dir());
    copy
}

fn copy_state(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a state folder");
    for entry in fs::read_dir(from).expect("the state folder") {
        let entry = entry.expect("an entry").path();
        let name = entry.file_name().expect("a name");
        fs::copy(&entry, to.join(name)).expect("a copy with its rights");
    }
}

fn set(agent: &Agent, setting: &str) {
    let config = fs::read_to_string(agent.config()).expect("the configuration");
    fs::write(agent.config(), format!("{config}\n[identity]\n{setting}\n")).expect("the configuration");
}

fn about(site: &Site, kind: &str) -> Vec<Value> {
    site.alerts().into_iter().filter(|alert| alert["kind"] == kind).collect()
}

/// The health of the agent's identity, as it was reported last.
fn health(agent: &Agent) -> Value {
    let state = agent.state();
    let sources = state["sent"]["report"]["inventory"]["sources"].as_array().cloned().unwrap_or_default();
    sources.into_iter().find(|source| source["source"] == "identity").unwrap_or_default()
}

#[test]
fn two_live_machines_with_one_key_are_one_alert_that_stays() {
    let site = Site::serving();
    let (root, elsewhere) = (Root::new(), other_machine("ffffffffffffffffffffffffffffffff"));
    let mut original = Agent::running(&site, &root);
    site.wait_for_report();
    original.stop();
    let mut copy = copied(&site, &original, &elsewhere);
    original.start();
    copy.start();
    wait_for("the alert", || {
        let alerts = site.alerts();
        if about(&site, "device-cloned").len() == 1 { Ok(()) } else { Err(format!("{alerts:#?}")) }
    });
    let state = health(&copy);
    assert_eq!(state["health"], "partial", "{state:#}");
    assert!(state["why"].as_str().is_some_and(|why| why.contains("made on another machine")), "{state:#}");
    assert_eq!(health(&original)["health"], "ok");
    // Both go on reporting, turn by turn.
    let seen = original.state()["epoch"].clone();
    assert_ne!(copy.state()["epoch"], seen, "each has a life of its own");
    let mut turns = 0;
    let mut last = String::new();
    wait_for("some more turns", || {
        let devices = site.devices();
        let at = devices[0]["reported_at"].to_string();
        if at != last {
            last = at;
            turns += 1;
        }
        if turns > 3 { Ok(()) } else { Err(format!("{turns} turns")) }
    });
    let alerts = site.alerts();
    assert_eq!(alerts.len(), 2, "{alerts:#?}");
    for kind in ["machine-changed", "device-cloned"] {
        let alert = about(&site, kind).pop().expect(kind);
        let history = site.history(alert["id"].as_str().expect("an id"));
        assert_eq!(history, ["opened"], "{kind} does not come and go");
    }
    assert_eq!(site.devices().len(), 1);
}

#[test]
fn a_copy_with_a_token_becomes_a_device_of_its_own_where_that_is_wanted() {
    let site = Site::serving();
    let (root, mut elsewhere) = (Root::new(), other_machine("ffffffffffffffffffffffffffffffff"));
    let mut original = Agent::running(&site, &root);
    let first = site.wait_for_report();
    original.stop();
    let mut copy = copied(&site, &original, &elsewhere);
    set(&copy, "on_clone = \"re-enrol\"");
    fs::write(copy.token_file(), site.token()).expect("a token");
    elsewhere.install("telegram-desktop", "4.6.5");
    original.start();
    copy.start();
    let opened = site.receiver.wait_for("alert.opened", "telegram");
    assert_ne!(opened.data["device"]["id"], first["id"], "it is the copy's: {:#}", opened.data);
    assert!(!copy.token_file().exists());
    assert_eq!(site.devices().len(), 2);
    assert_eq!(about(&site, "device-cloned"), Vec::<Value>::new());
    assert_eq!(health(&copy)["health"], "ok");
    let key = |agent: &Agent| {
        let text = fs::read(agent.state_dir().join("identity.json")).expect("the identity");
        serde_json::from_slice::<Value>(&text).expect("JSON")["seed"].clone()
    };
    assert_ne!(key(&original), key(&copy), "each has its own key");
}

#[test]
fn a_copy_without_a_token_is_not_left_without_a_name() {
    let site = Site::serving();
    let (root, elsewhere) = (Root::new(), other_machine("ffffffffffffffffffffffffffffffff"));
    let mut original = Agent::running(&site, &root);
    site.wait_for_report();
    original.stop();
    let mut copy = copied(&site, &original, &elsewhere);
    set(&copy, "on_clone = \"re-enrol\"");
    copy.start();
    wait_for("the copy to say what it is", || {
        let state = health(&copy);
        if state["health"] == "partial" { Ok(()) } else { Err(format!("{state:#}")) }
    });
    // The original never came back: this may as well be the same device on a new disk, and that is what is said.
    let told = site.receiver.wait_for_kind("alert.opened", "machine-changed");
    let note = told.data["note"].as_str().unwrap_or_default();
    assert!(note.contains("reports from another machine than before"), "{:#}", told.data);
    let shown = site.only_device();
    assert_eq!(about(&site, "device-cloned"), Vec::<Value>::new(), "{shown:#}");
    assert_eq!(about(&site, "machine-changed").len(), 1, "{shown:#}");
}

#[test]
fn what_is_no_copy_is_not_taken_for_one() {
    let site = Site::serving();
    let mut root = Root::new();
    let mut agent = Agent::running(&site, &root);
    site.wait_for_report();
    agent.stop();
    let backup = tempfile::tempdir().expect("a folder");
    copy_state(&agent.state_dir(), backup.path());
    agent.start();
    root.install("telegram-desktop", "4.6.5");
    site.receiver.wait_for("alert.opened", "telegram");
    agent.stop();

    // Restored from a backup, on the same machine.
    copy_state(backup.path(), &agent.state_dir());
    agent.start();
    root.remove("telegram-desktop");
    site.receiver.wait_for("alert.resolved", "telegram");
    agent.stop();

    // A machine id that cannot be read.
    let id = root.path().join("etc/machine-id");
    fs::rename(&id, root.path().join("etc/away")).expect("the machine id");
    agent.start();
    root.install("telegram-desktop", "4.6.5");
    site.receiver.wait_for("alert.reopened", "telegram");
    agent.stop();
    fs::rename(root.path().join("etc/away"), &id).expect("the machine id");

    assert_eq!(about(&site, "machine-changed"), Vec::<Value>::new());

    // A system that was installed anew, with the state folder kept: nobody has the old machine id any more.
    fs::write(&id, "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n").expect("a machine id");
    for _ in 0..2 {
        agent.start();
        root.toggle("telegram-desktop", "4.6.5");
        let wanted = if root.has("telegram-desktop") { "open" } else { "resolved" };
        wait_for("the change to be told", || {
            let alert = site.alert_about("telegram");
            if alert["state"] == wanted { Ok(()) } else { Err(format!("{alert:#}")) }
        });
        agent.stop();
    }
    assert_eq!(about(&site, "device-cloned"), Vec::<Value>::new());
    assert_eq!(about(&site, "machine-changed").len(), 1, "it is told once");
    assert_eq!(site.devices().len(), 1);
}

#[test]
fn a_copy_that_still_has_the_key_from_before_is_told_of_although_it_is_refused() {
    let site = Site::serving();
    let mut root = Root::new();
    let mut original = Agent::running(&site, &root);
    let first = site.wait_for_report();
    original.stop();
    // A backup of the whole disk: the machine id as well.
    let twin = Root::new();
    let mut copy = copied(&site, &original, &twin);
    let path = original.state_dir().join("identity.json");
    let mut identity: Value = serde_json::from_slice(&fs::read(&path).expect("the identity")).expect("JSON");
    identity["key_since"] = "2020-01-01T00:00:00Z".into();
    fs::write(&path, identity.to_string()).expect("the identity");
    original.start();
    wait_for("another key", || {
        let key = site.only_device()["device"]["key"].clone();
        if key == first["key"] { Err(key.to_string()) } else { Ok(()) }
    });
    root.install("telegram-desktop", "4.6.5");
    site.receiver.wait_for("alert.opened", "telegram");
    assert_eq!(about(&site, "device-cloned"), Vec::<Value>::new());
    wait_for("the alert", || {
        // Each start asks once; what was signed in the second of the replacement says nothing.
        copy.start();
        wait_for("a refusal", || {
            let trouble = copy.state()["trouble"].clone();
            if trouble.is_null() { Err("none yet".to_owned()) } else { Ok(()) }
        });
        copy.stop();
        let alerts = site.alerts();
        if about(&site, "device-cloned").len() == 1 { Ok(()) } else { Err(format!("{alerts:#?}")) }
    });
    // What the original says of its apps is about the original.
    root.remove("telegram-desktop");
    site.receiver.wait_for("alert.resolved", "telegram");
    assert_eq!(about(&site, "device-cloned").len(), 1);
    assert_eq!(about(&site, "machine-changed"), Vec::<Value>::new());
}
