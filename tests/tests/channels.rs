//! Channels as an operator sets them up: listed, tried out, and what was given up sent again. No secret is ever shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use offchannel_tests::device::dpkg;
use offchannel_tests::receiver::SECRET;
use offchannel_tests::{Device, Mode, Output, Site, programs, wait_for};
use serde_json::Value;

/// The channels of every kind beside the site's own webhook, none of them enabled.
const OTHERS: &str = r#"
[[channel]]
name = "teams"
kind = "teams"
enabled = false
url_file = "teams.url"

[[channel]]
name = "slack"
kind = "slack"
enabled = false
url_env = "SLACK_URL"

[[channel]]
name = "splunk"
kind = "splunk"
enabled = false
url = "https://splunk.invalid:8088"
token_credential = "splunk-token"

[[channel]]
name = "pagerduty"
kind = "pagerduty"
enabled = false
routing_key = "R0123456789abcdef0123456789ABCDE"

[[channel]]
name = "findings"
kind = "ocsf"
enabled = false
file = "findings.jsonl"
"#;

/// What no output and no log may have in it.
const SECRETS: [&str; 5] = ["MDEyMzQ1Njc4", "t3amss1g", "sl4cks1g", "spl0nkt0k3n", "R0123456789"];

#[track_caller]
fn unsaid(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "the secret {secret} is in {text}");
    }
}

