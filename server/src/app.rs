//! Putting the collector together: configuration, data folder, store, keys, service, sockets, jobs.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offchannel_shared::signing::SigningKey;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::channels::{self, ChannelError};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, ConfigErrors, Database, Loaded, Overrides};
use crate::domain::route::{Route, Routes};
use crate::files;
use crate::http;
use crate::jobs::{self, JobsHandle};
use crate::keys::{self, SigningKeyError};
use crate::metrics::Metrics;
use crate::service::{Service, ServiceError};
use crate::store::sqlite::{OpenOptions, SqliteStore};
use crate::store::{Store, StoreError};
use crate::tls::{self, TlsError};

/// The configuration file that is used if none is named and it is there.
pub const DEFAULT_CONFIG: &str = "/etc/offchannel/server.toml";
/// Held while a collector serves from a data folder.
const LOCK_FILE: &str = "serving.lock";

/// Why the collector cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The configuration is wrong; every problem is named.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}: make it writable for this user, or name another one")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another collector serves from the data folder.
    #[error("another collector{pid} serves from {path}: stop it first, or name another data folder")]
    Serving {
        /// The folder.
        path: PathBuf,
        /// ` (process 123)`, if known.
        pid: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: is another program using it? Name another address with `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The signing key cannot be used.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A channel cannot be set up.
    #[error("a channel cannot be set up")]
    Channel(#[from] ChannelError),
    /// The service cannot start.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The parts that every command needs.
#[derive(Debug)]
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The use cases.
    pub service: Service,
    clock: Arc<dyn Clock>,
    /// The data folder's lock; an admin command works without it.
    lock: Option<File>,
}

/// A collector that serves.
#[derive(Debug)]
pub struct Running {
    /// The address that agents are served on.
    pub address: SocketAddr,
    /// What was counted since the start.
    pub metrics: Metrics,
    servers: Vec<JoinHandle<()>>,
    jobs: JobsHandle,
    stop: watch::Sender<bool>,
    store: Arc<dyn Store>,
    _lock: Option<File>,
}

/// Loads the configuration from the file named, else from the one that the environment names, else from
/// the usual place if there is one.
///
/// # Errors
/// [`ConfigErrors`].
pub fn load_config(path: Option<&Path>) -> Result<Loaded, ConfigErrors> {
    let usual = Path::new(DEFAULT_CONFIG);
    let named = path.map(Path::to_owned).or_else(config::env::config_file);
    let path = named.or_else(|| usual.exists().then(|| usual.to_owned()));
    Config::load(path.as_deref(), &Overrides::default())
}

impl App {
    /// Opens the data folder for serving: makes it if it is missing, locks it, brings the database up to date,
    /// and makes the signing key of a new collector.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn for_serving(config: Config) -> Result<Self, AppError> {
        files::make_private_dir(&config.data_dir)
            .map_err(|source| AppError::DataDir { path: config.data_dir.clone(), source })?;
        // Before anything in the folder is touched: a collector that serves from it must not find its
        // database changed under its hands.
        let lock = lock(&config.data_dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = open(&config, &clock, true)?;
        // The lock says that nobody else delivers: what a collector that died had under way need not wait.
        store.release_deliveries().await?;
        let signing_key = signing_key(&config.data_dir, store.as_ref()).await?;
        Self::with(config, clock, store, signing_key, Some(lock)).await
    }

    /// Opens the database for an admin command, beside a collector that may be running.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn for_admin(config: Option<&Path>) -> Result<Self, AppError> {
        let config = load_config(config)?.config;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = open(&config, &clock, false)?;
        Self::with(config, clock, store, keys::passing()?, None).await
    }

    async fn with(
        config: Config,
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        signing_key: SigningKey,
        lock: Option<File>,
    ) -> Result<Self, AppError> {
        let enabled: Vec<_> = config.channels.iter().filter(|channel| channel.enabled).collect();
        let usual = enabled.iter().map(|channel| Route {
            folds: channel.kind.is_read_by_people(),
            ..Route::usual(channel.name.clone())
        });
        let leads = |route: &&Route| enabled.iter().any(|channel| channel.name == route.channel);
        let routes = Routes::with_usual(usual, config.routes.iter().filter(leads).cloned().collect());
        let service =
            Service::start(Arc::clone(&store), Arc::clone(&clock), signing_key, routes, config.publication)
                .await?;
        Ok(Self { config, store, service, clock, lock })
    }

    /// Starts serving agents and working on what is due.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(self) -> Result<Running, AppError> {
        let enabled = self.config.channels.iter().filter(|channel| channel.enabled);
        let channels = enabled.map(channels::build).collect::<Result<_, _>>()?;
        let now = self.clock.now();
        let tls = tls::server_config(&self.config.tls, self.config.public_url.host(), now)?;
        let expires_at = tls::expires_at(&self.config.tls)?;
        let listener = listen(self.config.listen).await?;
        let address = listener
            .local_addr()
            .map_err(|source| AppError::Listen { address: self.config.listen, source })?;
        let (stop, stopped) = watch::channel(false);
        let metrics = Metrics::default();
        let router = http::router(self.service.clone(), &self.config.limits, &metrics);
        let mut servers = Vec::new();
        if let Some(address) = self.config.metrics {
            let plain = listen(address).await?;
            let router = http::probes(self.service.clone(), &self.config.limits, &metrics);
            servers.push(tokio::spawn(http::serve_plain(plain, router, self.config.limits, stopped.clone())));
        }
        if let Some(expires_at) = expires_at {
            let watch = tls::watch_expiry(expires_at, Arc::clone(&self.clock), stopped.clone());
            servers.push(tokio::spawn(watch));
        }
        let limits = self.config.limits;
        servers.push(tokio::spawn(http::serve(listener, tls, router, limits, metrics.clone(), stopped)));
        let jobs = jobs::spawn(self.service.clone(), channels, self.clock, metrics.clone())
            .map_err(ServiceError::Random)?;
        Ok(Running { address, metrics, servers, jobs, stop, store: self.store, _lock: self.lock })
    }
}

impl Running {
    /// Stops: takes no more connections, lets requests and deliveries in flight end, writes out.
    ///
    /// # Errors
    /// [`AppError::Store`] if something could not be written.
    pub async fn stop(self) -> Result<(), AppError> {
        self.stop.send_replace(true);
        for server in self.servers {
            if let Err(error) = server.await {
                tracing::error!(%error, "a listener or its watch ended badly");
            }
        }
        self.jobs.stop().await;
        self.store.close().await?;
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|source| AppError::Listen { address, source })
}

fn open(config: &Config, clock: &Arc<dyn Clock>, serving: bool) -> Result<Arc<dyn Store>, AppError> {
    let Database::Sqlite(path) = &config.database;
    let options = OpenOptions { create: serving, migrate: serving, announce: !serving, now: clock.now() };
    Ok(SqliteStore::open(path, &options)?)
}

/// The key that policies are signed with. A missing one is made as long as no agent can know another.
async fn signing_key(data_dir: &Path, store: &dyn Store) -> Result<SigningKey, AppError> {
    if let Some(key) = keys::load(data_dir)? {
        return Ok(key);
    }
    if store.policy(None).await?.is_some() || !store.devices(None, 1).await?.is_empty() {
        return Err(keys::missing(data_dir).into());
    }
    Ok(keys::make(data_dir)?)
}

/// Takes the data folder's lock, which ends with the process, however it ends.
fn lock(data_dir: &Path) -> Result<File, AppError> {
    let path = data_dir.join(LOCK_FILE);
    let failed = |source| AppError::DataDir { path: data_dir.to_owned(), source };
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != Errno::WOULDBLOCK {
            return Err(failed(error.into()));
        }
        let pid = io::read_to_string(&file).unwrap_or_default();
        let pid = pid.trim();
        let pid = if pid.is_empty() { String::new() } else { format!(" (process {pid})") };
        return Err(AppError::Serving { path: data_dir.to_owned(), pid });
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(data_dir: &Path) -> Config {
        let data_dir = Some(data_dir.display().to_string());
        let overrides = Overrides { data_dir, ..Overrides::default() };
        Config::load_from(None, BTreeMap::new(), &overrides).unwrap().config
    }

    #[tokio::test]
    async fn a_database_is_not_opened_while_another_collector_holds_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let refused = App::for_serving(config(dir.path())).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, AppError::Serving { .. }), "{refused:?}");
        assert!(!dir.path().join("offchannel.db").exists(), "a database was made or migrated");
        drop(held);
        App::for_serving(config(dir.path())).await.unwrap();
    }
}
