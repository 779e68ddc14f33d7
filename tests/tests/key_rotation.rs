//! Device keys are replaced: the old one signs for the new one, and is of no use from then on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use offchannel_shared::wire::{CHECK_IN_PATH, ROTATE_PATH, RotateRequest, RotateResponse, codes};
use offchannel_tests::clock::now;
use offchannel_tests::device::{json, rotation};
use offchannel_tests::{Agent, Client, Device, Relay, Root, Signer, Site, wait_for};
use serde_json::Value;

/// A device, and the key that it is to have next.
fn scene(site: &Site) -> (Client, Device, Signer) {
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    (client, device, Signer::unknown())
}

fn rotate(client: &Client, signer: &Signer, request: &RotateRequest) -> offchannel_tests::Answer {
    signer.post(client, ROTATE_PATH, &json(request))
}

#[test]
fn the_old_key_is_of_no_use_from_the_next_request_on() {
    let site = Site::serving();
    let (client, device, new) = scene(&site);
    device.send_check_in(&client);
    let shown = site.only_device();
    assert_eq!(shown["device"]["key"], device.signer.public_key().id(), "{shown:#}");
    assert_eq!(shown["device"]["key_since"], shown["device"]["enrolled_at"], "{shown:#}");

    let request = rotation(&device.id, &device.signer, &new);
    let answer: RotateResponse = rotate(&client, &device.signer, &request).ok();
    let check_in = json(&device.check_in());
    let (status, code, message) = device.signer.post(&client, CHECK_IN_PATH, &check_in).refusal();
    assert_eq!((status, code.as_str()), (401, codes::KEY_REPLACED), "{message}");
    let new = new.named(device.id.as_str());
    assert_eq!(new.post(&client, CHECK_IN_PATH, &check_in).status, 200);

    let shown = site.only_device();
    assert_eq!(shown["device"]["key"], new.public_key().id(), "{shown:#}");
    assert_eq!(shown["device"]["key_since"], answer.key_since.to_string(), "{shown:#}");
    let text = site.run(&["device", "show", device.id.as_str()]).stdout;
    assert!(text.contains(&format!("Key      {}, since", new.public_key().id())), "{text}");
    let log = fs::read_to_string(site.log()).expect("the log");
    assert!(log.contains("the key of a device was replaced"), "{log}");
    assert!(log.contains("signed with a key that was replaced"), "{log}");
}

#[test]
fn a_repetition_is_answered_as_the_first_time_and_survives_a_kill_of_the_collector() {
    let mut site = Site::serving();
    let (client, device, new) = scene(&site);
    let request = rotation(&device.id, &device.signer, &new);
    let first: RotateResponse = rotate(&client, &device.signer, &request).ok();
    // An answer is given after the commit: nothing of it is lost.
    site.kill();
    site.start();
    let before = site.rows();
    let (status, code, _) = rotate(&client, &device.signer, &request).refusal();
    assert_eq!((status, code.as_str()), (401, codes::KEY_REPLACED));
    let new = new.named(device.id.as_str());
    let again: RotateResponse = rotate(&client, &new, &request).ok();
    assert_eq!(again.key_since, first.key_since);
    assert_eq!(site.rows()["devices"], before["devices"], "a repetition changes nothing");
}

