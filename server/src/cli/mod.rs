//! The command line: what was typed, handed to the service, printed for people or programs.

mod alert;
mod api_token;
mod channel;
mod delivery;
mod device;
mod exception;
mod import;
mod ledger;
pub mod output;
mod placement;
mod policy;
mod policy_life;
mod policy_whatif;
mod serve;
pub use serve::stop_signal;
pub mod text;
mod token;
mod unit;
pub mod view;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use offchannel_shared::ids::IdError;

use crate::app::{App, AppError};
use crate::quickstart::{self, QuickstartError};
use crate::service::ServiceError;

/// Everything was done.
pub const EXIT_OK: u8 = 0;
/// It was not done; the message says why.
pub const EXIT_FAILED: u8 = 1;
/// The command line makes no sense.
pub const EXIT_USAGE: u8 = 2;

/// The collector: judges reports against the organisation's policy, raises alerts, keeps evidence.
#[derive(Debug, Parser)]
#[command(
    name = "offchannel-server",
    version,
    after_help = "Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage."
)]
pub struct Cli {
    /// Configuration file [default: $OFFCHANNEL_SERVER_CONFIG, then /etc/offchannel/server.toml if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it on this machine: collector, example policy and agent, with nothing configured.
    Quickstart(quickstart::QuickstartArgs),
    /// Run the collector.
    Serve,
    /// Bring the database to this program's schema, without serving.
    Migrate {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: output::Format,
    },
    /// Check the configuration file and say what is in force.
    CheckConfig {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: output::Format,
    },
    /// Enrolment tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// The policy: check a file, publish it, show what is in force.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// The units of the organisation.
    #[command(subcommand)]
    Unit(unit::UnitCommand),
    /// Enrolled devices.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Alerts.
    #[command(subcommand)]
    Alert(alert::AlertCommand),
    /// Where alerts are delivered: list the channels, try one out.
    #[command(subcommand)]
    Channel(channel::ChannelCommand),
    /// Exceptions: what is accepted for a time.
    #[command(subcommand)]
    Exception(exception::ExceptionCommand),
    /// The ledger: every breach that there was, and what was decided about them.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Notifications on their way to channels, and those that were given up.
    #[command(subcommand)]
    Delivery(delivery::DeliveryCommand),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The collector's parts could not be put together.
    #[error(transparent)]
    App(#[from] AppError),
    /// The same, for one that is to serve.
    #[error("the collector cannot start")]
    Start(#[source] AppError),
    /// The service refused or failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The quickstart failed.
    #[error("the quickstart failed")]
    Quickstart(#[from] QuickstartError),
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is text in another encoding, or no text.
    #[error("cannot read {path}: expected UTF-8, found {found}: save it as UTF-8")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: &'static str,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A policy file is wrong; printed in full.
    #[error("{path}: {problems}")]
    PolicyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problems: offchannel_shared::policy::Problems,
    },
    /// An id is not well-formed.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The runtime could not be started.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// The output is closed or full.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// Runs a command; returns the exit code.
///
/// # Errors
/// [`CliError`]; the exit code is [`EXIT_FAILED`] then.
pub fn run(cli: Cli, out: &mut (dyn Write + Send)) -> Result<u8, CliError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let code = runtime.block_on(dispatch(cli, out));
    // A request that hangs on its last answer must not hold up the end of the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    code
}

async fn dispatch(cli: Cli, out: &mut (dyn Write + Send)) -> Result<u8, CliError> {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Quickstart(args) => Ok(quickstart::run(args, out).await?),
        Command::Serve => serve::serve(config).await,
        Command::Migrate { format } => serve::migrate(config, format, out).await,
        Command::CheckConfig { format } => serve::check_config(config, format, out),
        Command::Policy(policy::PolicyCommand::Check(args)) => policy::check(&args, out),
        Command::Token(command) => with_app(config, async |app| token::run(command, &app, out).await).await,
        Command::Policy(command) => with_app(config, async |app| policy::run(command, &app, out).await).await,
        Command::Unit(command) => with_app(config, async |app| unit::run(command, &app, out).await).await,
        Command::Device(command) => with_app(config, async |app| device::run(command, &app, out).await).await,
        Command::Alert(command) => with_app(config, async |app| alert::run(command, &app, out).await).await,
        Command::Channel(command) => channel::run(command, config, out).await,
        Command::Exception(command) => {
            with_app(config, async |app| exception::run(command, &app, out).await).await
        }
        Command::Ledger(command) => with_app(config, async |app| ledger::run(command, &app, out).await).await,
        Command::Delivery(command) => {
            with_app(config, async |app| delivery::run(command, &app, out).await).await
        }
    }
}

/// Opens the database beside a collector that may be running, and closes it again.
async fn with_app(
    config: Option<&std::path::Path>,
    command: impl AsyncFnOnce(App) -> Result<u8, CliError>,
) -> Result<u8, CliError> {
    let app = App::for_admin(config).await?;
    let store = app.store.clone();
    let code = command(app).await;
    let closed = store.close().await.map_err(ServiceError::Store);
    let code = code?;
    closed?;
    Ok(code)
}
