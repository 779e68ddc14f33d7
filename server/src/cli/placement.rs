//! `device assign`, `device label`, `device import`.

use std::io::Write;
use std::str::FromStr;

use clap::Args;
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::{Label, LabelError};
use serde::Serialize;

use super::import::{ImportArgs, ProblemJson, differences, outcome, read};
use super::output::{Format, counted, in_brackets, json, parse_person, printable};
use super::view::{DeviceChangeJson, SCHEMA};
use super::{CliError, EXIT_FAILED, EXIT_OK};
use crate::app::App;
use crate::domain::device_import::DeviceChange;
use crate::domain::placement::PersonRef;
use crate::service::DeviceEdit;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct AssignArgs {
    /// The device's id, as `device list` shows it.
    id: DeviceId,
    #[command(flatten)]
    what: What,
    /// Who says so, for the log.
    #[arg(long, value_name = "NAME", value_parser = parse_person)]
    author: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is said of a device.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct What {
    /// The unit that it belongs to, whatever its token and labels say.
    #[arg(long)]
    unit: Option<UnitId>,
    /// It belongs where its token or its labels say.
    #[arg(long, conflicts_with = "unit")]
    no_unit: bool,
    /// Who uses it, in your own terms, such as a hashed staff number. Devices are not told.
    #[arg(long, value_name = "REF")]
    person: Option<PersonRef>,
    /// Nobody in particular uses it.
    #[arg(long, conflicts_with = "person")]
    no_person: bool,
    /// Who owns it, whatever its token says: corporate or personal.
    #[arg(long)]
    ownership: Option<Ownership>,
    /// Its token says who owns it.
    #[arg(long, conflicts_with = "ownership")]
    no_ownership: bool,
}

#[derive(Debug, Args)]
pub(super) struct LabelArgs {
    /// The device's id, as `device list` shows it.
    id: DeviceId,
    /// `+LABEL` to add a label, `-LABEL` to take one away. A label is KEY or KEY=VALUE.
    #[arg(required = true, allow_hyphen_values = true, value_name = "+LABEL|-LABEL")]
    labels: Vec<LabelChange>,
    /// Who says so, for the log; before the device's id.
    #[arg(long, value_name = "NAME", value_parser = parse_person)]
    author: String,
    /// How to print; before the device's id.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A label that comes or goes.
#[derive(Debug, Clone)]
pub(super) struct LabelChange {
    label: Label,
    comes: bool,
}

/// What is neither.
#[derive(Debug, thiserror::Error)]
pub(super) enum LabelChangeError {
    /// No sign.
    #[error("expected +LABEL or -LABEL, and options before the device's id")]
    Sign,
    /// No label.
    #[error(transparent)]
    Label(#[from] LabelError),
}

impl FromStr for LabelChange {
    type Err = LabelChangeError;
    fn from_str(text: &str) -> Result<Self, LabelChangeError> {
        let sign = |sign| text.strip_prefix(sign);
        match (sign('+'), sign('-')) {
            (Some(label), _) => Ok(Self { label: Label::new(label)?, comes: true }),
            // No label begins with a hyphen: this is an option.
            (_, Some(label)) if !label.starts_with('-') => {
                Ok(Self { label: Label::new(label)?, comes: false })
            }
            _ => Err(LabelChangeError::Sign),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DeviceImportArgs {
    #[command(flatten)]
    import: ImportArgs,
    /// Leave out rows about devices that are not enrolled, or retired.
    #[arg(long)]
    skip_unknown: bool,
}

pub(super) async fn assign(args: AssignArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    telemetry::start(&app.config.log);
    let What { unit, no_unit, person, no_person, ownership, no_ownership } = args.what;
    let edit = DeviceEdit {
        unit: if no_unit { Some(None) } else { unit.map(Some) },
        ownership: if no_ownership { Some(None) } else { ownership.map(Some) },
        person: if no_person { Some(None) } else { person.map(Some) },
    };
    let change = app.service.assign_device(&args.id, edit, &args.author).await?;
    told(&change, args.format, out)
}

pub(super) async fn label(args: LabelArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    telemetry::start(&app.config.log);
    let (add, remove): (Vec<LabelChange>, Vec<LabelChange>) =
        args.labels.into_iter().partition(|change| change.comes);
    let labels = |changes: Vec<LabelChange>| changes.into_iter().map(|change| change.label).collect();
    let change = app.service.label_device(&args.id, labels(add), labels(remove), &args.author).await?;
    told(&change, args.format, out)
}

fn told(change: &DeviceChange, format: Format, out: &mut dyn Write) -> Result<(), CliError> {
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Done<'a> {
                schema: u32,
                change: DeviceChangeJson<'a>,
            }
            json(out, &Done { schema: SCHEMA, change: change.into() })?;
        }
        Format::Table if change.differences.is_empty() => writeln!(out, "Nothing is different.")?,
        Format::Table => tell(std::slice::from_ref(change), out)?,
    }
    Ok(())
}

fn tell(changes: &[DeviceChange], out: &mut dyn Write) -> Result<(), CliError> {
    for change in changes {
        let told = differences(&change.differences);
        writeln!(out, "changed  {}{}: {told}", change.device, in_brackets(&printable(&change.hostname)))?;
    }
    Ok(())
}

pub(super) async fn import(args: DeviceImportArgs, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    telemetry::start(&app.config.log);
    let DeviceImportArgs { import: ImportArgs { file, author, dry_run, format }, skip_unknown } = args;
    let (plan, applied) = app.service.import_devices(&read(&file)?, skip_unknown, dry_run, &author).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Imported<'a> {
                schema: u32,
                applied: bool,
                changes: Vec<DeviceChangeJson<'a>>,
                same: usize,
                unknown_lines: &'a [u64],
                problems: Vec<ProblemJson<'a>>,
            }
            json(
                out,
                &Imported {
                    schema: SCHEMA,
                    applied,
                    changes: plan.changes.iter().map(DeviceChangeJson::from).collect(),
                    same: plan.same,
                    unknown_lines: &plan.unknown,
                    problems: plan.bad.0.iter().map(ProblemJson::from).collect(),
                },
            )?;
        }
        Format::Table => {
            tell(&plan.changes, out)?;
            if !plan.unknown.is_empty() {
                let lines: Vec<String> = plan.unknown.iter().take(20).map(ToString::to_string).collect();
                let more = if plan.unknown.len() > lines.len() { ", ..." } else { "" };
                let count = counted(plan.unknown.len(), "row");
                writeln!(
                    out,
                    "Left out {count} about devices that are not enrolled: lines {}{more}",
                    lines.join(", ")
                )?;
            }
            outcome(out, &file, (plan.changes.len(), "device"), &plan.bad, applied)?;
        }
    }
    Ok(if plan.bad.0.is_empty() { EXIT_OK } else { EXIT_FAILED })
}
