//! `serve`, `migrate`, `check-config`.

use std::io::{self, Write};
use std::path::Path;

use offchannel_shared::error_chain::error_chain;
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, EXIT_FAILED, EXIT_OK};
use crate::app::{App, AppError, load_config};
use crate::telemetry;

pub(super) async fn serve(config: Option<&Path>) -> Result<u8, CliError> {
    let loaded = load_config(config).map_err(AppError::Config)?;
    telemetry::start(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "a setting is not known");
    }
    let url = loaded.config.public_url.clone();
    // Before anything is open: a signal that comes during the start must not be lost.
    let stop = stop_signal().map_err(CliError::Runtime)?;
    let app = App::for_serving(loaded.config).await?;
    if let Err(error) = app.service.in_force() {
        tracing::warn!(error = %error_chain(&error), "agents cannot enrol yet");
    }
    let running = app.start().await?;
    tracing::info!(listen = %running.address, %url, version = env!("CARGO_PKG_VERSION"), "serving");
    stop.await;
    tracing::info!("stopping");
    running.stop().await?;
    tracing::info!("stopped");
    Ok(EXIT_OK)
}

/// Resolves when the process is asked to stop.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

pub(super) async fn migrate(config: Option<&Path>, out: &mut dyn Write) -> Result<u8, CliError> {
    let loaded = load_config(config).map_err(AppError::Config)?;
    let app = App::for_serving(loaded.config).await?;
    app.store.close().await.map_err(AppError::Store)?;
    writeln!(out, "The database has this program's schema.")?;
    Ok(EXIT_OK)
}

pub(super) fn check_config(config: Option<&Path>, out: &mut dyn Write) -> Result<u8, CliError> {
    let loaded = load_config(config).map_err(AppError::Config)?;
    for warning in &loaded.warnings {
        writeln!(out, "{warning}")?;
    }
    let good = loaded.warnings.is_empty();
    let config = &loaded.config;
    if good {
        writeln!(out, "The configuration is good.")?;
        writeln!(out, "  listen      {}", config.listen)?;
        writeln!(out, "  public_url  {}", config.public_url)?;
        writeln!(out, "  data_dir    {}", config.data_dir.display())?;
        for channel in &config.channels {
            let state = if channel.enabled { "" } else { " (not enabled)" };
            writeln!(out, "  channel     {}{state}", channel.name)?;
        }
    }
    Ok(if good { EXIT_OK } else { EXIT_FAILED })
}
