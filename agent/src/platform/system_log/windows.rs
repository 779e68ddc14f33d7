//! The Event Log: its log "Application", which the system keeps at a size that an administrator sets.

use std::io;

use windows_registry::LOCAL_MACHINE;
use winsafe::{HEVENTLOG, co};

use super::Severity;
use crate::platform::registry::of_system;

/// Below it is a key for each source, with the file that has the texts of its messages.
const SOURCES: &str = "SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application";
/// A program of the system's whose messages 1 to 1000 are each `%1`, the text of the entry; eventcreate(1) registers sources of its own
/// with it. Without such a file the viewer shows a text with a complaint that it knows no description.
const MESSAGES: &str = "%SystemRoot%\\System32\\EventCreate.exe";
/// Errors, warnings and information (`EVENTLOG_..._TYPE` of winnt.h).
const TYPES: u32 = 7;
/// All entries have this id: what they are about, the text says.
const ID: u32 = 1;

/// Makes a source known to the viewer.
///
/// # Errors
/// That of the registry; not without the rights of an administrator.
pub fn register(source: &str) -> io::Result<()> {
    let key = LOCAL_MACHINE.create(path(source)).map_err(|error| of_system(error.code().0))?;
    key.set_expand_string("EventMessageFile", MESSAGES).map_err(|error| of_system(error.code().0))?;
    key.set_u32("TypesSupported", TYPES).map_err(|error| of_system(error.code().0))
}

/// Makes a source unknown again; what it wrote stays. Answers whether it was known.
///
/// # Errors
/// That of the registry; not without the rights of an administrator.
pub fn unregister(source: &str) -> io::Result<bool> {
    if !is_registered(source) {
        return Ok(false);
    }
    LOCAL_MACHINE.remove_tree(path(source)).map_err(|error| of_system(error.code().0))?;
    Ok(true)
}

/// Whether the viewer knows a source, as [`register`] makes it.
pub fn is_registered(source: &str) -> bool {
    LOCAL_MACHINE
        .open(path(source))
        .is_ok_and(|key| key.get_string("EventMessageFile").is_ok_and(|file| file == MESSAGES))
}

/// Writes an entry. The log is opened anew for each: they are rare.
pub fn write(source: &str, severity: Severity, text: &str) {
    let kind = match severity {
        Severity::Error => co::EVENTLOG::ERROR_TYPE,
        Severity::Warning => co::EVENTLOG::WARNING_TYPE,
        Severity::Info | Severity::Debug => co::EVENTLOG::INFORMATION_TYPE,
    };
    let _ = HEVENTLOG::RegisterEventSource(None, source)
        .and_then(|log| log.ReportEvent(kind, 0, ID, None, &[text], &[]));
}

fn path(source: &str) -> String {
    format!("{SOURCES}\\{source}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not that of the agent: one may be installed here.
    const SOURCE: &str = "Offchannel Test";

    #[test]
    fn a_source_is_registered_written_to_and_unregistered() {
        assert!(!is_registered(SOURCE), "left by an earlier test");
        assert!(!unregister(SOURCE).unwrap());
        register(SOURCE).unwrap();
        register(SOURCE).unwrap();
        assert!(is_registered(SOURCE));
        let key = LOCAL_MACHINE.open(path(SOURCE)).unwrap();
        assert_eq!(key.get_u32("TypesSupported").unwrap(), TYPES);
        let log = HEVENTLOG::RegisterEventSource(None, SOURCE).unwrap();
        log.ReportEvent(co::EVENTLOG::WARNING_TYPE, 0, ID, None, &["ü %"], &[]).unwrap();
        for severity in [Severity::Error, Severity::Warning, Severity::Info, Severity::Debug] {
            super::super::write(SOURCE, severity, &"%1\n".repeat(9000));
        }
        assert!(unregister(SOURCE).unwrap());
        assert!(!is_registered(SOURCE));
        assert!(LOCAL_MACHINE.open(SOURCES).is_ok(), "the key of all sources is gone");
    }
}
