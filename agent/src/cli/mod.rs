//! The command line: what can be asked of the agent, and how its answers look.

mod catalogue;
mod check_config;
mod columns;
mod enrol;
mod explain;
mod findings;
#[cfg(target_os = "linux")]
mod notice;
mod options;
mod place;
mod run;
mod scan;
mod service;
mod sources;
mod status;
mod view;
mod viewer;
mod words;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use offchannel_shared::error_chain::error_chain;

use crate::clock::Clock;
use crate::config::ConfigError;
use crate::state::StateError;

/// Shown under every help page.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed (the reason is on standard error), 2 wrong usage.";

#[derive(Debug, Parser)]
#[command(
    name = "offchannel-agent",
    version,
    about = "Reports the installed messaging apps of this device that its organisation asks about, and nothing else.",
    after_help = EXIT_CODES
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run as a daemon: watch, scan, report.
    Run(run::RunArgs),
    /// Look for messaging apps now and show them; nothing is sent.
    Scan(scan::ScanArgs),
    /// Enrol this device with a collector.
    Enrol(enrol::EnrolArgs),
    /// Show whom this device reports to, and what is not in order.
    Status(status::StatusArgs),
    /// Show exactly what was sent, what would be sent now, and what is never read.
    Explain(explain::ExplainArgs),
    /// Show the notices of the policy on this desktop, each once; for the user's own session.
    #[cfg(target_os = "linux")]
    Notice(notice::NoticeArgs),
    /// Show where the agent looks, and whether it can.
    Sources(sources::SourcesArgs),
    /// Ask the catalogue of apps.
    Catalogue(catalogue::CatalogueArgs),
    /// Check the configuration and show every setting with its origin.
    CheckConfig(check_config::CheckConfigArgs),
    /// Install the agent as a service of this system, remove it, look how it stands.
    Service(service::ServiceArgs),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Tls(#[from] crate::client::TlsError),
    #[error(transparent)]
    Enrol(#[from] crate::enrol::EnrolError),
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    #[error(transparent)]
    Confinement(#[from] crate::confinement::ConfinementError),
    #[error(transparent)]
    Service(#[from] crate::service::ServiceError),
    #[error(transparent)]
    Goodbye(#[from] crate::goodbye::GoodbyeError),
    #[error(transparent)]
    View(#[from] view::ViewError),
    #[error(transparent)]
    Place(#[from] place::PlaceError),
    #[error(transparent)]
    Catalogue(#[from] catalogue::CatalogueError),
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Desktop(#[from] notice::DesktopError),
    #[cfg(target_os = "linux")]
    #[error(
        "cannot remember which notices were shown: neither XDG_STATE_HOME nor HOME is set, so none is shown"
    )]
    NoHome,
    #[error("server.url is not set: write it into {}, or give --server-url", crate::config::DEFAULT_PATH)]
    NoServer,
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot hear signals of the system")]
    Signals(#[source] io::Error),
    #[error("cannot get random bytes from the system")]
    Random(#[source] getrandom::Error),
    #[error(
        "this device is not enrolled: run offchannel-agent enrol --token-file FILE, or set enrolment.token_file"
    )]
    NotEnrolled,
    #[error(
        "the device's identity was damaged and is kept as {0}: enrol this device again with a new token \
         (offchannel-agent enrol --token-file FILE)"
    )]
    IdentityDamaged(String),
    #[error("this device is enrolled already, as {device} with {server}; give --replace to enrol it anew")]
    Enrolled { device: String, server: String },
    #[error("cannot remove the state folder {0}; the service is removed")]
    Purge(String, #[source] io::Error),
    #[cfg(windows)]
    #[error("--as-service is for the service manager, which did not start this program")]
    NotAService(#[source] io::Error),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    #[error("cannot write the output as JSON")]
    Json(#[source] serde_json::Error),
}

/// The definition of the command line, for what is made of it: manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the command line, runs the command, says what went wrong.
#[expect(clippy::print_stderr, reason = "this is where errors are shown")]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let clock = Clock::system();
    let mut out = io::stdout().lock();
    let done = dispatch(cli.command, &mut out, &clock)
        .and_then(|code| out.flush().map(|()| code).map_err(CliError::Output));
    match done {
        Ok(code) => ExitCode::from(code),
        // Whoever reads our output has seen enough.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("offchannel-agent: {}", error_chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    match command {
        Command::Run(args) => run::run(args, clock),
        Command::Scan(args) => scan::run(&args, out, clock),
        Command::Sources(args) => sources::run(&args, out, clock),
        Command::Catalogue(args) => catalogue::run(&args, out),
        Command::Enrol(args) => enrol::run(&args, out, clock),
        Command::Status(args) => status::run(&args, out, clock),
        Command::Explain(args) => explain::run(&args, out, clock),
        #[cfg(target_os = "linux")]
        Command::Notice(args) => notice::run(&args, out, clock),
        Command::CheckConfig(args) => check_config::run(&args, out),
        Command::Service(args) => service::run(&args, out, clock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_documents_its_exit_codes() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        let help = command.render_long_help().to_string();
        assert!(help.contains("0 done, 1 failed"), "{help}");
    }

    #[test]
    fn a_token_never_stands_on_the_command_line() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert_ne!(argument.get_long(), Some("token"), "of {}", command.get_name());
            }
        }
    }
}
