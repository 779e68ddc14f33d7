//! What `.ci/run` says at its end, with programs in place of the real ones that do nothing or end it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use offchannel_tests::Output;

/// Runs it with a cargo that does this when it is to look at the format of the sources.
fn run(format: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let program = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a program");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
    };
    program("cargo", &format!("[ \"$1\" != fmt ] || {{ {format}; }}"));
    program("shellcheck", "exit 0");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the project");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut ci = Command::new(root.join(".ci/run"));
    Output::of(ci.env("PATH", path).env("CARGO_TARGET_DIR", folder.path().join("target")))
}

#[test]
fn a_run_that_ends_early_never_says_that_all_steps_passed() {
    // bash tells its trap of the end nothing of a signal that has no trap of its own.
    for end in ["exit 1", "kill -TERM $PPID", "kill -HUP $PPID", "kill -USR1 $PPID", "kill -ALRM $PPID"] {
        let output = run(end);
        assert!(output.stdout.contains("\nFAILED at the step \"format\""), "{end}: {output:#?}");
        assert!(!output.stdout.contains("all steps passed"), "{end}: {output:#?}");
        assert_ne!(output.code, 0, "{end}");
    }
}
