//! `exception request`, `list`, `show`, `approve`, `refuse`, `revoke`.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use offchannel_shared::exception_code::ExceptionCode;
use offchannel_shared::ids::{AppId, DeviceId, ExceptionId, RuleId, UnitId};
use offchannel_shared::label::Label;
use offchannel_shared::span::Span;
use serde::Serialize;

use super::output::{Format, Table, counted, instant, json, parse_instant, printable};
use super::view::SCHEMA;
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::domain::exception::{Covers, ExceptionAction, ExceptionEvent, Request, Standing};
use crate::domain::placement::PersonRef;
use crate::service::{ExceptionChange, ExceptionView, ServiceError};

#[derive(Debug, Subcommand)]
pub(super) enum ExceptionCommand {
    /// Ask for an exception. It accepts nothing before somebody else approves it.
    Request(RequestArgs),
    /// List exceptions that wait, are scheduled or in force.
    List(ListArgs),
    /// Show one exception with its history.
    Show {
        /// The exception's id, as `exception list` shows it.
        id: ExceptionId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Approve an exception that somebody else asked for.
    Approve(ChangeArgs),
    /// Refuse an exception that was asked for, or withdraw one's own; --note says why.
    Refuse(ChangeArgs),
    /// End an exception before its time; --note says why.
    Revoke(ChangeArgs),
}

#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    #[command(flatten)]
    covers: CoversArgs,
    /// The app that is accepted; every app of the rule if not given.
    #[arg(long, value_name = "APP", required_unless_present_any = ["rule", "code"])]
    app: Option<AppId>,
    /// The rule that is waived; every rule if not given.
    #[arg(long, value_name = "RULE")]
    rule: Option<RuleId>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// From when on, as 2026-12-01T09:00:00Z; from its approval on if not given.
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    from: Option<Timestamp>,
    /// Until when.
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant, conflicts_with = "span", required_unless_present = "span")]
    until: Option<Timestamp>,
    /// For how long from its start, as 30d; at most what the policy allows.
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<Span>,
    /// Who asks.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// For which devices.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct CoversArgs {
    /// For this device.
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// For all devices of this unit and of those below it.
    #[arg(long, value_name = "UNIT")]
    unit: Option<UnitId>,
    /// For all devices that this person uses.
    #[arg(long, value_name = "REF")]
    person: Option<PersonRef>,
    /// For all devices with this label.
    #[arg(long, value_name = "LABEL")]
    label: Option<Label>,
    /// For the app on the device whose user was shown this code, by a notice or `offchannel-agent status`.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["app", "rule"])]
    code: Option<ExceptionCode>,
}

impl CoversArgs {
    /// What is given but for a code.
    fn covers(self) -> Option<Covers> {
        let Self { device, unit, person, label, code: _ } = self;
        let device = device.map(Covers::Device);
        device.or(unit.map(Covers::Unit)).or(person.map(Covers::Person)).or(label.map(Covers::Label))
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Also those that are over, lapsed, refused or revoked.
    #[arg(long)]
    all: bool,
    /// Only those that wait for approval, or are in force, or ...
    #[arg(long, value_enum, value_name = "STANDING")]
    standing: Option<StandingArg>,
    /// Only those in force that end within this time: to be looked at again.
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["all", "standing"])]
    ending_within: Option<Span>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// The exception's id, as `exception list` shows it.
    id: ExceptionId,
    /// Who does it; kept in the history.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// What is to be said with it; kept in the history.
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Where an exception stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum StandingArg {
    Requested,
    Lapsed,
    Refused,
    Scheduled,
    Active,
    Ended,
    Revoked,
}

impl From<StandingArg> for Standing {
    fn from(arg: StandingArg) -> Self {
        match arg {
            StandingArg::Requested => Self::Requested,
            StandingArg::Lapsed => Self::Lapsed,
            StandingArg::Refused => Self::Refused,
            StandingArg::Scheduled => Self::Scheduled,
            StandingArg::Active => Self::Active,
            StandingArg::Ended => Self::Ended,
            StandingArg::Revoked => Self::Revoked,
        }
    }
}

