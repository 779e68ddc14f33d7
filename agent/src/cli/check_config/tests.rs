//! What people read, word by word.

use std::path::Path;

use super::*;
use crate::config::{Branch, Environment, Layer, POLICIES_KEY, Rank, resolve};
use crate::platform::registry::Data;

fn resolved() -> Resolved {
    let file = |path: &str, rank: Rank, text: &str| Layer::of_file(Path::new(path), rank, text);
    let variables = [("OFFCHANNEL_AGENT_LOG_LEVEL", "warn"), ("OFFCHANNEL_AGENT_SERVER_ULR", "https://x")];
    let environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let splay = Branch { values: vec![("splay".to_owned(), Data::Number(0))], branches: vec![] };
    let policies = Branch { values: vec![], branches: vec![("check_in".to_owned(), splay)] };
    let preferences = "<plist><dict><key>log.level</key><string>error</string></dict></plist>";
    resolve(&[
        file(
            "/etc/offchannel/agent.toml",
            Rank::Local,
            "state_dir = \"/srv/agent\"\n[server]\nurl = \"https://old.example.org\"\n[log]\nlevel = \"debug\"\n",
        ),
        file(
            "/etc/offchannel/conf.d/50-site.toml",
            Rank::Local,
            "[server]\nurl = \"https://site.example.org\"\nurk = true\n[scan]\nsafety_interval = 15\n",
        ),
        environment.layer(),
        Layer::flags([("log.level", Some("trace\u{1b}[2J".to_owned()))]),
        file(
            "/etc/offchannel/managed.toml",
            Rank::Managed,
            "[server]\nurl = \"https://collector.example.org:8443\"\n[log]\nlevel = \"info\"\n",
        ),
        Layer::of_preferences(
            Path::new("/Library/Managed Preferences/eu.offchannel.agent.plist"),
            preferences.as_bytes(),
        ),
        Layer::of_policies(POLICIES_KEY, &policies),
    ])
}

fn shown(resolved: &Resolved, format: Format) -> (u8, String) {
    let mut out = Vec::new();
    let code = show(resolved, format, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn the_table_names_value_origin_what_lost_and_what_is_wrong() {
    let expected = include_str!("table.txt");
    assert_eq!(shown(&resolved(), Format::Table), (1, expected.to_owned()));
}

#[test]
fn the_json_says_the_same_for_programs() {
    let expected = include_str!("answer.json");
    assert_eq!(shown(&resolved(), Format::Json), (1, expected.to_owned()));
}
