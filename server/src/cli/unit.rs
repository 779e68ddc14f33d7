//! `unit list`, `unit show`, `unit add`, `unit change`, `unit move`, `unit remove`, `unit import`.

use std::io::Write;

use clap::{Args, Subcommand};
use offchannel_shared::ids::UnitId;
use offchannel_shared::label::Label;
use serde::Serialize;

use super::import::{ImportArgs, ProblemJson, differences, outcome, read};
use super::output::{Format, Table, json, parse_person, printable};
use super::view::{SCHEMA, UnitChangeJson, UnitJson};
use super::{CliError, EXIT_FAILED, EXIT_OK};
use crate::app::App;
use crate::domain::tree::Organisation;
use crate::domain::unit::{Owner, Unit};
use crate::domain::unit_import::UnitChange;
use crate::service::{ServiceError, UnitEdit};
use crate::telemetry;

#[derive(Debug, Subcommand)]
pub(super) enum UnitCommand {
    /// List the units, those below a unit indented.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one unit: what it is part of, who answers for it, what belongs to it.
    Show {
        /// The unit's id.
        id: UnitId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Add a unit.
    Add(AddArgs),
    /// Change a unit's name, owner or label.
    Change(ChangeArgs),
    /// Make a unit part of another one; what is below it moves along, and its devices are judged anew.
    Move(MoveArgs),
    /// Remove a unit. What belongs to it must go somewhere.
    Remove(RemoveArgs),
    /// Take in a CSV file of units, whole or not at all. Columns: id, name, parent, owner, owner_email, label.
    Import(UnitImportArgs),
}

/// What every change is asked.
#[derive(Debug, Args)]
pub(super) struct By {
    /// Who wants it, for the log.
    #[arg(long, value_name = "NAME", value_parser = parse_person)]
    author: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The unit's id, which policies and files name it by: a-z, 0-9 and inner hyphens.
    id: UnitId,
    /// Its name for people [default: the id].
    #[arg(long)]
    name: Option<String>,
    /// The unit that it is part of.
    #[arg(long, value_name = "UNIT")]
    parent: Option<UnitId>,
    /// Who answers for it, if not the one who does for the unit above.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Where to reach them.
    #[arg(long, value_name = "ADDRESS", requires = "owner")]
    owner_email: Option<String>,
    /// Devices with this label, which nobody and no token has put elsewhere, belong to it.
    #[arg(long)]
    label: Option<Label>,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// The unit's id.
    id: UnitId,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    by: By,
}

/// What is different about a unit.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct What {
    /// Its name for people.
    #[arg(long)]
    name: Option<String>,
    /// Who answers for it.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Where to reach them.
    #[arg(long, value_name = "ADDRESS", requires = "owner")]
    owner_email: Option<String>,
    /// Whoever answers for the unit above answers for it, too.
    #[arg(long, conflicts_with = "owner")]
    no_owner: bool,
    /// Devices with this label, which nobody and no token has put elsewhere, belong to it.
    #[arg(long)]
    label: Option<Label>,
    /// No device belongs to it by a label.
    #[arg(long, conflicts_with = "label")]
    no_label: bool,
}

#[derive(Debug, Args)]
pub(super) struct MoveArgs {
    /// The unit's id.
    id: UnitId,
    #[command(flatten)]
    place: NewPlace,
    #[command(flatten)]
    by: By,
}

/// Where a unit moves to.
#[derive(Debug, Args)]
#[group(required = true)]
struct NewPlace {
    /// The unit that it is to be part of.
    #[arg(long, value_name = "UNIT")]
    to: Option<UnitId>,
    /// It is to be part of no other.
    #[arg(long)]
    top: bool,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The unit's id.
    id: UnitId,
    /// The unit that its devices, tokens and parts go to.
    #[arg(long, value_name = "UNIT")]
    to: Option<UnitId>,
    /// Its parts go to the top; its devices go where their token or labels say, or belong to no unit.
    #[arg(long, conflicts_with = "to")]
    to_none: bool,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, Args)]
pub(super) struct UnitImportArgs {
    #[command(flatten)]
    import: ImportArgs,
    /// Remove the units that the file does not have.
    #[arg(long)]
    prune: bool,
}

pub(super) async fn run(command: UnitCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let service = &app.service;
    if !matches!(command, UnitCommand::List { .. } | UnitCommand::Show { .. }) {
        telemetry::start(&app.config.log);
    }
    let owner = |name: Option<String>, email| name.map(|name| Owner { name, email });
    let (changes, by) = match command {
        UnitCommand::List { format } => {
            list(&service.organisation().await?, format, out)?;
            return Ok(EXIT_OK);
        }
        UnitCommand::Show { id, format } => {
            show(&service.organisation().await?, &id, format, out)?;
            return Ok(EXIT_OK);
        }
        UnitCommand::Import(args) => return import(args, app, out).await,
        UnitCommand::Add(AddArgs { id, name, parent, owner: who, owner_email, label, by }) => {
            let name = name.unwrap_or_else(|| id.to_string());
            let unit = Unit { id, name, parent, owner: owner(who, owner_email), label };
            (service.add_unit(unit, &by.author).await?, by)
        }
        UnitCommand::Change(ChangeArgs { id, what, by }) => {
            let What { name, owner: who, owner_email, no_owner, label, no_label } = what;
            let owner = if no_owner { Some(None) } else { owner(who, owner_email).map(Some) };
            let label = if no_label { Some(None) } else { label.map(Some) };
            let edit = UnitEdit { name, owner, label, parent: None };
            (service.change_unit(&id, edit, &by.author).await?, by)
        }
        UnitCommand::Move(MoveArgs { id, place, by }) => {
            // Without a unit it is the top.
            let edit = UnitEdit { parent: Some(place.to.filter(|_| !place.top)), ..UnitEdit::default() };
            (service.change_unit(&id, edit, &by.author).await?, by)
        }
        UnitCommand::Remove(RemoveArgs { id, to, to_none, by }) => {
            let heir = if to_none { Some(None) } else { to.map(Some) };
            (service.remove_unit(&id, heir, &by.author).await?, by)
        }
    };
    match by.format {
        Format::Json => {
            #[derive(Serialize)]
            struct Done<'a> {
                schema: u32,
                changes: Vec<UnitChangeJson<'a>>,
            }
            let changes = changes.iter().map(UnitChangeJson::from).collect();
            json(out, &Done { schema: SCHEMA, changes })?;
        }
        Format::Table if changes.is_empty() => writeln!(out, "Nothing is different.")?,
        Format::Table => tell(&changes, out)?,
    }
    Ok(EXIT_OK)
}

