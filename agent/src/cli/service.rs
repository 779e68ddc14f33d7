//! `service`: the agent as a service of its system, and its last word when it is removed.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use offchannel_shared::error_chain::error_chain;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use super::options::{ConfigArgs, Format, json};
use super::{CliError, EXIT_CODES};
use crate::client::{Client, trust};
use crate::clock::Clock;
use crate::config::{Config, DEFAULT_PATH};
use crate::goodbye;
use crate::service::{self, Definition, Status};
use crate::state::Folder;

/// Exit code of `status` if the service is not as it should be. systemctl(1) gives it for one that does not run.
const NOT_IN_ORDER: u8 = 3;
const STATUS_CODES: &str = "Exit codes: 0 installed as this version does it, started with the system, and running; 1 failed (the reason is on \
                            standard error); 2 wrong usage; 3 at least one of these is not so.";

/// Arguments of `service`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ServiceArgs {
    #[command(subcommand)]
    command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
enum ServiceCommand {
    /// Install the agent as a service, and start it now and with the system. A second time changes nothing.
    #[command(after_help = EXIT_CODES)]
    Install(InstallArgs),
    /// Stop the service, tell the collector, and remove what `service install` made.
    #[command(after_help = EXIT_CODES)]
    Uninstall(UninstallArgs),
    /// Show whether the service is installed, is started with the system, and runs.
    #[command(after_help = STATUS_CODES)]
    Status(StatusArgs),
    /// Tell the collector that the agent is being removed; packages do this. Nothing on the device changes.
    #[command(after_help = EXIT_CODES)]
    Goodbye(GoodbyeArgs),
}

#[derive(Debug, Args)]
struct InstallArgs {
    /// Only write the files, below this folder: for an image whose system does not run.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct UninstallArgs {
    /// Only remove the files, below this folder. The collector is not told.
    #[arg(long, value_name = "DIR", conflicts_with = "purge")]
    root: Option<PathBuf>,
    /// Remove the state folder, too, with the device's key: to come back, the device must enrol.
    #[arg(long)]
    purge: bool,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Look at the files below this folder.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct GoodbyeArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Does what is asked.
pub fn run(args: &ServiceArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    match &args.command {
        ServiceCommand::Install(args) => install(args, out),
        ServiceCommand::Uninstall(args) => uninstall(args, out, clock),
        ServiceCommand::Status(args) => status(args, out),
        ServiceCommand::Goodbye(args) => goodbye(args, out, clock),
    }
}

fn install(args: &InstallArgs, out: &mut dyn io::Write) -> Result<u8, CliError> {
    // The service reads the usual files, so nothing else is asked here. What is wrong in them it says itself.
    let configured = ConfigArgs::default().resolve().config().is_ok_and(|config| config.server.is_some());
    let done = service::install(args.root.as_deref(), configured)?;
    lines(out, &done)?;
    Ok(0)
}

fn uninstall(args: &UninstallArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let root = args.root.as_deref();
    let runtime = runtime()?;
    let installed = runtime.block_on(service::stop(root))?;
    let mut done = Vec::new();
    // What cannot be read or told is no reason to go on running.
    let config = ConfigArgs::default().load().map(|(config, _)| config);
    if installed && root.is_none() {
        done.push(match config.as_ref() {
            Ok(config) => told(&runtime, config, clock.now())
                .unwrap_or_else(|error| format!("The collector could not be told: {}", error_chain(&error))),
            Err(error) => format!("The collector could not be told: {}", error_chain(error)),
        });
    }
    done.extend(service::remove(root)?);
    if !installed {
        done.push("The service was not installed.".to_owned());
    }
    if root.is_none() {
        let state_dir = config.map_or_else(|_| Config::usual_state_dir(), |config| config.state_dir);
        done.push(if args.purge { purge(&state_dir)? } else { kept(&state_dir) });
    }
    runtime.shutdown_background();
    lines(out, &done)?;
    Ok(0)
}

fn kept(state_dir: &Path) -> String {
    format!(
        "Kept: the settings in {}, and {} with the device's key, if they are there.",
        Path::new(DEFAULT_PATH).parent().unwrap_or_else(|| Path::new(DEFAULT_PATH)).display(),
        state_dir.display()
    )
}

/// Removes the state folder, if it is the usual one: of another one nobody knows what else is in it.
fn purge(state_dir: &Path) -> Result<String, CliError> {
    if state_dir != Config::usual_state_dir() {
        return Ok(format!(
            "Kept: {} is not the usual state folder. Remove it yourself if nothing else is in it.",
            state_dir.display()
        ));
    }
    match std::fs::remove_dir_all(state_dir) {
        Ok(()) => Ok(format!("removed {} with the device's key", state_dir.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(format!("{} was not there", state_dir.display()))
        }
        Err(error) => Err(CliError::Purge(state_dir.display().to_string(), error)),
    }
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: u32,
    in_order: bool,
    #[serde(flatten)]
    status: &'a Status,
}

fn status(args: &StatusArgs, out: &mut dyn io::Write) -> Result<u8, CliError> {
    let status = service::status(args.root.as_deref())?;
    let in_order = status.is_in_order();
    match args.format {
        Format::Json => json(out, &Answer { schema: 1, in_order, status: &status })?,
        Format::Table => table(out, &status).map_err(CliError::Output)?,
    }
    Ok(if in_order { 0 } else { NOT_IN_ORDER })
}

fn table(out: &mut dyn io::Write, status: &Status) -> io::Result<()> {
    let word = |is: bool| if is { "yes" } else { "no" };
    writeln!(out, "Installed           {}", word(status.installed))?;
    if let Some(path) = &status.path {
        let by = if status.packaged { ", of a package" } else { "" };
        let definition = match status.definition {
            Definition::Current => "as of this version",
            Definition::Differs => "not as this version installs it",
            Definition::Absent => "missing",
        };
        writeln!(out, "Definition          {}{by}, {definition}", path.display())?;
    }
    writeln!(out, "Starts with system  {}", word(status.enabled))?;
    writeln!(out, "Runs                {}", status.running.map_or("not known of a folder", word))
}

fn goodbye(args: &GoodbyeArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let (config, _) = args.config.load()?;
    let runtime = runtime()?;
    let said = told(&runtime, &config, clock.now());
    // A name that is still looked up must not hold up a removal.
    runtime.shutdown_background();
    lines(out, &[said?])?;
    Ok(0)
}

/// Tells the collector; says so. Only reads the state folder: it can be root who calls this, and the folder is
/// the agent's.
fn told(runtime: &Runtime, config: &Config, now: Timestamp) -> Result<String, CliError> {
    let Some(identity) = Folder::at(&config.state_dir).look_identity()? else {
        return Ok("This device is not enrolled: there is no collector to tell.".to_owned());
    };
    let server = config.server.clone().ok_or(CliError::NoServer)?;
    let client = Client::new(server, trust(config.ca_file.as_deref())?);
    runtime.block_on(goodbye::uninstalled(&client, &identity, now))?;
    Ok(format!("{} was told that the agent of {} is removed.", client.server(), identity.enrolment.device_id))
}

fn runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)
}

fn lines(out: &mut dyn io::Write, lines: &[String]) -> Result<(), CliError> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).map_err(CliError::Output)
}
