//! The packages in a Debian system that is really booted: the agent under its unit, what systemd does for it, and what the
//! collector hears when it is stopped, switched off with the system, and removed.
//!
//! One system for all of it, for what is looked at is one life.

mod life;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use offchannel_tests::clock::{bare_debian_root, packages};
use offchannel_tests::installed::{CA, MANAGED_TOML, SERVER_TOML, TOKEN, bring, is_left, write};
use offchannel_tests::site::POLICY;
use offchannel_tests::{Booted, Chroot, Output, wait_for};

use life::{AGENT, Life, SERVER, goodbye};

/// Makes hours pass, see `clock.c`.
const CLOCK: &str = "/etc/offchannel-test-clock";
const CLOCK_SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/booted/clock.c");
const CLOCK_LIBRARY: &str = "/usr/lib/offchannel-test-clock.so";

/// The highest exposure that the agent's unit may have, in tenths, as `systemd-analyze security` counts.
const EXPOSURE: &str = "20";

/// What the agent is left of root's rights: CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
const CAPABILITIES: &str = "0000000000080004";

#[test]
fn under_a_booted_systemd_the_agent_lives_and_is_not_switched_off_unseen() {
    let (Some(root), Some(packages)) = (bare_debian_root(), packages()) else {
        println!(
            "SKIPPED: OFFCHANNEL_TEST_BARE_ROOT and OFFCHANNEL_TEST_PACKAGES name no Debian root and no packages; \
             tests/run makes both"
        );
        return;
    };
    if let Some(hindrance) = Chroot::hindrance() {
        println!("SKIPPED: {hindrance}");
        return;
    }
    let system = Chroot::copy_of(&root);
    if let Some(hindrance) = Booted::hindrance(&system) {
        println!("SKIPPED: {hindrance}");
        return;
    }
    let [agent, server] =
        ["offchannel-agent", "offchannel-server"].map(|program| bring(&system, &packages, program));

    let life = Life(Booted::boot(&system));
    let before = system.files();
    install(&life, &agent, &server);
    confined(&life);
    restarted_after_a_kill(&life);
    restarted_when_it_hangs(&life);
    let_hours_pass(&life);
    looks_into_a_home_that_came(&life);
    stopped(&life);
    life.0.power_off();

    let list = system.run(&[&AS_SERVER[..], &["device", "list", "--format", "json"]].concat()).json();
    let last = goodbye(&list["devices"][0]);
    assert_eq!(last, ("shutdown".to_owned(), false), "{list:#}");

    let life = Life(Booted::boot(&system));
    // Nobody started it, and nobody had to.
    life.reporting();
    removed(&life, &before);
}

const AS_SERVER: [&str; 7] =
    ["setpriv", "--reuid", "offchannel", "--regid", "offchannel", "--clear-groups", "offchannel-server"];

/// The collector first, then the agent, which its package starts and which enrols itself.
fn install(life: &Life<'_>, agent: &str, server: &str) {
    let system = life.0.system();
    life.0.must(&["dpkg", "--install", server]);
    // The network is the system's own.
    let url = "https://127.0.0.1:8443";
    write(system, SERVER_TOML, &format!("listen = \"127.0.0.1:8443\"\npublic_url = \"{url}\"\n"));
    life.collector(&["migrate"]);
    // Silence shall not come between.
    write(system, "/etc/offchannel/policy.toml", &POLICY.replace("\"1h\"", "\"7d\""));
    life.collector(&["policy", "publish", "--author", "tests", "--file", "/etc/offchannel/policy.toml"]);
    let token = life.json(&["token", "create"])["text"].as_str().expect("a token").to_owned();
    life.0.must(&["systemctl", "enable", "--now", SERVER]);
    let ca = system.at("/var/lib/offchannel/tls/ca.crt");
    wait_for(
        "the collector's certificate",
        || {
            if ca.exists() { Ok(()) } else { Err(life.0.journal(SERVER)) }
        },
    );
    fs::copy(&ca, system.at(CA)).expect("the CA for the agent");
    let managed = format!("[server]\nurl = \"{url}\"\nca_file = \"{CA}\"\n[log]\nlevel = \"debug\"\n");
    write(system, MANAGED_TOML, &managed);
    write(system, TOKEN, &format!("{token}\n"));
    fs::set_permissions(system.at(TOKEN), fs::Permissions::from_mode(0o600)).expect("rights of the token");
    life.0.must(&["dpkg", "--install", agent]);
    life.reporting();
    assert!(!system.at(TOKEN).exists(), "the token was used and is still there");
}

