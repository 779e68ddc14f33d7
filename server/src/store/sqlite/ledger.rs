//! The tables `ledger`, `ledger_units` and `rulings`.

use jiff::Timestamp;
use offchannel_shared::policy::{Party, Severity};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::alerts::at_most;
use super::columns::{
    instant, json, maybe_micros, maybe_text, micros, text, text_or_empty, to_json, unknown_word, unsigned,
    word,
};
use super::failure::Failure;
use crate::domain::alert::AlertKind;
use crate::domain::ledger::{Breach, Counted, Entry, Measure, Ruling, Tally, Whose};
use crate::domain::surge::Group;
use crate::store::{Followed, LedgerFilter};

/// The columns that [`entry`] reads.
const ENTRY: &str =
    "g.sequence, g.at, g.alert_id, g.device_id, g.kind, g.rule, g.app, g.severity, g.units, g.person,
    g.returned";
/// The columns that [`ruling`] reads.
const RULING: &str = "whose, whose_id, alerts, at, actor, measure, text";

/// Adds to the ledger.
pub(super) fn append(c: &Connection, breaches: &[Breach]) -> Result<(), Failure> {
    if breaches.is_empty() {
        return Ok(());
    }
    let mut entry = c.prepare_cached(
        "INSERT INTO ledger (sequence, at, alert_id, device_id, kind, rule, app, severity, units, person, returned)
        VALUES ((SELECT coalesce(max(sequence), 0) + 1 FROM ledger), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        RETURNING sequence",
    )?;
    let mut place = c.prepare_cached("INSERT INTO ledger_units (unit, at, sequence) VALUES (?1, ?2, ?3)")?;
    for breach in breaches {
        let values = params![
            micros(breach.at),
            breach.alert.as_str(),
            breach.device.as_str(),
            breach.kind.as_str(),
            breach.rule.as_ref().map_or("", |rule| rule.as_str()),
            breach.app.as_ref().map_or("", |app| app.as_str()),
            breach.severity.as_str(),
            to_json(&breach.units)?,
            breach.person.as_ref().map(|person| person.as_str()),
            breach.returned,
        ];
        let sequence: i64 = entry.query_row(values, |row| row.get(0))?;
        for unit in &breach.units {
            place.execute(params![unit.as_str(), micros(breach.at), sequence])?;
        }
    }
    Ok(())
}

/// What restricts entries to somebody's, with `?1` for whom.
const fn whose_are(whose: &Whose) -> &'static str {
    match whose {
        Whose::Device(_) => "g.device_id = ?1",
        Whose::Person(_) => "g.person = ?1",
        Whose::Unit(_) => "g.sequence IN (SELECT sequence FROM ledger_units WHERE unit = ?1)",
    }
}

/// Entries, the last first.
pub(super) fn list(c: &Connection, filter: &LedgerFilter) -> Result<Vec<Entry>, Failure> {
    let whose = filter.whose.as_ref().map_or("?1 IS NULL", whose_are);
    let sql = format!(
        "SELECT {ENTRY} FROM ledger g WHERE {whose} AND (?2 IS NULL OR g.at >= ?2) AND (?3 IS NULL OR g.at < ?3)
        ORDER BY g.sequence DESC LIMIT ?4"
    );
    let mut query = c.prepare_cached(&sql)?;
    let values = params![
        filter.whose.as_ref().map(Whose::id),
        maybe_micros(filter.since),
        maybe_micros(filter.until),
        at_most(filter.limit),
    ];
    let entries = query.query_map(values, entry)?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// The entries after a place whose alert is still the case that opened with them.
pub(super) fn follow(c: &Connection, after: u64, limit: u32) -> Result<Followed, Failure> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {ENTRY} FROM ledger g JOIN alerts l ON l.id = g.alert_id
        WHERE g.sequence > ?1 AND l.state <> 'resolved' AND l.active_since = g.at ORDER BY g.sequence LIMIT ?2"
    );
    let mut query = c.prepare_cached(&sql)?;
    let entries = query.query_map(params![after, limit], entry)?;
    let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    let through = match entries.last() {
        Some(last) if entries.len() as u64 >= u64::from(limit) => last.sequence,
        _ => c
            .prepare_cached("SELECT coalesce(max(sequence), 0) FROM ledger")?
            .query_row([], |row| unsigned(row, 0))?,
    };
    Ok(Followed { entries, through })
}

