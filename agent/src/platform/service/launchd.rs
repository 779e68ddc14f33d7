//! launchd, asked by its own program: launchctl(1) of macOS 10.11 and later, which knows domains.

use super::Standing;
use super::command::{CommandError, run};

const LAUNCHCTL: [&str; 1] = ["/bin/launchctl"];

/// Loads a job from its property list, starts it, and starts it with the system from now on.
///
/// # Errors
/// [`CommandError`].
pub fn bootstrap(label: &str, file: &str) -> Result<(), CommandError> {
    // A job that was disabled once cannot be loaded.
    run(&LAUNCHCTL, &["enable", &target(label)])?;
    run(&LAUNCHCTL, &["bootstrap", "system", file]).map(drop)
}

/// Ends a job and forgets it.
///
/// # Errors
/// [`CommandError`].
pub fn bootout(label: &str) -> Result<(), CommandError> {
    run(&LAUNCHCTL, &["bootout", &target(label)]).map(drop)
}

/// How a job stands.
///
/// # Errors
/// [`CommandError`]. That launchd does not know the job is none.
pub fn show(label: &str) -> Result<Standing, CommandError> {
    match run(&LAUNCHCTL, &["print", &target(label)]) {
        Ok(text) => Ok(read(&text)),
        Err(CommandError::Failed { .. }) => Ok(Standing { installed: false, enabled: false, running: false }),
        Err(error) => Err(error),
    }
}

fn target(label: &str) -> String {
    format!("system/{label}")
}

/// Reads what `launchctl print` says of a job that is loaded, and so starts with the system. Apple calls the output
/// subject to change: nothing but the line of the state is looked at.
fn read(text: &str) -> Standing {
    let running = text.lines().any(|line| line.trim() == "state = running");
    Standing { installed: true, enabled: true, running }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_job_is_understood() {
        let text = "system/eu.offchannel.agent = {\n\tactive count = 1\n\tpath = /Library/LaunchDaemons/x.plist\n\
                    \tstate = running\n\n\tprogram = /usr/local/bin/x\n}\n";
        assert!(read(text).running);
        assert!(!read(&text.replace("running", "not running")).running);
    }
}
