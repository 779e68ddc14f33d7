//! Against the registry of the machine that runs the tests.

use std::path::PathBuf;

use windows_registry::LOCAL_MACHINE;

use super::*;
use crate::config::{Environment, LogLevel, Places};

/// A key of the test's own among the policies, removed at the end of it however it ends.
struct Policies(String);

impl Policies {
    fn new(name: &str) -> Self {
        Self(format!("SOFTWARE\\Policies\\OffchannelTest-{}-{name}", std::process::id()))
    }

    fn key(&self, group: &str) -> windows_registry::Key {
        let path = if group.is_empty() { self.0.clone() } else { format!("{}\\{group}", self.0) };
        let mut options = LOCAL_MACHINE.options();
        options.read().write().create().wow64_64();
        options.open(path).unwrap()
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        LOCAL_MACHINE.remove_tree(&self.0).unwrap();
    }
}

#[test]
fn policies_are_read_from_the_registry_and_win_over_flags_and_the_managed_file() {
    let policies = Policies::new("win");
    policies.key("").set_string("state_dir", "C:\\from\\policy").unwrap();
    policies.key("log").set_string("level", "error").unwrap();
    policies.key("check_in").set_u32("splay", 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let managed = folder.path().join("managed.toml");
    std::fs::write(&managed, "log.level = \"warn\"\nlog.format = \"json\"\n").unwrap();
    let places = Places {
        file: PathBuf::from("C:\\nowhere\\agent.toml"),
        managed,
        preferences: None,
        policies: Some(policies.0.clone()),
        owner: 0,
    };
    let flags = Layer::flags([("log.level", Some("trace".to_owned()))]);
    let resolved = places.load(None, &Environment::default(), flags);
    let level = resolved.settings.iter().find(|setting| setting.key == "log.level").unwrap();
    assert_eq!(level.origin, Origin::Registry(format!("HKLM\\{}\\log\\level", policies.0)));
    let lost: Vec<&str> = level.overrides.iter().map(|written| written.value.as_str()).collect();
    assert_eq!(lost, ["warn", "trace"]);
    let config = resolved.config().unwrap();
    assert_eq!(config.state_dir, PathBuf::from("C:\\from\\policy"));
    assert!(!config.splay);
    assert_eq!(config.log.level, LogLevel::Error);
}

#[test]
fn types_that_a_setting_does_not_have_are_told() {
    let policies = Policies::new("types");
    policies.key("").set_expand_string("state_dir", "%ProgramData%\\agent").unwrap();
    policies.key("log").set_multi_string("level", &["error"]).unwrap();
    policies.key("check_in").set_u64("splay", 1).unwrap();
    policies.key("server").set_string("urk", "x").unwrap();
    policies.key("server\\deep\\deeper").set_string("url", "x").unwrap();
    let layer = Layer::policies(&policies.0).unwrap();
    let start = format!("HKLM\\{}\\", policies.0);
    let problems: Vec<String> =
        layer.problems.iter().map(|problem| problem.to_string().replace(&start, "")).collect();
    let expected = [
        "error: state_dir: state_dir: expected REG_SZ with a path; found REG_EXPAND_SZ, in which variables are not replaced",
        "error: check_in\\splay: check_in.splay: expected REG_DWORD 1 or 0; found REG_QWORD",
        "error: log\\level: log.level: expected REG_SZ, one of error, warn, info, debug, trace; found REG_MULTI_SZ",
        "warning: server\\urk: there is no such setting; did you mean server\\url?",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn no_key_is_no_policies_and_too_many_values_are_an_error() {
    let policies = Policies::new("bounds");
    assert_eq!(Layer::policies(&policies.0), None);
    let key = policies.key("log");
    assert_eq!(Layer::policies(&policies.0), Some(Layer::default()));
    for number in 0..MAX {
        key.set_u32(format!("v{number}"), 1).unwrap();
    }
    let layer = Layer::policies(&policies.0).unwrap();
    assert!(layer.problems[0].message.contains("more than 1024 values"), "{layer:?}");
}
