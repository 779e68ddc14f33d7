//! One catalogue entry as it is written, and the rules it must keep.
//!
//! Compiled twice: into the build script, which checks the whole built-in catalogue and turns it
//! into tables, and into the crate, which checks an organisation's own entries by the same rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::namespace::{Namespace, is_chromium_id};

/// Prefix of the app ids that stand for artefacts which no entry knows; no entry may use it.
pub const UNLISTED_PREFIX: &str = "unlisted-";

/// What sort of product an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppKind {
    /// Messaging for private people.
    Consumer,
    /// Messaging sold or run for organisations.
    Workplace,
    /// Calls and meetings.
    Conferencing,
    /// Internet Relay Chat.
    Irc,
    /// One program for several networks.
    MultiMessenger,
    /// Text messages of the telephone network.
    Sms,
}

impl AppKind {
    /// All kinds, in the order of their names.
    pub const ALL: [Self; 6] =
        [Self::Conferencing, Self::Consumer, Self::Irc, Self::MultiMessenger, Self::Sms, Self::Workplace];

    /// The name used in catalogue files, policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Workplace => "workplace",
            Self::Conferencing => "conferencing",
            Self::Irc => "irc",
            Self::MultiMessenger => "multi-messenger",
            Self::Sms => "sms",
        }
    }
}

impl fmt::Display for AppKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A catalogue entry as written in its file, or in a policy's `[[app]]`.
///
/// An entry also travels to agents, older ones among them: fields and namespaces that are not known are
/// ignored there. What people write is read by [`Entry::from_toml`], which is strict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name for people.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// What sort of product it is.
    pub kind: AppKind,
    /// What it talks to, sorted.
    pub networks: Vec<String>,
    /// Whether the vendor of one of its networks makes it. An open protocol (IRC, SIP, XMPP) has none; Matrix has
    /// its makers, whose client is Element.
    pub official: bool,
    /// Where people can read about it.
    pub homepage: String,
    /// Its identifiers, by namespace.
    #[serde(rename = "match", deserialize_with = "known_namespaces")]
    pub matches: BTreeMap<Namespace, Vec<Pattern>>,
}

/// The keys of an entry.
const KEYS: [&str; 7] = ["homepage", "kind", "match", "name", "networks", "official", "vendor"];
/// The keys of an identifier with conditions.
const PATTERN_KEYS: [&str; 3] = ["name", "publisher", "versioned"];

impl Entry {
    /// Reads an entry that people wrote: keys and namespaces that do not exist are mistakes.
    ///
    /// # Errors
    /// What is wrong and what was expected.
    pub fn from_toml(table: toml::Table) -> Result<Self, String> {
        only_keys(&table, &KEYS, "")?;
        if let Some(toml::Value::Table(matches)) = table.get("match") {
            for (namespace, patterns) in matches {
                namespace.parse::<Namespace>().map_err(|error| error.to_string())?;
                for pattern in patterns.as_array().into_iter().flatten() {
                    if let toml::Value::Table(pattern) = pattern {
                        only_keys(pattern, &PATTERN_KEYS, &format!("match.{namespace}: "))?;
                    }
                }
            }
        }
        table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

fn only_keys(table: &toml::Table, known: &[&str], place: &str) -> Result<(), String> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{place}unknown key {key:?}; expected one of {}", known.join(", "))),
        None => Ok(()),
    }
}

fn known_namespaces<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Namespace, Vec<Pattern>>, D::Error> {
    let all = BTreeMap::<String, Vec<Pattern>>::deserialize(deserializer)?;
    let known = |(name, patterns): (String, _)| Some((name.parse().ok()?, patterns));
    Ok(all.into_iter().filter_map(known).collect())
}

/// An identifier, or an identifier with conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pattern {
    /// Matches exactly this identifier.
    Exact(String),
    /// Matches under conditions.
    Conditional(Conditional),
}

/// An identifier with conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditional {
    /// The identifier.
    pub name: String,
    /// The artefact's publisher must contain this, whatever the case of letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Whether a version may follow the identifier, as in `Telegram Desktop version 4.9`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub versioned: bool,
}

impl Pattern {
    /// The identifier.
    pub fn name(&self) -> &str {
        match self {
            Self::Exact(name) => name,
            Self::Conditional(conditional) => &conditional.name,
        }
    }

    /// The publisher that an artefact must have, if any.
    pub fn publisher(&self) -> Option<&str> {
        match self {
            Self::Exact(_) => None,
            Self::Conditional(conditional) => conditional.publisher.as_deref(),
        }
    }

    /// Whether a version may follow the identifier.
    pub fn versioned(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Conditional(conditional) => conditional.versioned,
        }
    }
}

/// An identifier as the tables hold it and as it is looked up: in lower case where case says nothing.
pub fn canonical(namespace: Namespace, name: &str) -> Cow<'_, str> {
    let any_case = match namespace {
        // Windows.
        Namespace::Executable => {
            let ending = name.len().checked_sub(4).and_then(|start| name.as_bytes().get(start..));
            ending.is_some_and(|ending| ending.eq_ignore_ascii_case(b".exe"))
        }
        Namespace::Msix | Namespace::Winget => true,
        // People and builds write the file's name as they like.
        Namespace::Appimage => true,
        _ => false,
    };
    if any_case && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase());
    }
    Cow::Borrowed(name)
}

