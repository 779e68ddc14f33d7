//! The log: to standard error, for the service manager to keep, or to the system's own log where that keeps none. It
//! names no user, path in a home folder or app: what was found goes to the collector, not into logs.

use tracing::level_filters::LevelFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Standard error.
    StandardError,
    /// The system's log, for a program whose standard error nobody reads.
    #[cfg(any(windows, target_os = "macos"))]
    System,
}

/// Starts logging. A second call changes nothing.
pub fn start(log: Log, to: To) {
    match to {
        To::StandardError => lines(log),
        #[cfg(any(windows, target_os = "macos"))]
        To::System => system::entries(log.level),
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn lines(log: Log) {
    let lines = tracing_subscriber::fmt()
        .with_max_level(filter(log.level))
        .with_writer(std::io::stderr)
        .with_target(false);
    // Only fails where a log was started before, which then is the one to use.
    let _ = match log.format {
        LogFormat::Text => tracing::subscriber::set_global_default(lines.with_ansi(false).finish()),
        LogFormat::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
    };
}

#[cfg(any(windows, target_os = "macos"))]
mod system {
    use std::io;

    use tracing::{Level, Metadata};
    use tracing_subscriber::fmt::MakeWriter;

    use super::{LevelFilter, LogLevel, filter};
    use crate::platform::system_log::{self, Severity};
    use crate::service::LOG_SOURCE;

    /// Time and level the system notes itself. It is text whatever `log.format` says, which is about lines for programs.
    pub fn entries(level: LogLevel) {
        // The Event Log is where administrators look for what is wrong; all programs share it.
        let most = if cfg!(windows) { LevelFilter::WARN } else { LevelFilter::TRACE };
        let entries = tracing_subscriber::fmt()
            .with_max_level(filter(level).min(most))
            .with_writer(Entries)
            .with_target(false)
            .with_ansi(false)
            .with_level(false)
            .without_time();
        // As for lines.
        let _ = tracing::subscriber::set_global_default(entries.finish());
        // Otherwise its reason would go to standard error, and the program ends with it.
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }

    struct Entries;

    impl MakeWriter<'_> for Entries {
        type Writer = Entry;

        fn make_writer(&self) -> Entry {
            Entry(Severity::Info)
        }

        fn make_writer_for(&self, meta: &Metadata<'_>) -> Entry {
            Entry(match *meta.level() {
                Level::ERROR => Severity::Error,
                Level::WARN => Severity::Warning,
                Level::INFO => Severity::Info,
                Level::DEBUG | Level::TRACE => Severity::Debug,
            })
        }
    }

    /// Gets a whole event at once.
    struct Entry(Severity);

    impl io::Write for Entry {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            system_log::write(LOG_SOURCE, self.0, &String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
