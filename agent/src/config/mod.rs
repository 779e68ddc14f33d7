//! Settings: where they come from, what they mean, and which one wins.
//!
//! Defaults, then the file, then the environment, then flags; what stands in the managed file
//! ([`MANAGED_PATH`]) wins over all of them, because the organisation writes it and the device's user
//! does not.

pub mod env;
mod keys;
mod layer;
mod resolve;
mod server_url;

use std::path::{Path, PathBuf};

use offchannel_shared::span::Span;

pub use env::Environment;
pub use keys::{KEYS, Key};
pub use layer::{Layer, Origin, Problem, Severity};
pub use resolve::{Resolved, Setting, resolve};
pub use server_url::{ServerUrl, ServerUrlError};

/// The file that is read when nothing names another one.
#[cfg(not(windows))]
pub const DEFAULT_PATH: &str = "/etc/offchannel/agent.toml";
/// The file that is read when nothing names another one. In `ProgramData` everybody could have put it there.
#[cfg(windows)]
pub const DEFAULT_PATH: &str = "C:\\Program Files\\Offchannel\\agent.toml";
/// The file whose settings win over everything; written by device management.
#[cfg(not(windows))]
pub const MANAGED_PATH: &str = "/etc/offchannel/managed.toml";
/// The file whose settings win over everything; written by device management.
#[cfg(windows)]
pub const MANAGED_PATH: &str = "C:\\Program Files\\Offchannel\\managed.toml";
/// Largest settings file that is read, in bytes.
const FILE_MAX: u64 = 256 * 1024;

/// What the agent runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The collector; commands that do not speak to it work without.
    pub server: Option<ServerUrl>,
    /// PEM file of the one CA that is trusted; the system's roots if not given.
    pub ca_file: Option<PathBuf>,
    /// Where the enrolment token lies until it is used.
    pub token_file: Option<PathBuf>,
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

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Least level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// Least level of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something does not work and somebody must act.
    Error,
    /// Something does not work for now, or works in part.
    Warn,
    /// What the agent does, rarely.
    Info,
    /// Why it does so.
    Debug,
    /// Every step.
    Trace,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there are no settings at all.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was asked for cannot be read.
    #[error("cannot read the configuration file {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A settings file is absurdly large.
    #[error("the configuration file {0} is larger than {FILE_MAX} bytes: it cannot be the right file")]
    TooLarge(String),
    /// Some settings cannot be used. All problems are listed, warnings too.
    #[error("the configuration cannot be used:\n{}", list(.0))]
    Problems(Vec<Problem>),
}

/// One problem a line, indented.
pub(crate) fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    lines.join("\n")
}

/// Reads and joins all sources of settings.
///
/// `file` is what `--config` names; `managed` is [`MANAGED_PATH`] outside of tests.
///
/// # Errors
/// [`ConfigError::Read`] and [`ConfigError::TooLarge`]. Problems in what was read are part of the
/// result, so that a check can show them all.
pub fn load(
    file: Option<&Path>,
    environment: &Environment,
    flags: Layer,
    managed: &Path,
) -> Result<Resolved, ConfigError> {
    // Relative paths in the file start at its folder, which must not depend on where we are.
    let named = file.map(Path::to_path_buf).or_else(|| environment.config_file());
    let named = named.map(|path| std::path::absolute(&path).unwrap_or(path));
    let mut layers = Vec::new();
    match named {
        Some(path) => layers.push(read(&path)?.ok_or_else(|| ConfigError::Read {
            path: path.display().to_string(),
            cause: std::io::ErrorKind::NotFound.into(),
        })?),
        None => layers.extend(read(Path::new(DEFAULT_PATH))?),
    }
    layers.push(environment.layer());
    layers.push(flags);
    layers.extend(read(managed)?);
    Ok(resolve(&layers))
}

/// The settings of a file; `None` if it does not exist.
fn read(path: &Path) -> Result<Option<Layer>, ConfigError> {
    let name = path.display().to_string();
    match std::fs::metadata(path) {
        Ok(about) if about.len() > FILE_MAX => return Err(ConfigError::TooLarge(name)),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(ConfigError::Read { path: name, cause }),
    }
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Read { path: name, cause })?;
    Ok(Some(Layer::of_file(path, &text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_must_exist_and_the_managed_one_wins_over_flags() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        let managed = folder.path().join("managed.toml");
        let environment = Environment::default();
        let missing = load(Some(&file), &environment, Layer::flags([]), &managed);
        assert!(matches!(missing, Err(ConfigError::Read { .. })), "{missing:?}");

        let root = if cfg!(windows) { "C:/" } else { "/" };
        std::fs::write(&file, format!("state_dir = \"{root}from/file\"\n[log]\nlevel = \"debug\"\n"))
            .unwrap();
        std::fs::write(&managed, "[log]\nlevel = \"error\"\n").unwrap();
        let flags = Layer::flags([
            ("state_dir", Some(format!("{root}from/flag"))),
            ("log.level", Some("trace".to_owned())),
        ]);
        let resolved = load(Some(&file), &environment, flags, &managed).unwrap();
        let config = resolved.config().unwrap();
        assert_eq!(config.state_dir, Path::new(&format!("{root}from/flag")));
        assert_eq!(config.log.level, LogLevel::Error);
    }
}