fn tell(changes: &[UnitChange], out: &mut dyn Write) -> Result<(), CliError> {
    for change in changes {
        let told = differences(&change.differences);
        writeln!(out, "{:<8} {}: {told}", change.kind.as_str(), change.unit)?;
    }
    Ok(())
}

fn list(organisation: &Organisation, format: Format, out: &mut dyn Write) -> Result<(), CliError> {
    let tree = &organisation.tree;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                units: Vec<UnitJson<'a>>,
            }
            let units = tree.units().map(|unit| UnitJson::new(unit, organisation)).collect();
            json(out, &List { schema: SCHEMA, units })?;
        }
        Format::Table if tree.is_empty() => {
            writeln!(
                out,
                "No units. Add one with `offchannel-server unit add`, or many with `unit import`."
            )?;
        }
        Format::Table => {
            let mut table = Table::new(&["unit", "name", "owner", "label", "devices"]);
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let mut next: Vec<&Unit> = tree.parts(None).collect();
            next.reverse();
            while let Some(unit) = next.pop() {
                let depth = tree.path(&unit.id).len().saturating_sub(1);
                table.row([
                    format!("{}{}", "  ".repeat(depth), unit.id),
                    unit.name.clone(),
                    or_dash(unit.owner.as_ref().map(|owner| owner.name.clone())),
                    or_dash(unit.label.as_ref().map(ToString::to_string)),
                    organisation.held(&unit.id).devices.to_string(),
                ]);
                let mut parts: Vec<&Unit> = tree.parts(Some(&unit.id)).collect();
                parts.reverse();
                next.append(&mut parts);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}

fn show(
    organisation: &Organisation,
    id: &UnitId,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let tree = &organisation.tree;
    let unit = tree.find(id).map_err(|missing| ServiceError::Plan(missing.into()))?;
    if format == Format::Json {
        #[derive(Serialize)]
        struct Shown<'a> {
            schema: u32,
            unit: UnitJson<'a>,
        }
        return json(out, &Shown { schema: SCHEMA, unit: UnitJson::new(unit, organisation) })
            .map_err(Into::into);
    }
    let names = |ids: Vec<&UnitId>| match ids.is_empty() {
        true => "-".to_owned(),
        false => ids.into_iter().map(UnitId::as_str).collect::<Vec<_>>().join(", "),
    };
    let path = tree.path(id);
    let held = organisation.held(id);
    let below: u64 = tree.within(id).iter().map(|id| organisation.held(id).devices).sum();
    writeln!(out, "Unit     {id} ({})", printable(&unit.name))?;
    writeln!(out, "Part of  {}", names(path.iter().skip(1).collect()))?;
    writeln!(out, "Parts    {}", names(tree.parts(Some(id)).map(|part| &part.id).collect()))?;
    writeln!(out, "Owner    {}", owner_of(tree.owner(&path), id))?;
    if let Some(label) = &unit.label {
        writeln!(out, "Label    {label}")?;
    }
    writeln!(out, "Devices  {} of its own, {below} with those of the units below it", held.devices)?;
    writeln!(out, "Tokens   {}", held.tokens)?;
    Ok(())
}

/// Who answers for a unit, and for which unit above it they do so, if not for itself.
pub(super) fn owner_of(answering: Option<&Unit>, id: &UnitId) -> String {
    let Some((unit, owner)) = answering.and_then(|unit| Some((unit, unit.owner.as_ref()?))) else {
        return "-".to_owned();
    };
    let email = owner.email.as_ref().map_or_else(String::new, |email| format!(" <{email}>"));
    let whose = if unit.id == *id { String::new() } else { format!(", of {}", unit.id) };
    printable(&format!("{}{email}{whose}", owner.name))
}

async fn import(args: UnitImportArgs, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let UnitImportArgs { import: ImportArgs { file, author, dry_run, format }, prune } = args;
    let done = app.service.import_units(&read(&file)?, prune, dry_run, &author).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Imported<'a> {
                schema: u32,
                applied: bool,
                changes: Vec<UnitChangeJson<'a>>,
                problems: Vec<ProblemJson<'a>>,
            }
            let changes = done.changes.iter().map(UnitChangeJson::from).collect();
            let problems = done.bad.0.iter().map(ProblemJson::from).collect();
            json(out, &Imported { schema: SCHEMA, applied: done.applied, changes, problems })?;
        }
        Format::Table => {
            tell(&done.changes, out)?;
            outcome(out, &file, (done.changes.len(), "unit"), &done.bad, done.applied)?;
        }
    }
    Ok(if done.bad.0.is_empty() { EXIT_OK } else { EXIT_FAILED })
}
