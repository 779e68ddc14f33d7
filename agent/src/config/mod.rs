//! Settings: where they come from, what they mean, and which one wins.
//!
//! Defaults, then the file and its drop-ins, then the environment, then flags. What device management writes wins
//! over all of them, because the organisation writes it and the device's user does not: the managed file
//! ([`MANAGED_PATH`]), and over that the system's own way, which is the registry's policies on Windows and managed
//! preferences on macOS. `places.rs` has the order.

pub mod env;
mod file;
mod keys;
mod layer;
mod places;
mod policies;
mod preferences;
mod resolve;
mod server_url;
mod session;

use std::path::PathBuf;

use offchannel_shared::span::Span;

pub use env::Environment;
pub use file::Rank;
pub use keys::{KEYS, Key, Kind};
pub use layer::{Layer, Origin, Problem, Severity};
pub use places::{DEFAULT_PATH, MANAGED_PATH, Places};
pub use policies::{Branch, KEY as POLICIES_KEY};
pub use preferences::DOMAIN as PREFERENCES_DOMAIN;
pub use resolve::{Resolved, Setting, Written, resolve};
pub use server_url::{ServerUrl, ServerUrlError};
pub use session::Session;

/// What the agent runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The collector; commands that do not speak to it work without.
    pub server: Option<ServerUrl>,
    /// PEM file of the one CA that is trusted; the system's roots if not given.
    pub ca_file: Option<PathBuf>,
    /// Where the enrolment token lies until it is used.
    pub token_file: Option<PathBuf>,
    /// What is done where the identity was made on another machine.
    pub on_clone: OnClone,
    /// How long the device keeps a key; for good, if not given.
    pub rotate_every: Option<Span>,
    /// Where the agent keeps its identity, state and policy.
    pub state_dir: PathBuf,
    /// The root of the file system that is scanned.
    pub scan_root: PathBuf,
    /// Whether the first check-in after a start waits its turn among all devices.
    pub splay: bool,
    /// Time between two scans of everything, whether or not anything was noticed.
    pub safety_interval: Span,
    /// What is logged.
    pub log: Log,
}

impl Config {
    /// The state folder if no setting names another one.
    pub fn usual_state_dir() -> PathBuf {
        PathBuf::from(keys::STATE_DIR)
    }
}

/// What is done where the identity was made on another machine, as in a copied disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnClone {
    /// The agent goes on and says so; where the other machine reports, too, the collector alerts.
    #[default]
    Alert,
    /// The agent enrols this machine as a device of its own, if there is a token; else as above.
    ReEnrol,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    /// Least level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// Least level of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    /// Something does not work and somebody must act.
    Error,
    /// Something does not work for now, or works in part.
    Warn,
    /// What the agent does, rarely.
    #[default]
    Info,
    /// Why it does so.
    Debug,
    /// Every step.
    Trace,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the agent cannot run with its settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Some settings cannot be used. All problems are listed, warnings too.
    #[error("the configuration cannot be used:\n{}", list(.0))]
    Problems(Vec<Problem>),
}

/// One problem a line, indented.
pub(crate) fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    lines.join("\n")
}
