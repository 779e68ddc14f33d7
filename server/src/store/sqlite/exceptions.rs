//! The tables `exceptions` and `exception_events`.

use jiff::Timestamp;
use offchannel_shared::ids::ExceptionId;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{
    broken_word, instant, maybe_instant, maybe_micros, maybe_text, micros, text, unsigned, word,
};
use super::failure::Failure;
use crate::domain::exception::{
    Covers, Exception, ExceptionAction, ExceptionError, ExceptionEvent, Request, Signed,
};
use crate::domain::in_force_exceptions::InForceExceptions;
use crate::store::ChangeException;

/// The columns that [`exception`] reads.
const COLUMNS: &str =
    "id, covers, covers_id, rule, app, reason, starts_at, ends_at, requested_by, requested_at,
    approved_by, approved_at, ended_by, ended_at";
const DEVICE: &str = "device";
const UNIT: &str = "unit";
const PERSON: &str = "person";
const LABEL: &str = "label";

/// Stores a new exception.
pub(super) fn create(c: &Connection, exception: &Exception, event: &ExceptionEvent) -> Result<(), Failure> {
    let sql = format!(
        "INSERT INTO exceptions ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    );
    let Exception { id, request, requested_by, requested_at, approved, ended } = exception;
    let covers = match &request.covers {
        Covers::Device(_) => DEVICE,
        Covers::Unit(_) => UNIT,
        Covers::Person(_) => PERSON,
        Covers::Label(_) => LABEL,
    };
    c.prepare_cached(&sql)?.execute(params![
        id.as_str(),
        covers,
        covers_id(&request.covers),
        request.rule.as_ref().map(|rule| rule.as_str()),
        request.app.as_ref().map(|app| app.as_str()),
        request.reason,
        micros(request.start),
        micros(request.end),
        requested_by,
        micros(*requested_at),
        approved.as_ref().map(|signed| &signed.by),
        maybe_micros(approved.as_ref().map(|signed| signed.at)),
        ended.as_ref().map(|signed| &signed.by),
        maybe_micros(ended.as_ref().map(|signed| signed.at)),
    ])?;
    append(c, event)
}

/// Changes an exception and makes the devices due that it may concern.
pub(super) fn change(
    c: &Connection,
    id: &ExceptionId,
    change: &ChangeException,
    now: Timestamp,
) -> Result<Result<Exception, ExceptionError>, Failure> {
    let Some((mut exception, _)) = load(c, id)? else { return Err(Failure::not_found("exception", id)) };
    let event = match change.0(&mut exception) {
        Ok(event) => event,
        Err(error) => return Ok(Err(error)),
    };
    let mut statement = c.prepare_cached(
        "UPDATE exceptions SET approved_by = ?2, approved_at = ?3, ended_by = ?4, ended_at = ?5 WHERE id = ?1",
    )?;
    let Exception { approved, ended, .. } = &exception;
    statement.execute(params![
        id.as_str(),
        approved.as_ref().map(|signed| &signed.by),
        maybe_micros(approved.as_ref().map(|signed| signed.at)),
        ended.as_ref().map(|signed| &signed.by),
        maybe_micros(ended.as_ref().map(|signed| signed.at)),
    ])?;
    append(c, &event)?;
    // Nothing is judged differently by a request or its refusal.
    if exception.approved.is_some() {
        due(c, &exception.request.covers, now)?;
    }
    Ok(Ok(exception))
}

/// The devices that are meant, with `?1` for which. Those of a unit are the only ones that are found by its path, which
/// holds the units above it.
const fn covered(covers: &Covers) -> &'static str {
    match covers {
        Covers::Device(_) => "a.device_id = ?1",
        Covers::Unit(_) => {
            "a.device_id IN (SELECT p.device_id FROM device_places p JOIN units u ON u.id = p.unit
                WHERE EXISTS (SELECT 1 FROM json_each(u.path) WHERE value = ?1))"
        }
        Covers::Person(_) => "a.device_id IN (SELECT device_id FROM device_places WHERE person = ?1)",
        Covers::Label(_) => {
            "a.device_id IN (SELECT device_id FROM device_places
                WHERE labels <> '[]' AND EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?1))"
        }
    }
}

fn covers_id(covers: &Covers) -> &str {
    match covers {
        Covers::Device(id) => id.as_str(),
        Covers::Unit(id) => id.as_str(),
        Covers::Person(person) => person.as_str(),
        Covers::Label(label) => label.as_str(),
    }
}

/// Makes the active devices due that are meant.
fn due(c: &Connection, covers: &Covers, at: Timestamp) -> Result<(), Failure> {
    let sql = format!(
        "UPDATE device_activity AS a SET evaluate_at = ?2
        WHERE a.retired_at IS NULL AND (a.evaluate_at IS NULL OR a.evaluate_at > ?2) AND {}",
        covered(covers)
    );
    c.prepare_cached(&sql)?.execute(params![covers_id(covers), micros(at)])?;
    Ok(())
}

