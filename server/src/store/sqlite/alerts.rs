//! The tables `alerts` and `alert_events`.

use offchannel_shared::ids::{AlertId, DeviceId, ExceptionId, UnitId};
use offchannel_shared::policy::Severity;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{
    broken, instant, json, maybe_instant, maybe_micros, maybe_text, maybe_word, micros, text, text_or_empty,
    to_json, unsigned, word,
};
use super::failure::Failure;
use crate::domain::alert::{About, Alert, AlertAction, AlertEvent, AlertKind, AlertState, Cause, Records};
use crate::store::{AlertFilter, AlertRecord, RecordedEvent};

/// The columns that [`alert`] reads, and the host name.
const SELECT: &str = "SELECT l.id, l.subject, l.kind, l.rule, l.app, l.severity, l.state, l.snoozed_until,
    l.opened_at, l.changed_at, l.cause, l.reopened, l.holds, l.assignee, l.records_needed, l.records, l.active_since,
    l.escalated, d.hostname
    FROM alerts l LEFT JOIN devices d ON d.id = l.device_id";
/// What the subject of an alert about a unit begins with.
const UNIT: &str = "unit:";
/// The columns that [`event`] reads.
const EVENT: &str = "sequence, alert_id, at, action, actor, cause, until, records, step, text, why";

/// All alerts of a device.
pub(super) fn of_device(c: &Connection, device: &DeviceId) -> Result<Vec<Alert>, Failure> {
    let mut query = c.prepare_cached(
        "SELECT id, subject, kind, rule, app, severity, state, snoozed_until, opened_at, changed_at, cause, reopened,
            holds, assignee, records_needed, records, active_since, escalated
        FROM alerts WHERE subject = ?1 ORDER BY kind, rule, app",
    )?;
    let alerts = query.query_map([device.as_str()], alert)?;
    Ok(alerts.collect::<Result<_, _>>()?)
}

/// The alert about a subject that is no device.
pub(super) fn of_subject(c: &Connection, about: &About) -> Result<Option<Alert>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} WHERE l.subject = ?1 AND l.device_id IS NULL"))?;
    Ok(query.query_row([subject(about)], alert).optional()?)
}

/// All alerts about units and exceptions.
pub(super) fn of_subjects(c: &Connection) -> Result<Vec<Alert>, Failure> {
    // By the key: what begins with a word and comes before what follows it.
    let sql = format!(
        "{SELECT} WHERE (l.subject >= 'exc_' AND l.subject < 'exc`') OR (l.subject >= 'unit:' AND l.subject < 'unit;')
        ORDER BY l.subject"
    );
    let mut query = c.prepare_cached(&sql)?;
    let alerts = query.query_map([], alert)?;
    Ok(alerts.collect::<Result<_, _>>()?)
}