#[test]
fn a_rotation_that_proves_nothing_changes_nothing() {
    let site = Site::serving();
    let (client, device, new) = scene(&site);
    let other = Device::enrol(&client, &site.token());
    let good = rotation(&device.id, &device.signer, &new);
    let before = site.rows();
    let refused = |request: &RotateRequest, expected: (u16, &str)| {
        let (status, code, message) = rotate(&client, &device.signer, request).refusal();
        assert_eq!((status, code.as_str()), expected, "{message}");
        assert_eq!(site.rows()["devices"], before["devices"]);
    };
    let unproven = (422, codes::KEY_UNPROVEN);
    refused(&rotation(&other.id, &device.signer, &new), unproven);
    refused(&rotation(&device.id, &other.signer, &new), unproven);
    refused(&RotateRequest { public_key: Signer::unknown().public_key(), ..good.clone() }, unproven);
    refused(&rotation(&device.id, &device.signer, &other.signer), (409, codes::KEY_TAKEN));
    // Somebody else's signature, and one request twice.
    let (status, code, _) = rotate(&client, &Signer::unknown().named(device.id.as_str()), &good).refusal();
    assert_eq!((status, code.as_str()), (401, codes::SIGNATURE_INVALID));
    let body = json(&good);
    let headers = device.signer.sign(ROTATE_PATH, &body, now());
    assert_eq!(client.post(ROTATE_PATH, &headers, &body).status, 200);
    let (status, code, _) = client.post(ROTATE_PATH, &headers, &body).refusal();
    assert_eq!((status, code.as_str()), (401, codes::KEY_REPLACED), "a replay is no repetition");
}

/// How many alerts say that the device has a copy.
fn copies(site: &Site) -> usize {
    site.alerts().iter().filter(|alert| alert["kind"] == "device-cloned").count()
}

#[test]
fn a_replaced_key_that_is_used_is_told_once_the_new_one_was() {
    let mut site = Site::serving();
    let (client, device, new) = scene(&site);
    let before = device.signer.sign(CHECK_IN_PATH, &json(&device.check_in()), now());
    let request = rotation(&device.id, &device.signer, &new);
    let replaced: RotateResponse = rotate(&client, &device.signer, &request).ok();
    let check_in = json(&device.check_in());
    let with_old = || {
        let (status, code, _) = device.signer.post(&client, CHECK_IN_PATH, &check_in).refusal();
        assert_eq!((status, code.as_str()), (401, codes::KEY_REPLACED));
    };
    // Signatures have whole seconds, and what was signed in the second of the replacement says nothing.
    wait_for("another second", || {
        if now().as_second() > replaced.key_since.as_second() { Ok(()) } else { Err(now().to_string()) }
    });
    // A device that was not told may do so, and offer its key again with either.
    with_old();
    assert_eq!(rotate(&client, &device.signer, &request).refusal().1, codes::KEY_REPLACED);
    let new = new.named(device.id.as_str());
    assert_eq!(rotate(&client, &new, &request).status, 200);
    with_old();
    assert_eq!(copies(&site), 0);
    // From here on the device knows.
    assert_eq!(new.post(&client, CHECK_IN_PATH, &check_in).status, 200);
    let seen = device.signer.sign(CHECK_IN_PATH, &check_in, now());
    // Nobody without the key can make it look so: another key, and a request that was made before, however often.
    let stranger = Signer::unknown().named(device.id.as_str());
    assert_eq!(stranger.post(&client, CHECK_IN_PATH, &check_in).refusal().1, codes::SIGNATURE_INVALID);
    for _ in 0..2 {
        assert_eq!(client.post(CHECK_IN_PATH, &before, &check_in).refusal().1, codes::KEY_REPLACED);
    }
    // Nor is it told by who has both keys.
    assert_eq!(rotate(&client, &device.signer, &request).refusal().1, codes::KEY_REPLACED);
    assert_eq!(copies(&site), 0);
    for _ in 0..2 {
        assert_eq!(client.post(CHECK_IN_PATH, &seen, &check_in).refusal().1, codes::KEY_REPLACED);
        with_old();
        assert_eq!(copies(&site), 1, "at once, and once");
    }
    let told = site.receiver.wait_for_kind("alert.opened", "device-cloned");
    let note = told.data["note"].as_str().unwrap_or_default();
    assert!(note.contains("with the key that was replaced at"), "{:#}", told.data);
    site.kill();
    site.start();
    with_old();
    assert_eq!(copies(&site), 1, "{:#?}", site.alerts());
}

fn key(site: &Site) -> String {
    site.only_device()["device"]["key"].as_str().expect("a key").to_owned()
}

