//! `device list`, `device show`, `device retire`; the commands that place devices are in `placement`.

use std::collections::BTreeMap;
use std::io::Write;

use clap::Subcommand;
use offchannel_shared::ids::{DeviceId, UnitId};
use serde::Serialize;

use super::output::{Format, Table, counted, instant, json};
use super::view::{DeviceJson, DeviceReportJson, SCHEMA, status_word};
use super::{CliError, EXIT_OK, placement, text};
use crate::app::App;
use crate::service::DeviceView;

/// Devices read from the store at a time.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// List devices with their status.
    List {
        /// Retired devices too.
        #[arg(long)]
        all: bool,
        /// Only those of this unit and of the units below it.
        #[arg(long)]
        unit: Option<UnitId>,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what was found on a device, its findings and alerts.
    Show {
        /// The device's id, as `device list` shows it.
        id: DeviceId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Say which unit a device belongs to, who owns it, and who uses it.
    Assign(placement::AssignArgs),
    /// Give a device labels, or take them away.
    Label(placement::LabelArgs),
    /// Take in a CSV file that says where devices belong, whole or not at all. Columns: id or hostname, and any of unit,
    /// labels, person, ownership.
    Import(placement::DeviceImportArgs),
    /// Retire a device: its requests are refused from now on, its history is kept.
    Retire {
        /// The device's id, as `device list` shows it.
        id: DeviceId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(super) async fn run(command: DeviceCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        DeviceCommand::List { all, unit, format } => list(all, unit.as_ref(), format, app, out).await?,
        DeviceCommand::Assign(args) => placement::assign(args, app, out).await?,
        DeviceCommand::Label(args) => placement::label(args, app, out).await?,
        DeviceCommand::Import(args) => return placement::import(args, app, out).await,
        DeviceCommand::Show { id, format } => {
            let view = app.service.device(&id).await?;
            let in_force = app.service.in_force()?;
            match format {
                Format::Json => json(out, &DeviceReportJson::new(&view, &in_force))?,
                Format::Table => text::device(out, &view, &in_force)?,
            }
        }
        DeviceCommand::Retire { id, format } => {
            app.service.retire_device(&id).await?;
            match format {
                Format::Json => {
                    #[derive(Serialize)]
                    struct Retired<'a> {
                        schema: u32,
                        device: DeviceJson<'a>,
                    }
                    let view = app.service.device(&id).await?;
                    json(out, &Retired { schema: SCHEMA, device: (&view).into() })?;
                }
                Format::Table => writeln!(
                    out,
                    "Device {id} is retired. Its requests are refused from now on; its history is kept."
                )?,
            }
        }
    }
    Ok(EXIT_OK)
}

async fn list(
    all: bool,
    unit: Option<&UnitId>,
    format: Format,
    app: &App,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let mut devices: Vec<DeviceView> = Vec::new();
    loop {
        let after = devices.last().map(|view| view.device.id.clone());
        let page = match unit {
            None => app.service.devices(after.as_ref(), PAGE).await?,
            Some(unit) => app.service.devices_in(unit, after.as_ref(), PAGE).await?,
        };
        let done = page.len() < PAGE as usize;
        devices.extend(page);
        if done {
            break;
        }
    }
    devices.retain(|view| all || view.device.retired_at.is_none());
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                devices: Vec<DeviceJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, devices: devices.iter().map(DeviceJson::from).collect() })?;
        }
        Format::Table if devices.is_empty() && unit.is_some() => writeln!(out, "No devices.")?,
        Format::Table if devices.is_empty() => {
            writeln!(out, "No devices. Enrol one with a token from `offchannel-server token create`.")?;
        }
        Format::Table => {
            let mut table =
                Table::new(&["id", "host", "platform", "status", "findings", "last seen", "unit"]);
            for view in &devices {
                let device = &view.device;
                let unit = device.placement.units.first().map_or_else(|| "-".to_owned(), ToString::to_string);
                table.row([
                    device.id.to_string(),
                    device.facts.hostname.clone(),
                    device.facts.platform.to_string(),
                    status_word(view).to_owned(),
                    findings(view),
                    instant(device.last_seen),
                    unit,
                ]);
            }
            table.print(out, 0)?;
            writeln!(out, "{}", totals(&devices))?;
        }
    }
    Ok(())
}

/// How many findings a device has, and how many of them are accepted.
fn findings(view: &DeviceView) -> String {
    match view.accepted() {
        0 => view.findings.len().to_string(),
        accepted => format!("{} ({accepted} accepted)", view.findings.len()),
    }
}

/// How many devices were listed, and how they stand: what is accepted is told from what is in order.
fn totals(devices: &[DeviceView]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for view in devices {
        *counts.entry(status_word(view)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    format!("{}: {}.", counted(devices.len(), "device"), counts.join(", "))
}
