//! Administrative templates for group policy and Intune: an ADMX with the policies, an ADML with their texts in English.
//!
//! The format is Microsoft's ("Administrative Template XML schema", PolicyDefinitionFiles.xsd). Intune takes one ADML
//! for each ADMX, in `en-US` only, without combo boxes; what another template would have to be uploaded for, such as
//! the list of Windows versions, is defined here.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use offchannel_agent::config::{Branch, KEYS, Key, Kind, Layer, POLICIES_KEY};
use offchannel_agent::platform::registry::Data;
use roxmltree::Node;

use super::{all_keys, assert_taken, escape, parse};

const NAMESPACE: &str = "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions";
/// Longest text that a policy takes; Intune cuts off at 1,023 characters.
const TEXT_MAX: usize = 1000;
const NOTE: &str =
    "<!-- Made from the table of settings, agent/src/config/keys.rs; a test holds the two together. -->";

fn id(key: &Key) -> String {
    key.name.replace('.', "_")
}

/// The policies.
pub fn admx() -> String {
    let mut out = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
{NOTE}
<policyDefinitions xmlns="{NAMESPACE}" revision="1.0" schemaVersion="1.0">
  <policyNamespaces>
    <target prefix="offchannel" namespace="Offchannel.Policies.Agent"/>
  </policyNamespaces>
  <resources minRequiredRevision="1.0"/>
  <supportedOn>
    <definitions>
      <definition name="SUPPORTED_Agent" displayName="$(string.SUPPORTED_Agent)"/>
    </definitions>
  </supportedOn>
  <categories>
    <category name="Offchannel" displayName="$(string.Offchannel)"/>
    <category name="Offchannel_Agent" displayName="$(string.Offchannel_Agent)">
      <parentCategory ref="Offchannel"/>
    </category>
  </categories>
  <policies>
"#
    );
    for key in KEYS {
        policy(&mut out, key);
    }
    out.push_str("  </policies>\n</policyDefinitions>\n");
    out
}

fn policy(out: &mut String, key: &Key) {
    let id = id(key);
    let (group, name) = key.parts();
    let path = group.map_or(POLICIES_KEY.to_owned(), |group| format!("{POLICIES_KEY}\\{group}"));
    let how = match key.kind {
        Kind::Flag => format!("valueName=\"{name}\""),
        Kind::Choice(_) | Kind::Path | Kind::Span | Kind::Url => {
            format!("presentation=\"$(presentation.{id})\"")
        }
    };
    write!(
        out,
        r#"    <policy name="{id}" class="Machine" displayName="$(string.{id})" explainText="$(string.{id}_Help)" key="{path}" {how}>
      <parentCategory ref="Offchannel_Agent"/>
      <supportedOn ref="SUPPORTED_Agent"/>
"#
    )
    .unwrap();
    match key.kind {
        Kind::Flag => out.push_str(
            "      <enabledValue><decimal value=\"1\"/></enabledValue>\n      \
             <disabledValue><decimal value=\"0\"/></disabledValue>\n",
        ),
        Kind::Choice(words) => {
            writeln!(out, "      <elements>\n        <enum id=\"{id}\" valueName=\"{name}\" required=\"true\">").unwrap();
            for word in words {
                writeln!(
                    out,
                    "          <item displayName=\"$(string.{id}_{word})\"><value><string>{word}</string></value></item>"
                )
                .unwrap();
            }
            out.push_str("        </enum>\n      </elements>\n");
        }
        Kind::Path | Kind::Span | Kind::Url => writeln!(
            out,
            "      <elements>\n        <text id=\"{id}\" valueName=\"{name}\" required=\"true\" maxLength=\"{TEXT_MAX}\"/>\n      \
             </elements>"
        )
        .unwrap(),
    }
    out.push_str("    </policy>\n");
}

