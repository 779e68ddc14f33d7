//! `ledger list`, `summary`, `decide`, `decisions`.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, DeviceId, UnitId};
use offchannel_shared::policy::{Party, Severity};
use offchannel_shared::span::Span;
use serde::Serialize;

use super::output::{Format, Table, counted, csv, instant, json, parse_instant};
use super::view::SCHEMA;
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::domain::alert::AlertKind;
use crate::domain::ledger::{Entry, Measure, Ruling, Tally, Whose};
use crate::domain::placement::PersonRef;
use crate::service::ServiceError;
use crate::store::LedgerFilter;

#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// List breaches, the last first: of everybody, or of one.
    List(ListArgs),
    /// Count the breaches of each unit, person or device, the most first.
    Summary(SummaryArgs),
    /// Record what whoever is accountable has decided about the breaches of one.
    Decide(DecideArgs),
    /// List what was decided, the last first.
    Decisions {
        #[command(flatten)]
        whose: WhoseArgs,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Whose breaches.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct WhoseArgs {
    /// Those in this unit and in the units that were below it.
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    /// This person's, on whatever device.
    #[arg(long, value_name = "REFERENCE")]
    person: Option<PersonRef>,
    /// This device's.
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
}

impl WhoseArgs {
    fn whose(self) -> Option<Whose> {
        let Self { unit, person, device } = self;
        unit.map(Whose::Unit).or(person.map(Whose::Person)).or(device.map(Whose::Device))
    }
}

/// From when until when.
#[derive(Debug, Args)]
pub(super) struct TimeArgs {
    /// Only those within this time, as 90d.
    #[arg(long, value_name = "SPAN", conflicts_with = "since")]
    within: Option<Span>,
    /// Only those at this instant or later, as 2026-12-01T00:00:00Z.
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    since: Option<Timestamp>,
    /// Only those before this instant.
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    until: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// At most so many; 0 for all.
    #[arg(long, default_value_t = 0)]
    limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: SheetFormat,
}

#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    /// Whose breaches are counted together.
    #[arg(long, value_enum, default_value_t)]
    by: By,
    #[command(flatten)]
    whose: WhoseArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// At most so many; 0 for all.
    #[arg(long, default_value_t = 0)]
    limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: SheetFormat,
}

#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    #[command(flatten)]
    whose: WhoseArgs,
    /// What was done.
    #[arg(long, value_enum)]
    measure: MeasureArg,
    /// Why, and what exactly.
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// Who has decided.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// About this alert; may be given several times. Without it the decision is about all breaches until now.
    #[arg(long = "alert", value_name = "ID")]
    alerts: Vec<AlertId>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How a list prints that is also read by spreadsheets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum SheetFormat {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// JSON, for programs.
    Json,
    /// CSV, for spreadsheets.
    Csv,
}

/// Whose breaches are counted together.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum By {
    /// A unit's with those of the units below it.
    #[default]
    Unit,
    Person,
    Device,
}

