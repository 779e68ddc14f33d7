//! Runs a command, prints what went wrong, ends with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    offchannel_agent::cli::main()
}
