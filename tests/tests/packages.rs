//! The packages, installed by the real package managers in a real Debian system in a folder: what they bring, that it works,
//! that it survives an upgrade, and what is left at the end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use offchannel_tests::clock::{bare_debian_root, packages};
use offchannel_tests::installed::{
    AGENT_TOML, CA, DATA, MANAGED_TOML, SERVER_TOML, STATE, TOKEN, bring, is_left, package, read, write,
};
use offchannel_tests::port::Port;
use offchannel_tests::process::Process;
use offchannel_tests::site::POLICY;
use offchannel_tests::{Chroot, Output, wait_for};
use serde_json::Value;

/// A copy of the Debian system with the packages in it, or nothing, said aloud.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn system() -> Option<(Chroot, PathBuf)> {
    let (Some(root), Some(packages)) = (bare_debian_root(), packages()) else {
        println!(
            "SKIPPED: OFFCHANNEL_TEST_BARE_ROOT and OFFCHANNEL_TEST_PACKAGES name no Debian root and no packages; \
             tests/run makes both"
        );
        return None;
    };
    if let Some(hindrance) = Chroot::hindrance() {
        println!("SKIPPED: {hindrance}");
        return None;
    }
    Some((Chroot::copy_of(&root), packages))
}

fn mode(system: &Chroot, path: &str) -> u32 {
    fs::metadata(system.at(path)).expect("a file of the system").permissions().mode() & 0o7777
}

/// A command of the collector, as its user, for its JSON.
#[track_caller]
fn collector(system: &Chroot, arguments: &[&str]) -> Value {
    let user =
        ["setpriv", "--reuid", "offchannel", "--regid", "offchannel", "--clear-groups", "offchannel-server"];
    system.run(&[&user[..], arguments, &["--format", "json"]].concat()).json()
}

/// The kinds of the alerts that are open.
fn alerts(system: &Chroot) -> Vec<String> {
    let list = collector(system, &["alert", "list"]);
    let alerts = list["alerts"].as_array().expect("alerts").iter();
    alerts.map(|alert| alert["kind"].as_str().expect("a kind").to_owned()).collect()
}

/// Waits until there is one device that has reported since it last said goodbye; its id.
#[track_caller]
fn reporting(system: &Chroot, agent: &mut Process) -> String {
    wait_for("a device that reports", || {
        if let Some(status) = agent.ended() {
            panic!("the agent ended ({status}): {}", agent.log());
        }
        let list = collector(system, &["device", "list"]);
        let devices = list["devices"].as_array().expect("devices");
        let reports = |device: &&Value| !device["reported_at"].is_null() && device["goodbye"].is_null();
        match devices.as_slice() {
            [device] if reports(&device) => Ok(device["id"].as_str().expect("an id").to_owned()),
            _ => Err(format!("the devices are {devices:#?}")),
        }
    })
}

