//! Artefacts, sightings and inventories: what a scan finds, and what of it is reported.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AppId;
use crate::namespace::Namespace;

/// How strong a sign of an app an artefact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// A process of it runs.
    Running,
    /// It is installed.
    Installed,
    /// A web app (PWA) or a shortcut that opens one.
    WebApp,
    /// A browser extension.
    Extension,
    /// Leftovers; not proof of installation.
    Residual,
}

impl Grade {
    /// All grades, strongest first.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::Installed, Self::WebApp, Self::Extension, Self::Residual];

    /// The name used in policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Installed => "installed",
            Self::WebApp => "web-app",
            Self::Extension => "extension",
            Self::Residual => "residual",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whom on a device an artefact belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// All users.
    System,
    /// One user, by a pseudonymous reference that means nothing off the device.
    User(String),
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a scope: expected system, or user: and a reference of 1 to 64 letters, digits and hyphens"
)]
pub struct ScopeError(String);

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        if text == "system" {
            return Ok(Self::System);
        }
        match text.strip_prefix("user:") {
            Some(user)
                if (1..=64).contains(&user.len())
                    && user.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') =>
            {
                Ok(Self::User(user.to_owned()))
            }
            _ => Err(ScopeError(text.chars().take(80).collect())),
        }
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.pad("system"),
            Self::User(user) => f.pad(&format!("user:{user}")),
        }
    }
}

/// One raw thing that a source found, borrowed from the bytes it was read from.
///
/// A machine has thousands of these and a handful of sightings: nothing is copied before the
/// catalogue has recognised it.
#[derive(Debug, Clone, Copy)]
pub struct Artefact<'a> {
    /// What kind of name `identifier` is.
    pub namespace: Namespace,
    /// The name that the catalogue knows.
    pub identifier: &'a str,
    /// Another name of the same namespace by which the catalogue may know it if not by `identifier`: the
    /// key's own name beside a display name, the name of a bundle beside its identifier.
    pub also: Option<&'a str>,
    /// Name for people, where the place gives one.
    pub name: Option<&'a str>,
    /// Version, as the place writes it.
    pub version: Option<&'a str>,
    /// Who made it: maintainer, vendor, publisher.
    pub publisher: Option<&'a str>,
    /// Whom it belongs to.
    pub scope: &'a Scope,
    /// How strong a sign it is.
    pub grade: Grade,
    /// Categories from its own metadata, separated by `;` (freedesktop's `Categories`).
    pub categories: &'a str,
}

impl<'a> Artefact<'a> {
    /// An artefact of which no more is known than this.
    pub const fn new(namespace: Namespace, identifier: &'a str, scope: &'a Scope, grade: Grade) -> Self {
        Self {
            namespace,
            identifier,
            also: None,
            name: None,
            version: None,
            publisher: None,
            scope,
            grade,
            categories: "",
        }
    }
}

/// An artefact that the catalogue recognised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// The app.
    pub app: AppId,
    /// The kind of place it was found in.
    pub source: String,
    /// What kind of name `identifier` is.
    pub namespace: Namespace,
    /// The name it was recognised by.
    pub identifier: String,
    /// Whom it belongs to.
    pub scope: Scope,
    /// How strong a sign it is.
    pub grade: Grade,
    /// Version, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// An artefact that no entry knows, but whose own metadata says that it is a messenger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unlisted {
    /// A stable stand-in for an app id, made from the identifier.
    pub app: AppId,
    /// The kind of place it was found in.
    pub source: String,
    /// What kind of name `identifier` is.
    pub namespace: Namespace,
    /// The name in that place.
    pub identifier: String,
    /// Whom it belongs to.
    pub scope: Scope,
    /// How strong a sign it is.
    pub grade: Grade,
    /// Name for people, where the place gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The categories that say so, sorted.
    pub categories: Vec<String>,
}

