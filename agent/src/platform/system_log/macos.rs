//! The unified log of macOS 10.12 and later: log(1) shows it, and the system keeps it at a size of its own.

use std::sync::OnceLock;

use oslog::{Level, OsLog};

use super::Severity;

/// Writes an entry. The subsystem is that of the first call: a program has one.
pub fn write(subsystem: &str, severity: Severity, text: &str) {
    static LOG: OnceLock<OsLog> = OnceLock::new();
    let level = match severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Default,
        // Kept in memory only, unless an administrator wants them on the disk (log config).
        Severity::Info => Level::Info,
        Severity::Debug => Level::Debug,
    };
    LOG.get_or_init(|| OsLog::new(subsystem, "agent")).with_level(level, text);
}