/// How many breaches there were.
pub(super) fn count(c: &Connection, counted: &Counted) -> Result<u64, Failure> {
    // By the indexes that are made for it.
    let (from, whose) = match counted.whose {
        Whose::Device(_) => ("ledger g", "g.device_id = ?1 AND g.at > ?2"),
        Whose::Person(_) => ("ledger g", "g.person = ?1 AND g.at > ?2"),
        Whose::Unit(_) => {
            ("ledger_units w JOIN ledger g ON g.sequence = w.sequence", "w.unit = ?1 AND w.at > ?2")
        }
    };
    let sql = format!(
        "SELECT count(*) FROM {from} WHERE {whose} AND g.sequence <= ?3
            AND g.kind IN (SELECT value FROM json_each(?4)) AND g.severity IN (SELECT value FROM json_each(?5))
            AND (?6 = '[]' OR g.rule IN (SELECT value FROM json_each(?6)))"
    );
    let severities: Vec<Severity> =
        Severity::ALL.into_iter().filter(|severity| *severity >= counted.severity).collect();
    let values = params![
        counted.whose.id(),
        micros(counted.after),
        i64::try_from(counted.through).unwrap_or(i64::MAX),
        to_json(&repeating())?,
        to_json(&severities)?,
        to_json(&counted.rules)?,
    ];
    Ok(c.prepare_cached(&sql)?.query_row(values, |row| unsigned(row, 0))?)
}

/// New breaches since an instant, by the units that they happened in.
pub(super) fn groups(c: &Connection, since: Timestamp) -> Result<Vec<Group>, Failure> {
    let mut query = c.prepare_cached(
        "SELECT units, count(DISTINCT device_id || ' ' || app) FROM ledger
        WHERE at >= ?1 AND kind IN (SELECT value FROM json_each(?2)) AND units <> '[]' GROUP BY units",
    )?;
    let groups = query.query_map(params![micros(since), to_json(&repeating())?], |row| {
        Ok(Group { units: json(row, 0)?, breaches: unsigned(row, 1)? })
    })?;
    Ok(groups.collect::<Result<_, _>>()?)
}

/// The kinds of alerts that count as breaches of somebody.
fn repeating() -> Vec<AlertKind> {
    AlertKind::ALL.into_iter().filter(|kind| Breach::repeats(*kind)).collect()
}

/// How many breaches each had, the most first.
pub(super) fn tally(c: &Connection, party: Party, filter: &LedgerFilter) -> Result<Vec<Tally>, Failure> {
    let (key, from) = match party {
        Party::Device => ("g.device_id", "ledger g"),
        Party::Person => ("g.person", "ledger g"),
        Party::Unit => ("w.unit", "ledger_units w JOIN ledger g ON g.sequence = w.sequence"),
    };
    let whose = filter.whose.as_ref().map_or("?1 IS NULL", whose_are);
    let sql = format!(
        "SELECT {key}, count(*), count(DISTINCT g.device_id),
            count(DISTINCT CASE WHEN l.state <> 'resolved' THEN l.id END), max(g.at)
        FROM {from} JOIN alerts l ON l.id = g.alert_id
        WHERE {key} IS NOT NULL AND {whose} AND (?2 IS NULL OR g.at >= ?2) AND (?3 IS NULL OR g.at < ?3)
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?4"
    );
    let mut query = c.prepare_cached(&sql)?;
    let values = params![
        filter.whose.as_ref().map(Whose::id),
        maybe_micros(filter.since),
        maybe_micros(filter.until),
        at_most(filter.limit),
    ];
    let tallies = query.query_map(values, |row| {
        Ok(Tally {
            whose: whose_of(row, party.as_str(), 0)?,
            breaches: unsigned(row, 1)?,
            devices: unsigned(row, 2)?,
            active: unsigned(row, 3)?,
            last_at: instant(row, 4)?,
            ruling: None,
        })
    })?;
    let mut tallies: Vec<Tally> = tallies.collect::<Result<_, _>>()?;
    let sql = format!(
        "SELECT {RULING} FROM rulings WHERE whose = ?1 AND whose_id = ?2 ORDER BY sequence DESC LIMIT 1"
    );
    let mut last = c.prepare_cached(&sql)?;
    for tally in &mut tallies {
        let values = params![tally.whose.word(), tally.whose.id()];
        tally.ruling = last.query_row(values, ruling).optional()?;
    }
    Ok(tallies)
}

