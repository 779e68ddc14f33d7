//! `scan`: what is on a device, for people and for scripts. Needs no network and no configuration.

use std::collections::BTreeSet;
use std::io;

use clap::Args;
use offchannel_shared::catalogue::{AppKind, Catalogue};
use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Grade, Health, Scope, Sighting, Unlisted};
use serde::Serialize;

use super::columns::columns;
use super::options::{Format, json};
use super::place::{PlaceArgs, PlaceError};
use super::{CliError, EXIT_CODES};
use crate::clock::Clock;
use crate::platform::processes::is_root;
use crate::scan::scanner::{Scan, Scanner};

/// Arguments of `scan`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ScanArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show leftovers and absent places in the table too; JSON always has them.
    #[arg(long)]
    all: bool,
}

/// The answer for programs. Keys and their order are a contract.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: u32,
    platform: Platform,
    catalogue: &'static str,
    sightings: Vec<SightingRow<'a>>,
    unreviewed: Vec<UnreviewedRow<'a>>,
    sources: Vec<SourceRow>,
}

#[derive(Debug, Serialize)]
struct SightingRow<'a> {
    app: &'a str,
    name: &'a str,
    kind: AppKind,
    networks: Vec<&'a str>,
    grade: Grade,
    source: &'a str,
    identifier: &'a str,
    version: Option<&'a str>,
    scope: &'a Scope,
    official: bool,
}

#[derive(Debug, Serialize)]
struct UnreviewedRow<'a> {
    app: &'a str,
    name: Option<&'a str>,
    categories: &'a [String],
    grade: Grade,
    source: &'a str,
    identifier: &'a str,
    version: Option<&'a str>,
    scope: &'a Scope,
}

#[derive(Debug, Serialize)]
struct SourceRow {
    source: &'static str,
    health: String,
    artefacts: u64,
    micros: u64,
}

/// Scans and shows what was found.
pub fn run(args: &ScanArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let catalogue = Catalogue::built_in();
    let host = args.place.host()?;
    let platform = host.platform();
    let scan = Scanner::new(host).scan(&catalogue, None, clock);
    match args.format {
        Format::Json => json(out, &answer(&scan, &catalogue, platform))?,
        Format::Table => table(out, &scan, &catalogue, args.all).map_err(CliError::Output)?,
    }
    match every_source_failed(&scan) {
        true => Err(PlaceError::Closed(what_to_do(&scan)).into()),
        false => Ok(0),
    }
}

/// Whether nothing was found because nothing could be read: a script must not take that for a clean device.
fn every_source_failed(scan: &Scan) -> bool {
    let mut looked = scan.runs.iter().filter(|run| run.health != Health::Absent).peekable();
    looked.peek().is_some() && looked.all(|run| matches!(run.health, Health::Failed(_)))
}

fn what_to_do(scan: &Scan) -> &'static str {
    let denied = scan.runs.iter().any(|run| run.health.to_string().contains("permission denied"));
    match (denied, is_root()) {
        (false, _) => "the answer says why for each source",
        (true, false) => "run this as root to look at what is closed to you",
        (true, true) => {
            "even root is refused there: by a container, a security module or a network file system"
        }
    }
}

fn answer<'a>(scan: &'a Scan, catalogue: &'a Catalogue, platform: Platform) -> Answer<'a> {
    let sighting = |sighting: &'a Sighting| {
        let app = catalogue.app(sighting.app.as_str())?;
        Some(SightingRow {
            app: sighting.app.as_str(),
            name: app.name,
            kind: app.kind,
            networks: app.networks().collect(),
            grade: sighting.grade,
            source: &sighting.source,
            identifier: &sighting.identifier,
            version: sighting.version.as_deref(),
            scope: &sighting.scope,
            official: app.official,
        })
    };
    let unreviewed = |unlisted: &'a Unlisted| UnreviewedRow {
        app: unlisted.app.as_str(),
        name: unlisted.name.as_deref(),
        categories: &unlisted.categories,
        grade: unlisted.grade,
        source: &unlisted.source,
        identifier: &unlisted.identifier,
        version: unlisted.version.as_deref(),
        scope: &unlisted.scope,
    };
    let source = |run: &crate::scan::scanner::SourceRun| SourceRow {
        source: run.source,
        health: run.health.to_string(),
        artefacts: run.artefacts,
        micros: run.micros,
    };
    Answer {
        schema: 1,
        platform,
        catalogue: Catalogue::version(),
        sightings: scan.inventory.sightings.iter().filter_map(sighting).collect(),
        unreviewed: scan.inventory.unlisted.iter().map(unreviewed).collect(),
        sources: scan.runs.iter().map(source).collect(),
    }
}

