//! What people without rights are told on a device that they share.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use offchannel_shared::inventory::Scope;
use offchannel_shared::wire::ReportRequest;

use crate::support::{Collector, Device, bundle, signing_key};

const ALICE: u32 = 61_001;
const BOB: u32 = 61_002;
const NOBODY: u32 = 65_534;

const RULES: &str = r#"
[notice]
exceptions.en = "Ask the service desk."
exceptions.cy = "Gofynnwch i'r ddesg gymorth."
[[rule]]
id = "no-consumer-messaging"
verdict = "prohibited"
kinds = ["consumer"]
severity = "high"
reason = "Duties."
notice.en = "It is not permitted at work."
notice.cy = "Ni chaniateir ef yn y gwaith."
alternatives = ["microsoft-teams"]
"#;

/// Telegram for everybody, Signal for alice, WhatsApp for bob, on a device whose agent has reported all three.
struct Shared {
    device: Device,
    agent: PathBuf,
    report: ReportRequest,
    _collector: Collector,
}

impl Shared {
    /// `None`, said in plain sight, where this test cannot take other people's place.
    #[expect(clippy::print_stdout, reason = "what is skipped is said")]
    fn device() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: only root can run a program as somebody else");
            return None;
        }
        let collector = Collector::start();
        collector.publish(bundle(1, RULES, &signing_key()));
        let device = Device::new(&collector);
        let open = |path: PathBuf| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        open(device.path(""));
        let passwd =
            format!("alice:x:{ALICE}:{ALICE}::/home/alice:/bin/sh\nbob:x:{BOB}:{BOB}::/home/bob:/bin/sh\n");
        std::fs::write(device.path("root/etc/passwd"), passwd).unwrap();
        std::fs::write(device.path("root/etc/machine-id"), "b08dfa6083e7567a1921a715000001fb\n").unwrap();
        for (name, uid, app) in [("alice", ALICE, "signal-desktop"), ("bob", BOB, "whatsapp")] {
            let home = device.path("root/home").join(name);
            let entries = home.join(".local/share/applications");
            std::fs::create_dir_all(&entries).unwrap();
            std::fs::write(
                entries.join(format!("{app}.desktop")),
                format!("[Desktop Entry]\nType=Application\nName={app}\nExec=/bin/{app}\n"),
            )
            .unwrap();
            let program = device.path("root/bin").join(app);
            std::fs::create_dir_all(program.parent().unwrap()).unwrap();
            std::fs::write(&program, "").unwrap();
            open(program);
            chown(&home, Some(uid), Some(uid)).unwrap();
            // As many distributions make homes: others may look around in them.
            open(home);
        }
        device.install(&["telegram-desktop"]);
        // Whoever runs it needs no right to the folder that it was built in.
        let agent = device.path("offchannel-agent");
        std::fs::copy(env!("CARGO_BIN_EXE_offchannel-agent"), &agent).unwrap();
        // As the unit does: a folder that others may enter, and files that are private unless they are made public.
        let state = device.path("state");
        std::fs::create_dir(&state).unwrap();
        open(state);
        let mut daemon = Command::new("sh");
        daemon.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(&agent).arg("run").arg("--config");
        daemon.arg(device.path("agent.toml")).stdin(Stdio::null());
        let mut daemon = daemon.spawn().unwrap();
        let report = collector.wait_for_apps(&["signal", "telegram", "whatsapp"]);
        let stopped = rustix::process::kill_process(
            rustix::process::Pid::from_child(&daemon),
            rustix::process::Signal::TERM,
        );
        stopped.unwrap();
        assert!(daemon.wait().unwrap().success());
        Some(Self { device, agent, report, _collector: collector })
    }

    fn call(&self, uid: u32, arguments: &[&str]) -> Output {
        let mut agent = Command::new(&self.agent);
        agent.args(arguments).arg("--config").arg(self.device.path("agent.toml"));
        // With the user go the groups: root's are dropped too.
        agent.uid(uid).gid(uid).env_clear().env("LANG", "cy_GB.UTF-8").current_dir("/").stdin(Stdio::null());
        agent.output().unwrap()
    }

    #[track_caller]
    fn json(&self, uid: u32, command: &str) -> serde_json::Value {
        let output = self.call(uid, &[command, "--format", "json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The report without what belongs to others than this user.
    fn report_for(&self, uid: u32) -> serde_json::Value {
        let mut report = self.report.clone();
        let app = if uid == ALICE { "signal" } else { "whatsapp" };
        report.inventory.sightings.retain(|s| s.scope == Scope::System || s.app.as_str() == app);
        serde_json::to_value(report).unwrap()
    }
}

#[test]
fn anybody_is_told_what_concerns_them_without_any_right_and_nothing_of_others() {
    let Some(shared) = Shared::device() else { return };
    for (uid, apps, others) in [
        (ALICE, ["signal", "telegram"].as_slice(), 1),
        (BOB, &["telegram", "whatsapp"], 1),
        (NOBODY, &["telegram"], 2),
    ] {
        let status = shared.json(uid, "status");
        let findings = status["findings"].as_array().unwrap();
        let found: Vec<&str> = findings.iter().map(|finding| finding["app"].as_str().unwrap()).collect();
        assert_eq!(found, apps, "{uid}: {status:#}");
        assert_eq!(status["findings_elsewhere"], others, "{uid}");
        assert_eq!(status["language"], "cy");
        assert_eq!(findings[0]["notice"][0]["text"], "Ni chaniateir ef yn y gwaith.");
        assert_eq!(findings[0]["alternatives"][0], "Microsoft Teams");
        let english = shared.call(uid, &["status", "--lang", "en"]);
        let english = String::from_utf8(english.stdout).unwrap();
        assert!(
            english.contains("Ask the service desk.") && english.contains("Telegram is prohibited"),
            "{english}"
        );
    }
}

#[test]
fn explain_shows_the_report_as_sent_but_for_what_is_in_other_people_s_homes() {
    let Some(shared) = Shared::device() else { return };
    for uid in [ALICE, BOB] {
        let explained = shared.json(uid, "explain");
        assert_eq!(explained["last_sent"]["report"], shared.report_for(uid), "{uid}");
        assert_eq!(explained["last_sent"]["of_others"], 1, "{uid}");
        let would = explained["would_be_sent"]["inventory"]["sightings"].as_array().unwrap();
        assert_eq!(would.len(), 2, "{uid}: {would:#?}");
        assert!(explained["never_read"].as_array().unwrap().len() > 5);
    }
    let text = String::from_utf8(shared.call(NOBODY, &["explain"]).stdout).unwrap();
    assert!(text.contains("heblaw am 2 o gofnodion") && text.contains("negeseuon, galwadau"), "{text}");
    let text = String::from_utf8(shared.call(NOBODY, &["explain", "--lang", "en"]).stdout).unwrap();
    assert!(text.contains("exactly this but for 2 entries of other users"), "{text}");
    let whole = shared.json(0, "explain");
    assert_eq!(whole["last_sent"]["report"], serde_json::to_value(&shared.report).unwrap());
    assert_eq!(whole["last_sent"]["of_others"], 0);
}

#[test]
fn the_key_stays_the_agent_s_own() {
    let Some(shared) = Shared::device() else { return };
    let identity = shared.device.path("state/identity.json");
    let read = Command::new("cat").arg(identity).uid(ALICE).gid(ALICE).output().unwrap();
    assert!(!read.status.success() && read.stdout.is_empty());
    let write =
        Command::new("touch").arg(shared.device.path("state/x")).uid(ALICE).gid(ALICE).output().unwrap();
    assert!(!write.status.success());
}
