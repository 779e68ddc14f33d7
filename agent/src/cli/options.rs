//! Options that several commands share.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use offchannel_shared::device::Platform;
use offchannel_shared::language::Language;
use serde::Serialize;

use super::CliError;
use crate::config::{
    Config, ConfigError, DEFAULT_PATH, Environment, Layer, Places, Problem, Resolved, Session,
};
use crate::platform::filesystem;
use crate::scan::host::Host;

/// Where settings come from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    #[arg(
        long,
        value_name = "FILE",
        help = format!(
            "Configuration file [default: $OFFCHANNEL_AGENT_CONFIG, then {DEFAULT_PATH} with conf.d/*.toml]"
        )
    )]
    config: Option<PathBuf>,
    /// The collector, https://host:port.
    #[arg(long, value_name = "URL")]
    server_url: Option<String>,
    /// PEM file of the one CA to trust.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Where identity, state and policy are kept.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Root of the file system that is scanned.
    #[arg(long, value_name = "DIR")]
    scan_root: Option<PathBuf>,
    /// error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// text or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl ConfigArgs {
    /// All settings with their problems.
    pub fn resolve(&self) -> Resolved {
        // A path on the command line starts where the person who typed it is.
        let path = |path: &Option<PathBuf>| path.as_deref().map(|path| absolute(path).display().to_string());
        let flags = Layer::flags([
            ("server.url", self.server_url.clone()),
            ("server.ca_file", path(&self.ca_file)),
            ("state_dir", path(&self.state_dir)),
            ("scan.root", path(&self.scan_root)),
            ("log.level", self.log_level.clone()),
            ("log.format", self.log_format.clone()),
        ]);
        Places::system().load(self.config.as_deref(), &Environment::read(), flags)
    }

    /// The configuration. Unknown settings are told on the log by those who have one.
    pub fn load(&self) -> Result<(Config, Vec<Problem>), ConfigError> {
        let resolved = self.resolve();
        let warnings = if resolved.is_usable() { resolved.problems.clone() } else { Vec::new() };
        Ok((resolved.config()?, warnings))
    }
}

/// In which language a command speaks.
#[derive(Debug, Clone, Default, Args)]
pub struct LangArgs {
    /// The language to speak, such as cy or en-GB [default: those of $LANGUAGE and of $LC_ALL, $LC_MESSAGES or $LANG]
    #[arg(long, value_name = "TAG")]
    lang: Option<Language>,
}

impl LangArgs {
    /// The languages that are wanted, the most wanted first.
    pub fn or_of(&self, session: &Session) -> Vec<Language> {
        self.lang.clone().map_or_else(|| session.languages.clone(), |lang| vec![lang])
    }
}

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// The device that is looked at.
pub fn host(config: &Config) -> Host {
    let is_live = [PathBuf::from("/"), filesystem::root()].contains(&config.scan_root);
    if is_live { Host::live() } else { Host::at(config.scan_root.clone(), Platform::Linux) }
}

/// Writes a value as indented JSON and a newline.
pub fn json(out: &mut dyn io::Write, value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(CliError::Json)?;
    writeln!(out, "{text}").map_err(CliError::Output)
}

fn absolute(path: &Path) -> PathBuf {
    // Fails only for an empty path, which the configuration refuses with its own message.
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
