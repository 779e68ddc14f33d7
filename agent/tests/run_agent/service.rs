//! `service`: the last word to the collector, and the files that it writes and removes.

#[cfg(target_os = "linux")]
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Collector, Device};
use offchannel_shared::wire::{GOODBYE_PATH, GoodbyeReason};

fn service(arguments: &[&str]) -> Output {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_offchannel-agent"));
    agent.arg("service").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn goodbye(device: &Device) -> Output {
    service(&["goodbye", "--config", device.path("agent.toml").to_str().unwrap()])
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_collector_hears_of_a_removal_also_if_the_clock_is_off() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    assert!(device.call("enrol", &[]).status.success());
    let before = std::fs::read(device.path("state/identity.json")).unwrap();
    for ahead in [0, 3600] {
        collector.clock_ahead(ahead);
        let output = goodbye(&device);
        assert!(output.status.success(), "{output:?}");
        assert!(said(&output).contains("was told that the agent of dev_"), "{output:?}");
    }
    let goodbyes = collector.wait_for("two goodbyes", |told| {
        (told.goodbyes.len() == 2).then(|| (told.goodbyes.clone(), told.paths.clone()))
    });
    assert_eq!(goodbyes.0, [GoodbyeReason::Uninstall, GoodbyeReason::Uninstall]);
    // The one that came too early was refused first.
    assert_eq!(goodbyes.1.iter().filter(|path| *path == GOODBYE_PATH).count(), 3);
    // The command is root's and the folder the agent's: nothing in it may be touched.
    assert_eq!(std::fs::read(device.path("state/identity.json")).unwrap(), before);
}

#[test]
fn a_goodbye_that_nobody_can_hear_is_said_and_ends() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let output = goodbye(&device);
    assert!(output.status.success(), "{output:?}");
    assert!(said(&output).contains("This device is not enrolled"), "{output:?}");
    assert!(device.call("enrol", &[]).status.success());
    // Nobody listens there.
    device.configure("https://127.0.0.1:9");
    let output = goodbye(&device);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("the collector cannot be reached: cannot connect to"), "{output:?}");
    std::fs::write(device.path("state/identity.json"), "{").unwrap();
    let output = goodbye(&device);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("cannot read"), "{output:?}");
    assert!(device.path("state/identity.json").exists(), "a damaged identity was moved");
}

#[cfg(target_os = "linux")]
fn in_tree(root: &Path, arguments: &[&str]) -> Output {
    service(&[arguments, &["--root", root.to_str().unwrap()]].concat())
}

#[cfg(target_os = "linux")]
#[track_caller]
fn status(root: &Path, code: i32) -> serde_json::Value {
    let output = in_tree(root, &["status", "--format", "json"]);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[cfg(target_os = "linux")]
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[cfg(target_os = "linux")]
#[test]
fn the_service_of_a_tree_is_installed_looked_at_and_removed() {
    const PROGRAM: &str = "usr/bin/offchannel-agent";
    const UNIT: &str = "etc/systemd/system/offchannel-agent.service";
    const LINK: &str = "etc/systemd/system/multi-user.target.wants/offchannel-agent.service";
    const ACCOUNT: &str = "etc/sysusers.d/offchannel-agent.conf";
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    let output = in_tree(root, &["install"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("usr/bin/offchannel-agent: put it there first"), "{output:?}");
    assert_eq!(files(root), Vec::<String>::new());
    assert_eq!(status(root, 3)["definition"], "absent");

    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::fs::write(root.join(PROGRAM), "").unwrap();
    for _ in 0..2 {
        let output = in_tree(root, &["install"]);
        assert!(output.status.success(), "{output:?}");
        assert!(said(&output).contains("systemd-sysusers --root="), "{output:?}");
        assert_eq!(files(root), [LINK, UNIT, ACCOUNT, PROGRAM].map(ToOwned::to_owned).as_slice());
    }
    let unit = std::fs::read_to_string(root.join(UNIT)).unwrap();
    assert!(unit.contains("\nExecStart=/usr/bin/offchannel-agent run\n"), "{unit}");
    // As `systemctl enable` writes it: the system that will run finds it there.
    assert_eq!(std::fs::read_link(root.join(LINK)).unwrap(), Path::new("/").join(UNIT));
    let stands = status(root, 0);
    for (key, value) in [("installed", true), ("enabled", true), ("packaged", false), ("in_order", true)] {
        assert_eq!(stands[key], value, "{key} in {stands}");
    }
    assert_eq!((&stands["definition"], &stands["running"]), (&"current".into(), &serde_json::Value::Null));

    std::fs::write(root.join(UNIT), unit.replace("Restart=always", "Restart=no")).unwrap();
    assert_eq!(status(root, 3)["definition"], "differs");
    assert!(in_tree(root, &["install"]).status.success());
    assert_eq!(std::fs::read_to_string(root.join(UNIT)).unwrap(), unit);

    assert!(in_tree(root, &["uninstall"]).status.success());
    assert_eq!(files(root), [PROGRAM]);
    let output = in_tree(root, &["uninstall"]);
    assert!(output.status.success() && said(&output).contains("was not installed"), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_unit_of_a_package_is_left_to_the_package_manager() {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    for folder in ["usr/bin", "usr/lib/systemd/system"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("usr/bin/offchannel-agent"), "").unwrap();
    let unit = include_str!("../../../packaging/linux/offchannel-agent.service");
    std::fs::write(root.join("usr/lib/systemd/system/offchannel-agent.service"), unit).unwrap();
    for command in ["install", "uninstall"] {
        let output = in_tree(root, &[command]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said(&output).contains("belongs to a package"), "{output:?}");
    }
    let stands = status(root, 3);
    assert_eq!((&stands["packaged"], &stands["definition"]), (&true.into(), &"current".into()), "{stands}");
    // One that was installed before the package came hides the package's, and can go.
    std::fs::create_dir_all(root.join("etc/systemd/system")).unwrap();
    std::fs::write(root.join("etc/systemd/system/offchannel-agent.service"), unit).unwrap();
    assert_eq!(status(root, 3)["packaged"], false);
    assert!(in_tree(root, &["uninstall"]).status.success());
    assert_eq!(status(root, 3)["packaged"], true);
}
