//! The table of settings: what there is, what it means, what it is by default.

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its path in the file, e.g. `server.url`.
    pub name: &'static str,
    /// The value if nobody gives one, as it would stand in the file.
    pub default: Option<&'static str>,
    /// What it means, in one line.
    pub about: &'static str,
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
        default: Some("true"),
        about: "whether the first check-in after a start waits its turn among all devices",
    },
    Key {
        name: "enrolment.token_file",
        default: None,
        about: "file with the enrolment token; removed once it was used",
    },
    Key { name: "log.format", default: Some("text"), about: "text or json" },
    Key { name: "log.level", default: Some("info"), about: "error, warn, info, debug or trace" },
    Key {
        name: "scan.root",
        default: Some("/"),
        about: "root of the file system that is scanned; / is this machine",
    },
    Key {
        name: "scan.safety_interval",
        default: Some("15m"),
        about: "time between two scans of everything, 1m to 1d",
    },
    Key {
        name: "server.ca_file",
        default: None,
        about: "PEM file of the one CA to trust; the system's roots if not given",
    },
    Key { name: "server.url", default: None, about: "the collector, https://host or https://host:port" },
    Key { name: "state_dir", default: Some(STATE_DIR), about: "where identity, state and policy are kept" },
];

impl Key {
    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Whether it is true or false, and nothing else.
    pub fn is_flag(&self) -> bool {
        matches!(self.default, Some("true" | "false"))
    }

    /// Its environment variable: `server.url` is `OFFCHANNEL_AGENT_SERVER_URL`.
    pub fn variable(&self) -> String {
        format!("{}{}", super::env::PREFIX, self.name.to_uppercase().replace('.', "_"))
    }
}

/// All names, for messages.
pub(super) fn names() -> String {
    let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    names.join(", ")
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
}