impl From<By> for Party {
    fn from(by: By) -> Self {
        match by {
            By::Unit => Self::Unit,
            By::Person => Self::Person,
            By::Device => Self::Device,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MeasureArg {
    /// Reminded of the rule.
    Reminded,
    /// Had trained.
    Trained,
    /// Warned formally.
    Warned,
    /// Referred to leadership or personnel.
    Referred,
    /// Accepted the risk.
    Accepted,
    /// Looked at it and did nothing.
    NoAction,
}

impl From<MeasureArg> for Measure {
    fn from(arg: MeasureArg) -> Self {
        match arg {
            MeasureArg::Reminded => Self::Reminded,
            MeasureArg::Trained => Self::Trained,
            MeasureArg::Warned => Self::Warned,
            MeasureArg::Referred => Self::Referred,
            MeasureArg::Accepted => Self::Accepted,
            MeasureArg::NoAction => Self::NoAction,
        }
    }
}

/// A breach, in JSON and, by its keys, in CSV.
#[derive(Debug, Serialize)]
struct EntryJson<'a> {
    at: Timestamp,
    alert: &'a str,
    device: &'a str,
    unit: Option<&'a str>,
    person: Option<&'a str>,
    kind: AlertKind,
    rule: Option<&'a str>,
    app: Option<&'a str>,
    severity: Severity,
    returned: bool,
}

impl<'a> From<&'a Entry> for EntryJson<'a> {
    fn from(entry: &'a Entry) -> Self {
        let breach = &entry.breach;
        Self {
            at: breach.at,
            alert: breach.alert.as_str(),
            device: breach.device.as_str(),
            unit: breach.units.first().map(|unit| unit.as_str()),
            person: breach.person.as_ref().map(PersonRef::as_str),
            kind: breach.kind,
            rule: breach.rule.as_ref().map(|rule| rule.as_str()),
            app: breach.app.as_ref().map(|app| app.as_str()),
            severity: breach.severity,
            returned: breach.returned,
        }
    }
}

/// A decision, in JSON.
#[derive(Debug, Serialize)]
struct RulingJson<'a> {
    at: Timestamp,
    #[serde(flatten)]
    about: &'a Whose,
    alerts: Vec<&'a str>,
    measure: Measure,
    by: &'a str,
    note: &'a str,
}

impl<'a> From<&'a Ruling> for RulingJson<'a> {
    fn from(ruling: &'a Ruling) -> Self {
        let Ruling { about, alerts, at, by, measure, text } = ruling;
        let alerts = alerts.iter().map(|alert| alert.as_str()).collect();
        Self { at: *at, about, alerts, measure: *measure, by, note: text }
    }
}

/// A count, in JSON.
#[derive(Debug, Serialize)]
struct TallyJson<'a> {
    #[serde(flatten)]
    whose: &'a Whose,
    breaches: u64,
    devices: u64,
    active: u64,
    last_at: Timestamp,
    decision: Option<RulingJson<'a>>,
}

impl<'a> From<&'a Tally> for TallyJson<'a> {
    fn from(tally: &'a Tally) -> Self {
        let Tally { whose, breaches, devices, active, last_at, ruling } = tally;
        let decision = ruling.as_ref().map(RulingJson::from);
        Self { whose, breaches: *breaches, devices: *devices, active: *active, last_at: *last_at, decision }
    }
}

pub(super) async fn run(command: LedgerCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        LedgerCommand::List(args) => list(args, app, out).await?,
        LedgerCommand::Summary(args) => summary(args, app, out).await?,
        LedgerCommand::Decide(args) => decide(args, app, out).await?,
        LedgerCommand::Decisions { whose, format } => decisions(whose, format, app, out).await?,
    }
    Ok(EXIT_OK)
}

fn filter(whose: WhoseArgs, time: TimeArgs, limit: u32, app: &App) -> LedgerFilter {
    let within = time.within.map(|within| within.before(app.service.now()));
    LedgerFilter { whose: whose.whose(), since: time.since.or(within), until: time.until, limit }
}

const ENTRY_HEAD: [&str; 10] =
    ["at", "alert", "device", "unit", "person", "kind", "rule", "app", "severity", "returned"];

async fn list(args: ListArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let ListArgs { whose, time, limit, format } = args;
    let entries = app.service.ledger(filter(whose, time, limit, app)).await?;
    let rows = entries.iter().map(|entry| {
        let entry = EntryJson::from(entry);
        let of = |text: Option<&str>| text.unwrap_or_default().to_owned();
        [
            instant(entry.at),
            entry.alert.to_owned(),
            entry.device.to_owned(),
            of(entry.unit),
            of(entry.person),
            entry.kind.to_string(),
            of(entry.rule),
            of(entry.app),
            entry.severity.to_string(),
            if entry.returned { "yes" } else { "no" }.to_owned(),
        ]
    });
    match format {
        SheetFormat::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                breaches: Vec<EntryJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, breaches: entries.iter().map(EntryJson::from).collect() })?;
        }
        SheetFormat::Csv => csv(out, &ENTRY_HEAD, rows)?,
        SheetFormat::Table if entries.is_empty() => writeln!(out, "No breaches.")?,
        SheetFormat::Table => table(out, &ENTRY_HEAD, rows)?,
    }
    Ok(())
}

