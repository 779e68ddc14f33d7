//! The first minutes of a newcomer: one command, nothing configured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use offchannel_tests::port::Port;
use offchannel_tests::{Output, Process, Root, programs, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// `quickstart` of a tree in a data folder that it is to make.
fn quickstart(folder: &TempDir, root: &Root, port: &Port) -> Command {
    let mut command = programs::server();
    command.arg("quickstart").arg("--data").arg(data(folder)).arg("--root").arg(root.path());
    command.arg("--listen").arg(port.address().to_string());
    command
}

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// Runs it to the first report, for its JSON.
#[track_caller]
fn once(folder: &TempDir, root: &Root, port: &Port) -> Value {
    let output = Output::of(quickstart(folder, root, port).args(["--once", "--format", "json"]));
    let object = output.json();
    assert_eq!(output.stdout.lines().count(), 1, "one JSON object: {output:#?}");
    object
}

/// The processes whose parent this is.
fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

#[track_caller]
fn has(object: &Value, keys: &[&str]) {
    for key in keys {
        assert!(object.get(key).is_some(), "no {key:?} in {object:#}");
    }
}

#[test]
fn once_prints_what_was_found_and_what_follows_from_it() {
    let (folder, port) = (folder(), Port::reserve());
    let mut root = Root::new();
    root.install("telegram-desktop", "4.6.5+ds-2+b1");
    let object = once(&folder, &root, &port);
    assert_eq!(object["schema"], 1, "{object:#}");
    has(&object["device"], &["id", "hostname", "platform", "os", "arch", "status"]);
    assert_eq!(object["device"]["status"], "breach", "{object:#}");
    let [sighting] = object["sightings"].as_array().expect("sightings").as_slice() else {
        panic!("one sighting: {object:#}")
    };
    for (key, expected) in [
        ("app", "telegram"),
        ("name", "Telegram"),
        ("kind", "consumer"),
        ("grade", "installed"),
        ("source", "dpkg"),
        ("identifier", "telegram-desktop"),
        ("version", "4.6.5+ds-2+b1"),
        ("scope", "system"),
    ] {
        assert_eq!(sighting[key], expected, "{key} of {sighting:#}");
    }
    assert_eq!(
        (&sighting["networks"][0], &sighting["official"]),
        (&"telegram".into(), &true.into()),
        "{sighting:#}"
    );
    for finding in object["findings"].as_array().expect("findings") {
        has(finding, &["id", "kind", "rule", "app", "severity", "started_at", "reason"]);
    }
    let alerts = object["alerts"].as_array().expect("alerts");
    let mut about: Vec<[&str; 5]> = alerts
        .iter()
        .map(|alert| {
            ["kind", "app", "rule", "severity", "state"].map(|key| alert[key].as_str().unwrap_or("-"))
        })
        .collect();
    about.sort();
    assert_eq!(
        about,
        [
            ["prohibited-app", "telegram", "no-consumer-messaging", "high", "open"],
            ["required-app-missing", "microsoft-teams", "approved-channel-present", "low", "open"],
        ]
    );
}

#[test]
fn with_nothing_to_find_it_says_so_and_shows_that_the_approved_channel_is_missing() {
    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    let output = Output::of(quickstart(&folder, &root, &port).arg("--once"));
    assert_eq!(output.code, 0, "{output:#?}");
    for expected in [
        "Found: no messaging app",
        "Missing, required by rule approved-channel-present",
        "Microsoft Teams or Teams for Linux",
        "required-app-missing",
        "Next",
    ] {
        assert!(output.stdout.contains(expected), "no {expected:?} in:\n{}", output.stdout);
    }
}

#[test]
fn a_second_start_goes_on_with_the_same_folder() {
    let (folder, port) = (folder(), Port::reserve());
    let mut root = Root::new();
    root.install("telegram-desktop", "1");
    let first = once(&folder, &root, &port);
    let second = once(&folder, &root, &port);
    assert_eq!(second["device"]["id"], first["device"]["id"], "the same device");
    assert_eq!(second["alerts"], first["alerts"], "the same alerts");
    root.remove("telegram-desktop");
    let third = once(&folder, &root, &Port::reserve());
    assert_eq!(third["device"]["id"], first["device"]["id"], "the same device on another port");
    assert_eq!(third["sightings"], Value::Array(Vec::new()), "{third:#}");
}

#[test]
fn it_shows_live_what_changes_and_ends_both_programs_on_ctrl_c() {
    let (folder, port) = (folder(), Port::reserve());
    let mut root = Root::new();
    let log = folder.path().join("quickstart.log");
    let mut process =
        Process::start("offchannel-server quickstart", &mut quickstart(&folder, &root, &port), &log);
    let shows = |process: &mut Process, text: &str| {
        wait_for(&format!("{text:?}"), || {
            assert_eq!(process.ended(), None, "it ended: {}", process.log());
            let log = process.log();
            log.lines().find(|line| line.contains(text)).map(str::to_owned).ok_or(log)
        })
    };
    shows(&mut process, "Watching.");
    let [agent] = children(process.id())[..] else { panic!("one child: {:?}", children(process.id())) };
    root.install("telegram-desktop", "4.6.5+ds-2+b1");
    let line = shows(&mut process, "ALERT ");
    assert!(line.contains("Telegram") && line.contains("dpkg telegram-desktop 4.6.5+ds-2+b1"), "{line}");
    root.remove("telegram-desktop");
    let line = shows(&mut process, "RESOLVED");
    assert!(line.contains("Telegram"), "{line}");
    root.install("telegram-desktop", "4.6.5+ds-2+b1");
    shows(&mut process, "REOPENED");

    process.signal(Signal::INT);
    let status = process.wait();
    assert_eq!(status.code(), Some(0), "{}", process.log());
    assert!(!Path::new(&format!("/proc/{agent}")).exists(), "the agent is left behind");
    assert!(process.log().contains("Stopped."), "{}", process.log());
    // The agent had its time to say goodbye: its state folder can be used at once.
    assert_eq!(once(&folder, &root, &port)["device"]["goodbye"], Value::Null);
}

#[test]
fn an_agent_that_dies_is_told_with_the_end_of_its_log() {
    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    let log = folder.path().join("quickstart.log");
    let mut process =
        Process::start("offchannel-server quickstart", &mut quickstart(&folder, &root, &port), &log);
    wait_for("the first report", || {
        if process.log().contains("Watching.") { Ok(()) } else { Err(process.log()) }
    });
    let [agent] = children(process.id())[..] else { panic!("one child: {:?}", children(process.id())) };
    let agent = rustix::process::Pid::from_raw(i32::try_from(agent).expect("an id")).expect("an id");
    rustix::process::kill_process(agent, Signal::KILL).expect("a signal");
    assert_eq!(process.wait().code(), Some(1), "{}", process.log());
    assert!(process.log().contains("ended by itself"), "{}", process.log());
}

#[test]
fn without_the_agent_beside_it_it_says_what_to_do() {
    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    let alone = folder.path().join("offchannel-server");
    let program = programs::path("offchannel-server");
    if fs::hard_link(&program, &alone).is_err() {
        fs::copy(&program, &alone).expect("a copy of the collector");
    }
    let mut command = Command::new(&alone);
    command.env_clear().args(quickstart(&folder, &root, &port).get_args());
    let output = Output::of(&mut command);
    let message = output.failure();
    assert!(message.contains("there is no offchannel-agent in"), "{message}");
    assert!(message.contains("cargo build"), "{message}");
}

#[test]
fn a_port_in_use_and_a_file_in_place_of_the_folder_are_named() {
    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    let other = std::net::TcpListener::bind(port.address()).expect("the port");
    let output = Output::of(quickstart(&folder, &root, &port).arg("--once"));
    let message = output.failure();
    assert!(message.contains(&format!("cannot listen on {}", port.address())), "{message}");
    // Naming a configuration key would not help: quickstart has none.
    assert!(message.contains("--listen") || message.contains("another address"), "{message}");
    drop(other);

    fs::remove_dir_all(data(&folder)).expect("the folder");
    fs::write(data(&folder), "").expect("a file");
    let output = Output::of(quickstart(&folder, &root, &port).arg("--once"));
    let message = output.failure();
    assert!(message.contains("cannot use the data folder") && message.contains("--data"), "{message}");
}
