//! The processes of this machine: which program, whose, and nothing that it was told.
//!
//! Neither command lines nor environments are read; they hold secrets.

#[cfg_attr(target_os = "linux", path = "processes/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "processes/elsewhere.rs")]
mod system;

use std::io;
use std::path::{Path, PathBuf};

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

/// What was known of the processes at a look; the next one is made cheaper by it.
#[derive(Debug, Default)]
pub struct Known(system::Known);

/// The processes that run now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Those whose program is wanted, and those whose program this process may not know.
    pub processes: Vec<Process>,
    /// How many others run a program.
    pub others: u64,
}

/// From now on processes are looked at on a thread of its own, whatever the others give up: Linux tells a thread that
/// is confined nothing of the programs of others (landlock(7), "Ptrace restrictions").
///
/// # Errors
/// If the system gives no thread.
pub fn apart() -> io::Result<()> {
    system::apart()
}

/// The processes whose program is wanted. Kernel threads, which are no programs, are left out where they can be told.
///
/// A program that was not `wanted` is not asked about again as long as the same `known` is given and the same process
/// runs it: the answer must depend on the path alone.
///
/// # Errors
/// If the system does not tell (on Linux: `/proc` is not mounted).
pub fn running(known: &mut Known, wanted: &mut dyn FnMut(&Path) -> bool) -> Result<Running, ProcessesError> {
    system::running(&mut known.0, wanted).map_err(ProcessesError)
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
        let mut known = Known::default();
        // Twice: what is wanted is told at every look.
        for _ in 0..2 {
            let running = running(&mut known, &mut |program| program == own).unwrap();
            assert!(running.processes.iter().any(|process| process.program.as_ref() == Some(&own)));
        }
    }

    #[test]
    fn what_is_not_wanted_is_counted_and_not_told() {
        let own = std::env::current_exe().unwrap();
        let mut known = Known::default();
        for _ in 0..2 {
            let running = running(&mut known, &mut |_| false).unwrap();
            assert!(running.others > 0);
            assert!(running.processes.iter().all(|process| process.program.as_ref() != Some(&own)));
        }
    }

    #[test]
    fn the_user_of_a_process_has_the_kind_of_name_that_the_system_gives() {
        let own = std::env::current_exe().unwrap();
        let running = running(&mut Known::default(), &mut |_| true).unwrap();
        let own = running.processes.iter().find(|process| process.program.as_ref() == Some(&own)).unwrap();
        assert_eq!(own.uid.is_some(), cfg!(unix), "{own:?}");
        assert_eq!(own.user.as_ref().is_some_and(|sid| sid.starts_with("S-1-")), cfg!(windows), "{own:?}");
    }

    #[test]
    fn this_machine_has_a_name() {
        assert!(!host_name().is_empty());
    }
}
