//! The templates for device management in `packaging/`: made of the table of settings, and read back as the systems
//! would hand them to the agent.
//!
//! After a change to the table or here: `cargo test -p offchannel-agent --test templates -- --ignored`.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it as the test itself may")]

mod mobileconfig;
mod windows;

use offchannel_agent::config::{KEYS, Key, Layer};

/// A template: its path in the project, what is there, and what should be.
struct Template {
    path: &'static str,
    is: &'static str,
    should: fn() -> String,
}

const TEMPLATES: &[Template] = &[
    Template {
        path: "packaging/windows/offchannel-agent.admx",
        is: include_str!("../../../packaging/windows/offchannel-agent.admx"),
        should: windows::admx,
    },
    Template {
        path: "packaging/windows/en-US/offchannel-agent.adml",
        is: include_str!("../../../packaging/windows/en-US/offchannel-agent.adml"),
        should: windows::adml,
    },
    Template {
        path: "packaging/macos/offchannel-agent.mobileconfig",
        is: include_str!("../../../packaging/macos/offchannel-agent.mobileconfig"),
        should: mobileconfig::mobileconfig,
    },
];

#[test]
fn the_templates_say_what_the_table_of_settings_says() {
    for template in TEMPLATES {
        let advice = "cargo test -p offchannel-agent --test templates -- --ignored";
        assert_eq!(template.is.replace("\r\n", "\n"), (template.should)(), "{}: {advice}", template.path);
    }
}

#[test]
#[ignore = "writes the templates"]
fn write_the_templates() {
    for template in TEMPLATES {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        std::fs::write(root.join(template.path), (template.should)()).unwrap();
    }
}

/// Characters that XML has a use for, escaped.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn parse(text: &str) -> roxmltree::Document<'_> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    roxmltree::Document::parse_with_options(text, options).unwrap()
}

/// Fails unless the agent takes all of it.
fn assert_taken(layer: &Layer) {
    assert!(layer.problems.is_empty(), "{:?}", layer.problems);
}

fn all_keys() -> Vec<&'static str> {
    KEYS.iter().map(|key: &Key| key.name).collect()
}
