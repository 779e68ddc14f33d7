//! Secrets of channels, and where they come from.
//!
//! A secret with the key `token` is given as one of
//!
//! - `token_file`: a file that only the collector can read,
//! - `token_credential`: a credential that systemd hands to the service (`LoadCredential=`),
//! - `token_env`: an environment variable,
//! - `token`: the text itself, for trying things out.
//!
//! A credential and a variable are there for the service and mostly not for an admin command beside it. That they are
//! missing is therefore no problem of the configuration; the channel cannot be built then.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use offchannel_shared::ids::ChannelName;

use crate::config::env;
use crate::config::layers::{Raw, Section, Setting};
use crate::config::problem::{Origin, Problem};

/// Largest file of a secret or of CAs that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
/// What is appended to the key of a secret, for each place that it can come from.
const PLACES: [&str; 4] = ["_file", "_credential", "_env", ""];

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFrom {
    /// The configuration itself.
    Configuration(Origin),
    /// A file.
    File(PathBuf),
    /// A credential of systemd.
    Credential(String),
    /// An environment variable.
    Environment(String),
}

impl Display for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(origin) => write!(f, "{origin}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Credential(name) => write!(f, "the systemd credential {name:?}"),
            Self::Environment(name) => write!(f, "the environment variable {name:?}"),
        }
    }
}

/// That a channel uses a secret; never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// The channel.
    pub channel: ChannelName,
    /// The key of the secret.
    pub key: &'static str,
    /// Where it comes from.
    pub from: SecretFrom,
}

/// Where secrets are looked up, and what was found out about those of one channel.
#[derive(Debug)]
pub(super) struct Secrets<'e> {
    environment: &'e BTreeMap<String, String>,
    pub(super) used: Vec<(&'static str, SecretFrom)>,
    /// What this process was not given, if anything.
    pub(super) missing: Option<String>,
    /// What is odd about how they are kept: the key, where it was given, and what is.
    pub(super) odd: Vec<(String, Origin, String)>,
}

impl<'e> Secrets<'e> {
    pub(super) fn new(environment: &'e BTreeMap<String, String>) -> Self {
        Self { environment, used: Vec::new(), missing: None, odd: Vec::new() }
    }

    /// The text of a secret; an error is a problem of the configuration.
    fn text(&mut self, key: &'static str, from: &SecretFrom) -> Result<Option<String>, String> {
        match from {
            SecretFrom::Configuration(_) => Ok(None),
            SecretFrom::File(path) => content(path).map(Some),
            SecretFrom::Credential(name) => {
                let Some(folder) = self.environment.get(env::CREDENTIALS).filter(|folder| !folder.is_empty())
                else {
                    self.missing = Some(format!(
                        "{key} is {from}, and systemd gave this process none: try it as the service"
                    ));
                    return Ok(None);
                };
                content(&Path::new(folder).join(name)).map(Some)
            }
            SecretFrom::Environment(name) => {
                let text = self.environment.get(name).cloned();
                if text.is_none() {
                    self.missing = Some(format!("{key} is {from}, which this process does not have"));
                }
                Ok(text)
            }
        }
    }
}

/// Takes a secret and reads it as what it is to be; with the place of the key that gave it. `expected` says how it is
/// given, if it is not. No message ever repeats any of it.
pub(super) fn secret<T: FromStr<Err: Display>>(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
    key: &'static str,
    expected: &str,
) -> Option<(T, Origin)> {
    let found = maybe_secret(section, problems, secrets, key);
    if let Found::Nothing = found {
        // An address is mostly no secret, and is named as what it is.
        let at = if key == "url" { key.to_owned() } else { format!("{key}_file") };
        section.problem(problems, &at, &section.origin, format!("missing: expected {expected}"));
    }
    match found {
        Found::Nothing | Found::Unusable => None,
        Found::Secret(secret, origin) => Some((secret, origin)),
    }
}

