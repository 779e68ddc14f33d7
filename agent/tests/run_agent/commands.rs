//! What the commands say, to people and to programs.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{Collector, Device, Fault, TOKEN};
use offchannel_shared::wire::{ENROL_PATH, REPORT_PATH, codes};

#[test]
fn enrol_takes_a_token_from_a_file_and_removes_it() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let output = device.call("enrol", &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("Policy in force: Test policy, version 1."), "{said}");
    assert!(!device.path("token").exists());
    let again = device.fails("enrol", &[]);
    assert!(again.contains("enrolled already") && again.contains("--replace"), "{again}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name: &str| std::fs::metadata(device.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("state/identity.json"), 0o600, "the key is readable by others");
        assert_eq!(mode("state/state.json"), 0o644);
        assert_eq!(mode("state/policy.json"), 0o644);
    }
}

#[test]
fn enrol_takes_a_token_from_standard_input() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let mut child = device
        .command("enrol")
        .args(["--token-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TOKEN.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(device.path("token").exists(), "only a token file that was used is removed");
}

#[test]
fn a_refused_token_is_said_plainly_and_leaves_no_identity() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    device.token("tok_other.secret");
    for command in ["enrol", "run"] {
        let said = device.fails(command, &[]);
        assert!(said.contains("refused the enrolment (token_refused): no such token"), "{said}");
    }
    assert!(device.path("token").exists() && !device.path("state/identity.json").exists());
}

#[test]
fn a_replaced_enrolment_has_a_new_key_and_a_failed_one_keeps_the_old() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    assert!(device.call("enrol", &[]).status.success());
    let identity = || std::fs::read(device.path("state/identity.json")).unwrap();
    let first = identity();
    device.token(TOKEN);
    collector.fault(ENROL_PATH, Fault::Refuse(403, codes::TOKEN_REFUSED));
    device.fails("enrol", &["--replace"]);
    assert_eq!(identity(), first);
    assert!(device.call("enrol", &["--replace"]).status.success());
    collector.wait_for("two devices", |told| (told.devices.len() == 2).then_some(()));
}

#[test]
fn status_and_explain_tell_people_what_is_known_of_them() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let before = String::from_utf8(device.call("status", &[]).stdout).unwrap();
    assert!(before.contains("not enrolled"), "{before}");

    device.install(&["telegram-desktop"]);
    let agent = device.run();
    let report = collector.wait_for_apps(&["telegram"]);
    assert_eq!(agent.stop(), Some(0));

    let status = device.json("status");
    let finding = &status["findings"][0];
    assert_eq!((&finding["app"], &finding["breach"]), (&"telegram".into(), &"prohibited".into()), "{status}");
    assert_eq!(finding["alternatives"][0], "Microsoft Teams");
    assert_eq!(finding["sightings"][0]["identifier"], "telegram-desktop");
    assert!(!finding["since"].is_null() && !status["last_contact"].is_null());
    let text = String::from_utf8(device.call("status", &[]).stdout).unwrap();
    for part in [
        "Telegram is prohibited",
        "We cannot meet our duties.",
        "First copy business records",
        "Use Microsoft Teams",
    ] {
        assert!(text.contains(part), "{part:?} not in {text}");
    }

    let explained = device.json("explain");
    assert_eq!(explained["last_sent"]["report"], serde_json::to_value(&report).unwrap());
    let mut now = explained["would_be_sent"].clone();
    now["observed_at"] = explained["last_sent"]["report"]["observed_at"].clone();
    assert_eq!(now, explained["last_sent"]["report"], "nothing has changed since");
    let text = String::from_utf8(device.call("explain", &[]).stdout).unwrap();
    assert!(text.contains("Never read") && text.contains(report.digest.as_str()), "{text}");

    device.install(&[]);
    let explained = device.json("explain");
    let owed = &explained["would_be_sent"]["transitions"][0];
    assert_eq!((&owed["change"], &owed["sighting"]["app"]), (&"disappeared".into(), &"telegram".into()));
    let text = String::from_utf8(device.call("explain", &[]).stdout).unwrap();
    assert!(text.contains("telegram disappeared (dpkg telegram-desktop, system)"), "{text}");
}

#[test]
fn a_device_that_was_forgotten_is_told_to_enrol_again() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    assert!(device.call("enrol", &[]).status.success());
    collector.fault(REPORT_PATH, Fault::Refuse(401, codes::DEVICE_UNKNOWN));
    let agent = device.run();
    collector.wait_for("the report", |told| told.paths.iter().any(|path| path == REPORT_PATH).then_some(()));
    assert_eq!(agent.stop(), Some(0));
    let status = String::from_utf8(device.call("status", &[]).stdout).unwrap();
    assert!(status.contains("does not know this device") && status.contains("enrol --replace"), "{status}");
}

#[test]
fn another_ca_than_the_pinned_one_is_not_trusted() {
    let collector = Collector::start();
    let other = Collector::start();
    let device = Device::new(&collector);
    device.configure(&other.url());
    let said = device.fails("enrol", &[]);
    assert!(said.contains("cannot make a TLS connection") && said.contains("server.ca_file"), "{said}");
    other.wait_for("nothing", |told| told.paths.is_empty().then_some(()));
}

#[test]
fn commands_without_what_they_need_say_what_to_do() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    std::fs::remove_file(device.path("token")).unwrap();
    let said = device.fails("run", &[]);
    assert!(said.contains("not enrolled") && said.contains("enrol --token-file"), "{said}");
    let said = device.fails("run", &["--server-url", "http://127.0.0.1:1"]);
    assert!(said.contains("never speak plain http"), "{said}");
    std::fs::write(device.path("agent.toml"), "").unwrap();
    let said = device.fails("run", &[]);
    assert!(said.contains("server.url is not set"), "{said}");
    let output = device.call("run", &["--no-such-flag"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn check_config_names_every_problem_and_every_origin() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let output = device.call("check-config", &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("in order"), "{said}");

    std::fs::write(device.path("agent.toml"), "state_dri = \"/x\"\n[server]\nurl = \"http://a\"\n").unwrap();
    let output = device.command("check-config").env("OFFCHANNEL_AGENT_LOG_LEVEL", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "agent.toml:1: state_dri: there is no such setting; did you mean state_dir?",
        "agent.toml:3: server.url: ",
        "OFFCHANNEL_AGENT_LOG_LEVEL: log.level: ",
    ] {
        assert!(said.contains(part), "{part:?} not in {said}");
    }
}