/// An exception, in JSON.
#[derive(Debug, Serialize)]
struct ExceptionJson<'a> {
    id: &'a str,
    standing: Standing,
    covers: &'a Covers,
    rule: Option<&'a str>,
    app: Option<&'a str>,
    reason: &'a str,
    start: Timestamp,
    end: Timestamp,
    requested_by: &'a str,
    requested_at: Timestamp,
    approved_by: Option<&'a str>,
    approved_at: Option<Timestamp>,
    ended_by: Option<&'a str>,
    ended_at: Option<Timestamp>,
}

impl<'a> From<&'a ExceptionView> for ExceptionJson<'a> {
    fn from(view: &'a ExceptionView) -> Self {
        let exception = &view.exception;
        let (approved, ended) = (exception.approved.as_ref(), exception.ended.as_ref());
        Self {
            id: exception.id.as_str(),
            standing: view.standing,
            covers: &exception.request.covers,
            rule: exception.request.rule.as_ref().map(|rule| rule.as_str()),
            app: exception.request.app.as_ref().map(|app| app.as_str()),
            reason: &exception.request.reason,
            start: exception.request.start,
            end: exception.request.end,
            requested_by: &exception.requested_by,
            requested_at: exception.requested_at,
            approved_by: approved.map(|signed| signed.by.as_str()),
            approved_at: approved.map(|signed| signed.at),
            ended_by: ended.map(|signed| signed.by.as_str()),
            ended_at: ended.map(|signed| signed.at),
        }
    }
}

#[derive(Debug, Serialize)]
struct EventJson<'a> {
    at: Timestamp,
    action: ExceptionAction,
    actor: &'a str,
    text: &'a str,
}

pub(super) async fn run(command: ExceptionCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        ExceptionCommand::Request(args) => request(args, app, out).await?,
        ExceptionCommand::List(args) => list(&args, app, out).await?,
        ExceptionCommand::Show { id, format } => show(&id, format, app, out).await?,
        ExceptionCommand::Approve(args) => change(ExceptionChange::Approve, args, app, out).await?,
        ExceptionCommand::Refuse(args) => change(ExceptionChange::Refuse, args, app, out).await?,
        ExceptionCommand::Revoke(args) => change(ExceptionChange::Revoke, args, app, out).await?,
    }
    Ok(EXIT_OK)
}

async fn request(args: RequestArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let start = args.from.unwrap_or_else(|| app.service.now());
    let by_code = args.covers.code.is_some();
    let (covers, rule, accepted) = match args.covers.code {
        Some(code) => {
            let finding = app.service.finding_of_code(code).await?;
            (Some(Covers::Device(finding.device)), Some(finding.rule), Some(finding.app))
        }
        None => (args.covers.covers(), args.rule, args.app),
    };
    let Some(covers) = covers else {
        let why = "an exception is for somebody: give --device, --unit, --person, --label or --code";
        return Err(ServiceError::Invalid(why.to_owned()).into());
    };
    let end = args.until.unwrap_or_else(|| args.span.unwrap_or_default().after(start));
    let request = Request { covers, rule, app: accepted, reason: args.reason, start, end };
    let view = app.service.request_exception(request, &args.by).await?;
    let request = &view.exception.request;
    let devices = app.service.covered_devices(&request.covers).await?;
    // What is found somewhere is no mistake.
    let warnings = if by_code { Vec::new() } else { app.service.doubts_of(request).await? };
    match args.format {
        Format::Json => {
            #[derive(Serialize)]
            struct Asked<'a> {
                schema: u32,
                exception: ExceptionJson<'a>,
                /// How many it is for now.
                devices: u64,
                warnings: Vec<String>,
            }
            json(out, &Asked { schema: SCHEMA, exception: (&view).into(), devices, warnings })?;
        }
        Format::Table => {
            let Request { covers, rule, app: accepted, .. } = request;
            let count = counted(usize::try_from(devices).unwrap_or(usize::MAX), "device");
            writeln!(out, "Exception {} is asked for:", view.exception.id)?;
            writeln!(out, "  for   {}, {count} now", printable(&covers.to_string()))?;
            if let Some(accepted) = accepted {
                writeln!(out, "  app   {accepted}")?;
            }
            if let Some(rule) = rule {
                writeln!(out, "  rule  {rule}")?;
            }
            for warning in warnings {
                writeln!(out, "Warning: {}", printable(&warning))?;
            }
            writeln!(out, "Somebody else approves it with")?;
            writeln!(out, "  offchannel-server exception approve {} --by NAME", view.exception.id)?;
        }
    }
    Ok(())
}

