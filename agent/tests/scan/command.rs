//! `scan`, `sources` and `catalogue` as scripts use them.

use std::process::{Command, Output};

use crate::support::fixture;
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::sources::SOURCES;
use serde_json::Value;

fn agent(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_offchannel-agent")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn scan_answers_in_json() {
    let root = fixture("linux-dpkg");
    let output = agent(&["scan", "--root", root.to_str().unwrap(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["schema"], 1);
    assert_eq!(answer["platform"], "linux");
    let telegram =
        answer["sightings"].as_array().unwrap().iter().find(|row| row["app"] == "telegram").unwrap();
    assert_eq!(telegram["version"], "4.6.5+ds-2+b1");
    assert_eq!(telegram["scope"], "system");
    let residual = answer["sightings"].as_array().unwrap().iter().find(|row| row["app"] == "pidgin").unwrap();
    assert_eq!(residual["grade"], "residual", "leftovers are in the JSON without --all");
    let dpkg = answer["sources"].as_array().unwrap().iter().find(|row| row["source"] == "dpkg").unwrap();
    assert_eq!(dpkg["artefacts"], 5);
}

#[test]
fn a_tree_of_another_system_is_scanned_here() {
    for platform in ["macos", "windows"] {
        let root = fixture(&format!("{platform}-web-app"));
        let output =
            agent(&["scan", "--root", root.to_str().unwrap(), "--platform", platform, "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{platform}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["platform"], platform);
        let found = answer["sightings"].as_array().unwrap();
        assert!(found.iter().any(|row| row["app"] == "whatsapp" && row["grade"] == "web-app"), "{found:?}");
    }
}

#[test]
fn the_system_of_a_tree_is_told_by_its_folders() {
    for (tree, platform) in
        [("windows-uninstall", "windows"), ("macos-bundle", "macos"), ("linux-dpkg", "linux")]
    {
        let output = agent(&["scan", "--root", fixture(tree).to_str().unwrap(), "--format", "json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["platform"], platform, "{tree}");
    }
}

#[test]
fn scan_of_this_machine_works() {
    let platform = Host::live().platform();
    // A system that no source looks at is said to be none.
    let known = SOURCES.iter().any(|source| source.platforms().contains(&platform));
    assert!(known || cfg!(not(target_os = "linux")));
    for args in
        [&["scan"][..], &["scan", "--all"], &["scan", "--root", "/", "--format", "json"], &["sources"]]
    {
        let output = agent(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !known && stderr.contains("no sources for") {
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    }
}

#[test]
fn a_root_that_cannot_be_looked_at_is_a_failure() {
    let file = fixture("linux-dpkg/README.md");
    // On Windows the words depend on the language, and for a file even the number on whether it is Wine.
    let (missing, no_folder) =
        if cfg!(windows) { ("(os error 3)", "(os error ") } else { ("No such file", "Not a directory") };
    for (args, reason) in [
        (["--root", "/no/such/folder", "--platform", "linux"], missing),
        (["--root", file.to_str().unwrap(), "--platform", "linux"], no_folder),
    ] {
        let output = agent(&[&["scan"], &args[..]].concat());
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr.contains(reason), "{args:?}: {stderr}");
        assert_eq!(stdout(&output), "", "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_scan_in_which_nothing_could_be_read_is_a_failure() {
    let tree = tempfile::tempdir().unwrap();
    // A link in a circle where the database should be, and nothing else.
    let status = tree.path().join("var/lib/dpkg/status");
    std::fs::create_dir_all(status.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("status", status).unwrap();
    let output = agent(&["scan", "--root", tree.path().to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let (code, text) = (output.status.code(), stdout(&output));
    assert!(text.contains("1 could not be read") && text.contains("dpkg"), "{text}");
    assert_eq!(code, Some(1), "{text}{stderr}");
    assert!(stderr.contains("none of the places that exist here could be read"), "{stderr}");
}

#[test]
fn wrong_usage_is_told_from_failure() {
    for args in [
        &["scan", "--platform", "android"][..],
        &["scan", "--format", "xml"],
        &["scan", "--no-such-flag"],
        &["catalogue", "match", "no-such-namespace", "x"],
        &["catalogue"],
    ] {
        assert_eq!(agent(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn catalogue_match_prints_the_app_or_exits_1() {
    let output = agent(&["catalogue", "match", "dpkg", "telegram-desktop"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "telegram\n"));
    let output = agent(&["catalogue", "match", "dpkg", "libsignal-protocol-c2.3.2"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
}