/// What the unit asks for is in force.
fn confined(life: &Life<'_>) {
    let status = life.0.must(&["cat", &format!("/proc/{}/status", life.pid())]);
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{name} is not in {status}")).trim().to_owned()
    };
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1".to_owned(), "2".to_owned()));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), CAPABILITIES, "{set}");
    }
    assert_ne!(field("Uid").split_whitespace().next(), Some("0"));
    let log = life.0.journal(AGENT);
    assert!(log.contains("confined by Landlock") && !log.contains("not confined"), "{log}");
    assert!(!log.contains("cannot"), "something is refused that the agent needs: {log}");
    let judged = life.0.run(&["systemd-analyze", "security", "--threshold", EXPOSURE, "--no-pager", AGENT]);
    assert_eq!(judged.code, 0, "{}", judged.stdout);
}

fn restarted_after_a_kill(life: &Life<'_>) {
    // Only the wait is shorter than in the package.
    drop_in(life, AGENT, "restart", "[Service]\nRestartSec=100ms\n");
    let killed = life.pid();
    life.0.must(&["sh", "-c", &format!("kill -KILL {killed}")]);
    life.another_than(&killed);
    life.reporting();
}

fn restarted_when_it_hangs(life: &Life<'_>) {
    drop_in(life, AGENT, "watchdog", "[Service]\nWatchdogSec=3s\n");
    life.0.must(&["systemctl", "restart", AGENT]);
    life.reporting();
    let hung = life.pid();
    life.0.must(&["sh", "-c", &format!("kill -STOP {hung}")]);
    life.another_than(&hung);
    let log = life.0.journal(AGENT);
    assert!(log.contains("Watchdog timeout"), "{log}");
    life.0.must(&["rm", &drop_in_path(AGENT, "watchdog")]);
    life.0.must(&["systemctl", "daemon-reload"]);
}

/// From here on hours pass for agent and collector when the test says so.
fn let_hours_pass(life: &Life<'_>) {
    let system = life.0.system();
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(system.at(CLOCK_LIBRARY)).arg(CLOCK_SOURCE);
    let compiled = Output::of(&mut compile);
    assert_eq!(compiled.code, 0, "{compiled:#?}");
    fs::write(system.at(CLOCK), 0i64.to_ne_bytes()).expect("the clock");
    let preload = format!("[Service]\nEnvironment=LD_PRELOAD={CLOCK_LIBRARY}\n");
    drop_in(life, SERVER, "clock", &preload);
    // Both are in one system here: the collector has to be there when the agent says that the system goes down.
    drop_in(life, AGENT, "clock", &format!("[Unit]\nAfter={SERVER}\n{preload}"));
    life.0.must(&["systemctl", "reset-failed"]);
    life.0.must(&["systemctl", "restart", SERVER, AGENT]);
    life.reporting();
}

/// Puts the clocks ahead.
fn pass(life: &Life<'_>, seconds: i64) {
    let clock = life.0.system().at(CLOCK);
    let bytes = fs::read(&clock).expect("the clock").try_into().expect("a number");
    fs::write(&clock, (i64::from_ne_bytes(bytes) + seconds).to_ne_bytes()).expect("the clock");
}

