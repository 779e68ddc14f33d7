//! What the documentation shows can be typed and written so.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use offchannel_server::cli::Cli;
use offchannel_server::config::{Config, Overrides};
use offchannel_shared::policy::parse;

/// What a fragment of a policy needs around it.
const POLICY: &str = "schema = 1\nname = \"x\"\n[[rule]]\nid = \"no-consumer-messaging\"\nverdict = \"prohibited\"\nkinds = [\"consumer\"]\n";
/// What a fragment of the configuration needs around it.
const CONFIG: &str = "[[channel]]\nname = \"security-team\"\nkind = \"webhook\"\nurl = \"https://hooks.example.org/\"\nsecret = \"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n";

fn documents() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    files
}

/// The blocks of a document that have this word, each with the line that it begins at.
fn blocks(text: &str, word: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) if info == word => open = Some((number, String::new())),
            // Another kind of block: its end is no beginning.
            (Some(_), None) => open = Some((0, String::new())),
            (None, Some((_, block))) => block.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks.retain(|(number, _)| *number != 0);
    blocks
}

/// Takes a command line apart as a shell would that knows double quotes only.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut there) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, there) = (!quoted, true),
            ' ' if !quoted => {
                if there {
                    words.push(std::mem::take(&mut word));
                }
                there = false;
            }
            c => {
                word.push(c);
                there = true;
            }
        }
    }
    words.extend(there.then_some(word));
    words
}

#[test]
fn every_command_in_the_page_on_alerts_can_be_typed() {
    let mut tried = 0;
    for path in documents().iter().filter(|path| path.ends_with("alerts.md")) {
        for (number, block) in blocks(&fs::read_to_string(path).unwrap(), "console") {
            for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
                assert!(line.starts_with("offchannel-server "), "{}:{number}: {line}", path.display());
                if let Err(error) = Cli::try_parse_from(words(line)) {
                    panic!("{}:{number}: {line}\n{error}", path.display());
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 15, "{tried} commands were found");
}

#[test]
fn every_piece_of_a_policy_or_configuration_in_the_documents_is_good() {
    let (mut policies, mut configurations) = (0, 0);
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for (number, block) in blocks(&text, "toml policy") {
            if let Err(problems) = parse(&format!("{POLICY}{block}")) {
                panic!("{}:{number}: {problems}", path.display());
            }
            policies += 1;
        }
        for (number, block) in blocks(&text, "toml config") {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("server.toml");
            fs::write(&file, format!("{CONFIG}{block}")).unwrap();
            match Config::load_from(Some(&file), BTreeMap::new(), &Overrides::default()) {
                Ok(loaded) => assert_eq!(loaded.warnings, [], "{}:{number}", path.display()),
                Err(errors) => panic!("{}:{number}: {errors}", path.display()),
            }
            configurations += 1;
        }
    }
    assert!(policies >= 2 && configurations >= 1, "{policies} policies, {configurations} configurations");
}