#[test]
fn a_debian_system_installs_upgrades_removes_and_purges_the_packages() {
    let Some((system, packages)) = system() else { return };
    let (agent_deb, server_deb) =
        (bring(&system, &packages, "offchannel-agent"), bring(&system, &packages, "offchannel-server"));
    let before = system.files();

    // The collector: its settings are changed after they were installed.
    let installed = system.must(&["dpkg", "--install", &server_deb]);
    assert!(!installed.contains("error"), "{installed}");
    assert_eq!((mode(&system, "/etc/offchannel"), mode(&system, DATA)), (0o755, 0o700));
    let port = Port::reserve();
    let url = format!("https://{}", port.address());
    let server_toml = format!("listen = \"{}\"\npublic_url = \"{url}\"\n", port.address());
    write(&system, SERVER_TOML, &server_toml);
    let as_server = ["setpriv", "--reuid", "offchannel", "--regid", "offchannel", "--clear-groups"];
    system.must(&[&as_server[..], &["offchannel-server", "migrate"]].concat());
    write(&system, "/tmp/policy.toml", POLICY);
    collector(&system, &["policy", "publish", "--author", "tests", "--file", "/tmp/policy.toml"]);
    let token = collector(&system, &["token", "create"])["text"].as_str().expect("a token").to_owned();
    let mut server = system.start("offchannel-server.service");
    let ca = system.at("/var/lib/offchannel/tls/ca.crt");
    wait_for("the collector's certificate", || {
        if let Some(status) = server.ended() {
            panic!("the collector ended ({status}): {}", server.log());
        }
        if ca.exists() { Ok(()) } else { Err("there is none yet".to_owned()) }
    });

    // The agent: settings and token are there before the package is, laid by root.
    fs::copy(&ca, system.at(CA)).expect("the CA for the agent");
    write(&system, MANAGED_TOML, &format!("[server]\nurl = \"{url}\"\nca_file = \"{CA}\"\n"));
    write(&system, TOKEN, &format!("{token}\n"));
    fs::set_permissions(system.at(TOKEN), fs::Permissions::from_mode(0o600)).expect("rights of the token");
    system.must(&["dpkg", "--install", &agent_deb]);
    let account: u32 = system.must(&["id", "-u", "offchannel-agent"]).trim().parse().expect("a number");
    let owner = |path: &str| fs::metadata(system.at(path)).expect("a file").uid();
    assert_eq!((owner(TOKEN), mode(&system, TOKEN)), (account, 0o600));
    assert_eq!((owner(STATE), mode(&system, STATE)), (account, 0o755));
    assert_eq!(system.must(&["systemctl", "is-enabled", "offchannel-agent"]).trim(), "enabled");
    assert_eq!(system.run(&["systemctl", "is-enabled", "offchannel-server"]).stdout.trim(), "disabled");

    let mut agent = system.start("offchannel-agent.service");
    let device = reporting(&system, &mut agent);
    assert!(!system.at(TOKEN).exists(), "the token was used and is still there");
    let identity = || fs::read(system.at(STATE).join("identity.json")).expect("the identity");
    let enrolled = identity();
    assert_eq!(mode(&system, "/var/lib/offchannel-agent/identity.json"), 0o600);
    assert_eq!(agent.stop().code(), Some(0));

    // Both over themselves, with a setting that was changed by hand and a service that somebody disabled.
    let agent_toml = format!("{}\n[log]\nlevel = \"debug\"\n", read(&system, AGENT_TOML));
    write(&system, AGENT_TOML, &agent_toml);
    system.must(&["systemctl", "disable", "offchannel-agent"]);
    system.must(&["dpkg", "--install", &agent_deb, &server_deb]);
    assert_eq!(read(&system, AGENT_TOML), agent_toml);
    assert_eq!(read(&system, SERVER_TOML), server_toml);
    assert_eq!(identity(), enrolled);
    assert_eq!(system.run(&["systemctl", "is-enabled", "offchannel-agent"]).stdout.trim(), "disabled");
    system.must(&["systemctl", "enable", "offchannel-agent"]);
    let mut agent = system.start("offchannel-agent.service");
    assert_eq!(reporting(&system, &mut agent), device, "the upgraded agent is another device");
    assert_eq!(alerts(&system), Vec::<String>::new(), "an upgrade is no removal");
    assert_eq!(agent.stop().code(), Some(0));

    // Removed: the collector is told, settings and state stay.
    let removed = system.must(&["dpkg", "--remove", "offchannel-agent"]);
    assert!(removed.contains("was told that the agent of"), "{removed}");
    assert_eq!(alerts(&system), ["agent-uninstalled"]);
    assert!(!system.at("/usr/bin/offchannel-agent").exists());
    assert_eq!((read(&system, AGENT_TOML), identity()), (agent_toml, enrolled));

    // Back again: the same device, and the alert is over.
    system.must(&["dpkg", "--install", &agent_deb]);
    let mut agent = system.start("offchannel-agent.service");
    assert_eq!(reporting(&system, &mut agent), device, "the reinstalled agent is another device");
    assert_eq!(alerts(&system), Vec::<String>::new());
    assert_eq!(agent.stop().code(), Some(0));

    // Gone, also when the collector is away.
    assert_eq!(server.stop().code(), Some(0));
    let purged = system.must(&["dpkg", "--purge", "offchannel-agent", "offchannel-server"]);
    assert!(purged.contains("the collector cannot be reached"), "{purged}");
    assert!(system.at("/var/lib/offchannel/offchannel.db").exists(), "evidence was removed");
    fs::remove_file(system.at("/tmp/policy.toml")).expect("the policy of this test");
    let of_test = |path: &&String| path.ends_with(".log") && path.matches('/').count() == 1;
    let after = system.files();
    let left: Vec<&String> =
        after.difference(&before).filter(|path| !of_test(path) && !is_left(path)).collect();
    assert!(left.is_empty(), "purging left what is not documented: {left:#?}");
    let lost: Vec<&String> =
        before.difference(&after).filter(|path| !path.starts_with("/var/lib/dpkg/")).collect();
    assert!(lost.is_empty(), "purging took what was there before: {lost:#?}");
    for user in ["offchannel-agent", "offchannel"] {
        assert_eq!(system.run(&["id", "-u", user]).code, 0, "the account {user} is gone");
    }
}

