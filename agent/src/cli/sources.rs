//! `sources`: where the agent looks, and whether it can.

use std::io;

use clap::Args;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;
use offchannel_shared::inventory::Scope;
use serde::Serialize;

use super::options::{Format, json};
use super::place::PlaceArgs;
use super::words::one_line;
use super::{CliError, EXIT_CODES};
use crate::clock::Clock;
use crate::platform::processes::is_root;
use crate::scan::host::User;
use crate::scan::scanner::Scanner;
use crate::scan::sources::SOURCES;

/// Arguments of `sources`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct SourcesArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Answer {
    schema: u32,
    sources: Vec<Row>,
    /// Whose home folder is where, for whoever keeps the device in order; empty for others.
    homes: Vec<Home>,
}

#[derive(Debug, Serialize)]
struct Home {
    scope: Scope,
    folder: String,
}

#[derive(Debug, Serialize)]
struct Row {
    source: &'static str,
    about: &'static str,
    platforms: &'static [Platform],
    /// `None` where this platform is none of them.
    health: Option<String>,
    /// How many artefacts it found, of whatever apps.
    artefacts: Option<u64>,
    /// How long it took, in microseconds.
    micros: Option<u64>,
    watched: Vec<String>,
}

/// Shows all sources.
pub fn run(args: &SourcesArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let host = args.place.host()?;
    let mut scanner = Scanner::new(host);
    let scan = scanner.scan(&Catalogue::built_in(), None, clock);
    let row = |source: &&'static dyn crate::scan::source::Source| {
        let run = scan.runs.iter().find(|run| run.source == source.id());
        let dirs = run.map(|_| source.watch(scanner.host())).unwrap_or_default();
        Row {
            source: source.id(),
            about: source.about(),
            platforms: source.platforms(),
            health: run.map(|run| run.health.to_string()),
            artefacts: run.map(|run| run.artefacts),
            micros: run.map(|run| run.micros),
            watched: dirs.iter().map(|dir| dir.display().to_string()).collect(),
        }
    };
    let rows: Vec<Row> = SOURCES.iter().map(row).collect();
    // As `explain` and `status`, it tells users nothing of each other.
    let users = if is_root() { scanner.host().users() } else { Vec::new() };
    let home = |user: User| Home { scope: user.scope, folder: user.home.display().to_string() };
    let homes: Vec<Home> = users.into_iter().map(home).collect();
    match args.format {
        Format::Json => json(out, &Answer { schema: 1, sources: rows, homes })?,
        Format::Table => table(out, &rows, &homes).map_err(CliError::Output)?,
    }
    Ok(0)
}

fn table(out: &mut dyn io::Write, rows: &[Row], homes: &[Home]) -> io::Result<()> {
    for row in rows {
        let platforms: Vec<_> = row.platforms.iter().map(|platform| platform.as_str()).collect();
        writeln!(out, "{}\n  {}", row.source, row.about)?;
        let health = row.health.as_deref().unwrap_or("not looked at");
        write!(out, "  on {}; here: {health}", platforms.join(", "))?;
        if let (Some(artefacts), Some(micros)) = (row.artefacts, row.micros) {
            write!(out, ", {artefacts} artefacts in {}.{:03} ms", micros / 1000, micros % 1000)?;
        }
        writeln!(out)?;
        if row.watched.is_empty() {
            writeln!(out, "  no folder to watch; looked at by the clock")?;
        }
        for dir in &row.watched {
            writeln!(out, "  watches {dir}")?;
        }
    }
    if !homes.is_empty() {
        writeln!(out, "users")?;
    }
    for home in homes {
        writeln!(out, "  {} is {}", home.scope, one_line(&home.folder))?;
    }
    let micros: u64 = rows.iter().filter_map(|row| row.micros).sum();
    writeln!(out, "\nAll of them took {}.{:03} ms.", micros / 1000, micros % 1000)
}
