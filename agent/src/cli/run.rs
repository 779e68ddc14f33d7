//! `run`: the daemon.

use std::io;
use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::Epoch;
use offchannel_shared::span::Span;
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::options::{ConfigArgs, host};
use super::{CliError, EXIT_CODES};
use crate::client::{Client, trust};
use crate::clock::Clock;
use crate::config::{Config, Log, OnClone};
use crate::confinement::Confinement;
use crate::enrol::{self, Enrolled};
use crate::identity::Identity;
use crate::platform::shutdown::Fate;
use crate::platform::signals;
use crate::platform::supervisor::{self, Sign};
use crate::run::{Notes, Parts, assumed_birth};
use crate::scan::host::Host;
use crate::scan::scanner::Scanner;
use crate::schedule::Backoff;
use crate::state::{Folder, Loaded, Record, SealKey};
use crate::telemetry::{self, To};

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
    /// Run as a service of the system, which starts the program with this: answer the service manager of Windows, and
    /// write the log into that of the system.
    #[cfg(any(windows, target_os = "macos"))]
    #[arg(long, hide = true)]
    as_service: bool,
}

/// Runs the daemon until the system asks it to end.
pub fn run(args: RunArgs, clock: &Clock) -> Result<u8, CliError> {
    #[cfg(any(windows, target_os = "macos"))]
    if args.as_service {
        return as_service(args, *clock);
    }
    let at_eof = args.stop_at_eof;
    serve(&args, clock, To::StandardError, stop(at_eof))
}

/// Runs the daemon until the service manager asks it to end.
#[cfg(windows)]
fn as_service(args: RunArgs, clock: Clock) -> Result<u8, CliError> {
    use crate::platform::service::windows;

    let body = Box::new(move |mut stop: windows::Stop| {
        let stop = async move { Ok(stop.asked().await) };
        serve_logged(&args, &clock, stop).is_ok()
    });
    windows::run(crate::service::SERVICE, body).map(|()| 0).map_err(CliError::NotAService)
}

/// Runs the daemon until launchd asks it to end.
#[cfg(target_os = "macos")]
fn as_service(args: RunArgs, clock: Clock) -> Result<u8, CliError> {
    serve_logged(&args, &clock, stop(args.stop_at_eof))
}

/// Runs the daemon with the system's log. The service manager learns only that it failed; the log says why.
#[cfg(any(windows, target_os = "macos"))]
fn serve_logged(
    args: &RunArgs,
    clock: &Clock,
    stop: impl Future<Output = io::Result<Option<Fate>>>,
) -> Result<u8, CliError> {
    serve(args, clock, To::System, stop).inspect_err(|error| tracing::error!("{}", error_chain(error)))
}

fn serve(
    args: &RunArgs,
    clock: &Clock,
    to: To,
    stop: impl Future<Output = io::Result<Option<Fate>>>,
) -> Result<u8, CliError> {
    let loaded = args.config.load();
    // Also before settings that cannot be used: where the log is the system's, it alone says so.
    telemetry::start(loaded.as_ref().map_or_else(|_| Log::default(), |(config, _)| config.log), to);
    let (config, warnings) = loaded?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let server = config.server.clone().ok_or(CliError::NoServer)?;
    let client = Client::new(server, trust(config.ca_file.as_deref())?);
    let folder = Folder::at(&config.state_dir);
    folder.create()?;
    let _lock = folder.lock(std::process::id())?;
    // Before the first other thread that works: each keeps the rights that the one has that started it.
    let token_folder = config.token_file.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let confinement = {
        let device = config.clone();
        Confinement::enter(&config.scan_root, move || host(&device), config.state_dir.clone(), token_folder)?
    };
    let scanner = Scanner::new(host(&config));
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .map_err(CliError::Runtime)?;
    let done = runtime.block_on(daemon(&config, folder, client, scanner, confinement, clock, stop));
    // A scan that is under way has nothing to save and must not hold up a shutdown.
    runtime.shutdown_background();
    done.map(|()| 0)
}

