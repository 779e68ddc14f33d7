//! `quickstart`: the whole product on one machine, with nothing configured.
//!
//! Makes a data folder with keys, certificate, example policy and token, starts the collector,
//! enrols and runs the agent that stands beside this program, prints what was found and which rule
//! it breaks, and then shows live what changes.

mod agent;
mod live;
mod summary;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::span::Span;

use self::agent::{Agent, AgentError};
use crate::app::{App, AppError, Running};
use crate::cli::output::Format;
use crate::cli::stop_signal;
use crate::config::{Config, Overrides};
use crate::files;
use crate::service::{DeviceView, Service, ServiceError, TokenRequest};

/// The policy that is published if there is none.
const EXAMPLE_POLICY: &str = include_str!("policy.toml");
/// How long the first evaluated report may take. A scan takes milliseconds; a slow disk, seconds.
const FIRST_REPORT: Duration = Duration::from_secs(60);
/// How often the first report is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long the token lasts that the agent beside this program is enrolled with.
const TOKEN_LIFE: Span = Span::minutes(10);

/// What `quickstart` is told.
#[derive(Debug, Args)]
pub struct QuickstartArgs {
    /// Folder for everything that is made; used again at the next start.
    #[arg(long, value_name = "DIR", default_value = "offchannel-data")]
    data: PathBuf,
    /// Address to serve agents on; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Stop after the first evaluated report.
    #[arg(long)]
    once: bool,
    /// Scan this folder, a mounted image for example, instead of this machine.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Why the quickstart failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuickstartError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}: name another one with --data")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The collector cannot start.
    #[error("the collector cannot start")]
    App(#[from] AppError),
    /// The service failed.
    #[error("the collector failed")]
    Service(#[from] ServiceError),
    /// The agent failed.
    #[error("the agent beside this program failed")]
    Agent(#[from] AgentError),
    /// No report came.
    #[error("the agent sent no report within {}s; its log is {log}", FIRST_REPORT.as_secs())]
    NoReport {
        /// The agent's log.
        log: PathBuf,
    },
    /// Asked to stop before there was anything to tell.
    #[error("stopped before the first report was judged")]
    Interrupted,
    /// Signals cannot be received.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// The output is closed or full.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

/// Runs the quickstart until it is stopped, or until the first evaluated report.
///
/// # Errors
/// [`QuickstartError`]; collector and agent are stopped then too.
pub async fn run(args: QuickstartArgs, out: &mut (dyn Write + Send)) -> Result<u8, QuickstartError> {
    let stop = stop_signal().map_err(QuickstartError::Signals)?;
    tokio::pin!(stop);
    let data = make_data_dir(&args.data)?;
    let program = agent::find()?;
    let config = config(&args, &data)?;
    let started = agent::Folder::new(&data, args.root.as_deref())?;
    let app = App::for_serving(config).await?;
    publish_example(&app.service).await?;
    let service = app.service.clone();
    let before = service.now();
    let running = app.start().await?;
    let session = async {
        let mut agent = begin(&program, &started, &service, &running, &data).await?;
        let place = summary::Place { address: running.address, data: &data, agent: &program };
        let outcome = tokio::select! {
            outcome = follow(&args, &mut agent, &service, &place, before, out) => outcome,
            // `--once` promises a report; without it, stopping is how it ends.
            () = &mut stop => if args.once { Err(QuickstartError::Interrupted) } else { Ok(()) },
        };
        let stopped = agent.stop().await;
        outcome.and(stopped.map_err(Into::into))
    };
    let outcome = session.await;
    let stopped = running.stop().await;
    if outcome.is_ok() && !args.once && args.format == Format::Table {
        writeln!(out, "\nStopped. Start again with the same --data to go on.")?;
    }
    outcome?;
    stopped?;
    Ok(crate::cli::EXIT_OK)
}

/// Enrols the agent if it is not, and starts it.
async fn begin(
    program: &std::path::Path,
    folder: &agent::Folder,
    service: &Service,
    running: &Running,
    data: &std::path::Path,
) -> Result<Agent, QuickstartError> {
    let token = if folder.is_enrolled() {
        None
    } else {
        let request = TokenRequest {
            label: "quickstart".to_owned(),
            ownership: Ownership::Corporate,
            unit: None,
            labels: BTreeSet::new(),
            max_uses: 1,
            life: TOKEN_LIFE,
        };
        Some(service.create_token(request).await?.text)
    };
    let ca_file = data.join("server").join("tls").join("ca.crt");
    Ok(folder.start(program, running.address, &ca_file, token.as_deref())?)
}

/// Prints what the first report says, then what changes.
async fn follow(
    args: &QuickstartArgs,
    agent: &mut Agent,
    service: &Service,
    place: &summary::Place<'_>,
    started: Timestamp,
    out: &mut (dyn Write + Send),
) -> Result<(), QuickstartError> {
    let (sequence, view) = first_report(agent, service, started).await?;
    let in_force = service.in_force()?;
    match args.format {
        Format::Json => summary::json(out, &view, &in_force)?,
        Format::Table => summary::table(out, &view, &in_force, place, args.once)?,
    }
    out.flush()?;
    if args.once {
        return Ok(());
    }
    tokio::select! {
        outcome = live::show(service, sequence, args.format, out) => outcome,
        ended = agent.ended() => Err(ended.into()),
    }
}

/// Waits until the agent of this session has been heard of and its report was judged. Also tells where
/// the history was before the device was read: what comes after may be missing in it, and is to be shown.
async fn first_report(
    agent: &mut Agent,
    service: &Service,
    started: Timestamp,
) -> Result<(u64, DeviceView), QuickstartError> {
    let log = agent.log().to_owned();
    let heard = async {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            let Some(id) = agent_device(service, started).await? else { continue };
            let sequence = live::last_sequence(service).await?;
            return Ok((sequence, service.device(&id).await?));
        }
    };
    tokio::select! {
        view = heard => view,
        ended = agent.ended() => Err(ended.into()),
        () = tokio::time::sleep(FIRST_REPORT) => Err(QuickstartError::NoReport { log }),
    }
}

/// The device that reported, or whose earlier report was confirmed, since the start.
async fn agent_device(service: &Service, started: Timestamp) -> Result<Option<DeviceId>, ServiceError> {
    service.flush_seen().await?;
    let devices = service.devices(None, 100).await?;
    let fresh = devices.into_iter().filter(|view| view.device.last_seen >= started);
    let reported = fresh.filter(|view| view.device.report.is_some());
    Ok(reported.max_by_key(|view| view.device.last_seen).map(|view| view.device.id))
}

async fn publish_example(service: &Service) -> Result<(), ServiceError> {
    if service.policy(None).await?.is_none() {
        let comment = "The example policy; replace it with your own.";
        service.publish_policy(EXAMPLE_POLICY, "quickstart", comment, Some(0)).await?;
    }
    Ok(())
}

fn make_data_dir(path: &std::path::Path) -> Result<PathBuf, QuickstartError> {
    let failed = |source| QuickstartError::DataDir { path: path.to_owned(), source };
    files::make_private_dir(path).map_err(failed)?;
    // The agent is started in another folder.
    path.canonicalize().map_err(failed)
}

fn config(args: &QuickstartArgs, data: &std::path::Path) -> Result<Config, QuickstartError> {
    let overrides = Overrides {
        listen: Some(args.listen.to_string()),
        data_dir: Some(data.join("server").display().to_string()),
    };
    // Nothing of the environment or of an installed collector: a try-out stands alone.
    let loaded = Config::load_from(None, std::collections::BTreeMap::new(), &overrides);
    Ok(loaded.map_err(AppError::Config)?.config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_policy_is_good_and_in_force_at_once() {
        let parsed = Service::check_policy(EXAMPLE_POLICY, Timestamp::UNIX_EPOCH).unwrap_or_else(|error| {
            panic!("{}", offchannel_shared::error_chain::error_chain(&error));
        });
        assert_eq!(parsed.warnings, []);
        for rule in &parsed.policy.rules {
            assert_eq!((rule.grace, rule.effective_from), (Span::ZERO, None), "{}", rule.id);
        }
    }
}