/// How many active devices are meant now.
pub(super) fn count_devices(c: &Connection, covers: &Covers) -> Result<u64, Failure> {
    let sql =
        format!("SELECT count(*) FROM device_activity a WHERE a.retired_at IS NULL AND {}", covered(covers));
    Ok(c.prepare_cached(&sql)?.query_row([covers_id(covers)], |row| unsigned(row, 0))?)
}

/// All exceptions, the last that was asked for first.
pub(super) fn list(c: &Connection) -> Result<Vec<Exception>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM exceptions ORDER BY requested_at DESC, id");
    let mut query = c.prepare_cached(&sql)?;
    let exceptions = query.query_map([], exception)?;
    Ok(exceptions.collect::<Result<_, _>>()?)
}

/// One exception with its history.
pub(super) fn load(
    c: &Connection,
    id: &ExceptionId,
) -> Result<Option<(Exception, Vec<ExceptionEvent>)>, Failure> {
    let mut query = c.prepare_cached(&format!("SELECT {COLUMNS} FROM exceptions WHERE id = ?1"))?;
    let Some(found) = query.query_row([id.as_str()], exception).optional()? else { return Ok(None) };
    let mut query = c.prepare_cached(
        "SELECT exception_id, at, action, actor, text FROM exception_events WHERE exception_id = ?1 ORDER BY sequence",
    )?;
    let events = query.query_map([id.as_str()], event)?;
    Ok(Some((found, events.collect::<Result<_, _>>()?)))
}

/// What devices are judged with, if the history goes on after `known`.
pub(super) fn in_force(c: &Connection, known: u64) -> Result<Option<InForceExceptions>, Failure> {
    let newest = newest(c)?;
    if newest <= known {
        return Ok(None);
    }
    let sql = format!("SELECT {COLUMNS} FROM exceptions WHERE approved_at IS NOT NULL ORDER BY id");
    let mut query = c.prepare_cached(&sql)?;
    let mut all = Vec::new();
    // One by one: their reasons are long, and nobody is judged by them.
    for one in query.query_map([], exception)? {
        let one = one?;
        all.extend(one.judged().map(|judged| (one.request.covers, judged)));
    }
    Ok(Some(InForceExceptions::new(newest, all)))
}

/// The newest entry of the history; 0 if there is none.
pub(super) fn newest(c: &Connection) -> Result<u64, Failure> {
    let mut query = c.prepare_cached("SELECT coalesce(max(sequence), 0) FROM exception_events")?;
    Ok(query.query_row([], |row| unsigned(row, 0))?)
}

fn append(c: &Connection, event: &ExceptionEvent) -> Result<(), Failure> {
    let mut statement = c.prepare_cached(
        "INSERT INTO exception_events (sequence, exception_id, at, action, actor, text)
        VALUES ((SELECT coalesce(max(sequence), 0) + 1 FROM exception_events), ?1, ?2, ?3, ?4, ?5)",
    )?;
    let ExceptionEvent { exception, at, action, actor, text } = event;
    statement.execute(params![exception.as_str(), micros(*at), action.as_str(), actor, text])?;
    Ok(())
}

fn exception(row: &Row<'_>) -> rusqlite::Result<Exception> {
    let kind: String = row.get(1)?;
    let covers = match kind.as_str() {
        DEVICE => Covers::Device(text(row, 2)?),
        UNIT => Covers::Unit(text(row, 2)?),
        PERSON => Covers::Person(text(row, 2)?),
        LABEL => Covers::Label(text(row, 2)?),
        other => return Err(broken_word(1, other)),
    };
    Ok(Exception {
        id: text(row, 0)?,
        request: Request {
            covers,
            rule: maybe_text(row, 3)?,
            app: maybe_text(row, 4)?,
            reason: row.get(5)?,
            start: instant(row, 6)?,
            end: instant(row, 7)?,
        },
        requested_by: row.get(8)?,
        requested_at: instant(row, 9)?,
        approved: signed(row, 10)?,
        ended: signed(row, 12)?,
    })
}

/// Two columns: who, and when.
fn signed(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Signed>> {
    let (by, at) = (row.get::<_, Option<String>>(index)?, maybe_instant(row, index + 1)?);
    Ok(by.zip(at).map(|(by, at)| Signed { by, at }))
}

fn event(row: &Row<'_>) -> rusqlite::Result<ExceptionEvent> {
    Ok(ExceptionEvent {
        exception: text(row, 0)?,
        at: instant(row, 1)?,
        action: word(row, 2, &ExceptionAction::ALL, ExceptionAction::as_str)?,
        actor: row.get(3)?,
        text: row.get(4)?,
    })
}