async fn daemon(
    config: &Config,
    folder: Folder,
    client: Client,
    scanner: Scanner,
    confinement: Option<Confinement>,
    clock: &Clock,
    stop: impl Future<Output = io::Result<Option<Fate>>>,
) -> Result<(), CliError> {
    // It is up as soon as the folder is its own: a collector may be away for hours.
    tell(Sign::Ready);
    tokio::spawn(live());
    tokio::pin!(stop);
    let machine = scanner.host().machine();
    let found = tokio::select! {
        biased;
        stopped = &mut stop => {
            tell(Sign::Stopping);
            return stopped.map(drop).map_err(CliError::Signals);
        }
        found = identity(config, &folder, &client, scanner.host(), clock) => found?,
    };
    let mut notes = Notes::default();
    let (identity, memory, first_check_in) = match found {
        Found::Known(mut identity) => {
            notes = settle(&mut identity, config, &folder, &machine, clock.now())?;
            let mut epoch = [0; 16];
            getrandom::fill(&mut epoch).map_err(CliError::Random)?;
            let memory = folder.memory(Epoch::from_random(epoch), identity.seal.as_ref())?;
            (*identity, memory, None)
        }
        Found::New(enrolled) => {
            let Enrolled { identity, memory, first_check_in, .. } = *enrolled;
            (identity, memory, Some(first_check_in))
        }
    };
    let enrolled_with = &identity.enrolment.server;
    if *enrolled_with != client.server().to_string() {
        tracing::warn!(%enrolled_with, configured = %client.server(), "server.url is another one than at enrolment; if it is another collector, enrol again");
    }
    let (identity, seal) = sealing(identity, &memory.record, &folder)?;
    let (splay, safety_interval) = (config.splay, config.safety_interval.as_duration());
    let parts = Parts {
        folder,
        copied: identity.is_of_another_than(&machine),
        notes,
        rotate_every: config.rotate_every.map(Span::as_duration),
        token_file: config.token_file.clone(),
        identity,
        memory,
        seal,
        first_check_in,
        client,
        scanner,
        confinement,
        splay,
        safety_interval,
    };
    let stop = async {
        let known = stop.await.unwrap_or_else(|error| {
            tracing::error!("cannot hear signals of the system: {}", error_chain(&error));
            None
        });
        tell(Sign::Stopping);
        known
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

/// Completes when the agent is to end. A signal does not say what becomes of the device.
async fn stop(at_eof: bool) -> io::Result<Option<Fate>> {
    if at_eof {
        tokio::select! {
            stopped = signals::stop() => stopped?,
            ended = signals::input_end() => ended?,
        }
    } else {
        signals::stop().await?;
    }
    Ok(None)
}

enum Found {
    Known(Box<Identity>),
    New(Box<Enrolled>),
}

/// What the device seals its memory with; made now if an older agent, which sealed nothing, enrolled it.
///
/// The memory is saved first: as long as the identity has no seal, a kill in between loses nothing, for then the memory
/// is not asked for one. A disk that takes neither now is asked again at the next start.
fn sealing(
    mut identity: Identity,
    record: &Record,
    folder: &Folder,
) -> Result<(Identity, SealKey), CliError> {
    if let Some(seal) = identity.seal.clone() {
        return Ok((identity, seal));
    }
    let seal = enrol::new_seal().map_err(CliError::Random)?;
    identity.seal = Some(seal.clone());
    let saved = folder.save_record(record, &seal).and_then(|()| folder.save_identity(&identity));
    if let Err(error) = saved {
        tracing::error!("what is remembered cannot be sealed yet: {}", error_chain(&error));
    }
    Ok((identity, seal))
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
        Loaded::Found(identity) if !identity.is_of_another_than(&host.machine()) => {
            return Ok(Found::Known(Box::new(identity)));
        }
        Loaded::Found(identity) => return copied(config, folder, client, host, clock, identity).await,
        Loaded::Absent => CliError::NotEnrolled,
        Loaded::Damaged(kept) => CliError::IdentityDamaged(kept),
    };
    let Some(token_file) = token_file(config) else { return Err(missing) };
    tracing::info!("{missing}; the token file is used");
    let enrolled = enrolled(token_file, folder, client, host, clock).await?;
    Ok(Found::New(Box::new(enrolled)))
}

/// The token file, if it is there.
fn token_file(config: &Config) -> Option<&Path> {
    config.token_file.as_deref().filter(|file: &&Path| file.exists())
}

/// What becomes of a machine whose identity was made on another one. It is never left without any: an agent that
/// ends hides the device.
async fn copied(
    config: &Config,
    folder: &Folder,
    client: &Client,
    host: &Host,
    clock: &Clock,
    identity: Identity,
) -> Result<Found, CliError> {
    if let (OnClone::ReEnrol, Some(token_file)) = (config.on_clone, token_file(config)) {
        tracing::warn!("the identity was made on another machine; this one is enrolled with the token file");
        match enrolled(token_file, folder, client, host, clock).await {
            Ok(enrolled) => return Ok(Found::New(Box::new(enrolled))),
            Err(error) => tracing::error!("this machine cannot be enrolled: {}", error_chain(&error)),
        }
    }
    Ok(Found::Known(Box::new(identity)))
}

/// Completes what an earlier version did not note, and says what is not in order with an identity.
fn settle(
    identity: &mut Identity,
    config: &Config,
    folder: &Folder,
    machine: &str,
    now: Timestamp,
) -> Result<Notes, CliError> {
    let before = identity.clone();
    let every = config.rotate_every.unwrap_or_default().as_duration();
    identity.key_since.get_or_insert(assumed_birth(&before, every, now));
    // Also where the machine had no id then.
    if !machine.is_empty() && identity.machine.as_deref().is_none_or(str::is_empty) {
        identity.machine = Some(machine.to_owned());
    }
    let exposure = folder.exposure()?;
    let mut notes = Notes::default();
    let copied = identity.is_of_another_than(machine).then_some(
        "the device's identity was made on another machine: if this is a copy, or this machine took the place of the \
         other one, enrol it as a device of its own (a new token file and identity.on_clone = \"re-enrol\", or enrol \
         --replace)",
    );
    let open = exposure
        .folder
        .then_some("other accounts may write in the state folder: take that right from them (chmod go-w)");
    let both: Vec<&str> = [copied, open].into_iter().flatten().collect();
    notes.identity = (!both.is_empty()).then(|| both.join("; "));
    if exposure.key {
        // The oldest key of all is replaced first.
        identity.key_since = Some(Timestamp::UNIX_EPOCH);
        notes.key = Some(
            "other accounts could read the device's key; its file is closed to them now, and the key is replaced \
             unless identity.rotate_every is never: find out what set these rights"
                .to_owned(),
        );
    }
    for note in [&notes.identity, &notes.key].into_iter().flatten() {
        tracing::warn!("{note}");
    }
    if *identity != before {
        folder.save_identity(identity)?;
    }
    Ok(notes)
}

/// Enrols this machine. Waits for a collector that is away.
async fn enrolled(
    token_file: &Path,
    folder: &Folder,
    client: &Client,
    host: &Host,
    clock: &Clock,
) -> Result<Enrolled, CliError> {
    let token = enrol::token_from_file(token_file)?;
    let mut backoff = Backoff::default();
    loop {
        match enrol::enrol(client, folder, token.clone(), host.facts(), clock).await {
            Ok(enrolled) => {
                enrol::discard(token_file);
                return Ok(enrolled);
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
