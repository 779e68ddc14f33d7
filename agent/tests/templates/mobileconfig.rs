//! An example of a configuration profile for macOS that forces settings of the agent.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use offchannel_agent::config::{KEYS, Kind, Layer, PREFERENCES_DOMAIN, resolve};

use super::{all_keys, assert_taken, escape, parse};

/// What stands in the example.
const SHOWN: &[(&str, &str)] = &[
    ("check_in.splay", "true"),
    ("enrolment.token_file", "/Library/Application Support/Offchannel/enrolment.token"),
    ("identity.on_clone", "alert"),
    ("identity.rotate_every", "30d"),
    ("log.format", "json"),
    ("log.level", "info"),
    ("scan.safety_interval", "15m"),
    ("server.ca_file", "/Library/Application Support/Offchannel/ca.crt"),
    ("server.url", "https://collector.example.org:8443"),
];
/// What does not, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("scan.root", "a managed device scans itself"),
    ("state_dir", "the agent would start anew if it changed, and enrol again"),
];

/// The profile.
pub fn mobileconfig() -> String {
    let mut settings = String::new();
    for (name, value) in SHOWN {
        let key = KEYS.iter().find(|key| key.name == *name).unwrap();
        let value = match key.kind {
            Kind::Flag => format!("<{value}/>"),
            Kind::Choice(_) | Kind::Path | Kind::Span | Kind::Url => {
                format!("<string>{}</string>", escape(value))
            }
        };
        writeln!(
            settings,
            "            <!-- {} -->\n            <key>{name}</key>\n            {value}",
            escape(key.about)
        )
        .unwrap();
    }
    let mut left_out = String::new();
    for (name, why) in LEFT_OUT {
        writeln!(left_out, "     {name}: {why}").unwrap();
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- An example of a profile that forces settings of the Offchannel agent. Made from the table of settings,
     agent/src/config/keys.rs; a test holds the two together. Take what you need, and give both payloads a PayloadUUID
     of your own (uuidgen). Install it on the device, not for a user. Left out here:
{left_out}-->
<plist version="1.0">
<dict>
    <key>PayloadContent</key>
    <array>
        <dict>
            <key>PayloadType</key>
            <string>{PREFERENCES_DOMAIN}</string>
            <key>PayloadIdentifier</key>
            <string>org.example.offchannel.agent.settings</string>
            <key>PayloadUUID</key>
            <string>5B1F3C8E-0D0B-4C37-9E38-6D9C2B1B5A01</string>
            <key>PayloadVersion</key>
            <integer>1</integer>
            <key>PayloadDisplayName</key>
            <string>Offchannel agent</string>
{settings}        </dict>
    </array>
    <key>PayloadType</key>
    <string>Configuration</string>
    <key>PayloadIdentifier</key>
    <string>org.example.offchannel.agent</string>
    <key>PayloadUUID</key>
    <string>A2C9D7B4-7C55-4E0E-8B55-1F8C6A0E9D02</string>
    <key>PayloadVersion</key>
    <integer>1</integer>
    <key>PayloadScope</key>
    <string>System</string>
    <key>PayloadDisplayName</key>
    <string>Offchannel agent: settings</string>
    <key>PayloadOrganization</key>
    <string>Example</string>
</dict>
</plist>
"#
    )
}

#[test]
fn what_the_profile_forces_is_what_the_agent_reads() {
    let text = mobileconfig();
    let document = parse(&text);
    let payload = document
        .descendants()
        .find(|node| {
            node.has_tag_name("dict") && node.parent().is_some_and(|parent| parent.has_tag_name("array"))
        })
        .unwrap();
    let preferences = format!("<plist>{}</plist>", &text[payload.range()]);
    let layer = Layer::of_preferences(Path::new("/x.plist"), preferences.as_bytes());
    assert_taken(&layer);
    let settings: Vec<(&str, &str)> =
        layer.settings.iter().map(|(key, (value, _))| (*key, value.as_str())).collect();
    assert_eq!(settings, SHOWN);
    if cfg!(unix) {
        assert!(resolve(&[layer]).is_usable());
    }
}

#[test]
fn every_setting_is_in_the_example_or_left_out_for_a_reason() {
    let named: BTreeSet<&str> = SHOWN.iter().chain(LEFT_OUT).map(|(name, _)| *name).collect();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), all_keys(), "add it to SHOWN or LEFT_OUT");
}

#[test]
fn the_profile_is_one_by_apple_s_rules() {
    let text = mobileconfig();
    let document = parse(&text);
    let mut uuids = BTreeSet::new();
    let mut payloads = 0;
    for dict in document.descendants().filter(|node| node.has_tag_name("dict")) {
        payloads += 1;
        let children: Vec<_> = dict.children().filter(roxmltree::Node::is_element).collect();
        let (pairs, rest) = children.as_chunks::<2>();
        assert!(rest.is_empty());
        let value = |name: &str| {
            let mut found =
                pairs.iter().filter(|[key, _]| key.has_tag_name("key") && key.text() == Some(name));
            let [_, value] = found.next().unwrap_or_else(|| panic!("{name} is missing"));
            assert!(found.next().is_none(), "{name} is there twice");
            value.text().unwrap_or_default().to_owned()
        };
        for needed in ["PayloadType", "PayloadIdentifier", "PayloadDisplayName"] {
            assert!(!value(needed).is_empty());
        }
        assert_eq!(value("PayloadVersion"), "1");
        uuids.insert(value("PayloadUUID"));
    }
    assert_eq!((payloads, uuids.len()), (2, 2), "two payloads, each with an identifier of its own");
}
