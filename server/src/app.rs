//! Putting the collector together: configuration, data folder, store, keys, service, sockets, jobs.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offchannel_shared::ids::ChannelName;
use rustix::fs::{FlockOperation, flock};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::channels::{self, Channel, ChannelError};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, ConfigErrors, Database, Loaded, Overrides};
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
const DEFAULT_CONFIG: &str = "/etc/offchannel/server.toml";
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
    channels: Vec<Arc<dyn Channel>>,
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
    _lock: File,
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
    /// Opens the data folder for serving: makes it if it is missing, brings the database up to date.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn for_serving(config: Config) -> Result<Self, AppError> {
        files::make_private_dir(&config.data_dir)
            .map_err(|source| AppError::DataDir { path: config.data_dir.clone(), source })?;
        Self::open(config, true).await
    }

    /// Opens the database for an admin command, beside a collector that may be running.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn for_admin(config: Option<&Path>) -> Result<Self, AppError> {
        Self::open(load_config(config)?.config, false).await
    }

    async fn open(config: Config, serving: bool) -> Result<Self, AppError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let Database::Sqlite(path) = &config.database;
        let options = OpenOptions { create: serving, migrate: serving, now: clock.now() };
        let store: Arc<dyn Store> = SqliteStore::open(path, &options)?;
        let signing_key = keys::load_or_make(&config.data_dir)?;
        let enabled = || config.channels.iter().filter(|channel| channel.enabled);
        let names: Vec<ChannelName> = enabled().map(|channel| channel.name.clone()).collect();
        let channels = enabled().map(channels::build).collect::<Result<_, _>>()?;
        let service = Service::start(Arc::clone(&store), Arc::clone(&clock), signing_key, names).await?;
        Ok(Self { config, store, service, clock, channels })
    }

    /// Starts serving agents and working on what is due.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(self) -> Result<Running, AppError> {
        let lock = lock(&self.config.data_dir)?;
        let now = self.clock.now();
        let tls = tls::server_config(&self.config.tls, self.config.public_url.host(), now)?;
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
        let limits = self.config.limits;
        servers.push(tokio::spawn(http::serve(listener, tls, router, limits, metrics.clone(), stopped)));
        let jobs = jobs::spawn(self.service.clone(), self.channels, self.clock, metrics.clone())
            .map_err(ServiceError::Random)?;
        Ok(Running { address, metrics, servers, jobs, stop, store: self.store, _lock: lock })
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
                tracing::error!(%error, "a listener ended badly");
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

/// Takes the data folder's lock, which ends with the process, however it ends.
fn lock(data_dir: &Path) -> Result<File, AppError> {
    let path = data_dir.join(LOCK_FILE);
    let failed = |source| AppError::DataDir { path: data_dir.to_owned(), source };
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let pid = io::read_to_string(&file).unwrap_or_default();
        let pid = pid.trim();
        let pid = if pid.is_empty() { String::new() } else { format!(" (process {pid})") };
        return Err(AppError::Serving { path: data_dir.to_owned(), pid });
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
