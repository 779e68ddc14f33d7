//! Processes of systems other than Linux.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::{Process, Running};

/// Processes of Windows that have no program (Microsoft, "Minimal process", and what its Task Manager shows).
const WITHOUT_PROGRAM: [&str; 6] =
    ["MemCompression", "Memory Compression", "Registry", "Secure System", "vmmem", "vmmemWSL"];

/// Nothing: here all that is asked is told by a few calls for all processes together.
#[derive(Debug, Default)]
pub(super) struct Known;

/// Nothing gives up rights here that a look at processes needs.
pub(super) fn apart() -> io::Result<()> {
    Ok(())
}

/// See [`super::running`].
pub(super) fn running(_known: &mut Known, wanted: &mut dyn FnMut(&Path) -> bool) -> io::Result<Running> {
    let mut running = Running::default();
    for process in all()? {
        if process.program.as_deref().is_none_or(&mut *wanted) {
            running.processes.push(process);
        } else {
            running.others += 1;
        }
    }
    Ok(running)
}

/// All processes that run a program.
fn all() -> io::Result<Vec<Process>> {
    let kind = ProcessRefreshKind::nothing()
        .with_exe(UpdateKind::Always)
        .with_user(UpdateKind::Always)
        .without_tasks();
    let mut system = System::new().map_err(io::Error::other)?;
    system.refresh_processes_specifics(ProcessesToUpdate::All, false, kind);
    // What has ended and waits for its parent has no program any more.
    let ended =
        |process: &sysinfo::Process| matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead);
    let in_kernel = |process: &sysinfo::Process| {
        process.exe().is_none() && is_of_kernel(process.pid().as_u32(), process.name())
    };
    let processes = system.processes().values().filter(|process| !in_kernel(process) && !ended(process));
    let running = processes.map(|process| Process {
        program: process.exe().map(ToOwned::to_owned),
        name: process.name().to_string_lossy().into_owned(),
        uid: uid(process),
        user: user(process),
    });
    Ok(running.collect())
}

/// The host's own name.
pub(super) fn host_name() -> Option<String> {
    System::host_name().ok()
}

/// Whether a process without a program is the kernel's own. macOS: `kernel_task` is process 0. Windows: idle time
/// and the kernel are 0 and 4, and some are made by these without a program.
fn is_of_kernel(pid: u32, name: &OsStr) -> bool {
    let of_windows = || pid == 4 || WITHOUT_PROGRAM.iter().any(|known| name == *known);
    pid == 0 || (cfg!(windows) && of_windows())
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
