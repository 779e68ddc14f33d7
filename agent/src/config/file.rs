//! Settings in TOML: a file's text to a layer, every problem with its line.

use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, Key, Kind, is_group, no_such};
use super::layer::{Given, Layer, Origin, Severity, Types};

const TYPES: Types = Types { text: "a string", flag: "true or false" };

/// Which rank a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// A local file.
    Local,
    /// That of device management.
    Managed,
    /// The managed preferences of macOS.
    Preferences,
}

impl Rank {
    /// What stands at a line of such a file; 0 is the file as a whole.
    pub(super) fn origin(self, path: Arc<Path>, line: usize) -> Origin {
        match self {
            Self::Local => Origin::File { path, line },
            Self::Managed => Origin::Managed { path, line },
            Self::Preferences => Origin::Preferences(path),
        }
    }
}

impl Layer {
    /// What a TOML file says. Relative paths in it start at its own folder.
    pub fn of_file(path: &Path, rank: Rank, text: &str) -> Self {
        let file = File { path: path.into(), rank, text };
        let mut layer = Self::default();
        match DeTable::parse(text) {
            Ok(document) => file.take(&mut layer, "", document.get_ref()),
            Err(error) => {
                let origin = error.span().map_or(file.whole(), |span| file.at(span.start));
                layer.problem(Severity::Error, &origin, "", format!("not TOML: {}", error.message()));
            }
        }
        layer
    }
}

struct File<'a> {
    path: Arc<Path>,
    rank: Rank,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, line: usize) -> Origin {
        self.rank.origin(Arc::clone(&self.path), line)
    }

    fn whole(&self) -> Origin {
        self.origin(0)
    }

    /// The origin of what stands at an offset in bytes.
    fn at(&self, offset: usize) -> Origin {
        let before = self.text.bytes().take(offset);
        self.origin(before.filter(|byte| *byte == b'\n').count().saturating_add(1))
    }

    fn take(&self, layer: &mut Layer, group: &str, table: &DeTable<'_>) {
        // In the order in which they are written.
        let mut all: Vec<_> = table.iter().collect();
        all.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in all {
            let at = self.at(name.span().start);
            let name = if group.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{group}.{}", name.get_ref())
            };
            let value = value.get_ref();
            match (Key::named(&name), value) {
                (Some(key), _) => layer.take(&at, key, self.given(key, value), &TYPES),
                (None, DeValue::Table(inner)) if is_group(&name) => self.take(layer, &name, inner),
                (None, other) if is_group(&name) => {
                    let message = format!("expected a table; found {}", describe(other));
                    layer.problem(Severity::Error, &at, &name, message);
                }
                (None, _) => {
                    let mut known: Vec<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
                    if matches!(value, DeValue::Table(_)) {
                        known = KEYS.iter().filter_map(|key| key.parts().0.map(str::to_owned)).collect();
                        known.dedup();
                    }
                    layer.problem(Severity::Warning, &at, &name, no_such(&name, &known, '.'));
                }
            }
        }
    }

    fn given(&self, key: &Key, value: &DeValue<'_>) -> Given {
        match value {
            DeValue::String(text) if key.kind == Kind::Path => Given::Text(beside(&self.path, text)),
            DeValue::String(text) => Given::Text(text.to_string()),
            DeValue::Boolean(flag) => Given::Flag(*flag),
            other => Given::Other(describe(other).to_owned()),
        }
    }
}

/// A path as written in a file, made to start at that file's folder.
fn beside(file: &Path, value: &str) -> String {
    match file.parent() {
        // An empty value is a mistake that must stay visible.
        Some(folder) if !value.is_empty() => folder.join(value).display().to_string(),
        _ => value.to_owned(),
    }
}

fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => TYPES.text,
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => TYPES.flag,
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layer(text: &str) -> Layer {
        Layer::of_file(Path::new("/etc/offchannel/agent.toml"), Rank::Local, text)
    }

    fn problems(text: &str) -> Vec<String> {
        layer(text).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_names_are_told_with_file_line_and_the_nearest_known_one() {
        let text = "state_dri = \"/x\"\nurl = \"https://a\"\n\n[server]\nurl = \"https://a\"\nurk = 1\n[other]\na = 1\n[sever]\n";
        let expected = [
            "warning: /etc/offchannel/agent.toml:1: state_dri: there is no such setting; did you mean state_dir?",
            "warning: /etc/offchannel/agent.toml:2: url: there is no such setting; did you mean server.url?",
            "warning: /etc/offchannel/agent.toml:6: server.urk: there is no such setting; did you mean server.url?",
            "warning: /etc/offchannel/agent.toml:7: other: there is no such setting; expected one of check_in, enrolment, identity, log, scan, server",
            "warning: /etc/offchannel/agent.toml:9: sever: there is no such setting; did you mean server?",
        ];
        assert_eq!(problems(text), expected);
        let (value, origin) = &layer(text).settings["server.url"];
        assert_eq!(
            (value.as_str(), origin.to_string().as_str()),
            ("https://a", "/etc/offchannel/agent.toml:5")
        );
    }

    #[test]
    fn wrong_types_are_told_with_what_was_expected() {
        let text = "log = 3\nstate_dir = [\"/x\"]\nscan.safety_interval = 15\n[check_in]\nsplay = \"no\"\n\
            [server]\nurl = 1979-05-27\n";
        let expected = [
            "error: /etc/offchannel/agent.toml:1: log: expected a table; found a whole number",
            "error: /etc/offchannel/agent.toml:2: state_dir: expected a string with a path; found a list",
            "error: /etc/offchannel/agent.toml:3: scan.safety_interval: expected a string with a span of time such as 15m; found a whole number",
            "error: /etc/offchannel/agent.toml:5: check_in.splay: expected true or false; found a string",
            "error: /etc/offchannel/agent.toml:7: server.url: expected a string such as https://collector.example.org; found a date",
        ];
        assert_eq!(problems(text), expected);
        let level = "error: /etc/offchannel/agent.toml:1: log.level: expected a string, one of error, warn, info, debug, trace; found true or false";
        assert_eq!(problems("log.level = true"), [level]);
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        let told = problems("state_dir = \"/x\"\n[server\n");
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("error: /etc/offchannel/agent.toml:2: not TOML: "), "{told:?}");
    }

    #[test]
    fn paths_in_a_file_start_at_its_folder() {
        let layer = layer("state_dir = \"/abs\"\n[server]\nca_file = \"ca.pem\"\n");
        let path = |key: &str| Path::new(&layer.settings[key].0);
        assert_eq!(path("server.ca_file"), Path::new("/etc/offchannel/ca.pem"));
        assert_eq!(path("state_dir"), Path::new("/abs"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
            let _ = layer(&text);
        }
    }
}
