//! Logs, by tracing, to standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Sets up logs for the whole process. The first call decides: later ones change nothing.
pub fn start(config: &LogConfig) {
    if tracing::subscriber::set_global_default(subscriber(*config, io::stderr)).is_err() {
        tracing::debug!("logs were set up before");
    }
}

/// A subscriber that writes to `writer`.
fn subscriber<W>(config: LogConfig, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = match config.format {
        LogFormat::Text => fmt::layer().with_writer(writer).with_ansi(false).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    };
    Registry::default().with(lines.with_filter(filter(config.level)))
}

/// Our own lines from `level` up; those of libraries from `warn` up, unless everything is wanted.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let libraries = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    Targets::new().with_default(libraries).with_target(own_target(), level)
}

/// The first part of the target of our own lines.
fn own_target() -> &'static str {
    let path = module_path!();
    path.split("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: LogFormat, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(LogConfig { level, format }, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_below_the_level_and_chatter_of_libraries_are_left_out() {
        let text = logged(LogLevel::Info, LogFormat::Text, || {
            tracing::info!("ours");
            tracing::debug!("too fine");
            tracing::info!(target: "hyper::proto", "theirs");
            tracing::warn!(target: "hyper::proto", "grave");
        });
        assert!(text.contains("ours") && text.contains("grave"), "{text}");
        assert!(!text.contains("too fine") && !text.contains("theirs"), "{text}");
    }

    #[test]
    fn a_json_line_is_one_object_and_no_input_can_break_it() {
        let text = logged(LogLevel::Info, LogFormat::Json, || {
            tracing::info!(route = "/x\n{\"forged\":1}", status = 200, "request");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["status"], 200);
        assert_eq!(line["message"], "request");
    }
}
