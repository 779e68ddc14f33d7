//! `serve`, `migrate`, `check-config`.

use std::io::{self, Write};
use std::path::Path;

use offchannel_shared::error_chain::error_chain;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::channel::ChannelJson;
use super::output::{Format, json};
use super::view::SCHEMA;
use super::{CliError, EXIT_FAILED, EXIT_OK};
use crate::app::{App, AppError, load_config};
use crate::config::Loaded;
use crate::telemetry;

pub(super) async fn serve(config: Option<&Path>) -> Result<u8, CliError> {
    let loaded = load_config(config).map_err(AppError::Config).map_err(CliError::Start)?;
    telemetry::start(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "the configuration is used all the same");
    }
    let url = loaded.config.public_url.clone();
    // Before anything is open: a signal that comes during the start must not be lost.
    let stop = stop_signal().map_err(CliError::Runtime)?;
    let app = App::for_serving(loaded.config).await.map_err(CliError::Start)?;
    if let Err(error) = app.service.in_force() {
        tracing::warn!(error = %error_chain(&error), "agents cannot enrol yet");
    }
    let running = app.start().await.map_err(CliError::Start)?;
    tracing::info!(listen = %running.address, %url, version = env!("CARGO_PKG_VERSION"), "serving");
    stop.await;
    tracing::info!("stopping");
    running.stop().await?;
    tracing::info!("stopped");
    Ok(EXIT_OK)
}

/// Resolves when the process is asked to stop: by the system, by Ctrl-C or Ctrl-\ in its terminal, or
/// because the terminal is gone.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = unless_ignored(SignalKind::hangup())?;
    let mut quit = unless_ignored(SignalKind::quit())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = heard(&mut hangup) => {}
            () = heard(&mut quit) => {}
        }
    })
}

/// The signal, unless whoever started this process had it ignored, as `nohup` does with a hangup: listening
/// would undo that.
fn unless_ignored(kind: SignalKind) -> io::Result<Option<Signal>> {
    // A line like `SigIgn:\t0000000000001001`, see proc_pid_status(5). Where there is none, nothing is ignored.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let bit =
        u32::try_from(kind.as_raw_value()).ok().and_then(|number| 1_u64.checked_shl(number.checked_sub(1)?));
    let ignored = mask.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0);
    if ignored { Ok(None) } else { signal(kind).map(Some) }
}

async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

pub(super) async fn migrate(
    config: Option<&Path>,
    format: Format,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let loaded = load_config(config).map_err(AppError::Config)?;
    let app = App::for_serving(loaded.config).await?;
    app.store.close().await.map_err(AppError::Store)?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Migrated {
                schema: u32,
                migrated: bool,
            }
            json(out, &Migrated { schema: SCHEMA, migrated: true })?;
        }
        Format::Table => writeln!(out, "The database has this program's schema.")?,
    }
    Ok(EXIT_OK)
}

/// What `check-config` says. Errors are told on standard error in either form.
#[derive(Serialize)]
struct Checked<'a> {
    schema: u32,
    good: bool,
    warnings: Vec<String>,
    listen: String,
    public_url: String,
    data_dir: String,
    channels: Vec<ChannelJson<'a>>,
}

fn checked(loaded: &Loaded) -> Checked<'_> {
    let config = &loaded.config;
    let channels: Vec<ChannelJson<'_>> =
        config.channels.iter().map(|channel| ChannelJson::of(config, channel)).collect();
    Checked {
        schema: SCHEMA,
        good: loaded.warnings.is_empty() && channels.iter().all(|channel| channel.missing.is_none()),
        warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
        listen: config.listen.to_string(),
        public_url: config.public_url.to_string(),
        data_dir: config.data_dir.display().to_string(),
        channels,
    }
}

pub(super) fn check_config(
    config: Option<&Path>,
    format: Format,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let loaded = load_config(config).map_err(AppError::Config)?;
    let checked = checked(&loaded);
    if format == Format::Json {
        json(out, &checked)?;
        return Ok(if checked.good { EXIT_OK } else { EXIT_FAILED });
    }
    for warning in &checked.warnings {
        writeln!(out, "{warning}")?;
    }
    for channel in &checked.channels {
        if let Some(missing) = channel.missing {
            writeln!(out, "channel {}: {missing}", channel.name)?;
        }
    }
    if checked.good {
        writeln!(out, "The configuration is good.")?;
        writeln!(out, "  listen      {}", checked.listen)?;
        writeln!(out, "  public_url  {}", checked.public_url)?;
        writeln!(out, "  data_dir    {}", checked.data_dir)?;
        for channel in &checked.channels {
            let state = if channel.enabled { "" } else { " (not enabled)" };
            writeln!(out, "  channel     {}, {}{state}", channel.name, channel.kind)?;
            for (key, from) in &channel.secrets {
                writeln!(out, "                {key} from {from}")?;
            }
        }
    }
    Ok(if checked.good { EXIT_OK } else { EXIT_FAILED })
}