/// Whether a source could look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "health", content = "why")]
pub enum Health {
    /// Everything was read.
    Ok,
    /// There is no such place on this device.
    Absent,
    /// Some of it could not be read.
    Partial(String),
    /// None of it could be read.
    Failed(String),
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.pad("ok"),
            Self::Absent => f.pad("absent"),
            Self::Partial(why) => f.pad(&format!("partial: {why}")),
            Self::Failed(why) => f.pad(&format!("failed: {why}")),
        }
    }
}

/// The health of one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceHealth {
    /// The source's id, or `policy`, `state`, ... for the agent's own parts.
    pub source: String,
    /// Whether it could look.
    #[serde(flatten)]
    pub health: Health,
}

/// All sightings of a device at one revision, with the health of every source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// What the catalogue recognised, sorted, without duplicates.
    pub sightings: Vec<Sighting>,
    /// What only its own metadata calls a messenger, sorted, without duplicates.
    #[serde(default)]
    pub unlisted: Vec<Unlisted>,
    /// The health of every source, sorted by source.
    pub sources: Vec<SourceHealth>,
}

impl Inventory {
    /// Puts everything into the one order that digests are made from.
    pub fn normalise(&mut self) {
        self.sightings.sort();
        self.sightings.dedup();
        self.unlisted.sort();
        self.unlisted.dedup();
        self.sources.sort();
        self.sources.dedup();
    }
}

/// Whether something came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there before.
    Appeared,
    /// It is not there any more.
    Disappeared,
}

/// A sighting that came or went since the last acknowledged revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The revision that it led to, within the epoch of the report that carries it: a collector that has that
    /// revision has the transition too, even if its answer was lost.
    pub revision: u64,
    /// When the agent saw it, by the device's clock.
    pub at: Timestamp,
    /// Whether it came or went.
    pub change: Change,
    /// What came or went.
    pub sighting: Sighting,
}

/// The transitions from one set of sightings to the next, which is that of `revision`. Both must be normalised.
pub fn transitions(before: &[Sighting], after: &[Sighting], revision: u64, at: Timestamp) -> Vec<Transition> {
    let missing = |list: &[Sighting], sighting: &Sighting| list.binary_search(sighting).is_err();
    let gone = before.iter().filter(|sighting| missing(after, sighting)).map(|sighting| Transition {
        revision,
        at,
        change: Change::Disappeared,
        sighting: sighting.clone(),
    });
    let new = after.iter().filter(|sighting| missing(before, sighting)).map(|sighting| Transition {
        revision,
        at,
        change: Change::Appeared,
        sighting: sighting.clone(),
    });
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(app: &str) -> Sighting {
        Sighting {
            app: AppId::new(app).unwrap(),
            source: "dpkg".to_owned(),
            namespace: Namespace::Dpkg,
            identifier: app.to_owned(),
            scope: Scope::System,
            grade: Grade::Installed,
            version: None,
        }
    }

    #[test]
    fn transitions_are_what_differs() {
        let at = Timestamp::UNIX_EPOCH;
        let before = [sighting("a"), sighting("b")];
        let after = [sighting("b"), sighting("c")];
        let changes: Vec<_> = transitions(&before, &after, 1, at)
            .into_iter()
            .map(|t| (t.change, t.sighting.identifier))
            .collect();
        assert_eq!(changes, [(Change::Disappeared, "a".to_owned()), (Change::Appeared, "c".to_owned())]);
    }

    #[test]
    fn health_and_scope_have_their_wire_form() {
        let partial = SourceHealth { source: "snap".to_owned(), health: Health::Partial("x".to_owned()) };
        let json = serde_json::to_string(&partial).unwrap();
        assert_eq!(json, r#"{"source":"snap","health":"partial","why":"x"}"#);
        assert_eq!(serde_json::from_str::<SourceHealth>(&json).unwrap(), partial);
        assert_eq!(serde_json::to_string(&Scope::User("u-1".to_owned())).unwrap(), r#""user:u-1""#);
        assert!(serde_json::from_str::<Scope>(r#""user:../x""#).is_err());
    }
}