/// A secret that may be given or not.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// It is not given.
    Nothing,
    /// It is given, and cannot be used; why was told.
    Unusable,
    /// Here it is, with the place of the key that gave it.
    Secret(T, Origin),
}

/// As [`secret`], for one that need not be given.
pub(super) fn maybe_secret<T: FromStr<Err: Display>>(
    section: &mut Section,
    problems: &mut Vec<Problem>,
    secrets: &mut Secrets<'_>,
    key: &'static str,
) -> Found<T> {
    let names = PLACES.map(|place| format!("{key}{place}"));
    let given: Vec<(String, Setting)> =
        names.iter().filter_map(|name| Some((name.clone(), section.take(name)?))).collect();
    let Some((name, Setting { raw, origin })) = given.first().cloned() else { return Found::Nothing };
    if let Some((second, _)) = given.get(1) {
        let message = format!("both {second} and {name} are given: keep one");
        section.problem(problems, key, &section.origin, message);
        return Found::Unusable;
    }
    let Raw::Text(text) = raw else {
        section.problem(problems, &name, &origin, "expected a text");
        return Found::Unusable;
    };
    let from = match name.strip_prefix(key) {
        Some("_file") => SecretFrom::File(crate::config::layers::path(&text, &origin)),
        Some("_credential") => SecretFrom::Credential(text.clone()),
        Some("_env") => SecretFrom::Environment(text.clone()),
        _ => SecretFrom::Configuration(origin.clone()),
    };
    let usable = match &from {
        SecretFrom::Configuration(_) => Ok(()),
        _ if text.is_empty() => Err("expected a name, found an empty text".to_owned()),
        SecretFrom::Credential(name) if name.contains('/') || name.starts_with('.') => {
            Err("expected the name of a credential, not a path".to_owned())
        }
        SecretFrom::Environment(name) if name.starts_with(env::PREFIX) => {
            Err(format!("variables that begin with {} are settings: choose another name", env::PREFIX))
        }
        SecretFrom::File(_) | SecretFrom::Credential(_) | SecretFrom::Environment(_) => Ok(()),
    };
    let content = usable.and_then(|()| match &from {
        SecretFrom::Configuration(_) => Ok(Some(text)),
        elsewhere => secrets.text(key, elsewhere),
    });
    if let (SecretFrom::File(path), Ok(_)) = (&from, &content)
        && let Some(odd) = too_open(path)
    {
        secrets.odd.push((name.clone(), origin.clone(), odd));
    }
    secrets.used.push((key, from));
    let parsed = match content {
        Err(error) => Err(error),
        Ok(None) => return Found::Unusable,
        Ok(Some(content)) => content.trim().parse().map_err(|error: T::Err| error.to_string()),
    };
    match parsed {
        Ok(secret) => Found::Secret(secret, origin),
        Err(error) => {
            section.problem(problems, &name, &origin, error);
            Found::Unusable
        }
    }
}

/// What is wrong with the rights of a file that holds a secret, if anything is.
fn too_open(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let whom = match mode {
        mode if mode & 0o007 != 0 => "everybody on this machine",
        mode if mode & 0o020 != 0 => "its whole group, which can write it,",
        _ => return None,
    };
    let path = path.display();
    Some(format!("{path} has mode {mode:04o}: {whom} can use the secret; set it to 0640 or 0600"))
}

/// The text of a file.
pub(super) fn content(path: &Path) -> Result<String, String> {
    let content = std::fs::File::open(path).and_then(|file| {
        let mut text = String::new();
        // Some files say nothing of their length, and have no end.
        if file.take(FILE_MAX + 1).read_to_string(&mut text)? as u64 > FILE_MAX {
            return Err(std::io::Error::other(format!("it has more than {FILE_MAX} bytes")));
        }
        Ok(text)
    });
    content.map_err(|error| format!("{} cannot be read: {error}", path.display()))
}