const TALLY_HEAD: [&str; 8] =
    ["of", "breaches", "devices", "not resolved", "last", "decided", "by", "measure"];

async fn summary(args: SummaryArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let SummaryArgs { by, whose, time, limit, format } = args;
    let tallies = app.service.tally(by.into(), filter(whose, time, limit, app)).await?;
    let rows = tallies.iter().map(|tally| {
        let of = |text: Option<String>| text.unwrap_or_default();
        let ruling = tally.ruling.as_ref();
        [
            tally.whose.id().to_owned(),
            tally.breaches.to_string(),
            tally.devices.to_string(),
            tally.active.to_string(),
            instant(tally.last_at),
            of(ruling.map(|ruling| instant(ruling.at))),
            of(ruling.map(|ruling| ruling.by.clone())),
            of(ruling.map(|ruling| ruling.measure.to_string())),
        ]
    });
    match format {
        SheetFormat::Json => {
            #[derive(Serialize)]
            struct Summary<'a> {
                schema: u32,
                counts: Vec<TallyJson<'a>>,
            }
            json(out, &Summary { schema: SCHEMA, counts: tallies.iter().map(TallyJson::from).collect() })?;
        }
        SheetFormat::Csv => csv(out, &TALLY_HEAD, rows)?,
        SheetFormat::Table if tallies.is_empty() => {
            let of = match by {
                By::Unit => "in any unit",
                By::Person => "of anybody who is known",
                By::Device => "on any device",
            };
            writeln!(out, "No breaches {of}.")?;
        }
        SheetFormat::Table => table(out, &TALLY_HEAD, rows)?,
    }
    Ok(())
}

fn table<const N: usize>(
    out: &mut dyn Write,
    head: &[&'static str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> std::io::Result<()> {
    let mut table = Table::new(head);
    for row in rows {
        table.row(row.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }));
    }
    table.print(out, 0)
}

async fn decide(args: DecideArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let DecideArgs { whose, measure, note, by, alerts, format } = args;
    let Some(about) = whose.whose() else {
        let why = "a decision is about somebody: give --unit, --person or --device";
        return Err(ServiceError::Invalid(why.to_owned()).into());
    };
    let ruling = app.service.rule(about, alerts, (measure.into(), &note), &by).await?;
    match format {
        Format::Json => json(out, &Recorded { schema: SCHEMA, decision: (&ruling).into() })?,
        Format::Table => {
            let alerts = match ruling.alerts.len() {
                0 => "all breaches until now".to_owned(),
                some => counted(some, "alert"),
            };
            writeln!(out, "Recorded: {} about {}, {alerts}.", ruling.measure, ruling.about)?;
        }
    }
    Ok(())
}

/// A decision that was recorded.
#[derive(Debug, Serialize)]
struct Recorded<'a> {
    schema: u32,
    decision: RulingJson<'a>,
}

async fn decisions(whose: WhoseArgs, format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let rulings = app.service.rulings(whose.whose()).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                decisions: Vec<RulingJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, decisions: rulings.iter().map(RulingJson::from).collect() })?;
        }
        Format::Table if rulings.is_empty() => writeln!(out, "No decisions.")?,
        Format::Table => {
            let mut table = Table::new(&["when", "about", "measure", "by", "alerts", "note"]);
            for ruling in &rulings {
                let alerts =
                    if ruling.alerts.is_empty() { "all".to_owned() } else { ruling.alerts.len().to_string() };
                table.row([
                    instant(ruling.at),
                    ruling.about.to_string(),
                    ruling.measure.to_string(),
                    ruling.by.clone(),
                    alerts,
                    ruling.text.clone(),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}