/// Keeps a decision; what it is about has to be there.
pub(super) fn rule(c: &Connection, ruling: &Ruling) -> Result<(), Failure> {
    let exists = |sql: &str, id: &str| c.prepare_cached(sql)?.exists([id]);
    let about = &ruling.about;
    // A unit that is gone may still have entries, and so may a person whom no device names any more.
    let known = match about {
        Whose::Device(id) => exists("SELECT 1 FROM devices WHERE id = ?1", id.as_str())?,
        Whose::Unit(id) => {
            exists("SELECT 1 FROM units WHERE id = ?1", id.as_str())?
                || exists("SELECT 1 FROM ledger_units WHERE unit = ?1", id.as_str())?
        }
        Whose::Person(person) => {
            exists("SELECT 1 FROM device_places WHERE person = ?1", person.as_str())?
                || exists("SELECT 1 FROM ledger WHERE person = ?1", person.as_str())?
        }
    };
    if !known {
        return Err(Failure::not_found(about.word(), &about.id()));
    }
    for alert in &ruling.alerts {
        if !exists("SELECT 1 FROM alerts WHERE id = ?1", alert.as_str())? {
            return Err(Failure::not_found("alert", alert));
        }
    }
    let mut statement = c.prepare_cached(
        "INSERT INTO rulings (sequence, at, whose, whose_id, alerts, measure, actor, text)
        VALUES ((SELECT coalesce(max(sequence), 0) + 1 FROM rulings), ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        micros(ruling.at),
        about.word(),
        about.id(),
        to_json(&ruling.alerts)?,
        ruling.measure.as_str(),
        ruling.by,
        ruling.text,
    ])?;
    Ok(())
}

/// Decisions, the last first.
pub(super) fn rulings(c: &Connection, about: Option<&Whose>) -> Result<Vec<Ruling>, Failure> {
    let sql = format!(
        "SELECT {RULING} FROM rulings WHERE ?1 IS NULL OR (whose = ?1 AND whose_id = ?2) ORDER BY sequence DESC"
    );
    let mut query = c.prepare_cached(&sql)?;
    let rulings = query.query_map(params![about.map(Whose::word), about.map(Whose::id)], ruling)?;
    Ok(rulings.collect::<Result<_, _>>()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let breach = Breach {
        at: instant(row, 1)?,
        alert: text(row, 2)?,
        device: text(row, 3)?,
        kind: word(row, 4, &AlertKind::ALL, AlertKind::as_str)?,
        rule: text_or_empty(row, 5)?,
        app: text_or_empty(row, 6)?,
        severity: word(row, 7, &Severity::ALL, Severity::as_str)?,
        units: json(row, 8)?,
        person: maybe_text(row, 9)?,
        returned: row.get(10)?,
    };
    Ok(Entry { sequence: unsigned(row, 0)?, breach })
}

fn ruling(row: &Row<'_>) -> rusqlite::Result<Ruling> {
    let whose: String = row.get(0)?;
    Ok(Ruling {
        about: whose_of(row, &whose, 1)?,
        alerts: json(row, 2)?,
        at: instant(row, 3)?,
        by: row.get(4)?,
        measure: word(row, 5, &Measure::ALL, Measure::as_str)?,
        text: row.get(6)?,
    })
}

/// Whose it is, by the word and the column with the id.
fn whose_of(row: &Row<'_>, whose: &str, id: usize) -> rusqlite::Result<Whose> {
    match whose {
        "device" => Ok(Whose::Device(text(row, id)?)),
        "person" => Ok(Whose::Person(text(row, id)?)),
        "unit" => Ok(Whose::Unit(text(row, id)?)),
        other => Err(unknown_word(id, other)),
    }
}
