//! `run`: the daemon.

use std::io;
use std::path::Path;

use clap::Args;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::Epoch;
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::options::{ConfigArgs, host};
use super::{CliError, EXIT_CODES};
use crate::client::{Client, trust};
use crate::clock::Clock;
use crate::config::Config;
use crate::enrol::{self, Enrolled};
use crate::platform::signals;
use crate::platform::supervisor::{self, Sign};
use crate::run::Parts;
use crate::scan::host::Host;
use crate::scan::scanner::Scanner;
use crate::schedule::Backoff;
use crate::state::{Folder, Loaded};
use crate::telemetry;

/// Threads for scans and name look-ups; more would only cost memory.
const THREADS: usize = 2;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Stop as by SIGTERM when standard input ends. For a program that runs the agent as its child and must
    /// not leave it behind, as `offchannel-server quickstart`; not for people, whose terminal is the input.
    #[arg(long, hide = true)]
    stop_at_eof: bool,
    /// Answer the service manager of Windows, which starts the program with this.
    #[cfg(windows)]
    #[arg(long, hide = true)]
    as_service: bool,
}

/// Runs the daemon until the system asks it to end.
pub fn run(args: RunArgs, clock: &Clock) -> Result<u8, CliError> {
    #[cfg(windows)]
    if args.as_service {
        return as_service(args, *clock);
    }
    let at_eof = args.stop_at_eof;
    serve(&args, clock, stop(at_eof))
}

/// Runs the daemon until the service manager asks it to end.
#[cfg(windows)]
fn as_service(args: RunArgs, clock: Clock) -> Result<u8, CliError> {
    use crate::platform::service::windows;

    let body = Box::new(move |stop: windows::Stop| {
        let stop = async move {
            stop.asked().await;
            Ok(())
        };
        // The manager learns only that it failed; the log says why.
        serve(&args, &clock, stop).inspect_err(|error| tracing::error!("{}", error_chain(error))).is_ok()
    });
    windows::run(crate::service::SERVICE, body).map(|()| 0).map_err(CliError::NotAService)
}

fn serve(args: &RunArgs, clock: &Clock, stop: impl Future<Output = io::Result<()>>) -> Result<u8, CliError> {
    let (config, warnings) = args.config.load()?;
    telemetry::start(config.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let server = config.server.clone().ok_or(CliError::NoServer)?;
    let client = Client::new(server, trust(config.ca_file.as_deref())?);
    let folder = Folder::at(&config.state_dir);
    folder.create()?;
    let _lock = folder.lock(std::process::id())?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .map_err(CliError::Runtime)?;
    let done = runtime.block_on(daemon(&config, folder, client, clock, stop));
    // A scan that is under way has nothing to save and must not hold up a shutdown.
    runtime.shutdown_background();
    done.map(|()| 0)
}

async fn daemon(
    config: &Config,
    folder: Folder,
    client: Client,
    clock: &Clock,
    stop: impl Future<Output = io::Result<()>>,
) -> Result<(), CliError> {
    // It is up as soon as the folder is its own: a collector may be away for hours.
    tell(Sign::Ready);
    tokio::spawn(live());
    tokio::pin!(stop);
    let host = host(config);
    let found = tokio::select! {
        biased;
        stopped = &mut stop => {
            tell(Sign::Stopping);
            return stopped.map_err(CliError::Signals);
        }
        found = identity(config, &folder, &client, &host, clock) => found?,
    };
    let (identity, memory, first_check_in) = match found {
        Found::Known(identity) => {
            let mut epoch = [0; 16];
            getrandom::fill(&mut epoch).map_err(CliError::Random)?;
            (*identity, folder.memory(Epoch::from_random(epoch))?, None)
        }
        Found::New(enrolled) => {
            let Enrolled { identity, memory, first_check_in } = *enrolled;
            (identity, memory, Some(first_check_in))
        }
    };
    let enrolled_with = &identity.enrolment.server;
    if *enrolled_with != client.server().to_string() {
        tracing::warn!(%enrolled_with, configured = %client.server(), "server.url is another one than at enrolment; if it is another collector, enrol again");
    }
    let scanner = Scanner::new(host);
    let (splay, safety_interval) = (config.splay, config.safety_interval.as_duration());
    let parts = Parts { folder, identity, memory, first_check_in, client, scanner, splay, safety_interval };
    let stop = async {
        if let Err(error) = stop.await {
            tracing::error!("cannot hear signals of the system: {}", error_chain(&error));
        }
        tell(Sign::Stopping);
    };
    crate::run::run(parts, clock, stop).await.map_err(CliError::Run)
}

/// Tells the supervisor again and again that this program lives, from the one thread that does its work: when that
/// hangs, the signs end.
async fn live() {
    let Some(every) = supervisor::life_sign() else { return };
    let mut signs = interval(every);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        signs.tick().await;
        tell(Sign::Alive);
    }
}

/// A supervisor that cannot be told does what it must; the log says why.
fn tell(sign: Sign) {
    if let Err(error) = supervisor::tell(sign) {
        tracing::warn!("cannot tell the supervisor: {}", error_chain(&error));
    }
}

/// Completes when the agent is to end.
async fn stop(at_eof: bool) -> io::Result<()> {
    if !at_eof {
        return signals::stop().await;
    }
    tokio::select! {
        stopped = signals::stop() => stopped,
        ended = signals::input_end() => ended,
    }
}

enum Found {
    Known(Box<crate::identity::Identity>),
    New(Box<Enrolled>),
}

/// Who the device is; enrols it first if there is a token. Waits for a collector that is away.
async fn identity(
    config: &Config,
    folder: &Folder,
    client: &Client,
    host: &Host,
    clock: &Clock,
) -> Result<Found, CliError> {
    let missing = match folder.identity()? {
        Loaded::Found(identity) => return Ok(Found::Known(Box::new(identity))),
        Loaded::Absent => CliError::NotEnrolled,
        Loaded::Damaged(kept) => CliError::IdentityDamaged(kept),
    };
    let Some(token_file) = config.token_file.as_deref().filter(|file: &&Path| file.exists()) else {
        return Err(missing);
    };
    tracing::info!("{missing}; the token file is used");
    let token = enrol::token_from_file(token_file)?;
    let mut backoff = Backoff::default();
    loop {
        match enrol::enrol(client, folder, token.clone(), host.facts(), clock).await {
            Ok(enrolled) => {
                enrol::discard(token_file);
                return Ok(Found::New(Box::new(enrolled)));
            }
            Err(error) if error.is_passing() => {
                tracing::warn!("cannot enrol yet: {}", error_chain(&error));
                let random = getrandom::u64().map_err(CliError::Random)?;
                sleep(backoff.failed(random)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
