//! `alert list`, `alert show`.

use std::io::Write;

use clap::Subcommand;
use offchannel_shared::ids::{AlertId, DeviceId};
use serde::Serialize;

use super::output::{Format, Table, counted, instant, json, printable};
use super::view::{EventJson, ListedAlertJson, SCHEMA};
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::domain::alert::AlertState;
use crate::store::AlertFilter;

#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// List alerts that are not resolved, the last changed first.
    List {
        /// Resolved alerts too.
        #[arg(long)]
        all: bool,
        /// Only of this device.
        #[arg(long, value_name = "ID")]
        device: Option<DeviceId>,
        /// At most so many; 0 for all.
        #[arg(long, default_value_t = 0)]
        limit: u32,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one alert with its history.
    Show {
        /// The alert's id, as `alert list` shows it.
        id: AlertId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(super) async fn run(command: AlertCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        AlertCommand::List { all, device, limit, format } => {
            let active = [AlertState::Open, AlertState::Acknowledged, AlertState::Snoozed];
            let states = if all { Vec::new() } else { active.to_vec() };
            list(AlertFilter { states, device, limit }, format, app, out).await?;
        }
        AlertCommand::Show { id, format } => show(&id, format, app, out).await?,
    }
    Ok(EXIT_OK)
}

async fn list(filter: AlertFilter, format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let alerts = app.service.alerts(filter).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                alerts: Vec<ListedAlertJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, alerts: alerts.iter().map(ListedAlertJson::from).collect() })?;
        }
        Format::Table if alerts.is_empty() => writeln!(out, "No alerts.")?,
        Format::Table => {
            let mut table =
                Table::new(&["id", "severity", "kind", "app", "rule", "host", "state", "changed", "back"]);
            for view in &alerts {
                let alert = &view.alert;
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                table.row([
                    alert.id.to_string(),
                    alert.severity.to_string(),
                    alert.kind.to_string(),
                    or_dash(view.app_name.clone()),
                    or_dash(alert.rule.as_ref().map(ToString::to_string)),
                    view.hostname.clone(),
                    alert.state.to_string(),
                    instant(alert.changed_at),
                    alert.reopened.to_string(),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}

async fn show(id: &AlertId, format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let (view, history) = app.service.alert(id).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Shown<'a> {
                schema: u32,
                #[serde(flatten)]
                alert: ListedAlertJson<'a>,
                history: Vec<EventJson<'a>>,
            }
            let history = history.iter().map(EventJson::from).collect();
            json(out, &Shown { schema: SCHEMA, alert: (&view).into(), history })?;
        }
        Format::Table => {
            let alert = &view.alert;
            let app_name =
                view.app_name.as_deref().map_or(String::new(), |name| format!(": {}", printable(name)));
            writeln!(out, "{} ({}){app_name}", alert.kind, alert.severity)?;
            writeln!(out, "Id      {}", alert.id)?;
            writeln!(out, "Device  {} ({})", alert.device, printable(&view.hostname))?;
            if let Some(rule) = &alert.rule {
                writeln!(out, "Rule    {rule}")?;
            }
            let back = if alert.reopened == 0 {
                String::new()
            } else {
                format!(", came back {}", counted(alert.reopened as usize, "time"))
            };
            writeln!(out, "State   {} since {}{back}", alert.state, instant(alert.changed_at))?;
            writeln!(out)?;
            let mut table = Table::new(&["when", "what", "who", "cause"]);
            for event in &history {
                let cause = event.cause.map_or("-", |cause| cause.as_str());
                table.row([
                    instant(event.at),
                    event.action.to_string(),
                    event.actor.clone(),
                    cause.to_owned(),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}