/// A collector that serves, with channels of every kind.
fn site() -> Site {
    let site = Site::serving();
    let config = fs::read_to_string(site.config()).expect("the configuration");
    fs::write(site.config(), config + OTHERS).expect("the configuration");
    for (name, text) in [("teams.url", "https://teams.invalid/t3amss1g\n"), ("splunk-token", "spl0nkt0k3n\n")]
    {
        let path = site.folder().join(name);
        fs::write(&path, text).expect("a secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("rights");
    }
    site
}

/// Runs a command with everything that the service is given.
fn run(site: &Site, arguments: &[&str]) -> Output {
    let mut command = programs::server();
    command.env("SLACK_URL", "https://slack.invalid/sl4cks1g").env("CREDENTIALS_DIRECTORY", site.folder());
    let output = Output::of(command.arg("--config").arg(site.config()).args(arguments));
    unsaid(&format!("{output:?}"));
    output
}

#[test]
fn channels_are_listed_with_where_their_secrets_come_from() {
    let site = site();
    let list = run(&site, &["channel", "list"]);
    assert_eq!(list.code, 0, "{list:#?}");
    for expected in ["hook", "webhook", "teams.url", "\"SLACK_URL\"", "\"splunk-token\"", "server.toml:"] {
        assert!(list.stdout.contains(expected), "expected {expected:?} in {list:#?}");
    }
    let list = run(&site, &["channel", "list", "--format", "json"]).json();
    let kinds: Vec<&str> = list["channels"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|channel| channel["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(kinds, ["webhook", "teams", "slack", "splunk", "pagerduty", "ocsf"]);
    let checked = run(&site, &["check-config"]);
    assert_eq!(checked.code, 0, "{checked:#?}");
    assert!(checked.stdout.contains("token from the systemd credential \"splunk-token\""), "{checked:#?}");
}

#[test]
fn what_only_the_service_is_given_is_told_and_stops_no_other_command() {
    let site = site();
    let checked = site.run(&["check-config"]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    assert!(checked.stdout.contains("channel splunk: token is the systemd credential"), "{checked:#?}");
    let tried = site.run(&["channel", "test", "slack"]);
    assert!(tried.failure().contains("url is the environment variable \"SLACK_URL\""), "{tried:#?}");
    assert_eq!(site.run(&["alert", "list"]).code, 0);
}

#[test]
fn a_test_message_goes_through_the_real_channel_and_shows_the_answer() {
    let site = site();
    let tried = run(&site, &["channel", "test", "hook"]);
    assert_eq!(tried.code, 0, "{tried:#?}");
    assert!(tried.stdout.contains("was taken") && tried.stdout.contains("200 OK"), "{tried:#?}");
    site.receiver.wait("the test message", |heard| {
        heard.iter().find(|heard| heard.kind == "channel.test" && heard.data["test"] == true).cloned()
    });

    site.receiver.answer(Mode::Fails);
    let tried = run(&site, &["channel", "test", "hook", "--format", "json"]);
    assert_eq!(tried.code, 1, "{tried:#?}");
    let told: Value = serde_json::from_str(&tried.stdout).expect("JSON");
    assert_eq!(told["outcome"], "retry", "{told:#}");
    assert!(told["answer"].as_str().is_some_and(|answer| answer.starts_with("500")), "{told:#}");

    site.receiver.answer(Mode::Gone);
    let tried = run(&site, &["channel", "test", "hook"]);
    assert_eq!(tried.code, 1, "{tried:#?}");
    assert!(tried.stdout.contains("was refused") && tried.stdout.contains("410 Gone"), "{tried:#?}");
    // A test is stored nowhere.
    assert_eq!(deliveries(&site, &["--all"]), Vec::<Value>::new());
}

#[test]
fn a_channel_that_is_not_enabled_can_be_tried_out() {
    let site = site();
    let tried = run(&site, &["channel", "test", "findings"]);
    assert_eq!(tried.code, 0, "{tried:#?}");
    let line = fs::read_to_string(site.folder().join("findings.jsonl")).expect("a finding");
    let finding: Value = serde_json::from_str(line.trim_end()).expect("one line of JSON");
    assert_eq!((&finding["class_uid"], &finding["unmapped"]["test"]), (&2003.into(), &true.into()));

    for name in ["teams", "slack", "splunk"] {
        let tried = run(&site, &["channel", "test", name]);
        assert_eq!(tried.code, 1, "{tried:#?}");
        assert!(tried.stdout.contains(&format!("the host {name}.invalid cannot be resolved")), "{tried:#?}");
    }
    let unknown = run(&site, &["channel", "test", "pigeon"]);
    assert!(unknown.failure().contains("there is no channel pigeon"), "{unknown:#?}");
    assert!(unknown.stderr.contains("hook, teams"), "{unknown:#?}");
}

fn deliveries(site: &Site, options: &[&str]) -> Vec<Value> {
    let list = site.json(&[&["delivery", "list"], options].concat());
    list["deliveries"].as_array().expect("a list of deliveries").clone()
}

#[test]
fn what_was_given_up_is_shown_and_sent_again_all_at_once() {
    let site = Site::serving();
    site.receiver.answer(Mode::Gone);
    let client = site.client();
    for _ in 0..3 {
        let device = Device::enrol(&client, &site.token());
        device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
    }
    let dead = wait_for("three dead deliveries", || {
        let dead = deliveries(&site, &["--dead"]);
        if dead.len() == 3 { Ok(dead) } else { Err(format!("{dead:#?}")) }
    });
    let id = dead[0]["id"].as_str().expect("an id");
    let shown = site.run(&["delivery", "show", id]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    for expected in ["dead, 1 tries", "410 Gone", "New alert: prohibited app: Telegram"] {
        assert!(shown.stdout.contains(expected), "expected {expected:?} in {shown:#?}");
    }
    let shown = site.json(&["delivery", "show", id]);
    assert_eq!(shown["notification"]["app"]["id"], "telegram", "{shown:#}");

    let none = site.run(&["delivery", "retry", "--all", "--channel", "hooks"]);
    assert!(none.failure().contains("has no channel hooks; did you mean hook?"), "{none:#?}");
    site.receiver.answer(Mode::Takes);
    let retried = site.json(&["delivery", "retry", "--all", "--channel", "hook"]);
    assert_eq!(retried["retried"], 3, "{retried:#}");
    wait_for("everything to be delivered", || {
        let left = deliveries(&site, &[]);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
    });
    assert_eq!(site.run(&["delivery", "retry"]).code, 2, "neither an id nor --all");
}

#[test]
fn no_secret_is_logged_however_much_is() {
    let site = site();
    let config = fs::read_to_string(site.config()).expect("the configuration");
    fs::write(site.config(), config.replace("level = \"debug\"", "level = \"trace\""))
        .expect("the configuration");
    let mut site = site;
    site.stop();
    let mut command = programs::server();
    command.env("SLACK_URL", "https://slack.invalid/sl4cks1g").env("CREDENTIALS_DIRECTORY", site.folder());
    command.arg("--config").arg(site.config()).arg("serve");
    let log = site.folder().join("trace.log");
    let serve = offchannel_tests::Process::start("offchannel-server serve", &mut command, &log);
    wait_for("the collector to be ready", || {
        let answer = site.client().request("GET", "/readyz", &[], b"")?;
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    });
    site.receiver.answer(Mode::Fails);
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
    site.receiver.wait_for("alert.opened", "telegram");
    serve.stop();
    let log = fs::read_to_string(log).expect("the log");
    assert!(log.contains("not delivered"), "{log}");
    unsaid(&log);
    assert!(SECRET.contains(SECRETS[0]), "the first secret is the receiver's");
}