/// The kernel keeps the agent out of a home that it did not know of, until it is started anew.
fn looks_into_a_home_that_came(life: &Life<'_>) {
    let before = life.pid();
    let app = "/srv/people/eve/.local/share/flatpak/app/org.telegram.desktop";
    write(life.0.system(), &format!("{app}/x86_64/stable/0c0ffee/metadata"), "[Application]\n");
    life.0.must(&["ln", "-s", "0c0ffee", &format!("{app}/x86_64/stable/active")]);
    life.0.must(&["ln", "-s", "x86_64/stable", &format!("{app}/current")]);
    life.0.must(&["useradd", "--no-create-home", "--home-dir", "/srv/people/eve", "eve"]);
    life.0.must(&["chown", "-R", "eve:", "/srv/people/eve"]);
    life.0.must(&["chmod", "0700", "/srv/people/eve"]);
    // Long enough for the next look at everything, which finds homes wherever they are.
    pass(life, 20 * 60);
    life.another_than(&before);
    life.reporting();
    wait_for("what is in the home", || {
        let alerts = life.alerts();
        if alerts == ["prohibited-app"] { Ok(()) } else { Err(format!("the alerts are {alerts:?}")) }
    });
    let log = life.0.journal(AGENT);
    assert!(
        log.contains("a folder has come that only an agent which is started anew may look into"),
        "{log}"
    );
    life.0.must(&["rm", "-r", "/srv/people"]);
    life.0.must(&["userdel", "eve"]);
    life.without_alerts();
}

fn stopped(life: &Life<'_>) {
    // An upgrade or a restart is no reason to worry.
    life.0.must(&["systemctl", "restart", AGENT]);
    life.reporting();
    pass(life, 2 * 3600);
    life.0.must(&["systemctl", "reset-failed"]);
    life.reporting();
    assert_eq!(life.alerts(), Vec::<String>::new());
    // Whoever stops it and leaves it stopped is told.
    life.0.must(&["systemctl", "stop", AGENT]);
    assert_eq!(goodbye(&life.device()), ("stop".to_owned(), true));
    assert_eq!(life.alerts(), Vec::<String>::new());
    pass(life, 3600);
    wait_for("the alert", || {
        let alerts = life.alerts();
        if alerts == ["agent-stopped"] { Ok(()) } else { Err(format!("the alerts are {alerts:?}")) }
    });
    life.0.must(&["systemctl", "start", AGENT]);
    life.reporting();
    life.without_alerts();
}

/// Nothing stays but what is documented.
fn removed(life: &Life<'_>, before: &BTreeSet<String>) {
    life.0.must(&["dpkg", "--purge", "offchannel-agent"]);
    assert_eq!(goodbye(&life.device()), ("uninstall".to_owned(), false));
    assert_eq!(life.alerts(), ["agent-uninstalled"]);
    assert_eq!(life.0.run(&["systemctl", "cat", AGENT]).code, 1);
    life.0.must(&["dpkg", "--purge", "offchannel-server"]);
    // What the system itself keeps of having run and of accounts, and what is this test's.
    let kept = [
        "/var/lib/systemd/",
        "/var/log/",
        "/run/",
        "/etc/subgid-",
        "/etc/subuid-",
        "/tmp/systemd-private-",
        "/var/tmp/systemd-private-",
    ];
    let own = ["offchannel-test", "/etc/offchannel/policy.toml"];
    let unknown = |path: &&String| {
        let of_system = !path.contains("offchannel") && kept.iter().any(|start| path.starts_with(start));
        !is_left(path) && !of_system && !own.iter().any(|name| path.contains(name))
    };
    let after = life.0.system().files();
    let left: Vec<&String> = after.difference(before).filter(unknown).collect();
    let drop_ins = [AGENT, SERVER].map(|unit| format!("/etc/systemd/system/{unit}.d"));
    assert_eq!(left, drop_ins.iter().collect::<Vec<_>>(), "purging left what is not documented");
}

fn drop_in_path(unit: &str, name: &str) -> String {
    format!("/etc/systemd/system/{unit}.d/offchannel-test-{name}.conf")
}

/// Adds to a unit as an administrator would.
fn drop_in(life: &Life<'_>, unit: &str, name: &str, text: &str) {
    write(life.0.system(), &drop_in_path(unit, name), text);
    life.0.must(&["systemctl", "daemon-reload"]);
}