/// Alerts, the last changed first.
pub(super) fn list(c: &Connection, filter: &AlertFilter) -> Result<Vec<AlertRecord>, Failure> {
    let mut sql = format!("{SELECT} WHERE (?1 IS NULL OR l.state IN (SELECT value FROM json_each(?1)))");
    if !filter.states.is_empty() && !filter.states.contains(&AlertState::Resolved) {
        // Said in the words of the index of active alerts.
        sql.push_str(" AND l.state <> 'resolved'");
    }
    if filter.device.is_some() {
        sql.push_str(" AND l.subject = ?2");
    } else {
        sql.push_str(" AND ?2 IS NULL");
    }
    for (wanted, condition) in [
        (!filter.kinds.is_empty(), " AND l.kind IN (SELECT value FROM json_each(?4))"),
        (filter.app.is_some(), " AND l.app = ?5"),
        (filter.rule.is_some(), " AND l.rule = ?6"),
        (filter.assignee.is_some(), " AND l.assignee = ?7"),
        (filter.severity.is_some(), " AND l.severity IN (SELECT value FROM json_each(?8))"),
        (
            filter.unit.is_some(),
            " AND (l.device_id IN (SELECT p.device_id FROM device_places p WHERE p.unit IN (
                SELECT u.id FROM units u WHERE EXISTS (SELECT 1 FROM json_each(u.path) WHERE value = ?9)))
                OR l.subject IN (SELECT 'unit:' || u.id FROM units u
                    WHERE EXISTS (SELECT 1 FROM json_each(u.path) WHERE value = ?9)))",
        ),
    ] {
        if wanted {
            sql.push_str(condition);
        }
    }
    sql.push_str(" ORDER BY l.changed_at DESC, l.id LIMIT ?3");
    let mut query = c.prepare_cached(&sql)?;
    let grave = filter.severity.map(|least| Severity::ALL.into_iter().filter(move |one| *one >= least));
    let grave = grave.map(|grave| to_json(&grave.collect::<Vec<Severity>>())).transpose()?;
    let values: [(&str, Option<Value>); 9] = [
        ("?1", (!filter.states.is_empty()).then(|| to_json(&filter.states)).transpose()?.map(Value::from)),
        ("?2", filter.device.as_ref().map(|device| device.to_string().into())),
        ("?3", Some(at_most(filter.limit).into())),
        ("?4", (!filter.kinds.is_empty()).then(|| to_json(&filter.kinds)).transpose()?.map(Value::from)),
        ("?5", filter.app.as_ref().map(|app| app.to_string().into())),
        ("?6", filter.rule.as_ref().map(|rule| rule.to_string().into())),
        ("?7", filter.assignee.clone().map(Value::from)),
        ("?8", grave.map(Value::from)),
        ("?9", filter.unit.as_ref().map(|unit| unit.to_string().into())),
    ];
    // Only those that the statement has: SQLite refuses the others.
    for (name, value) in values {
        if let Some(index) = query.parameter_index(name)? {
            query.raw_bind_parameter(index, value.unwrap_or(Value::Null))?;
        }
    }
    let alerts = query.raw_query().mapped(record);
    Ok(alerts.collect::<Result<_, _>>()?)
}

/// `LIMIT` for a filter in which 0 stands for all.
pub(super) fn at_most(limit: u32) -> i64 {
    if limit == 0 { -1 } else { limit.into() }
}

/// One alert with its history.
pub(super) fn load(c: &Connection, id: &AlertId) -> Result<Option<(AlertRecord, Vec<AlertEvent>)>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} WHERE l.id = ?1"))?;
    let Some(record) = query.query_row([id.as_str()], record).optional()? else { return Ok(None) };
    let sql = format!("SELECT {EVENT} FROM alert_events WHERE alert_id = ?1 ORDER BY sequence");
    let mut query = c.prepare_cached(&sql)?;
    let events = query.query_map([id.as_str()], |row| event(row).map(|recorded| recorded.event))?;
    Ok(Some((record, events.collect::<Result<_, _>>()?)))
}

/// The history after a place in it.
pub(super) fn events(c: &Connection, after: u64, limit: u32) -> Result<Vec<RecordedEvent>, Failure> {
    let sql = format!("SELECT {EVENT} FROM alert_events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2");
    let mut query = c.prepare_cached(&sql)?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let events = query.query_map(params![after, limit], event)?;
    Ok(events.collect::<Result<_, _>>()?)
}

fn alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    Ok(Alert {
        id: text(row, 0)?,
        about: about(row, 1)?,
        kind: word(row, 2, &AlertKind::ALL, AlertKind::as_str)?,
        rule: text_or_empty(row, 3)?,
        app: text_or_empty(row, 4)?,
        severity: word(row, 5, &Severity::ALL, Severity::as_str)?,
        state: word(row, 6, &AlertState::ALL, AlertState::as_str)?,
        snoozed_until: maybe_instant(row, 7)?,
        opened_at: instant(row, 8)?,
        changed_at: instant(row, 9)?,
        cause: maybe_word(row, 10, &Cause::ALL, Cause::as_str)?,
        reopened: row.get(11)?,
        holds: row.get(12)?,
        assignee: row.get(13)?,
        records_needed: row.get(14)?,
        records: maybe_word(row, 15, &Records::ALL, Records::as_str)?,
        active_since: instant(row, 16)?,
        escalated: json(row, 17)?,
    })
}

