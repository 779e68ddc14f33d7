//! Enrolment tokens: good for so many devices and so long, and never for more.

use jiff::Timestamp;
use offchannel_shared::wire::{ENROL_PATH, EnrolResponse, codes};
use offchannel_tests::clock::now;
use offchannel_tests::device::{enrolment, json};
use offchannel_tests::{Agent, Client, Device, Relay, Root, Signer, Site, wait_for};
use serde_json::Value;

/// What the collector knows of its only token.
fn token(site: &Site) -> Value {
    let list = site.json(&["token", "list"]);
    let tokens = list["tokens"].as_array().expect("a list of tokens");
    assert_eq!(tokens.len(), 1, "{list:#}");
    tokens[0].clone()
}

/// A token's public half, and its secret, which may have underscores of its own.
fn split(token: &str) -> (&str, &str) {
    let (third, _) = token.match_indices('_').nth(2).expect("oct1, tok, id and secret");
    (&token[..third], &token[third + 1..])
}

/// Enrols a new key, which must be refused; returns the message.
#[track_caller]
fn refused(site: &Site, client: &Client, token: &str) -> String {
    let signer = Signer::unknown();
    let before = site.rows();
    let (status, code, message) =
        signer.post(client, ENROL_PATH, &json(&enrolment(&signer, token))).refusal();
    assert_eq!((status, code.as_str()), (403, codes::TOKEN_REFUSED), "{message}");
    assert_eq!(site.rows(), before, "refused, but the database has changed");
    message
}

#[test]
fn a_token_enrols_as_many_devices_as_it_says() {
    let site = Site::serving();
    let client = site.client();
    site.json(&["unit", "add", "sales", "--author", "tests"]);
    let (_, text) = site.token_with(&["--uses", "2", "--unit", "sales", "--ownership", "personal"]);
    let devices = [Device::enrol(&client, &text), Device::enrol(&client, &text)];
    assert_ne!(devices[0].id, devices[1].id);
    let message = refused(&site, &client, &text);
    assert!(message.contains("was used 2 times"), "{message}");
    let listed = site.devices();
    assert_eq!(listed.len(), 2, "{listed:#?}");
    for device in listed {
        assert_eq!(
            (&device["units"][0], &device["ownership"]),
            (&"sales".into(), &"personal".into()),
            "{device:#}"
        );
    }
    assert_eq!(token(&site)["uses"], 2);
}

#[test]
fn a_token_ends_at_its_time() {
    let site = Site::serving();
    let client = site.client();
    let (_, text) = site.token_with(&["--expires", "1s"]);
    let end: Timestamp =
        token(&site)["expires_at"].as_str().and_then(|at| at.parse().ok()).expect("an instant");
    wait_for("the token to expire", || if now() > end { Ok(()) } else { Err(format!("it ends at {end}")) });
    let message = refused(&site, &client, &text);
    assert!(message.contains("expired"), "{message}");
}

#[test]
fn a_token_that_was_revoked_enrols_nobody_and_takes_nobody_out() {
    let site = Site::serving();
    let client = site.client();
    let (id, text) = site.token_with(&["--uses", "5"]);
    let device = Device::enrol(&client, &text);
    let revoked = site.run(&["token", "revoke", &id]);
    assert_eq!(revoked.code, 0, "{revoked:#?}");
    let message = refused(&site, &client, &text);
    assert!(message.contains("revoked"), "{message}");
    device.send_check_in(&client);
}

#[test]
fn what_is_no_token_of_this_collector_enrols_nobody() {
    let site = Site::serving();
    let client = site.client();
    let (_, good) = site.token_with(&[]);
    let (_, foreign) = Site::serving().token_with(&[]);
    let (head, secret) = split(&good);
    let first = if secret.starts_with('A') { "B" } else { "A" };
    let other_secret = format!("{head}_{first}{}", &secret[1..]);
    for text in ["", " ", "oct1_", "letmein", head, &other_secret, &foreign, &good.to_uppercase()] {
        refused(&site, &client, text);
    }
    assert_eq!(token(&site)["uses"], 0);
    Device::enrol(&client, &good);
}

#[test]
fn the_secret_of_a_token_is_stored_nowhere() {
    let site = Site::serving();
    let (_, text) = site.token_with(&[]);
    Device::enrol(&site.client(), &text);
    let (_, secret) = split(&text);
    for (table, rows) in site.rows() {
        assert!(rows.iter().all(|row| !row.contains(secret)), "the secret is in {table}");
    }
    let log = std::fs::read_to_string(site.log()).expect("the log");
    assert!(!log.contains(secret), "the secret is in the log");
}

#[test]
fn enrolling_the_same_key_again_gives_the_same_device_and_costs_one_use() {
    let site = Site::serving();
    let client = site.client();
    let (_, text) = site.token_with(&[]);
    let signer = Signer::unknown();
    let request = json(&enrolment(&signer, &text));
    let first: EnrolResponse = signer.post(&client, ENROL_PATH, &request).ok();
    let second: EnrolResponse = signer.post(&client, ENROL_PATH, &request).ok();
    assert_eq!(first.device_id, second.device_id);
    assert_eq!(token(&site)["uses"], 1);
    assert_eq!(site.devices().len(), 1);
}

#[test]
fn an_agent_whose_enrolment_was_never_answered_is_enrolled_once() {
    let site = Site::serving();
    let root = Root::new();
    let relay = Relay::to(site.port().address());
    let (_, text) = site.token_with(&[]);
    let mut agent = Agent::new(&relay.url(), &site.ca_file(), &text, root.path());
    relay.lose_answers(true);
    agent.start();
    wait_for("the enrolment to arrive", || {
        let token = token(&site);
        if token["uses"] == 1 { Ok(()) } else { Err(format!("{token:#}")) }
    });
    agent.kill();
    assert!(agent.token_file().exists(), "the token is still needed");

    relay.lose_answers(false);
    agent.start();
    let device = site.wait_for_report();
    assert_eq!(site.devices().len(), 1);
    assert_eq!(token(&site)["uses"], 1);
    assert_eq!(device["hostname"], "journey", "{device:#}");
    wait_for("the token file to be removed", || {
        if agent.token_file().exists() { Err("it is there".to_owned()) } else { Ok(()) }
    });
}

#[test]
fn an_agent_with_a_bad_token_says_so_and_ends() {
    let site = Site::serving();
    let root = Root::new();
    let (id, text) = site.token_with(&[]);
    assert_eq!(site.run(&["token", "revoke", &id]).code, 0);
    let mut agent = Agent::new(&site.url(), &site.ca_file(), &text, root.path());
    agent.start();
    let ended = agent.process().wait();
    assert_eq!(ended.code(), Some(1));
    let log = agent.process().log();
    assert!(log.contains("revoked") && log.contains("ask for a new one"), "{log}");
    assert!(!log.contains(&text), "the log holds the token");
}
