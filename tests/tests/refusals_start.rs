//! Starts that must fail, each with a message that says what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use offchannel_tests::{Device, Site, rows};
use rustix::process::geteuid;

/// Starts `serve`, which must end by itself with exit code 1; returns what it said.
#[track_caller]
fn refused(site: &Site) -> String {
    let mut serve = site.spawn();
    let status = serve.wait();
    let log = serve.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    log
}

#[test]
fn a_second_collector_on_one_data_folder_is_refused() {
    let mut site = Site::serving();
    let first = site.process().id();
    let log = refused(&site);
    let line = log.lines().last().expect("a message");
    assert!(line.contains("another collector"), "{line}");
    assert!(line.contains(&format!("process {first}")), "{line} does not name process {first}");
    assert!(line.contains(site.data().to_str().expect("a path")), "{line}");
    Device::enrol(&site.client(), &site.token());

    // What is left of a collector that was killed stops nobody.
    site.kill();
    site.start();
}

#[test]
fn a_port_that_is_in_use_is_named() {
    let mut site = Site::serving();
    assert!(site.stop().success());
    let other = TcpListener::bind(site.port().address()).expect("the collector's port");
    let log = refused(&site);
    let expected = format!("cannot listen on {}", site.port().address());
    assert!(log.contains(&expected), "{log}");
    drop(other);
    site.start();
}

#[test]
fn a_file_in_place_of_the_data_folder_is_named() {
    let site = Site::bare();
    fs::write(site.data(), "").expect("a file");
    let log = refused(&site);
    assert!(log.contains("cannot use the data folder"), "{log}");
    assert!(log.contains(site.data().to_str().expect("a path")), "{log}");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let site = Site::bare();
    let mut folder = site.data();
    if geteuid().is_root() {
        // Not even root can make a folder there.
        folder = "/proc/offchannel-tests/data".into();
        let config = fs::read_to_string(site.config()).expect("the configuration");
        let config = config.replace("\"data\"", &format!("{:?}", folder.display().to_string()));
        fs::write(site.config(), config).expect("a change");
    } else {
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("its mode");
    }
    let log = refused(&site);
    assert!(log.contains(folder.to_str().expect("a path")), "{log}");
    assert!(log.contains("writable"), "{log}");
}

#[test]
fn a_database_from_a_newer_version_is_left_alone() {
    let mut site = Site::serving();
    Device::enrol(&site.client(), &site.token());
    assert!(site.stop().success());
    rows::from_the_future(&site.database());
    let before = site.rows();
    let log = refused(&site);
    assert!(log.contains("schema version 9999"), "{log}");
    assert!(log.contains("newer"), "{log}");
    let listed = site.run(&["device", "list"]);
    assert!(listed.failure().contains("schema version 9999"), "{listed:#?}");
    assert_eq!(site.rows(), before);
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let mut site = Site::serving();
    assert!(site.stop().success());
    for name in ["offchannel.db-wal", "offchannel.db-shm"] {
        let _ = fs::remove_file(site.data().join(name));
    }
    let letter = "Dear sir or madam, this is not a database at all.\n".repeat(100);
    fs::write(site.database(), &letter).expect("a letter");
    let log = refused(&site);
    assert!(log.contains("not a database"), "{log}");
    assert_eq!(fs::read_to_string(site.database()).expect("the letter"), letter);
}

#[test]
fn a_command_before_the_first_start_says_what_is_missing() {
    let site = Site::bare();
    let listed = site.run(&["device", "list"]);
    assert!(listed.failure().contains("start the collector once"), "{listed:#?}");
    assert!(!site.data().exists(), "a command that only looks makes no data folder");
}

#[test]
fn a_wrong_configuration_is_told_with_file_line_and_key() {
    let site = Site::bare();
    let config = fs::read_to_string(site.config()).expect("the configuration");
    fs::write(site.config(), format!("listn = \"127.0.0.1:1\"\n{config}[limits]\nconnections = 0\n"))
        .expect("a change");
    let checked = site.run(&["check-config"]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(said.contains("server.toml"), "{said}");
    assert!(said.contains("limits.connections"), "{said}");

    fs::write(site.config(), format!("listn = \"127.0.0.1:1\"\n{config}")).expect("a change");
    let checked = site.run(&["check-config"]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(said.contains("server.toml:1") && said.contains("listn"), "{said}");
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let site = Site::bare();
    for arguments in [&["serve", "--nonsense"][..], &["nonsense"], &["device", "show", "not-an-id"], &[]] {
        let output = site.run(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {output:#?}");
    }
}

#[test]
fn the_database_is_not_migrated_under_a_collector_that_serves() {
    let site = Site::serving();
    let migrated = site.run(&["migrate"]);
    assert!(migrated.failure().contains("another collector"), "{migrated:#?}");
}

#[test]
fn a_signing_key_that_is_missing_is_not_replaced() {
    let mut site = Site::serving();
    Device::enrol(&site.client(), &site.token());
    assert!(site.stop().success());
    let key = site.data().join("policy-signing.key");
    let kept = fs::read(&key).expect("the key");
    fs::remove_file(&key).expect("its removal");
    // Commands that sign nothing need no key, and make none.
    assert_eq!(site.devices().len(), 1);
    assert!(!key.exists(), "`device list` made a key");
    for refusal in [refused(&site), site.run(&["migrate"]).failure().to_owned()] {
        assert!(refusal.contains("policy-signing.key is missing: restore it from a backup"), "{refusal}");
        assert!(!key.exists(), "a key was made that no agent trusts");
    }
    fs::write(&key, kept).expect("the key again");
    site.start();
}
