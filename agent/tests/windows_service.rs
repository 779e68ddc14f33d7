//! The service of Windows, installed, running, stopped and removed by the program's own commands, in a Windows that is there
//! for tests alone: `tests/cross/windows` says so in OFFCHANNEL_TEST_SERVICE.
#![cfg(windows)]

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Where settings are; nothing listens on the port.
const FOLDER: &str = "C:\\Program Files\\Offchannel";
const SETTINGS: &str = "[server]\nurl = \"https://127.0.0.1:9\"\n\n[enrolment]\ntoken_file = 'C:\\Program Files\\Offchannel\\token'\n";
const SOURCE: &str = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\Offchannel Agent";
/// A service manager that is busy is slow; one that hangs is to be noticed.
const LIMIT: Duration = Duration::from_secs(60);

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_offchannel-agent")).args(arguments).output().expect("the agent")
}

#[track_caller]
fn done(arguments: &[&str]) -> String {
    let output = agent(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn status() -> serde_json::Value {
    let output = agent(&["service", "status", "--format", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Whether the Event Log knows the agent.
fn has_source() -> bool {
    Command::new("reg").args(["query", SOURCE]).output().expect("reg").status.success()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever starts the test says by a variable that it may, and it waits at most so long"
)]
fn the_service_of_windows_is_installed_runs_stops_and_leaves_nothing() {
    if std::env::var_os("OFFCHANNEL_TEST_SERVICE").is_none() {
        println!("SKIPPED: OFFCHANNEL_TEST_SERVICE does not say that this Windows is for tests alone");
        return;
    }
    fs::create_dir_all(FOLDER).expect("a folder");
    fs::write(format!("{FOLDER}\\agent.toml"), SETTINGS).expect("settings");
    fs::write(format!("{FOLDER}\\token"), "tok_test.secret\n").expect("a token");
    // What a run that failed has left.
    agent(&["service", "uninstall", "--purge"]);
    assert!(!has_source());

    let installed = done(&["service", "install"]);
    assert!(installed.contains("offchannel-agent runs"), "{installed}");
    assert!(has_source());
    let started = Instant::now();
    while status()["running"] != true {
        assert!(started.elapsed() < LIMIT, "it does not run: {}", status());
        std::thread::yield_now();
    }
    assert_eq!(status()["in_order"], true, "{}", status());

    let removed = done(&["service", "uninstall", "--purge"]);
    assert!(removed.contains("not enrolled") && removed.contains("removed the service"), "{removed}");
    assert!(removed.contains("removed the source Offchannel Agent of the Event Log"), "{removed}");
    assert_eq!((status()["installed"].clone(), has_source()), (false.into(), false));
    fs::remove_dir_all(FOLDER).expect("the settings are removed");
}
