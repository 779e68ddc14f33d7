//! What packages bring for those who read: manual pages, completions, and the notices of what others have made of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use offchannel_tests::clock::packages;
use offchannel_tests::{Output, programs};
use tempfile::TempDir;

const PROGRAMS: [&str; 2] = ["offchannel-agent", "offchannel-server"];

/// The trees of both packages for Debian, unpacked; or nothing, said aloud.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn trees() -> Option<[TempDir; 2]> {
    let Some(packages) = packages() else {
        println!("SKIPPED: OFFCHANNEL_TEST_PACKAGES names no packages; tests/run makes them");
        return None;
    };
    Some(PROGRAMS.map(|program| {
        let entries = fs::read_dir(&packages).expect("the folder of the packages");
        let deb = entries.map(|entry| entry.expect("an entry").path()).find(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            name.starts_with(program) && name.ends_with(".deb")
        });
        let tree = tempfile::tempdir().expect("a folder");
        let output = Output::of(
            Command::new("dpkg-deb").arg("--extract").arg(deb.expect("a package")).arg(tree.path()),
        );
        assert_eq!(output.code, 0, "{output:#?}");
        tree
    }))
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(file).read_to_string(&mut text).expect("a text that gzip packed");
    text
}

fn pages(tree: &TempDir) -> Vec<PathBuf> {
    let folder = tree.path().join("usr/share/man/man8");
    let mut pages: Vec<PathBuf> =
        fs::read_dir(folder).expect("manual pages").map(|entry| entry.expect("an entry").path()).collect();
    pages.sort();
    pages
}

/// All commands that the help of a program names, joined as the pages are: `offchannel-agent-service-install`.
fn commands(program: &str, words: &[&str], found: &mut BTreeSet<String>) {
    found.insert([&[program], words].concat().join("-"));
    let mut command = Command::new(programs::path(program));
    let help = Output::of(command.args(words).arg("--help")).stdout;
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return };
    for line in list.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().expect("a name");
        if name != "help" {
            commands(program, &[words, &[name]].concat(), found);
        }
    }
}

#[test]
fn every_command_has_a_page_that_says_what_its_help_says() {
    let Some(trees) = trees() else { return };
    for (program, tree) in PROGRAMS.into_iter().zip(&trees) {
        let mut expected = BTreeSet::new();
        commands(program, &[], &mut expected);
        assert!(expected.len() > 10, "{expected:?}");
        let name = |page: &PathBuf| {
            let name = page.file_name().expect("a name").to_string_lossy().into_owned();
            name.strip_suffix(".8.gz").expect("a page of section 8").to_owned()
        };
        assert_eq!(pages(tree).iter().map(name).collect::<BTreeSet<_>>(), expected);
    }
    let page = unpacked(&trees[0].path().join("usr/share/man/man8/offchannel-agent-service-status.8.gz"));
    for part in [
        ".SH \"EXIT STATUS\"",
        "3 at least one of these is not so",
        "\\-\\-format",
        "offchannel\\-agent\\-service(8)",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    let page = unpacked(&trees[0].path().join("usr/share/man/man8/offchannel-agent-run.8.gz"));
    assert!(!page.contains("stop"), "what the help hides is in\n{page}");
}

#[test]
fn man_shows_every_page_without_a_warning() {
    let Some(trees) = trees() else { return };
    if !Command::new("man").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: man is not on this machine; tests/run installs it where it can");
        return;
    }
    let shown = |page: &Path| {
        let mut man = Command::new("man");
        man.args(["--warnings", "--encoding=UTF-8", "--local-file"]).arg(page);
        Output::of(man.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").env("MANPAGER", "cat"))
    };
    for page in trees.iter().flat_map(pages) {
        let output = shown(&page);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{}: {output:#?}", page.display());
        assert!(output.stdout.contains("SYNOPSIS"), "{output:#?}");
    }
    // That there would be a warning.
    let wrong = trees[0].path().join("wrong.8");
    fs::write(&wrong, ".TH wrong 8\n.SH NAME\nwrong \\- x\n.nosuchmacro\n").expect("a page");
    assert_ne!(shown(&wrong).stderr, "");
}

#[test]
fn bash_takes_the_completions() {
    let Some(trees) = trees() else { return };
    for (program, tree) in PROGRAMS.into_iter().zip(&trees) {
        let file = tree.path().join("usr/share/bash-completion/completions").join(program);
        let text = fs::read_to_string(&file).expect("a completion");
        assert!(text.contains("check-config") && !text.contains("--stop-at-eof"), "of {program}");
        let script = format!(
            ". '{}'; COMP_WORDS=({program} check-c); COMP_CWORD=1; set -- $(complete -p {program}); \
             while [ \"$1\" != -F ]; do shift; done; \"$2\" {program} check-c {program}; echo \"${{COMPREPLY[*]}}\"",
            file.display()
        );
        let output = Output::of(Command::new("bash").args(["--norc", "-c", &script]));
        assert_eq!((output.stdout.trim(), output.stderr.as_str()), ("check-config", ""), "{output:#?}");
    }
}

#[test]
fn the_notices_of_what_is_linked_in_come_with_each_program() {
    let Some(trees) = trees() else { return };
    for (program, tree) in PROGRAMS.into_iter().zip(&trees) {
        let documents = tree.path().join("usr/share/doc").join(program);
        let notices = unpacked(&documents.join("third-party-notices.txt.gz"));
        let (list, texts) = notices.split_once("\n====").expect("a list and texts");
        let has = |name: &str| list.lines().any(|line| line.starts_with(&format!("{name} ")));
        assert!(has("tokio") && has("ring") && has("serde_json"), "{list}");
        // Of the other program, of other systems, of what runs while it is built or tested.
        let other = if program == "offchannel-agent" { "rusqlite" } else { "notify" };
        for absent in
            [other, "windows-sys", "cc", "serde_derive", "proptest", "clap_mangen", "offchannel-shared"]
        {
            assert!(!has(absent), "{absent} is not in {program}:\n{list}");
        }
        for text in ["Copyright (c) Tokio Contributors", "Copyright 2015-2025 Brian Smith"] {
            assert!(texts.contains(text), "{text} is not among the texts of {program}");
        }
        for line in list.lines().filter(|line| line.contains(" (")) {
            let (name, _) = line.split_once(" (").expect("name and version");
            let named = |line: &str| {
                let names = line.strip_prefix("Of ").and_then(|line| line.strip_suffix(':'));
                names.is_some_and(|names| names.split(", ").any(|other| other == name))
            };
            assert!(texts.lines().any(named), "{name} has no text in {program}");
        }
        let library = unpacked(&documents.join("rust-library-notices.html.gz"));
        assert!(library.contains("The Rust Project Developers"));
    }
}
