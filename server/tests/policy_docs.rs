//! What `docs/policy.md` shows is what the program takes.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

use std::collections::BTreeMap;

use offchannel_server::config::{Config, Overrides};
use offchannel_server::domain::published::Publication;
use offchannel_shared::policy::parse;

const PAGE: &str = include_str!("../../docs/policy.md");

/// The blocks of TOML on the page.
fn blocks() -> Vec<&'static str> {
    PAGE.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

#[test]
fn every_policy_on_the_page_reads() {
    let policies: Vec<&str> = blocks().into_iter().filter(|block| block.contains("schema = 1")).collect();
    assert_eq!(policies.len(), 3, "the page has other policies than this test knows");
    let warnings: Vec<Vec<String>> = policies
        .into_iter()
        .map(|policy| {
            let parsed = parse(policy).unwrap_or_else(|problems| panic!("{policy}\n{problems}"));
            parsed.warnings.iter().map(ToString::to_string).collect()
        })
        .collect();
    let never = "9:1: warning: rule[2]: never decides anything: rule \"all-consumer-apps\" decides all of it before it";
    assert_eq!(warnings, [vec![], vec![], vec![never.to_owned()]]);
}

#[test]
fn every_configuration_on_the_page_reads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    for block in blocks().into_iter().filter(|block| !block.contains("schema = 1")) {
        std::fs::write(&file, block).unwrap();
        let loaded = Config::load_from(Some(&file), BTreeMap::new(), &Overrides::default()).unwrap();
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert_eq!(loaded.config.publication, Publication::FourEyes);
    }
}