#[test]
fn the_scripts_start_stop_and_restart_as_the_system_wants_it() {
    let Some((system, packages)) = system() else { return };
    let (agent, server) =
        (bring(&system, &packages, "offchannel-agent"), bring(&system, &packages, "offchannel-server"));
    // systemd cannot run here. What its programs are asked is written down instead.
    write(&system, "/run/systemd/system/.here", "");
    for program in ["/usr/bin/deb-systemd-invoke", "/usr/local/sbin/systemctl"] {
        write(&system, program, "#!/bin/sh\necho \"${0##*/} $*\" >>/root/asked\n");
        fs::set_permissions(system.at(program), fs::Permissions::from_mode(0o755)).expect("a program");
    }
    let asked = |arguments: &[&str]| {
        write(&system, "/root/asked", "");
        let said = system.must(arguments);
        let asked = read(&system, "/root/asked");
        let asked = asked.lines().filter(|line| line.starts_with("deb-systemd-invoke "));
        (asked.map(ToOwned::to_owned).collect::<Vec<String>>(), said)
    };
    let (done, said) = asked(&["dpkg", "--install", &agent, &server]);
    assert_eq!(done, Vec::<String>::new(), "nothing may start that has no settings");
    assert!(said.contains("set server.url in") && said.contains("set public_url in"), "{said}");
    let (done, _) = asked(&["dpkg", "--install", &agent, &server]);
    let expected = [
        "deb-systemd-invoke restart offchannel-agent.service",
        "deb-systemd-invoke try-restart offchannel-server.service",
    ];
    assert_eq!(done, expected);
    let (done, said) = asked(&["dpkg", "--purge", "offchannel-agent", "offchannel-server"]);
    let expected = [
        "deb-systemd-invoke stop offchannel-agent.service",
        "deb-systemd-invoke stop offchannel-server.service",
    ];
    assert_eq!(done, expected);
    assert!(said.contains("This device is not enrolled"), "{said}");
    write(&system, MANAGED_TOML, "[server]\nurl = \"https://collector.example.org\"\n");
    let (done, said) = asked(&["dpkg", "--install", &agent]);
    assert_eq!(done, ["deb-systemd-invoke start offchannel-agent.service"], "{said}");
}

/// The packages for rpm, if they and rpm are here; said aloud if not.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn rpms() -> Option<[PathBuf; 2]> {
    let Some(packages) = packages() else {
        println!("SKIPPED: OFFCHANNEL_TEST_PACKAGES names no packages; tests/run makes them");
        return None;
    };
    if !Command::new("rpm").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: rpm is not on this machine; tests/run installs it where it can");
        return None;
    }
    Some(["offchannel-agent", "offchannel-server"].map(|program| package(&packages, program, ".rpm")))
}

#[track_caller]
fn rpm(arguments: &[&str]) -> String {
    let output = Output::of(Command::new("rpm").args(arguments));
    assert_eq!(output.code, 0, "rpm {arguments:?} failed: {output:#?}");
    output.stdout
}

