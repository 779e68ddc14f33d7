//! Configuration: defaults, then file, then environment, then flags.
//!
//! Everything that is wrong is found at once, and each problem names where the setting was given. A key
//! that does not exist is a warning, so that an older program starts with a newer file, and so are rights on a file of a
//! secret that are too wide, as they are where containers mount secrets; `check-config` treats warnings as errors.

mod channels;
mod data;
pub mod env;
mod layers;
mod limits;
mod listen;
mod log;
mod policy;
mod problem;
mod routes;
mod section;
mod tls;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use channels::{SecretFrom, SecretUse};
pub use data::Database;
pub use layers::{DEFAULTS, Overrides};
pub use limits::Limits;
pub use listen::{PublicUrl, PublicUrlError};
pub use log::{LogConfig, LogFormat, LogLevel};
pub use problem::{ConfigErrors, Origin, Problem};
pub use tls::TlsConfig;

use self::channels::Channels;
use crate::channels::ChannelConfig;
use crate::domain::published::Publication;
use crate::domain::route::Route;

/// The whole configuration, understood and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address on which agents are served.
    pub listen: SocketAddr,
    /// Folder of everything that the collector keeps.
    pub data_dir: PathBuf,
    /// Under which address agents reach the collector.
    pub public_url: PublicUrl,
    /// Which database.
    pub database: Database,
    /// Whose certificate is shown.
    pub tls: TlsConfig,
    /// How much of everything a peer may use.
    pub limits: Limits,
    /// Address of the plain listener for metrics and probes, if one is wanted.
    pub metrics: Option<SocketAddr>,
    /// Where alerts are delivered.
    pub channels: Vec<ChannelConfig>,
    /// Where the secrets of channels come from.
    pub secrets: Vec<SecretUse>,
    /// Which alerts go to which of them.
    pub routes: Vec<Route>,
    /// Whether one person alone can publish a policy.
    pub publication: Publication,
    /// What is logged.
    pub log: LogConfig,
}

/// A configuration that can be used, with what is odd about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Keys and variables that do not exist, and secrets that others than the collector can read.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Loads the configuration from a file, if one is given, the environment and flags.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that is wrong.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Loaded, ConfigErrors> {
        Self::load_from(path, env::variables(), overrides)
    }

    /// As [`Config::load`], with these variables instead of the environment. Those with our prefix are settings, others
    /// are looked up where a channel names them.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that is wrong.
    pub fn load_from(
        path: Option<&Path>,
        environment: BTreeMap<String, String>,
        overrides: &Overrides,
    ) -> Result<Loaded, ConfigErrors> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let collected = layers::collect(path, &environment, overrides, &mut problems, &mut warnings);
        let mut main = collected.main;
        let listen = listen::listen(&mut main, &mut problems);
        let public_url = listen::public_url(&mut main, &mut problems, listen);
        let metrics = listen::metrics(&mut main, &mut problems);
        let data_dir = data::data_dir(&mut main, &mut problems);
        let database = data::database(&mut main, &mut problems, data_dir.as_deref());
        let tls = tls::tls(&mut main, &mut problems, data_dir.as_deref());
        let limits = limits::limits(&mut main, &mut problems);
        let log = log::log(&mut main, &mut problems);
        let Channels { channels, secrets } =
            channels::channels(collected.channels, &environment, &mut problems, &mut warnings);
        let publication = policy::publication(&mut main, &mut problems);
        let routes = routes::routes(collected.routes, &channels, &mut problems, &mut warnings);
        main.warn_of_the_rest(&mut warnings);
        match (listen, data_dir, public_url, database, tls, limits, log, publication) {
            (
                Some(listen),
                Some(data_dir),
                Some(public_url),
                Some(database),
                Some(tls),
                Some(limits),
                Some(log),
                Some(publication),
            ) if problems.is_empty() => {
                let config = Self {
                    listen,
                    data_dir,
                    public_url,
                    database,
                    tls,
                    limits,
                    metrics,
                    channels,
                    secrets,
                    routes,
                    publication,
                    log,
                };
                Ok(Loaded { config, warnings })
            }
            _ => Err(ConfigErrors(problems)),
        }
    }
}