fn table(out: &mut dyn io::Write, scan: &Scan, catalogue: &Catalogue, all: bool) -> io::Result<()> {
    let shown = |grade: Grade| all || grade != Grade::Residual;
    let head = ["APP", "KIND", "GRADE", "VERSION", "FOUND BY", "IDENTIFIER", "SCOPE"].map(str::to_owned);
    let mut rows = vec![head.clone()];
    for sighting in scan.inventory.sightings.iter().filter(|sighting| shown(sighting.grade)) {
        let app = catalogue.app(sighting.app.as_str());
        rows.push([
            app.map_or_else(|| sighting.app.to_string(), |app| app.name.to_string()),
            app.map(|app| app.kind.to_string()).unwrap_or_default(),
            sighting.grade.to_string(),
            sighting.version.clone().unwrap_or_else(|| "-".to_owned()),
            sighting.source.clone(),
            sighting.identifier.clone(),
            sighting.scope.to_string(),
        ]);
    }
    if rows.len() > 1 {
        columns(out, &rows)?;
        writeln!(out)?;
    }
    let mut rows = vec![head];
    for unlisted in scan.inventory.unlisted.iter().filter(|unlisted| shown(unlisted.grade)) {
        rows.push([
            unlisted.name.clone().unwrap_or_else(|| unlisted.app.to_string()),
            unlisted.categories.join(", "),
            unlisted.grade.to_string(),
            unlisted.version.clone().unwrap_or_else(|| "-".to_owned()),
            unlisted.source.clone(),
            unlisted.identifier.clone(),
            unlisted.scope.to_string(),
        ]);
    }
    if rows.len() > 1 {
        writeln!(out, "Messengers by their own account that the catalogue does not list:")?;
        columns(out, &rows)?;
        writeln!(out)?;
    }
    summary(out, scan, all)
}

