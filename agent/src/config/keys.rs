//! The table of settings: what there is, what it means, what it is by default.

use offchannel_shared::nearest::nearest;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its path in the file, e.g. `server.url`.
    pub name: &'static str,
    /// What may be written for it.
    pub kind: Kind,
    /// The value if nobody gives one, as it would stand in the file.
    pub default: Option<&'static str>,
    /// What it means, in one line.
    pub about: &'static str,
}

/// What may be written for a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The path of a file or folder. In a file a relative one starts at that file's folder.
    Path,
    /// A span of time such as `15m`.
    Span,
    /// `https://host` or `https://host:port`.
    Url,
}

/// Where the agent keeps its files unless told otherwise.
#[cfg(not(windows))]
pub(super) const STATE_DIR: &str = "/var/lib/offchannel-agent";
/// Where the agent keeps its files unless told otherwise.
#[cfg(windows)]
pub(super) const STATE_DIR: &str = "C:\\ProgramData\\Offchannel\\Agent";

/// All settings, sorted by name.
pub const KEYS: &[Key] = &[
    Key {
        name: "check_in.splay",
        kind: Kind::Flag,
        default: Some("true"),
        about: "whether the first check-in after a start waits its turn among all devices",
    },
    Key {
        name: "enrolment.token_file",
        kind: Kind::Path,
        default: None,
        about: "file with the enrolment token; removed once it was used",
    },
    Key {
        name: "identity.on_clone",
        kind: Kind::Choice(&["alert", "re-enrol"]),
        default: Some("alert"),
        about: "what to do where the identity was made on another machine: alert or re-enrol",
    },
    Key {
        name: "identity.rotate_every",
        kind: Kind::Span,
        default: Some("30d"),
        about: "how long the device keeps a key, 1d to 365d, or never",
    },
    Key {
        name: "log.format",
        kind: Kind::Choice(&["text", "json"]),
        default: Some("text"),
        about: "text or json",
    },
    Key {
        name: "log.level",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: Some("info"),
        about: "error, warn, info, debug or trace",
    },
    Key {
        name: "scan.root",
        kind: Kind::Path,
        default: Some("/"),
        about: "root of the file system that is scanned; / is this machine",
    },
    Key {
        name: "scan.safety_interval",
        kind: Kind::Span,
        default: Some("15m"),
        about: "time between two scans of everything, 1m to 1d",
    },
    Key {
        name: "server.ca_file",
        kind: Kind::Path,
        default: None,
        about: "PEM file of the one CA to trust; the system's roots if not given",
    },
    Key {
        name: "server.url",
        kind: Kind::Url,
        default: None,
        about: "the collector, https://host or https://host:port",
    },
    Key {
        name: "state_dir",
        kind: Kind::Path,
        default: Some(STATE_DIR),
        about: "where identity, state and policy are kept",
    },
];

impl Key {
    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The names in front of the last dot and behind it: `server.url` is `url` in the group `server`.
    pub fn parts(&self) -> (Option<&'static str>, &'static str) {
        match self.name.rsplit_once('.') {
            Some((group, name)) => (Some(group), name),
            None => (None, self.name),
        }
    }

    /// Its environment variable: `server.url` is `OFFCHANNEL_AGENT_SERVER_URL`.
    pub fn variable(&self) -> String {
        format!("{}{}", super::env::PREFIX, self.name.to_uppercase().replace('.', "_"))
    }
}

/// Whether settings stand in a group of this name.
pub(super) fn is_group(name: &str) -> bool {
    let mut behind = KEYS.iter().filter_map(|key| key.name.strip_prefix(name));
    behind.any(|rest| rest.starts_with('.'))
}

/// What to say of a name that is none, among those that are, all as they are spelled in the place where it stands.
pub(super) fn no_such(name: &str, known: &[String], separator: char) -> String {
    let last = |name: &str| name.rsplit(separator).next().map(str::to_lowercase);
    let is_alike = |known: &&String| last(known) == last(name);
    // Right but for the group is nearer than any misspelling.
    let mut alike = known.iter().filter(is_alike).map(String::as_str);
    let near = match (alike.next(), alike.next()) {
        (Some(one), None) => Some(one),
        _ => nearest(name, known.iter().map(String::as_str)),
    };
    match near {
        Some(near) => format!("there is no such setting; did you mean {near}?"),
        None => format!("there is no such setting; expected one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_variable_is_its_own() {
        assert!(KEYS.is_sorted_by_key(|key| key.name));
        let variables: BTreeSet<String> = KEYS.iter().map(Key::variable).collect();
        assert_eq!(variables.len(), KEYS.len());
        assert!(variables.contains("OFFCHANNEL_AGENT_SCAN_SAFETY_INTERVAL"));
    }
    #[test]
    fn a_default_is_of_its_kind() {
        for key in KEYS {
            let Some(default) = key.default else { continue };
            match key.kind {
                Kind::Flag => assert!(matches!(default, "true" | "false"), "{}", key.name),
                Kind::Choice(words) => assert!(words.contains(&default), "{}", key.name),
                Kind::Path | Kind::Span | Kind::Url => {}
            }
        }
    }

    #[test]
    fn a_misspelt_name_has_a_nearest_one() {
        let known: Vec<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
        for (name, near) in [
            ("server.ulr", "server.url"),
            ("state_dri", "state_dir"),
            ("url", "server.url"),
            ("scan.level", "log.level"),
            ("Log.Level", "log.level"),
        ] {
            assert_eq!(
                no_such(name, &known, '.'),
                format!("there is no such setting; did you mean {near}?"),
                "{name}"
            );
        }
        assert!(no_such("colour", &known, '.').contains("expected one of check_in.splay, "));
        assert!(!no_such("", &known, '.').contains("did you mean"));
    }
}
