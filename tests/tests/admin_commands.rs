//! What the admin commands say, and what they leave behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use offchannel_tests::{Device, Site};

#[test]
fn a_token_is_written_to_a_new_file_or_not_made() {
    let mut site = Site::bare();
    assert_eq!(site.run(&["migrate"]).code, 0);
    let file = site.folder().join("enrolment.token");
    let name = file.to_str().expect("a path in UTF-8");
    let made = site.run(&["token", "create", "--out", name]);
    assert_eq!(made.code, 0, "{made:#?}");
    let text = fs::read_to_string(&file).expect("the token");
    assert!(!made.stdout.contains(text.trim()), "shown as well: {made:#?}");
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);

    let missing = site.folder().join("missing").join("enrolment.token");
    for path in [name, missing.to_str().expect("a path in UTF-8")] {
        let refused = site.run(&["token", "create", "--out", path]);
        assert!(refused.failure().contains(path), "{refused:#?}");
    }
    // The file is made first, and removed if there is to be no token.
    let unused = site.folder().join("unused.token");
    let refused = site.run(&["token", "create", "--uses", "0", "--out", unused.to_str().expect("UTF-8")]);
    assert!(refused.failure().contains("at least one use"), "{refused:#?}");
    assert!(!unused.exists(), "an empty file stays behind");
    let tokens = site.json(&["token", "list"])["tokens"].as_array().expect("a list").len();
    assert_eq!(tokens, 1, "a token was made that nobody saw");
    assert_eq!(fs::read_to_string(&file).expect("the token"), text, "the file was changed");
    publishes_and_enrols(&mut site, text.trim());
}

fn publishes_and_enrols(site: &mut Site, token: &str) {
    site.publish(offchannel_tests::site::POLICY);
    site.start();
    Device::enrol(&site.client(), token);
}

#[test]
fn nothing_is_said_to_be_met_that_is_not_known() {
    let site = Site::serving();
    Device::enrol(&site.client(), &site.token());
    let id = site.only_device()["device"]["id"].as_str().expect("an id").to_owned();
    let shown = site.run(&["device", "show", &id]).stdout;
    assert!(shown.contains("Findings: not known"), "{shown}");
    assert!(!shown.contains("is met"), "{shown}");

    let retired = site.json(&["device", "retire", &id]);
    assert_eq!(retired["device"]["status"], "retired", "{retired:#}");
    assert!(!retired["device"]["retired_at"].is_null(), "{retired:#}");
    let shown = site.run(&["device", "show", &id]).stdout;
    assert!(shown.contains("Status   retired"), "{shown}");
    assert!(!shown.contains("is met"), "{shown}");
}

#[test]
fn commands_that_change_something_print_json_as_well() {
    let site = Site::bare();
    let checked = site.json(&["check-config"]);
    assert_eq!((&checked["schema"], &checked["good"]), (&1.into(), &true.into()), "{checked:#}");
    assert_eq!(checked["channels"][0]["name"], "hook", "{checked:#}");
    let migrated = site.json(&["migrate"]);
    assert_eq!((&migrated["schema"], &migrated["migrated"]), (&1.into(), &true.into()), "{migrated:#}");
    let (id, _) = site.token_with(&[]);
    let revoked = site.json(&["token", "revoke", &id]);
    assert_eq!(revoked["token"]["id"], id.as_str(), "{revoked:#}");
    assert!(!revoked["token"]["revoked_at"].is_null(), "{revoked:#}");
}
