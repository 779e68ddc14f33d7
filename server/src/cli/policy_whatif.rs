//! `policy what-if`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use offchannel_shared::ids::{AppId, DraftId, RuleId, UnitId};
use serde::Serialize;

use super::output::{Format, Table, counted, instant, json};
use super::policy::{ProblemJson, print_problems, source};
use super::text::app_name;
use super::view::SCHEMA;
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::domain::policy_whatif::{Effect, RuleTotals, Totals, Weight};
use crate::service::{EFFECTS_MAX, ServiceError, WhatIf};

#[derive(Debug, Args)]
pub(super) struct WhatIfArgs {
    /// The policy file; `-` for standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "draft", conflicts_with = "draft")]
    file: Option<PathBuf>,
    /// A draft or proposal instead.
    #[arg(long, value_name = "ID")]
    draft: Option<DraftId>,
    /// Most units, rules and devices that are listed, at most 10000.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(args: &WhatIfArgs, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let (source, what) = source(args.file.as_deref(), args.draft.as_ref(), app).await?;
    let limit = args.limit.min(EFFECTS_MAX);
    let what_if = match (app.service.what_if(&source, limit).await, &args.file) {
        (Err(ServiceError::Policy(problems)), Some(path)) => {
            return Err(CliError::PolicyFile { path: path.clone(), problems });
        }
        (what_if, _) => what_if?,
    };
    match args.format {
        Format::Json => print_json(&what_if, limit, out)?,
        Format::Table => {
            print_problems(out, Path::new(&what), &what_if.warnings)?;
            print(&what_if, limit, app, out)?;
        }
    }
    Ok(EXIT_OK)
}

#[derive(Serialize)]
struct UnitJson<'a> {
    unit: &'a UnitId,
    #[serde(flatten)]
    totals: &'a Totals,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    rule: &'a RuleId,
    app: &'a AppId,
    #[serde(flatten)]
    totals: &'a RuleTotals,
}

fn print_json(what_if: &WhatIf, limit: usize, out: &mut dyn Write) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Unseen<'a> {
        apps: Vec<&'a str>,
        devices: u64,
        unlisted: bool,
    }
    #[derive(Serialize)]
    struct Whole<'a> {
        schema: u32,
        in_force: u64,
        as_of: Timestamp,
        totals: &'a Totals,
        not_reported: u64,
        unseen: Unseen<'a>,
        units: Vec<UnitJson<'a>>,
        rules: Vec<RuleJson<'a>>,
        devices: &'a [Effect],
        warnings: Vec<ProblemJson<'a>>,
    }
    let units = what_if.units.iter().take(limit).map(|(unit, totals)| UnitJson { unit, totals });
    let rules = what_if.rules.iter().take(limit).map(|(rule, app, totals)| RuleJson { rule, app, totals });
    let unseen = &what_if.unseen;
    json(
        out,
        &Whole {
            schema: SCHEMA,
            in_force: what_if.in_force,
            as_of: what_if.as_of,
            totals: &what_if.totals,
            not_reported: what_if.not_reported,
            unseen: Unseen {
                apps: unseen.apps.iter().map(AppId::as_str).collect(),
                devices: unseen.devices,
                unlisted: unseen.unlisted,
            },
            units: units.collect(),
            rules: rules.collect(),
            devices: &what_if.effects,
            warnings: what_if.warnings.iter().map(ProblemJson::from).collect(),
        },
    )?;
    Ok(())
}

fn print(what_if: &WhatIf, limit: usize, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let catalogue = app.service.catalogue();
    let totals = &what_if.totals;
    let devices = usize::try_from(totals.devices).unwrap_or(usize::MAX);
    writeln!(
        out,
        "Of {}, compared with version {} at {}:",
        counted(devices, "device"),
        what_if.in_force,
        instant(what_if.as_of)
    )?;
    for (count, words) in [
        (totals.newly_in_breach, "newly in breach"),
        (totals.newly_in_grace, "newly in grace"),
        (totals.newly_exempt, "newly exempt"),
        (totals.cleared, "cleared"),
        (totals.other_findings, "as before, with other findings"),
        (totals.unchanged, "unchanged"),
    ] {
        writeln!(out, "  {count:>9}  {words}")?;
    }
    if what_if.not_reported > 0 {
        writeln!(out, "{} have reported nothing yet.", what_if.not_reported)?;
    }
    let unseen = &what_if.unseen;
    if !unseen.apps.is_empty() {
        let names: Vec<String> =
            unseen.apps.iter().take(limit.max(1)).map(|app| app_name(&catalogue, app.as_str())).collect();
        let more = unseen.apps.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(
            out,
            "Not known beforehand: {} do not report {}{more} now, and would be asked to.",
            unseen.devices,
            names.join(", ")
        )?;
    }
    if unseen.unlisted {
        writeln!(out, "Not known beforehand: messaging apps outside the catalogue are not reported now.")?;
    }
    let mut units = Table::new(&["unit", "breach", "grace", "exempt", "cleared", "other", "unchanged"]);
    for (unit, totals) in what_if.units.iter().take(limit) {
        let counts = [
            totals.newly_in_breach,
            totals.newly_in_grace,
            totals.newly_exempt,
            totals.cleared,
            totals.other_findings,
            totals.unchanged,
        ];
        units.row(std::iter::once(unit.to_string()).chain(counts.map(|count| count.to_string())));
    }
    section(out, "Units", &units, what_if.units.len())?;
    let mut rules = Table::new(&["rule", "app", "devices", "newly a breach", "newly accepted", "gone"]);
    for (rule, app, totals) in what_if.rules.iter().take(limit) {
        rules.row([
            rule.to_string(),
            app_name(&catalogue, app.as_str()),
            totals.devices.to_string(),
            totals.newly_a_breach.to_string(),
            totals.newly_accepted.to_string(),
            totals.gone.to_string(),
        ]);
    }
    section(out, "Rules", &rules, what_if.rules.len())?;
    let mut devices = Table::new(&["device", "name", "outcome", "rule", "app", "now", "then"]);
    let weight = |weight: Option<Weight>| weight.map_or("-", Weight::as_str).to_owned();
    for effect in what_if.effects.iter().take(limit) {
        for change in &effect.changes {
            devices.row([
                effect.device.to_string(),
                effect.hostname.clone(),
                effect.outcome.as_str().to_owned(),
                change.rule.to_string(),
                app_name(&catalogue, change.app.as_str()),
                weight(change.before),
                weight(change.after),
            ]);
        }
    }
    let changed = totals.devices - totals.unchanged;
    section(out, "Devices", &devices, usize::try_from(changed).unwrap_or(usize::MAX))?;
    let shown = what_if.effects.len() as u64;
    if changed > shown {
        writeln!(out, "{} more devices; --limit shows more.", changed - shown)?;
    }
    Ok(())
}

fn section(out: &mut dyn Write, name: &str, table: &Table, all: usize) -> Result<(), CliError> {
    if table.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{name} ({all})")?;
    table.print(out, 2)?;
    Ok(())
}
