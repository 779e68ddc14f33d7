//! The processes of this machine: which program, whose, and nothing that it was told.
//!
//! Neither command lines nor environments are read; they hold secrets.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

/// Processes of Windows that have no program (Microsoft, "Minimal process", and what its Task Manager shows).
const WITHOUT_PROGRAM: [&str; 6] =
    ["MemCompression", "Memory Compression", "Registry", "Secure System", "vmmem", "vmmemWSL"];

/// A running program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The program file; `None` if this process may not know it.
    pub program: Option<PathBuf>,
    /// The kernel's name of the process, on Linux at most 15 bytes.
    pub name: String,
    /// The user it runs as, where users have numbers.
    pub uid: Option<u32>,
    /// The security identifier of the user it runs as (`S-1-5-21-...`), where users have one.
    pub user: Option<String>,
}

/// The system does not tell its processes.
#[derive(Debug, thiserror::Error)]
#[error("cannot list the processes")]
pub struct ProcessesError(#[source] sysinfo::Error);

/// All processes. Kernel threads, which are no programs, are left out where they can be told.
///
/// # Errors
/// If the system does not tell (on Linux: `/proc` is not mounted).
pub fn running() -> Result<Vec<Process>, ProcessesError> {
    let kind = ProcessRefreshKind::nothing()
        .with_exe(UpdateKind::Always)
        .with_user(UpdateKind::Always)
        .without_tasks();
    let mut system = System::new().map_err(ProcessesError)?;
    system.refresh_processes_specifics(ProcessesToUpdate::All, false, kind);
    // What has ended and waits for its parent has no program any more.
    let ended =
        |process: &sysinfo::Process| matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
    let in_kernel = |process: &sysinfo::Process| {
        let parent = process.parent().map(|parent| parent.as_u32());
        process.exe().is_none() && is_of_kernel(process.pid().as_u32(), parent, process.name())
    };
    let processes = system.processes().values().filter(|process| !in_kernel(process) && !ended(process));
    let running = processes.filter_map(|process| {
        Some(Process {
            program: program(process.exe(), || exe(process.pid().as_u32()))?,
            name: process.name().to_string_lossy().into_owned(),
            uid: uid(process),
            user: user(process),
        })
    });
    Ok(running.collect())
}

/// Whether a process without a program is the kernel's own. Linux: kthreadd is process 2 and the parent of all
/// other kernel threads. macOS: `kernel_task` is process 0. Windows: idle time and the kernel are 0 and 4, and some are
/// made by these without a program.
fn is_of_kernel(pid: u32, parent: Option<u32>, name: &OsStr) -> bool {
    if cfg!(target_os = "linux") {
        pid == 2 || parent == Some(2)
    } else if cfg!(windows) {
        pid == 0 || pid == 4 || WITHOUT_PROGRAM.iter().any(|known| name == *known)
    } else {
        pid == 0
    }
}

/// The program of a process, `Some(None)` if it is closed to us, `None` if the process has ended meanwhile:
/// programs start and end all the time, and that is nothing to complain of.
fn program(known: Option<&Path>, ask: impl FnOnce() -> io::Result<PathBuf>) -> Option<Option<PathBuf>> {
    if let Some(path) = known {
        return Some(Some(path.to_owned()));
    }
    match ask() {
        Ok(path) => Some(Some(path)),
        // EACCES and EPERM.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(None),
        Err(_) => None,
    }
}

/// Asks the kernel for the program of a process (proc_pid_exe(5)).
#[cfg(target_os = "linux")]
fn exe(pid: u32) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe"))
}

/// Elsewhere there is nothing more to ask than was asked.
#[cfg(not(target_os = "linux"))]
fn exe(_pid: u32) -> io::Result<PathBuf> {
    Err(io::ErrorKind::PermissionDenied.into())
}

#[cfg(unix)]
fn uid(process: &sysinfo::Process) -> Option<u32> {
    process.user_id().map(|uid| **uid)
}

#[cfg(not(unix))]
fn uid(_process: &sysinfo::Process) -> Option<u32> {
    None
}

#[cfg(windows)]
fn user(process: &sysinfo::Process) -> Option<String> {
    process.user_id().map(|sid| sid.to_string())
}

#[cfg(not(windows))]
fn user(_process: &sysinfo::Process) -> Option<String> {
    None
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

/// The host's own name, as the system gives it; empty if it gives none.
pub fn host_name() -> String {
    System::host_name().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_told_from_one_that_is_closed() {
        let error = |kind: io::ErrorKind| move || Err(kind.into());
        assert_eq!(program(None, error(io::ErrorKind::NotFound)), None);
        assert_eq!(program(None, error(io::ErrorKind::PermissionDenied)), Some(None));
        assert_eq!(program(None, || Err(io::Error::from_raw_os_error(3))), None, "ESRCH");
        let path = PathBuf::from("/bin/sh");
        assert_eq!(program(None, || Ok(path.clone())), Some(Some(path.clone())));
        assert_eq!(program(Some(&path), error(io::ErrorKind::NotFound)), Some(Some(path.clone())));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_is_asked_for_the_program_of_a_process() {
        assert_eq!(exe(std::process::id()).unwrap(), std::env::current_exe().unwrap());
        // No process has this number (proc_sys_kernel(5): pid_max is at most 2^22).
        assert_eq!(program(None, || exe(1 << 23)), None);
    }

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
}