fn summary(out: &mut dyn io::Write, scan: &Scan, all: bool) -> io::Result<()> {
    let apps = |residual: bool| -> BTreeSet<&str> {
        let of = scan.inventory.sightings.iter().filter(|s| (s.grade == Grade::Residual) == residual);
        of.map(|sighting| sighting.app.as_str()).collect()
    };
    let present = apps(false);
    let leftovers = apps(true).difference(&present).count();
    let found = match present.len() {
        0 => "No messaging app found".to_owned(),
        1 => "1 messaging app found".to_owned(),
        count => format!("{count} messaging apps found"),
    };
    let hint = if all || leftovers == 0 { "" } else { " (--all shows them)" };
    let leftovers = match leftovers {
        0 => String::new(),
        1 => format!(", 1 leftover{hint}"),
        count => format!(", {count} leftovers{hint}"),
    };
    let absent: Vec<_> =
        scan.runs.iter().filter(|run| run.health == Health::Absent).map(|run| run.source).collect();
    let troubled: Vec<_> =
        scan.runs.iter().filter(|run| !matches!(run.health, Health::Ok | Health::Absent)).collect();
    let looked = format!("looked in {} kinds of places", scan.runs.len());
    if troubled.is_empty() {
        writeln!(out, "{found}{leftovers}; {looked}, all that exist here could be read.")?;
    } else {
        writeln!(out, "{found}{leftovers}; {looked}, {} could not be read or not in full:", troubled.len())?;
        let rows: Vec<_> =
            troubled.iter().map(|run| [format!("  {}", run.source), run.health.to_string()]).collect();
        columns(out, &rows)?;
        if troubled.iter().any(|run| run.health.to_string().contains("permission denied")) {
            let what_to_do = if is_root() {
                "Even root is refused there: by a container, a security module or a network file system."
            } else {
                "Run this as root to look at what is closed to you."
            };
            writeln!(out, "{what_to_do}")?;
        }
    }
    if all && !absent.is_empty() {
        writeln!(out, "Not on this device: {}.", absent.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use offchannel_shared::ids::AppId;
    use offchannel_shared::inventory::Inventory;
    use offchannel_shared::namespace::Namespace;

    use super::*;
    use crate::scan::scanner::SourceRun;

    fn scan(grade: Option<Grade>, health: Health) -> Scan {
        let sighting = |grade| Sighting {
            app: AppId::new("telegram").unwrap(),
            source: "dpkg".to_owned(),
            namespace: Namespace::Dpkg,
            identifier: "telegram-desktop".to_owned(),
            scope: Scope::System,
            grade,
            version: Some("4.6.5".to_owned()),
        };
        let inventory =
            Inventory { sightings: grade.map(sighting).into_iter().collect(), ..Inventory::default() };
        Scan { inventory, runs: vec![SourceRun { source: "dpkg", health, artefacts: 1, micros: 2 }] }
    }

    fn text(scan: &Scan, all: bool) -> String {
        let mut out = Vec::new();
        table(&mut out, scan, &Catalogue::built_in(), all).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_found_and_what_could_not_be_read_are_said_plainly() {
        let denied = Health::Partial("3 home folders: permission denied".to_owned());
        let text = text(&scan(None, denied), false);
        assert!(
            text.starts_with("No messaging app found; looked in 1 kinds of places, 1 could not"),
            "{text}"
        );
        assert!(text.contains("3 home folders: permission denied") && text.contains("root"), "{text}");
    }

    #[test]
    fn a_scan_fails_only_if_every_source_that_looked_failed() {
        let failed = Health::Failed("/home: permission denied".to_owned());
        for (health, expected) in [
            (Health::Ok, false),
            (Health::Absent, false),
            (Health::Partial("x".to_owned()), false),
            (failed.clone(), true),
        ] {
            assert_eq!(every_source_failed(&scan(None, health.clone())), expected, "{health}");
        }
        let mut both = scan(None, failed);
        both.runs.extend(scan(None, Health::Absent).runs);
        assert!(every_source_failed(&both), "one failed, and the other has nothing to look at");
        both.runs.extend(scan(None, Health::Ok).runs);
        assert!(!every_source_failed(&both));
    }

    #[test]
    fn leftovers_are_counted_and_shown_on_request() {
        let scan = scan(Some(Grade::Residual), Health::Ok);
        let (few, all) = (text(&scan, false), text(&scan, true));
        assert!(few.contains("1 leftover (--all shows them)") && !few.contains("telegram-desktop"), "{few}");
        assert!(all.contains("Telegram") && all.contains("residual"), "{all}");
    }

    #[test]
    fn json_has_the_keys_of_the_contract_in_their_order() {
        let catalogue = Catalogue::built_in();
        let scan = scan(Some(Grade::Installed), Health::Absent);
        let json = serde_json::to_string(&answer(&scan, &catalogue, Platform::Linux)).unwrap();
        let expected = format!(
            r#"{{"schema":1,"platform":"linux","catalogue":"{}","sightings":[{{"app":"telegram","name":"Telegram","kind":"consumer","networks":["telegram"],"grade":"installed","source":"dpkg","identifier":"telegram-desktop","version":"4.6.5","scope":"system","official":true}}],"unreviewed":[],"sources":[{{"source":"dpkg","health":"absent","artefacts":1,"micros":2}}]}}"#,
            Catalogue::version()
        );
        assert_eq!(json, expected);
    }
}
