//! Where the two programs are.

use std::path::PathBuf;
use std::process::Command;

/// The agent, ready to be given arguments.
pub fn agent() -> Command {
    command("offchannel-agent")
}

/// The collector, ready to be given arguments.
pub fn server() -> Command {
    command("offchannel-server")
}

/// A program of the workspace, which the same build put beside the folder of this test.
///
/// # Panics
/// If it is not there.
pub fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("the folder above this test's");
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "there is no {}: run `cargo build --workspace` first, or tests/run, which does",
        program.display()
    );
    program
}

/// Nothing of this process's environment: a machine on which Offchannel is installed has settings there.
fn command(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.env_clear();
    command
}