/// A rule of the catalogue that an entry breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id}: {problem}")]
pub struct EntryError {
    /// The app id of the entry.
    pub id: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

/// Checks one entry on its own and returns everything that is wrong with it.
pub fn check(id: &str, entry: &Entry) -> Vec<EntryError> {
    let mut errors = Vec::new();
    let mut wrong = |problem: String| errors.push(EntryError { id: id.to_owned(), problem });
    if !is_slug(id) || id.starts_with(UNLISTED_PREFIX) {
        wrong(format!(
            "the id must be of a-z, 0-9 and inner hyphens, not beginning with {UNLISTED_PREFIX:?}"
        ));
    }
    for (key, text) in [("name", &entry.name), ("vendor", &entry.vendor), ("homepage", &entry.homepage)] {
        if text.trim() != text || text.is_empty() {
            wrong(format!("{key} must be a text without outer white space"));
        }
    }
    if !entry.homepage.starts_with("https://") && !entry.homepage.starts_with("http://") {
        wrong(format!("homepage must be a web address, not {:?}", entry.homepage));
    }
    if entry.networks.is_empty() || !entry.networks.iter().all(|network| is_slug(network)) {
        wrong("networks must name at least one network in a-z, 0-9 and hyphens".to_owned());
    }
    if !entry.networks.is_sorted_by(|a, b| a < b) {
        wrong("networks must be sorted and without duplicates".to_owned());
    }
    if entry.matches.is_empty() {
        wrong("[match] must have at least one namespace".to_owned());
    }
    for (namespace, patterns) in &entry.matches {
        if patterns.is_empty() {
            wrong(format!("match.{namespace} must not be empty"));
        }
        if !patterns.is_sorted_by(|a, b| (a.name(), a.publisher()) < (b.name(), b.publisher())) {
            wrong(format!("match.{namespace} must be sorted by name and without duplicates"));
        }
        for pattern in patterns {
            if let Some(problem) = pattern_problem(*namespace, pattern) {
                wrong(format!("match.{namespace}: {:?} {problem}", pattern.name()));
            }
        }
    }
    errors
}

/// Checks that no identifier stands for two apps.
pub fn check_unique<'a>(entries: impl Iterator<Item = (&'a str, &'a Entry)>) -> Vec<EntryError> {
    let mut seen: BTreeMap<(Namespace, Cow<'a, str>, Option<&'a str>), &'a str> = BTreeMap::new();
    let mut errors = Vec::new();
    for (id, entry) in entries {
        for (namespace, pattern) in
            entry.matches.iter().flat_map(|(namespace, list)| list.iter().map(move |p| (*namespace, p)))
        {
            let name = canonical(namespace, pattern.name());
            // An unconditional pattern would shadow a conditional one of another app.
            let clash = seen
                .range((namespace, name.clone(), None)..)
                .take_while(|((n, other, _), _)| *n == namespace && *other == name)
                .find(|((_, _, publisher), other)| {
                    **other != id
                        && (publisher.is_none()
                            || pattern.publisher().is_none()
                            || *publisher == pattern.publisher())
                });
            if let Some((_, other)) = clash {
                let problem = format!("match.{namespace}: {:?} also stands for {other}", pattern.name());
                errors.push(EntryError { id: id.to_owned(), problem });
            }
            seen.insert((namespace, name, pattern.publisher()), id);
        }
    }
    errors
}

fn is_slug(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn pattern_problem(namespace: Namespace, pattern: &Pattern) -> Option<String> {
    let name = pattern.name();
    if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        return Some("must be a text without outer white space or control characters".to_owned());
    }
    if pattern.publisher().is_some_and(|p| p.trim().is_empty()) {
        return Some("has an empty publisher".to_owned());
    }
    if pattern.versioned() && !matches!(namespace, Namespace::WindowsUninstall | Namespace::Appimage) {
        return Some("is versioned, which only windows-uninstall and appimage can be".to_owned());
    }
    let fault = match namespace {
        Namespace::ChromiumExtension => (!is_chromium_id(name)).then_some("must be 32 letters from a to p"),
        Namespace::DesktopEntry => (!name.ends_with(".desktop")).then_some("must end with .desktop"),
        Namespace::Executable => name.contains(['/', '\\']).then_some("must be a base name, without folders"),
        Namespace::WebApp => {
            let host = name.split('/').next().unwrap_or_default();
            // One star for one label, below a domain of somebody's own.
            let fixed = host.strip_prefix("*.").unwrap_or(host);
            (name.contains("://") || fixed.contains('*') || !fixed.contains('.') || host != host.to_ascii_lowercase())
                .then_some("must be a lower-case host name, with *. for any one label before it, and an optional path, without scheme")
        }
        Namespace::Android | Namespace::Flatpak | Namespace::Ios => (!name.contains('.')
            || name.contains(char::is_whitespace))
        .then_some("must be a reverse domain name"),
        // The name of a bundle, with `.app`, may have spaces.
        Namespace::MacosBundle => (!name.ends_with(".app") && name.contains(char::is_whitespace))
            .then_some("must be a bundle identifier without spaces, or a bundle's name with .app"),
        Namespace::Msix => (!name.contains('_')).then_some("must be a package family name"),
        Namespace::Apk
        | Namespace::Dpkg
        | Namespace::Homebrew
        | Namespace::HomebrewCask
        | Namespace::Nix
        | Namespace::Pacman
        | Namespace::Rpm
        | Namespace::Snap
        | Namespace::Winget => name.contains(char::is_whitespace).then_some("must not have spaces"),
        Namespace::Appimage | Namespace::FirefoxExtension | Namespace::WindowsUninstall => None,
    };
    fault.map(str::to_owned)
}