#[test]
fn the_rpms_say_what_they_bring_and_need() {
    let Some(rpms) = rpms() else { return };
    for (program, config, package) in
        [("offchannel-agent", AGENT_TOML, &rpms[0]), ("offchannel-server", SERVER_TOML, &rpms[1])]
    {
        let package = package.to_str().expect("a path in UTF-8");
        assert_eq!(rpm(&["-qpc", package]).trim(), config);
        let format = "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME}\n]";
        let files = rpm(&["-qp", "--queryformat", format, package]);
        for file in [
            "/etc/offchannel 40755 root:root".to_owned(),
            format!("{config} 100644 root:root"),
            format!("/usr/bin/{program} 100755 root:root"),
            format!("/usr/lib/systemd/system/{program}.service 100644 root:root"),
            format!("/usr/lib/sysusers.d/{program}.conf 100644 root:root"),
            format!("/usr/lib/tmpfiles.d/{program}.conf 100644 root:root"),
        ] {
            assert!(files.lines().any(|line| line == file), "{file} is not in\n{files}");
        }
        let others: Vec<&str> = files.lines().filter(|line| !line.ends_with(" root:root")).collect();
        assert!(others.is_empty(), "these need an account before there is one: {others:?}");
        // RHEL 9 has glibc 2.34 and rpm 4.16.
        for need in rpm(&["-qp", "--requires", package]).lines() {
            let version = need.split_once("(GLIBC_").and_then(|(_, rest)| rest.split_once(')'));
            let newest = version.is_none_or(|(version, _)| {
                let mut parts = version.split('.').map(|part| part.parse::<u32>().expect("a version"));
                (parts.next(), parts.next()) <= (Some(2), Some(34))
            });
            let known = [
                "/bin/sh",
                "config(",
                "coreutils",
                "grep",
                "ld-linux",
                "libc.so.6(",
                "libgcc_s.so.1(",
                "libm.so.6(",
                "rpmlib(",
                "rtld(",
                "systemd",
            ];
            assert!(newest && known.iter().any(|start| need.starts_with(start)), "{program} needs {need}");
        }
    }
}

#[test]
fn the_rpms_install_with_their_scripts_and_leave_what_is_documented() {
    let Some(rpms) = rpms() else { return };
    let Some((system, _)) = system() else { return };
    let (root, files) =
        (system.path().to_str().expect("UTF-8"), rpms.each_ref().map(|rpm| rpm.to_str().expect("UTF-8")));
    // The libraries are Debian's and not known to rpm. Only what rpm is for is looked at.
    let managed = |arguments: &[&str]| rpm(&[&["--root", root], arguments].concat());
    rpm(&["--root", root, "--initdb"]);
    let before = system.files();
    managed(&["--install", "--nodeps", files[0], files[1]]);
    for (user, folder, mode_of) in [("offchannel-agent", STATE, 0o755), ("offchannel", DATA, 0o700)] {
        let number: u32 = system.must(&["id", "-u", user]).trim().parse().expect("a number");
        // Without /proc, as here, systemd-tmpfiles makes no folder; systemd makes it when the service starts.
        if let Ok(meta) = fs::metadata(system.at(folder)) {
            assert_eq!((meta.uid(), meta.permissions().mode() & 0o7777), (number, mode_of), "{folder}");
        }
    }
    assert_eq!(system.must(&["systemctl", "is-enabled", "offchannel-agent"]).trim(), "enabled");
    assert_eq!(managed(&["--verify", "--nodeps", "offchannel-agent", "offchannel-server"]), "");
    let changed = format!("{}\n[log]\nlevel = \"debug\"\n", read(&system, AGENT_TOML));
    write(&system, AGENT_TOML, &changed);
    write(&system, "/var/lib/offchannel-agent/state.json", "{}");
    managed(&["--upgrade", "--force", "--nodeps", files[0], files[1]]);
    assert_eq!(read(&system, AGENT_TOML), changed);
    managed(&["--erase", "--nodeps", "offchannel-agent", "offchannel-server"]);
    let after = system.files();
    let kept = |path: &&String| {
        let kept = ["/var/lib/offchannel", "/var/lib/rpm", "/etc/offchannel", "/var/lib/systemd/"];
        !kept.iter().any(|start| path.starts_with(start)) && !is_left(path)
    };
    let left: BTreeSet<&String> = after.difference(&before).filter(kept).collect();
    assert!(left.is_empty(), "erasing left what is not documented: {left:#?}");
    assert_eq!(read(&system, &format!("{AGENT_TOML}.rpmsave")), changed);
    assert!(system.at("/var/lib/offchannel-agent/state.json").exists());
}
