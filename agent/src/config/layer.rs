//! One place that settings come from: exactly what it says, nothing checked but names and types.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::keys::{Key, Kind};

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere; it is the default.
    Default,
    /// A configuration file.
    File {
        /// Which.
        path: Arc<Path>,
        /// Line, from 1; 0 for the file as a whole.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag on the command line.
    Flag,
    /// The file of device management.
    Managed {
        /// Which.
        path: Arc<Path>,
        /// Line, from 1; 0 for the file as a whole.
        line: usize,
    },
    /// The managed preferences of macOS, by their file.
    Preferences(Arc<Path>),
    /// The policies in the registry of Windows, by the path of the value or the key.
    Registry(String),
}

impl Origin {
    /// One word for programs.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Environment(_) => "environment",
            Self::Flag => "flag",
            Self::Managed { .. } => "managed-file",
            Self::Preferences(_) => "managed-preference",
            Self::Registry(_) => "registry-policy",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File { path, line: 0 } | Self::Managed { path, line: 0 } | Self::Preferences(path) => {
                f.pad(&path.display().to_string())
            }
            Self::File { path, line } | Self::Managed { path, line } => {
                f.pad(&format!("{}:{line}", path.display()))
            }
            Self::Environment(name) => f.pad(name),
            Self::Flag => f.pad("command line"),
            Self::Registry(path) => f.pad(path),
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

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
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
        write!(f, "{}: {}: ", self.severity, self.origin)?;
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

/// A value as some place gives it.
#[derive(Debug)]
pub(super) enum Given {
    /// A text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// Something else, in words: what was found there.
    Other(String),
}

/// How the two types that settings have are called in some place.
#[derive(Debug)]
pub(super) struct Types {
    pub text: &'static str,
    pub flag: &'static str,
}

impl Layer {
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

    /// Takes the value of a setting if its type is right.
    pub(super) fn take(&mut self, origin: &Origin, key: &'static Key, given: Given, types: &Types) {
        let found = match (key.kind, given) {
            (Kind::Flag, Given::Flag(value)) => {
                self.settings.insert(key.name, (value.to_string(), origin.clone()));
                return;
            }
            (Kind::Choice(_) | Kind::Path | Kind::Span | Kind::Url, Given::Text(value)) => {
                self.settings.insert(key.name, (value, origin.clone()));
                return;
            }
            (_, Given::Text(_)) => types.text.to_owned(),
            (_, Given::Flag(_)) => types.flag.to_owned(),
            (_, Given::Other(found)) => found,
        };
        let expected = match key.kind {
            Kind::Flag => types.flag.to_owned(),
            Kind::Choice(words) => format!("{}, one of {}", types.text, words.join(", ")),
            Kind::Path => format!("{} with a path", types.text),
            Kind::Span => format!("{} with a span of time such as 15m", types.text),
            Kind::Url => format!("{} such as https://collector.example.org", types.text),
        };
        self.problem(Severity::Error, origin, key.name, format!("expected {expected}; found {found}"));
    }
}
