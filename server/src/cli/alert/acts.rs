//! `alert acknowledge`, `snooze`, `assign`, `note`, `record`, `resolve`, `reopen`: what people do to one alert or many.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::AlertId;
use offchannel_shared::span::Span;
use serde::Serialize;

use super::super::output::{Format, Table, counted, json, parse_instant};
use super::super::view::{EventJson, SCHEMA};
use super::super::{CliError, EXIT_FAILED, EXIT_OK};
use super::ACTIVE;
use super::which::Which;
use crate::app::App;
use crate::domain::alert::{Act, AlertState, Cause, Records};
use crate::service::{Acted, ServiceError};

#[derive(Debug, Subcommand)]
pub(in super::super) enum ActCommand {
    /// Take alerts up.
    #[command(visible_alias = "ack")]
    Acknowledge {
        #[command(flatten)]
        doing: Doing,
    },
    /// Put alerts off until an instant; they open again by themselves then.
    Snooze {
        /// For how long from now, as 4h or 7d, at most 90d.
        #[arg(
            long = "for",
            value_name = "SPAN",
            conflicts_with = "until",
            required_unless_present = "until"
        )]
        span: Option<Span>,
        /// Until when, as 2026-12-01T09:00:00Z.
        #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
        until: Option<Timestamp>,
        #[command(flatten)]
        doing: Doing,
    },
    /// Give alerts to somebody, or to nobody.
    Assign {
        /// To whom.
        #[arg(long, value_name = "NAME", conflicts_with = "nobody", required_unless_present = "nobody")]
        to: Option<String>,
        /// To nobody.
        #[arg(long)]
        nobody: bool,
        #[command(flatten)]
        doing: Doing,
    },
    /// Write something down; --note says what.
    Note {
        #[command(flatten)]
        doing: Doing,
    },
    /// State what became of the business records, where the rule wants it.
    Record {
        /// What became of them.
        #[arg(long, value_enum)]
        records: RecordsArg,
        #[command(flatten)]
        doing: Doing,
    },
    /// Close alerts by hand. Most close by themselves when what they are about is over.
    Resolve {
        /// Why.
        #[arg(long, value_enum)]
        cause: CauseArg,
        /// What became of the business records, where the rule wants a statement.
        #[arg(long, value_enum)]
        records: Option<RecordsArg>,
        #[command(flatten)]
        doing: Doing,
    },
    /// Open alerts again that a person resolved although what they are about is still the case.
    Reopen {
        #[command(flatten)]
        doing: Doing,
    },
}

/// Why a person closes an alert.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in super::super) enum CauseArg {
    /// It is wrong; say why with --note.
    FalsePositive,
    /// It was dealt with; only where no report can tell, as with copied devices.
    Removed,
}

/// What became of the business records.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in super::super) enum RecordsArg {
    /// They were copied to the records system.
    Copied,
    /// There were none.
    None,
}

impl From<RecordsArg> for Records {
    fn from(arg: RecordsArg) -> Self {
        match arg {
            RecordsArg::Copied => Self::Copied,
            RecordsArg::None => Self::None,
        }
    }
}

/// Who does it, to which alerts, and what is said with it.
#[derive(Debug, Args)]
pub(in super::super) struct Doing {
    /// Ids of alerts, as `alert list` shows them.
    #[arg(value_name = "ID", required_unless_present = "matching", conflicts_with = "which")]
    ids: Vec<AlertId>,
    /// Instead of ids: every alert that fits all of the following that are given; at least one has to be.
    #[arg(long, conflicts_with = "ids", requires = "which")]
    matching: bool,
    #[command(flatten)]
    which: Which,
    /// With --matching: only say which alerts are meant.
    #[arg(long, requires = "matching")]
    dry_run: bool,
    /// Who does it; kept in the history.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// What is to be said with it; kept in the history.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What became of one alert.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    id: &'a str,
    /// `done`, `unchanged`, `refused` or, with `--dry-run`, `meant`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    events: Vec<EventJson<'a>>,
}

pub(super) async fn run(command: ActCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let now = app.service.now();
    let (act, reopens, doing) = match command {
        ActCommand::Acknowledge { doing } => (Act::Acknowledge, false, doing),
        ActCommand::Snooze { span, until, doing } => {
            let until = until.unwrap_or_else(|| span.unwrap_or_default().after(now));
            (Act::Snooze { until }, false, doing)
        }
        ActCommand::Assign { to, nobody: _, doing } => (Act::Assign { to }, false, doing),
        ActCommand::Note { doing } => (Act::Note, false, doing),
        ActCommand::Record { records, doing } => (Act::Record(records.into()), false, doing),
        ActCommand::Resolve { cause, records, doing } => {
            let cause = match cause {
                CauseArg::FalsePositive => Cause::FalsePositive,
                CauseArg::Removed => Cause::Removed,
            };
            (Act::Resolve { cause, records: records.map(Records::from) }, false, doing)
        }
        ActCommand::Reopen { doing } => (Act::Reopen, true, doing),
    };
    let Doing { ids, matching: all, which, dry_run, by, note, format } = doing;
    let ids = if all { matching(which, reopens, app).await? } else { ids };
    let (mut meant, mut done) = (Vec::new(), Vec::new());
    if dry_run {
        meant = ids;
    } else {
        done = app.service.act_on_alerts(ids, &act, &by, note.as_deref()).await?;
    }
    let meant =
        meant.iter().map(|id| Outcome { id: id.as_str(), outcome: "meant", why: None, events: Vec::new() });
    let outcomes: Vec<Outcome<'_>> = meant.chain(done.iter().map(|(id, acted)| told(id, acted))).collect();
    let refused = outcomes.iter().filter(|outcome| outcome.outcome == "refused").count();
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                alerts: Vec<Outcome<'a>>,
            }
            json(out, &List { schema: SCHEMA, alerts: outcomes })?;
        }
        Format::Table if outcomes.is_empty() => writeln!(out, "No alert is meant.")?,
        Format::Table => {
            let mut table = Table::new(&["id", "outcome", "now", "why"]);
            for outcome in &outcomes {
                let last = outcome.events.last().map_or("-", EventJson::action).to_owned();
                let why = outcome.why.clone().unwrap_or_default();
                table.row([outcome.id.to_owned(), outcome.outcome.to_owned(), last, why]);
            }
            table.print(out, 0)?;
            if refused > 0 {
                writeln!(out, "\n{} refused, nothing was changed there.", counted(refused, "alert"))?;
            }
        }
    }
    Ok(if refused > 0 { EXIT_FAILED } else { EXIT_OK })
}

/// The alerts that fit all that is said of them.
async fn matching(which: Which, reopens: bool, app: &App) -> Result<Vec<AlertId>, CliError> {
    let filter = which.filter(if reopens { &[AlertState::Resolved] } else { &ACTIVE }, 0);
    Ok(app.service.alerts(filter).await?.into_iter().map(|view| view.alert.id).collect())
}

fn told<'a>(id: &'a AlertId, acted: &'a Acted) -> Outcome<'a> {
    let (word, why, events) = match acted {
        Ok(events) if events.is_empty() => ("unchanged", None, &[][..]),
        Ok(events) => ("done", None, events.as_slice()),
        Err(ServiceError::Refused(refusal)) => ("refused", Some(refusal.to_string()), &[][..]),
        Err(error) => ("refused", Some(error_chain(error).to_string()), &[][..]),
    };
    Outcome { id: id.as_str(), outcome: word, why, events: events.iter().map(EventJson::from).collect() }
}
