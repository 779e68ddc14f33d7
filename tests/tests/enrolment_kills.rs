//! A device that is enrolled with another collector, and killed at every step of it: either enrolment is whole.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use offchannel_tests::{Agent, Root, Site, programs, wait_for};
use serde_json::Value;

/// What changes files for good, or makes sure of it: before each time is a moment at which the power may go. Which of these
/// calls of a kind is used is a matter of the processor.
const CALLS: [&str; 3] = ["rename,renameat,renameat2", "unlink,unlinkat", "fsync,fdatasync"];
/// More often than any is used in an enrolment.
const TIMES_MAX: usize = 100;

/// Whether strace can kill here; says so if not.
#[expect(clippy::print_stdout, reason = "what is skipped is said")]
fn can_kill() -> bool {
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let can = probe.is_ok_and(|output| output.status.success());
    if !can {
        println!(
            "SKIPPED: strace cannot be used here: apt-get install strace, where processes may be traced"
        );
    }
    can
}

fn copy_folder(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("the folder");
    }
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry").path();
        fs::copy(&entry, to.join(entry.file_name().expect("a name"))).expect("a copy with its rights");
    }
}

/// Enrols anew and kills the agent as it makes this call for the so manyeth time. Whether it was killed.
fn enrol_and_kill(agent: &Agent, config: &Path, calls: &str, time: usize) -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
    command.arg(format!("inject={calls}:signal=SIGKILL:when={time}"));
    command.arg(programs::path("offchannel-agent"));
    command.args(["enrol", "--replace", "--config"]).arg(config).arg("--token-file").arg(agent.token_file());
    let output = command.env_clear().output().expect("strace");
    match output.status.code() {
        Some(0) => false,
        None => true,
        Some(code) => panic!("it ended with {code}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn server_of(agent: &Agent) -> String {
    let text = fs::read(agent.state_dir().join("identity.json")).expect("the identity");
    let identity: Value = serde_json::from_slice(&text).expect("JSON");
    identity["server"].as_str().expect("a server").trim_end_matches('/').to_owned()
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_or_the_new_enrolment_whole() {
    if !can_kill() {
        return;
    }
    let (old, new) = (Site::serving(), Site::serving());
    // So that the versions of the two policies differ: what goes for one collector must not keep out the other's.
    for _ in 0..3 {
        old.publish(offchannel_tests::site::POLICY);
    }
    let root = Root::new();
    let mut agent = Agent::running(&old, &root);
    old.wait_for_report();
    agent.wait_for_state("the acknowledgement", |state| state["acknowledged"].as_u64().filter(|at| *at > 0));
    agent.stop();
    let to_old = fs::read_to_string(agent.config()).expect("the configuration");
    let to_new = to_old
        .replace(&old.url(), &new.url())
        .replace(&old.ca_file().display().to_string(), &new.ca_file().display().to_string());
    let config = agent.config().with_file_name("new.toml");
    fs::write(&config, &to_new).expect("a configuration");
    let before = tempfile::tempdir().expect("a folder");
    let before = before.path().join("state");
    copy_folder(&agent.state_dir(), &before);

    let mut kills = 0;
    let moments = CALLS.iter().flat_map(|calls| (1..TIMES_MAX).map(move |time| (*calls, time)));
    let mut done = "";
    let mut seen = Vec::new();
    for (calls, time) in moments {
        if calls == done {
            continue;
        }
        let moment = format!("{calls} for the {time}. time");
        copy_folder(&before, &agent.state_dir());
        fs::write(agent.token_file(), new.token()).expect("a token");
        let killed = enrol_and_kill(&agent, &config, calls, time);
        let is_old = server_of(&agent) == old.url().trim_end_matches('/');
        seen.push(is_old);
        // As it was configured for the collector that it is enrolled with.
        fs::write(agent.config(), if is_old { &to_old } else { &to_new }).expect("the configuration");
        let log = agent.config().with_file_name("agent.log");
        for left in [&log, &agent.token_file()] {
            // The token is gone if it was used.
            let _ = fs::remove_file(left);
        }
        agent.start();
        wait_for("the agent to be heard", || {
            let (state, log) = (agent.state(), fs::read_to_string(&log).unwrap_or_default());
            let told = state["revision"].as_u64() > Some(0) && state["revision"] == state["acknowledged"];
            if told && log.contains("the agent runs") {
                Ok(())
            } else {
                Err(format!("moment {moment}: {state:#}"))
            }
        });
        agent.stop();
        let state = agent.state();
        assert_eq!(state["note"], Value::Null, "moment {moment}: {state:#}");
        assert_eq!(state["trouble"], Value::Null, "moment {moment}: {state:#}");
        let sources = state["inventory"]["sources"].as_array().expect("the sources");
        for part in ["state", "policy", "identity"] {
            let health = sources.iter().find(|source| source["source"] == part).expect(part);
            assert_eq!(health["health"], "ok", "moment {moment}: {health:#}");
        }
        let version = if is_old { 4 } else { 1 };
        assert_eq!(state["policy_version"], version, "moment {moment}: {state:#}");
        let left = ["next-state.json", "next-policy.json"].map(|name| agent.state_dir().join(name).exists());
        assert_eq!(left, [false, false], "moment {moment}");
        kills += usize::from(killed);
        if !killed {
            done = calls;
            assert!(seen.is_sorted_by(|one, next| one >= next), "{calls}: the one, then the other: {seen:?}");
            assert!(seen.first() == Some(&true) && seen.last() == Some(&false), "{calls}: {seen:?}");
            seen.clear();
        }
    }
    assert_eq!(done, CALLS[CALLS.len() - 1], "each call was made less often than {TIMES_MAX} times");
    assert!(kills > 15, "{kills} kills");
    assert_eq!((old.alerts().len(), new.alerts().len()), (0, 0), "{:#?} {:#?}", old.alerts(), new.alerts());
}
