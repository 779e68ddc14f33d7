//! The collector's program: parse, run, print what went wrong, exit.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use offchannel_server::cli::{Cli, CliError, EXIT_FAILED, run};
use offchannel_shared::error_chain::error_chain;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Without a lock: progress is printed from more than one task.
    match run(cli, &mut std::io::stdout()) {
        Ok(code) => code.into(),
        // Whoever reads has seen enough, as with `alert list | head`: that is no failure.
        Err(CliError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere left to complain to if this fails as well.
            let _ = writeln!(std::io::stderr(), "offchannel-server: {}", error_chain(&error));
            EXIT_FAILED.into()
        }
    }
}
