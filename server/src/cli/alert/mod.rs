//! `alert list`, `alert show`, and what people do to alerts.

mod acts;
mod which;

use std::io::Write;

use clap::{Args, Subcommand};
use offchannel_shared::ids::AlertId;
use serde::Serialize;

use self::which::Which;
use super::output::{Format, Table, counted, in_brackets, instant, json, printable};
use super::view::{EventJson, ListedAlertJson, SCHEMA};
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::domain::alert::{About, Alert, AlertEvent, AlertState, Records};
use crate::store::AlertFilter;

/// The states of alerts that are not over.
const ACTIVE: [AlertState; 3] = [AlertState::Open, AlertState::Acknowledged, AlertState::Snoozed];

#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// List alerts that are not resolved, the last changed first.
    List(ListArgs),
    /// Show one alert with its history.
    Show {
        /// The alert's id, as `alert list` shows it.
        id: AlertId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    #[command(flatten)]
    Act(acts::ActCommand),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Resolved alerts too.
    #[arg(long, conflicts_with = "state")]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// At most so many; 0 for all.
    #[arg(long, default_value_t = 0)]
    limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(command: AlertCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        AlertCommand::List(args) => {
            let ListArgs { all, which, limit, format } = args;
            list(which.filter(if all { &[] } else { &ACTIVE }, limit), format, app, out).await?;
        }
        AlertCommand::Show { id, format } => show(&id, format, app, out).await?,
        AlertCommand::Act(command) => return acts::run(command, app, out).await,
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
            let mut table = Table::new(&[
                "id", "severity", "kind", "app", "rule", "host", "state", "with", "changed", "back",
            ]);
            for view in &alerts {
                let alert = &view.alert;
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                table.row([
                    alert.id.to_string(),
                    alert.severity.to_string(),
                    alert.kind.to_string(),
                    or_dash(view.app_name.clone()),
                    or_dash(alert.rule.as_ref().map(ToString::to_string)),
                    match &alert.about {
                        About::Device(_) => or_dash(view.hostname.clone()),
                        About::Unit(unit) => format!("unit {unit}"),
                        About::Exception(_) => "-".to_owned(),
                    },
                    standing(alert),
                    or_dash(alert.assignee.clone()),
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
            match &alert.about {
                About::Device(device) => {
                    let host = printable(view.hostname.as_deref().unwrap_or_default());
                    writeln!(out, "Device  {device}{}", in_brackets(&host))?;
                }
                About::Unit(unit) => writeln!(out, "Unit    {unit}")?,
                About::Exception(id) => writeln!(out, "About   {id}: see `exception show`")?,
            }
            if let Some(rule) = &alert.rule {
                writeln!(out, "Rule    {rule}")?;
            }
            let back = if alert.reopened == 0 {
                String::new()
            } else {
                format!(", came back {}", counted(alert.reopened as usize, "time"))
            };
            writeln!(out, "State   {} since {}{back}", alert.state, instant(alert.changed_at))?;
            if let Some(until) = alert.snoozed_until {
                writeln!(out, "        put off until {}", instant(until))?;
            }
            if let Some(assignee) = &alert.assignee {
                writeln!(out, "With    {}", printable(assignee))?;
            }
            match alert.records {
                Some(Records::Copied) => writeln!(out, "Records copied to the records system")?,
                Some(Records::None) => writeln!(out, "Records none, as was stated")?,
                None if alert.awaits_records() => writeln!(
                    out,
                    "Records to be seen to: the app is gone, and the alert closes with\n        \
                     `alert record --records copied|none --by NAME {}`",
                    alert.id
                )?,
                None if alert.records_needed && alert.is_active() => {
                    writeln!(out, "Records to be seen to before the alert can close")?;
                }
                None => {}
            }
            writeln!(out)?;
            let mut table = Table::new(&["when", "what", "who", "said"]);
            for event in &history {
                let at = instant(event.at);
                table.row([at, event.action.to_string(), event.actor.clone(), said(event)]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}

/// Where an alert stands, in a column.
fn standing(alert: &Alert) -> String {
    if alert.awaits_records() { format!("{}, awaits records", alert.state) } else { alert.state.to_string() }
}

/// What a history entry says beside who did what.
fn said(event: &AlertEvent) -> String {
    let parts = [
        event.cause.map(|cause| cause.as_str().to_owned()),
        event.until.map(|until| format!("until {}", instant(until))),
        event.records.map(|records| match records {
            Records::Copied => "copied to the records system".to_owned(),
            Records::None => "there were none".to_owned(),
        }),
        event.step.as_ref().map(|step| format!("step {step}")),
        event.text.clone(),
        event.why.clone(),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join("; ") }
}
