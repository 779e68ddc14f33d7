//! One place that settings come from: exactly what it says, nothing checked but the key names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::keys::{Key, names};

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere; it is the default.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag on the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File(path) => f.pad(&path.display().to_string()),
            Self::Environment(name) => f.pad(name),
            Self::Flag => f.pad("command line"),
        }
    }
}

/// How grave a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The agent does not start.
    Error,
    /// The agent starts; `check-config` still fails, for it is probably not what was meant.
    Warning,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How grave it is.
    pub severity: Severity,
    /// Where it is written.
    pub origin: Origin,
    /// The key; empty for a file as a whole.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// The settings of one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer {
    /// By key: what is written, and where.
    pub settings: BTreeMap<&'static str, (String, Origin)>,
    /// What could not be taken from it.
    pub problems: Vec<Problem>,
}

impl Layer {
    /// What a TOML file says. Relative paths in it start at its own folder.
    pub fn of_file(path: &Path, text: &str) -> Self {
        let mut layer = Self::default();
        let origin = Origin::File(path.to_path_buf());
        match text.parse::<toml::Table>() {
            Ok(table) => layer.take(&origin, path, "", &table),
            Err(error) => {
                layer.problem(Severity::Error, &origin, "", error.to_string().trim_end().to_owned())
            }
        }
        layer
    }

    /// What the command line says. Every name is one of the table's.
    pub fn flags(given: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Self {
        let mut layer = Self::default();
        for (name, value) in given {
            if let Some(value) = value {
                layer.settings.insert(name, (value, Origin::Flag));
            }
        }
        layer
    }

    pub(super) fn problem(&mut self, severity: Severity, origin: &Origin, key: &str, message: String) {
        self.problems.push(Problem { severity, origin: origin.clone(), key: key.to_owned(), message });
    }

    fn take(&mut self, origin: &Origin, path: &Path, prefix: &str, table: &toml::Table) {
        for (name, value) in table {
            let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let is_group = super::KEYS.iter().any(|key| key.name.starts_with(&format!("{name}.")));
            match (Key::named(&name), value) {
                (Some(key), toml::Value::String(value)) if !key.is_flag() => {
                    let value = if is_path(key) { beside(path, value) } else { value.clone() };
                    self.settings.insert(key.name, (value, origin.clone()));
                }
                (Some(key), toml::Value::Boolean(value)) if key.is_flag() => {
                    self.settings.insert(key.name, (value.to_string(), origin.clone()));
                }
                (Some(key), other) => {
                    let expected = if key.is_flag() { "true or false" } else { "a string" };
                    let message = format!("expected {expected}, found a value of type {}", other.type_str());
                    self.problem(Severity::Error, origin, key.name, message);
                }
                (None, toml::Value::Table(inner)) if is_group => self.take(origin, path, &name, inner),
                (None, other) if is_group => {
                    let found = other.type_str();
                    self.problem(Severity::Error, origin, &name, format!("expected a table, found {found}"));
                }
                (None, _) => {
                    let message = format!("there is no such setting; expected one of {}", names());
                    self.problem(Severity::Warning, origin, &name, message);
                }
            }
        }
    }
}

/// Whether a setting is a path.
fn is_path(key: &Key) -> bool {
    key.name.ends_with("_file") || key.name.ends_with("_dir") || key.name == "scan.root"
}

/// A path as written in a file, made to start at that file's folder.
fn beside(file: &Path, value: &str) -> String {
    match file.parent() {
        // An empty value is a mistake that must stay visible.
        Some(folder) if !value.is_empty() => folder.join(value).display().to_string(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layer(text: &str) -> Layer {
        Layer::of_file(Path::new("/etc/offchannel/agent.toml"), text)
    }

    #[test]
    fn unknown_keys_are_named_with_path_and_file() {
        let layer = layer("state_dri = \"/x\"\n[server]\nurl = \"https://a\"\nurk = 1\n[other]\na = 1\n");
        let problems: Vec<String> = layer.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 3, "{problems:?}");
        for key in ["state_dri", "server.urk", "other"] {
            let start = format!("warning: /etc/offchannel/agent.toml: {key}: there is no such setting");
            assert!(problems.iter().any(|problem| problem.starts_with(&start)), "{key} not in {problems:?}");
        }
        assert_eq!(layer.settings["server.url"].0, "https://a");
    }

    #[test]
    fn wrong_types_are_all_named() {
        let layer = layer("log = 3\nstate_dir = [\"/x\"]\n[check_in]\nsplay = \"no\"\n");
        let keys: Vec<&str> = layer.problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["check_in.splay", "log", "state_dir"]);
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