/// Their texts.
pub fn adml() -> String {
    let mut out = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
{NOTE}
<policyDefinitionResources xmlns="{NAMESPACE}" revision="1.0" schemaVersion="1.0">
  <displayName>Offchannel agent</displayName>
  <description>Settings of the Offchannel agent, which reports the messaging apps of a device that its organisation asks about.</description>
  <resources>
    <stringTable>
      <string id="SUPPORTED_Agent">Offchannel agent, any version</string>
      <string id="Offchannel">Offchannel</string>
      <string id="Offchannel_Agent">Agent</string>
"#
    );
    for key in KEYS {
        let id = id(key);
        writeln!(out, "      <string id=\"{id}\">{}</string>", escape(key.name)).unwrap();
        writeln!(out, "      <string id=\"{id}_Help\">{}</string>", escape(&help(key))).unwrap();
        if let Kind::Choice(words) = key.kind {
            for word in words {
                writeln!(out, "      <string id=\"{id}_{word}\">{word}</string>").unwrap();
            }
        }
    }
    out.push_str("    </stringTable>\n    <presentationTable>\n");
    for key in KEYS {
        let id = id(key);
        let control = match key.kind {
            Kind::Flag => continue,
            Kind::Choice(words) => {
                let usual = words.iter().position(|word| Some(*word) == key.default).unwrap_or_default();
                format!(
                    "<dropdownList refId=\"{id}\" noSort=\"true\" defaultItem=\"{usual}\">{}</dropdownList>",
                    key.name
                )
            }
            Kind::Path | Kind::Span | Kind::Url => {
                format!("<textBox refId=\"{id}\"><label>{}</label></textBox>", key.name)
            }
        };
        writeln!(out, "      <presentation id=\"{id}\">{control}</presentation>").unwrap();
    }
    out.push_str("    </presentationTable>\n  </resources>\n</policyDefinitionResources>\n");
    out
}

fn help(key: &Key) -> String {
    let more = match key.kind {
        Kind::Flag => " Enabled means true, disabled means false.",
        Kind::Path => " An absolute path; variables such as %ProgramData% are not replaced.",
        Kind::Choice(_) | Kind::Span | Kind::Url => "",
    };
    // Paths differ between systems, and this text is made on any of them.
    let usual = match (key.kind, key.default) {
        (Kind::Path, _) | (_, None) => String::new(),
        (_, Some(default)) => {
            format!(" Not configured: {default}, unless the device's own files say otherwise.")
        }
    };
    format!(
        "The setting {} of the agent: {}.{more}{usual} Wins over files, environment and flags.",
        key.name, key.about
    )
}

fn children<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.descendants().filter(move |node| node.has_tag_name((NAMESPACE, name)))
}

#[test]
fn what_group_policy_writes_is_what_the_agent_reads() {
    let text = admx();
    let document = parse(&text);
    let mut root = Branch::default();
    for policy in children(document.root(), "policy") {
        let path = policy.attribute("key").unwrap().strip_prefix(POLICIES_KEY).unwrap().to_owned();
        let element = policy.descendants().find(|node| node.has_attribute("valueName")).unwrap();
        let value = match element.tag_name().name() {
            "policy" => Data::Number(
                children(policy, "decimal").next().unwrap().attribute("value").unwrap().parse().unwrap(),
            ),
            "enum" => Data::Text(children(policy, "string").last().unwrap().text().unwrap().to_owned()),
            "text" => Data::Text("x".to_owned()),
            other => panic!("{other}"),
        };
        let value = (element.attribute("valueName").unwrap().to_owned(), value);
        match path.strip_prefix('\\') {
            None => root.values.push(value),
            Some(group) => {
                root.branches.push((group.to_owned(), Branch { values: vec![value], branches: vec![] }))
            }
        }
    }
    let layer = Layer::of_policies(POLICIES_KEY, &root);
    assert_taken(&layer);
    assert_eq!(layer.settings.keys().copied().collect::<Vec<_>>(), all_keys());
}

#[test]
fn every_text_and_control_that_the_policies_name_is_there_once_and_no_other_is() {
    let (admx, adml) = (admx(), adml());
    let (policies, texts) = (parse(&admx), parse(&adml));
    let mut named = BTreeSet::new();
    for attribute in policies.descendants().flat_map(|node| node.attributes()) {
        if let Some(reference) = attribute.value().strip_prefix("$(") {
            named.insert(reference.strip_suffix(')').unwrap().to_owned());
        }
    }
    let mut there = Vec::new();
    for kind in ["string", "presentation"] {
        there.extend(
            children(texts.root(), kind).map(|node| format!("{kind}.{}", node.attribute("id").unwrap())),
        );
    }
    there.sort();
    assert_eq!(there, named.into_iter().collect::<Vec<_>>());
    let ids: BTreeSet<&str> = policies.descendants().filter_map(|node| node.attribute("id")).collect();
    let controls: BTreeSet<&str> = texts.descendants().filter_map(|node| node.attribute("refId")).collect();
    assert_eq!(ids, controls);
}