#[track_caller]
fn wait_for_another_key(site: &Site, old: &str) -> String {
    wait_for("another key", || {
        let key = key(site);
        if key == old { Err(key) } else { Ok(key) }
    })
}

#[test]
fn an_agent_replaces_an_old_key_and_goes_on_with_the_new_one() {
    let site = Site::serving();
    let mut root = Root::new();
    let mut agent = Agent::running(&site, &root);
    site.wait_for_report();
    let old = key(&site);
    agent.stop();
    let before = agent.identity();
    agent.age_key();
    agent.start();
    let new = wait_for_another_key(&site, &old);
    wait_for("the agent to know", || {
        let identity = agent.identity();
        if identity["next"].is_null() && identity["seed"] != before["seed"] {
            Ok(())
        } else {
            Err(format!("next: {}", identity["next"].is_null()))
        }
    });
    let path = agent.identity_file();
    assert_eq!(fs::metadata(path).expect("the identity").permissions().mode() & 0o777, 0o600);
    root.install("telegram-desktop", "4.6.5");
    site.receiver.wait_for("alert.opened", "telegram");
    agent.stop();
    agent.start();
    root.remove("telegram-desktop");
    site.receiver.wait_for("alert.resolved", "telegram");
    assert_eq!(key(&site), new, "it is replaced once");
    assert_eq!(site.devices().len(), 1);
    assert_eq!(site.alerts().len(), 1, "a rotation is nothing to alert about");
}

#[test]
fn an_agent_that_is_killed_before_it_hears_of_its_new_key_is_not_locked_out() {
    let site = Site::serving();
    let root = Root::new();
    let relay = Relay::to(site.port().address());
    let mut agent = Agent::new(&relay.url(), &site.ca_file(), &site.token(), root.path());
    agent.start();
    site.wait_for_report();
    agent.stop();
    for round in 1..=3 {
        let old = key(&site);
        agent.age_key();
        // One answer must come, or nothing is replaced; the next is the one about the new key.
        relay.lose_answers_after(1);
        agent.start();
        let taken = wait_for_another_key(&site, &old);
        agent.kill();
        assert!(
            !agent.identity()["next"].is_null(),
            "round {round}: it does not know that its key was taken"
        );
        relay.lose_answers(false);
        agent.start();
        wait_for("the agent to know of its key", || {
            if agent.identity()["next"].is_null() { Ok(()) } else { Err("it does not".to_owned()) }
        });
        let contact = agent.command(&["status"]);
        assert_eq!(contact.code, 0, "{contact:#?}");
        assert_eq!(key(&site), taken, "round {round}: the key that was offered is the key in use");
        agent.stop();
        let goodbye = site.only_device();
        assert_eq!(goodbye["device"]["goodbye"]["reason"], "stop", "it is heard: {goodbye:#}");
    }
    assert_eq!(site.devices().len(), 1);
    assert_eq!(site.alerts(), Vec::<Value>::new());
}

#[test]
fn a_key_that_others_could_read_is_closed_to_them_and_replaced() {
    let site = Site::serving();
    let root = Root::new();
    let mut agent = Agent::running(&site, &root);
    site.wait_for_report();
    let old = key(&site);
    agent.stop();
    let path = agent.identity_file();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("rights");
    agent.start();
    wait_for_another_key(&site, &old);
    assert_eq!(fs::metadata(&path).expect("the identity").permissions().mode() & 0o777, 0o600);
    let log = agent.process().log();
    assert!(log.contains("other accounts could read the device's key"), "{log}");
    assert!(log.contains("find out what set these rights"), "{log}");
    // Once it has another key all is well with it.
    wait_for("the health of the identity", || {
        let shown = site.only_device();
        let sources = shown["sources"].as_array().cloned().unwrap_or_default();
        let health =
            sources.iter().find(|source| source["source"] == "identity").map(|s| s["health"].clone());
        if health == Some("ok".into()) { Ok(()) } else { Err(format!("{sources:#?}")) }
    });
}