async fn change(
    change: ExceptionChange,
    args: ChangeArgs,
    app: &App,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let view = app.service.change_exception(&args.id, change, &args.by, &args.note).await?;
    match args.format {
        Format::Json => one(out, &view)?,
        Format::Table => writeln!(out, "Exception {} is {} now.", view.exception.id, view.standing)?,
    }
    Ok(())
}

fn one(out: &mut dyn Write, view: &ExceptionView) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct One<'a> {
        schema: u32,
        exception: ExceptionJson<'a>,
    }
    json(out, &One { schema: SCHEMA, exception: view.into() })
}

async fn list(args: &ListArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let now = app.service.now();
    let mut list = app.service.exceptions().await?;
    list.retain(|view| match (args.standing, args.ending_within) {
        (Some(standing), _) => view.standing == standing.into(),
        (None, Some(span)) => {
            view.standing == Standing::Active && view.exception.request.end <= span.after(now)
        }
        (None, None) => {
            args.all || matches!(view.standing, Standing::Requested | Standing::Scheduled | Standing::Active)
        }
    });
    match args.format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                exceptions: Vec<ExceptionJson<'a>>,
            }
            let exceptions = list.iter().map(ExceptionJson::from).collect();
            json(out, &List { schema: SCHEMA, exceptions })?;
        }
        Format::Table if list.is_empty() => writeln!(out, "No exceptions.")?,
        Format::Table => {
            let mut table =
                Table::new(&["id", "standing", "for", "app", "rule", "until", "asked by", "approved by"]);
            for view in &list {
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                let exception = &view.exception;
                table.row([
                    exception.id.to_string(),
                    view.standing.to_string(),
                    exception.request.covers.to_string(),
                    or_dash(exception.request.app.as_ref().map(ToString::to_string)),
                    or_dash(exception.request.rule.as_ref().map(ToString::to_string)),
                    instant(exception.request.end),
                    exception.requested_by.clone(),
                    or_dash(exception.approved.as_ref().map(|signed| signed.by.clone())),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}

async fn show(id: &ExceptionId, format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let (view, history) = app.service.exception(id).await?;
    let devices = app.service.covered_devices(&view.exception.request.covers).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Shown<'a> {
                schema: u32,
                exception: ExceptionJson<'a>,
                /// How many it is for now.
                devices: u64,
                history: Vec<EventJson<'a>>,
            }
            fn event(event: &ExceptionEvent) -> EventJson<'_> {
                EventJson { at: event.at, action: event.action, actor: &event.actor, text: &event.text }
            }
            let history = history.iter().map(event).collect();
            json(out, &Shown { schema: SCHEMA, exception: (&view).into(), devices, history })?;
        }
        Format::Table => {
            let request = &view.exception.request;
            writeln!(out, "Exception {}: {}", view.exception.id, view.standing)?;
            let count = counted(usize::try_from(devices).unwrap_or(usize::MAX), "device");
            writeln!(out, "For     {}: {count} now", printable(&request.covers.to_string()))?;
            if let Some(app) = &request.app {
                writeln!(out, "App     {app}")?;
            }
            if let Some(rule) = &request.rule {
                writeln!(out, "Rule    {rule}")?;
            }
            writeln!(out, "Time    {} to {}", instant(request.start), instant(request.end))?;
            writeln!(out, "Why     {}\n", printable(&request.reason))?;
            let mut table = Table::new(&["when", "what", "who", "said"]);
            for event in &history {
                let action = event.action.as_str().to_owned();
                table.row([instant(event.at), action, event.actor.clone(), event.text.clone()]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}
