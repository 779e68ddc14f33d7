//! The processes of this machine: which program, whose, and nothing that it was told.
//!
//! Neither command lines nor environments are read; they hold secrets.

#[cfg_attr(target_os = "linux", path = "processes/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "processes/elsewhere.rs")]
mod system;

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Bytes of stack of the thread of [`apart`]: a look at a process takes a few hundred.
const STACK: usize = 128 * 1024;

/// A running program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The program file; `None` if this process may not know it.
    pub program: Option<PathBuf>,
    /// The kernel's name of the process, on Linux at most 15 bytes, with `\\` and `\n` written as they are here.
    pub name: String,
    /// The user it runs as, where users have numbers.
    pub uid: Option<u32>,
    /// The security identifier of the user it runs as (`S-1-5-21-...`), where users have one.
    pub user: Option<String>,
}

/// The system does not tell its processes.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the processes")]
pub struct ProcessesError(#[source] io::Error);

/// Where the thread of [`apart`] takes questions, each with the way to send the answer.
static APART: OnceLock<SyncSender<SyncSender<io::Result<Vec<Process>>>>> = OnceLock::new();

/// From now on processes are looked at on a thread of its own, whatever the others give up: Linux tells a thread that
/// is confined nothing of the programs of others (landlock(7), "Ptrace restrictions").
///
/// # Errors
/// If the system gives no thread.
pub fn apart() -> io::Result<()> {
    let (ask, asked) = sync_channel::<SyncSender<io::Result<Vec<Process>>>>(0);
    std::thread::Builder::new().name("processes".to_owned()).stack_size(STACK).spawn(move || {
        for answer in asked {
            // Who asked may have gone.
            let _ = answer.send(system::running());
        }
    })?;
    // A second thread has nobody to ask it, and ends.
    let _ = APART.set(ask);
    Ok(())
}

/// All processes. Kernel threads, which are no programs, are left out where they can be told.
///
/// # Errors
/// If the system does not tell (on Linux: `/proc` is not mounted).
pub fn running() -> Result<Vec<Process>, ProcessesError> {
    let Some(apart) = APART.get() else { return system::running().map_err(ProcessesError) };
    let (answer, answered) = sync_channel(1);
    let asked = apart.send(answer).ok().and_then(|()| answered.recv().ok());
    asked.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into())).map_err(ProcessesError)
}

/// The host's own name, as the system gives it; empty if it gives none.
pub fn host_name() -> String {
    system::host_name().unwrap_or_default()
}

/// Whether this program runs as root, to whom the system closes nothing by itself.
#[cfg(unix)]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this program runs as root, to whom the system closes nothing by itself.
#[cfg(not(unix))]
pub fn is_root() -> bool {
    false
}

/// The number of the user whom this process belongs to; `None` where users have no numbers.
#[cfg(unix)]
pub fn own_uid() -> Option<u32> {
    Some(rustix::process::getuid().as_raw())
}

/// The number of the user whom this process belongs to; `None` where users have no numbers.
#[cfg(not(unix))]
pub fn own_uid() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_is_among_the_running_ones() {
        let own = std::env::current_exe().unwrap();
        assert!(running().unwrap().iter().any(|process| process.program.as_ref() == Some(&own)));
    }

    #[test]
    fn the_user_of_a_process_has_the_kind_of_name_that_the_system_gives() {
        let own = std::env::current_exe().unwrap();
        let running = running().unwrap();
        let own = running.iter().find(|process| process.program.as_ref() == Some(&own)).unwrap();
        assert_eq!(own.uid.is_some(), cfg!(unix), "{own:?}");
        assert_eq!(own.user.as_ref().is_some_and(|sid| sid.starts_with("S-1-")), cfg!(windows), "{own:?}");
    }

    #[test]
    fn this_machine_has_a_name() {
        assert!(!host_name().is_empty());
    }
}