fn about(row: &Row<'_>, index: usize) -> rusqlite::Result<About> {
    let subject: String = row.get(index)?;
    if let Some(unit) = subject.strip_prefix(UNIT) {
        return UnitId::new(unit).map(About::Unit).map_err(|error| broken(index, Type::Text, error));
    }
    // The ids of devices and exceptions say themselves what they are.
    match ExceptionId::new(subject) {
        Ok(exception) => Ok(About::Exception(exception)),
        Err(_) => text(row, index).map(About::Device),
    }
}

fn subject(about: &About) -> String {
    match about {
        About::Device(id) => id.to_string(),
        About::Unit(id) => format!("{UNIT}{id}"),
        About::Exception(id) => id.to_string(),
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<AlertRecord> {
    Ok(AlertRecord { alert: alert(row)?, hostname: row.get(18)? })
}

fn event(row: &Row<'_>) -> rusqlite::Result<RecordedEvent> {
    let event = AlertEvent {
        alert: text(row, 1)?,
        at: instant(row, 2)?,
        action: word(row, 3, &AlertAction::ALL, AlertAction::as_str)?,
        actor: row.get(4)?,
        cause: maybe_word(row, 5, &Cause::ALL, Cause::as_str)?,
        until: maybe_instant(row, 6)?,
        records: maybe_word(row, 7, &Records::ALL, Records::as_str)?,
        step: maybe_text(row, 8)?,
        why: row.get(10)?,
        text: row.get(9)?,
    };
    Ok(RecordedEvent { sequence: unsigned(row, 0)?, event })
}

/// Writes new and changed alerts. What an alert is about does not change.
pub(super) fn put(c: &Connection, alerts: &[Alert]) -> Result<(), Failure> {
    if alerts.is_empty() {
        return Ok(());
    }
    let mut statement = c.prepare_cached(
        "INSERT INTO alerts (subject, device_id, kind, rule, app, id, severity, state, snoozed_until, opened_at, changed_at,
            cause, reopened, holds, assignee, records_needed, records, active_since, escalated)
        VALUES (?1, ?19, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
        ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, state = excluded.state,
            snoozed_until = excluded.snoozed_until, opened_at = excluded.opened_at,
            changed_at = excluded.changed_at, cause = excluded.cause, reopened = excluded.reopened,
            holds = excluded.holds, assignee = excluded.assignee, records_needed = excluded.records_needed,
            records = excluded.records, active_since = excluded.active_since, escalated = excluded.escalated",
    )?;
    for alert in alerts {
        statement.execute(params![
            subject(&alert.about),
            alert.kind.as_str(),
            alert.rule.as_ref().map_or("", |rule| rule.as_str()),
            alert.app.as_ref().map_or("", |app| app.as_str()),
            alert.id.as_str(),
            alert.severity.as_str(),
            alert.state.as_str(),
            maybe_micros(alert.snoozed_until),
            micros(alert.opened_at),
            micros(alert.changed_at),
            alert.cause.map(Cause::as_str),
            alert.reopened,
            alert.holds,
            alert.assignee,
            alert.records_needed,
            alert.records.map(Records::as_str),
            micros(alert.active_since),
            to_json(&alert.escalated)?,
            alert.about.device().map(|id| id.as_str()),
        ])?;
    }
    Ok(())
}

/// Adds to the history. There is one writer at a time, so numbers count up in the order of commits.
pub(super) fn append(c: &Connection, events: &[AlertEvent]) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let mut statement = c.prepare_cached(
        "INSERT INTO alert_events (sequence, alert_id, at, action, actor, cause, until, records, step, text, why)
        VALUES ((SELECT coalesce(max(sequence), 0) + 1 FROM alert_events), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for event in events {
        statement.execute(params![
            event.alert.as_str(),
            micros(event.at),
            event.action.as_str(),
            event.actor,
            event.cause.map(Cause::as_str),
            maybe_micros(event.until),
            event.records.map(Records::as_str),
            event.step.as_ref().map(|step| step.as_str()),
            event.text,
            event.why,
        ])?;
    }
    Ok(())
}
