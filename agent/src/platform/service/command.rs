//! Starting a program of the system for one administrative step. Nothing that runs for long does this.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Most of what a program says that is repeated, in characters.
const SAID_MAX: usize = 500;

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is at none of the places where it belongs.
    #[error("{0} is not on this system")]
    Missing(&'static str),
    /// It is there and cannot be started.
    #[error("cannot start {0}")]
    Start(&'static str, #[source] io::Error),
    /// It failed.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// With its arguments.
        command: String,
        /// What it says about that.
        said: String,
    },
}

/// Runs a program to its end: the first of these paths that is there, without a shell, with these arguments and nothing
/// of this process's environment. Answers what it printed.
///
/// # Errors
/// [`CommandError`]; that it ends with a code other than 0 is one.
pub fn run(places: &[&'static str], arguments: &[&str]) -> Result<String, CommandError> {
    let wanted = places.first().copied().unwrap_or_default();
    let place = places.iter().find(|place| Path::new(place).exists()).ok_or(CommandError::Missing(wanted))?;
    let output = Command::new(place)
        .args(arguments)
        .env_clear()
        // What is read of the answer is to be in one language.
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| CommandError::Start(place, error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String =
        said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(CommandError::Failed { command: format!("{place} {}", arguments.join(" ")), said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_that_is_there_answers_without_our_environment() {
        let said = run(&["/nonexistent/env", "/usr/bin/env"], &[]).unwrap();
        assert_eq!(said, "LC_ALL=C\n");
    }

    #[test]
    fn a_failure_says_what_was_run_and_what_it_said() {
        let missing = run(&["/nonexistent/a", "/nonexistent/b"], &[]).unwrap_err().to_string();
        assert_eq!(missing, "/nonexistent/a is not on this system");
        let failed = run(&["/bin/sh"], &["-c", "exit 5"]).unwrap_err().to_string();
        assert_eq!(failed, "`/bin/sh -c exit 5` failed: exit status: 5");
        let said = run(&["/bin/sh"], &["-c", "printf 'no such\\nunit' >&2; exit 5"]).unwrap_err().to_string();
        assert!(said.ends_with("failed: no such unit"), "{said}");
    }
}
