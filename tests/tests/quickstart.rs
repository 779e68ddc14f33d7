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

/// Waits until a process has ended, whoever its parent is; one that nobody waits for stays as a zombie.
#[track_caller]
fn gone(id: u32) {
    wait_for(&format!("process {id} to end"), || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("Z").trim();
        if state.starts_with(['Z', 'X']) { Ok(()) } else { Err(format!("it is {state}")) }
    });
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
fn an_image_that_says_nothing_of_itself_has_no_empty_brackets() {
    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    for named in ["etc/hostname", "etc/os-release"] {
        fs::remove_file(root.path().join(named)).expect("a file of the tree");
    }
    let output = Output::of(quickstart(&folder, &root, &port).arg("--once"));
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stdout.contains("\nDevice   -\n"), "{}", output.stdout);
    let again = once(&folder, &root, &Port::reserve());
    let (device, alert) = (again["device"]["id"].as_str(), again["alerts"][0]["id"].as_str());
    let mut show = programs::server();
    show.env("OFFCHANNEL_SERVER_DATA_DIR", data(&folder).join("server"));
    let shown = Output::of(show.args(["alert", "show", alert.expect("an alert")])).stdout;
    assert!(shown.contains(&format!("\nDevice  {}\n", device.expect("an id"))), "{shown}");
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

#[test]
fn the_agent_ends_with_it_however_it_ends() {
    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    for (number, signal) in [Signal::KILL, Signal::ABORT, Signal::HUP, Signal::QUIT].into_iter().enumerate() {
        let log = folder.path().join(format!("quickstart-{number}.log"));
        let mut process =
            Process::start("offchannel-server quickstart", &mut quickstart(&folder, &root, &port), &log);
        wait_for("the first report", || {
            assert_eq!(process.ended(), None, "it ended: {}", process.log());
            if process.log().contains("Watching.") { Ok(()) } else { Err(process.log()) }
        });
        let [agent] = children(process.id())[..] else { panic!("one child: {:?}", children(process.id())) };
        process.signal(signal);
        let status = process.wait();
        let asked = matches!(signal, Signal::HUP | Signal::QUIT);
        assert_eq!(status.success(), asked, "{signal:?}: {status}: {}", process.log());
        gone(agent);
    }
}

#[test]
fn a_hangup_that_is_to_be_ignored_is_ignored() {
    let (folder, port, mut root) = (folder(), Port::reserve(), Root::new());
    let log = folder.path().join("quickstart.log");
    let wanted = quickstart(&folder, &root, &port);
    let mut command = Command::new("/usr/bin/nohup");
    command.env_clear().arg(wanted.get_program()).args(wanted.get_args());
    let mut process = Process::start("nohup offchannel-server quickstart", &mut command, &log);
    wait_for("the first report", || {
        assert_eq!(process.ended(), None, "it ended: {}", process.log());
        if process.log().contains("Watching.") { Ok(()) } else { Err(process.log()) }
    });
    process.signal(Signal::HUP);
    root.install("telegram-desktop", "4.6.5+ds-2+b1");
    wait_for("an alert", || {
        assert_eq!(process.ended(), None, "it ended: {}", process.log());
        if process.log().contains("ALERT ") { Ok(()) } else { Err(process.log()) }
    });
    assert_eq!(process.stop().code(), Some(0));
}

#[test]
fn a_session_that_is_interrupted_before_its_report_has_failed() {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    let alone = folder.path().join("offchannel-server");
    let program = programs::path("offchannel-server");
    if fs::hard_link(&program, &alone).is_err() {
        fs::copy(&program, &alone).expect("a copy of the collector");
    }
    // An agent that never reports.
    let agent = folder.path().join("offchannel-agent");
    fs::write(&agent, "#!/bin/sh\nexec cat\n").expect("a script");
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).expect("its mode");
    let mut command = Command::new(&alone);
    command.env_clear().args(quickstart(&folder, &root, &port).arg("--once").get_args());
    let log = folder.path().join("quickstart.log");
    let mut process = Process::start("offchannel-server quickstart --once", &mut command, &log);
    wait_for("the agent", || {
        assert_eq!(process.ended(), None, "it ended: {}", process.log());
        if children(process.id()).is_empty() { Err("no child".to_owned()) } else { Ok(()) }
    });
    process.signal(Signal::INT);
    assert_eq!(process.wait().code(), Some(1), "{}", process.log());
    assert!(process.log().contains("stopped before the first report"), "{}", process.log());
}

#[test]
fn what_it_says_to_do_next_can_be_typed() {
    let (folder, port, root) = (folder(), Port::reserve(), Root::new());
    let output = Output::of(quickstart(&folder, &root, &port).arg("--once").current_dir(folder.path()));
    assert_eq!(output.code, 0, "{output:#?}");
    let (_, next) = output.stdout.split_once("\nNext\n").expect("what to do next");
    let commands = next.lines().filter(|line| line.contains("offchannel-"));
    let commands: Vec<&str> =
        commands.map(|line| line.trim_start().split_once("  ").expect(line).1.trim()).collect();
    assert!(commands.len() >= 5, "{next}");
    for wanted in [" explain ", " alert list", " policy publish "] {
        assert!(commands.iter().any(|command| command.contains(wanted)), "no {wanted:?} in {next}");
    }
    for command in commands {
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().env("USER", "tests").current_dir(folder.path()).arg("-c").arg(command);
        let typed = Output::of(&mut shell);
        assert_eq!(typed.code, 0, "{command}: {typed:#?}");
    }
}
