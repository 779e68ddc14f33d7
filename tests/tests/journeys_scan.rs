//! `scan` in the hands of somebody who is not root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use offchannel_tests::{Output, Root, programs};
use rustix::process::geteuid;
use serde_json::Value;

/// `nobody`, as on every Linux.
const NOBODY: u32 = 65_534;

fn mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Scans a tree as somebody who may not read everything in it.
fn scan(root: &Root, options: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    mode(folder.path(), 0o755);
    mode(root.path(), 0o755);
    // Where it was built, others may not be allowed to look.
    let program = folder.path().join("offchannel-agent");
    let built = programs::path("offchannel-agent");
    if fs::hard_link(&built, &program).is_err() {
        fs::copy(&built, &program).expect("a copy of the agent");
    }
    let mut command = Command::new(&program);
    command.env_clear().current_dir("/").arg("scan").arg("--root").arg(root.path()).args(options);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    Output::of(&mut command)
}

fn tree() -> Root {
    let mut root = Root::new();
    root.install("telegram-desktop", "4.6.5+ds-2+b1");
    let entries = root.path().join("home/alice/.local/share/applications");
    fs::create_dir_all(&entries).expect("a folder");
    let entry =
        "[Desktop Entry]\nType=Application\nName=HexChat\nExec=hexchat\nCategories=Network;IRCClient;\n";
    fs::write(entries.join("hexchat.desktop"), entry).expect("a desktop entry");
    root
}

#[test]
fn an_ordinary_user_sees_what_he_may_and_is_told_what_he_may_not() {
    let root = tree();
    let home = root.path().join("home/alice");
    let whole = scan(&root, &["--format", "json"]).json();
    let apps = |scan: &Value| -> Vec<String> {
        let sightings = scan["sightings"].as_array().expect("sightings");
        sightings.iter().map(|sighting| sighting["app"].as_str().expect("an app").to_owned()).collect()
    };
    assert_eq!(apps(&whole), ["hexchat", "telegram"], "{whole:#}");

    mode(&home, 0o000);
    let part = scan(&root, &["--format", "json"]);
    let table = scan(&root, &[]);
    mode(&home, 0o755);
    let part = part.json();
    assert_eq!(apps(&part), ["telegram"], "{part:#}");
    let telegram = &part["sightings"][0];
    assert_eq!((&telegram["source"], &telegram["version"]), (&"dpkg".into(), &"4.6.5+ds-2+b1".into()));
    let health = |source: &str| {
        let sources = part["sources"].as_array().expect("sources");
        let found = sources.iter().find(|found| found["source"] == source).expect("a source");
        found["health"].as_str().expect("a text").to_owned()
    };
    assert_eq!(health("dpkg"), "ok");
    let entries = health("desktop-entry");
    assert!(entries.starts_with("partial: ") || entries.starts_with("failed: "), "{entries}");
    // Whose by a pseudonym: what a source says of itself is reported, and names of users are not.
    assert!(entries.contains("1 home folder (user:u-"), "{entries}");
    assert!(entries.ends_with("): permission denied"), "{entries}");
    assert_eq!(table.code, 0, "{table:#?}");
    assert!(table.stdout.contains("Telegram") && table.stdout.contains("could not be read"), "{table:#?}");
}

#[test]
fn a_package_database_that_cannot_be_read_is_no_empty_one() {
    let root = tree();
    let status = root.path().join("var/lib/dpkg/status");
    mode(&status, 0o000);
    let scanned = scan(&root, &["--format", "json"]).json();
    let sources = scanned["sources"].as_array().expect("sources");
    let dpkg = sources.iter().find(|source| source["source"] == "dpkg").expect("dpkg");
    let health = dpkg["health"].as_str().expect("a text");
    assert!(health.starts_with("partial: ") || health.starts_with("failed: "), "{dpkg:#}");
    assert!(health.contains("/var/lib/dpkg/status: permission denied"), "{dpkg:#}");
}

#[test]
fn a_scan_has_the_shape_that_scripts_rely_on() {
    let root = tree();
    let output = scan(&root, &["--platform", "linux", "--format", "json"]);
    let scanned = output.json();
    assert_eq!((&scanned["schema"], &scanned["platform"]), (&1.into(), &"linux".into()), "{scanned:#}");
    assert!(scanned["catalogue"].is_string() && scanned["unreviewed"].is_array(), "{scanned:#}");
    let telegram =
        scanned["sightings"].as_array().expect("sightings").iter().find(|s| s["app"] == "telegram");
    let expected = serde_json::json!({
        "app": "telegram", "name": "Telegram", "kind": "consumer", "networks": ["telegram"], "grade": "installed",
        "source": "dpkg", "identifier": "telegram-desktop", "version": "4.6.5+ds-2+b1", "scope": "system",
        "official": true
    });
    assert_eq!(telegram, Some(&expected));
    for source in scanned["sources"].as_array().expect("sources") {
        assert!(source["source"].is_string() && source["health"].is_string(), "{source:#}");
        assert!(source["artefacts"].is_u64() && source["micros"].is_u64(), "{source:#}");
    }
    assert_eq!(scan(&root, &["--nonsense"]).code, 2);
    assert_eq!(scan(&root, &["--root", "/nonexistent/root"]).code, 2, "the option is there twice");
    let missing = Output::of(programs::agent().args(["scan", "--root", "/nonexistent/root"]));
    assert!(missing.failure().contains("/nonexistent/root"), "{missing:#?}");
}
