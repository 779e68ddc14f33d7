//! The table `sightings`: what was found on a device, and from when to when.

use offchannel_shared::ids::DeviceId;
use offchannel_shared::inventory::{Grade, Sighting};
use offchannel_shared::namespace::Namespace;
use rusqlite::{Connection, Row, params};

use super::columns::{instant, maybe_instant, micros, text, word};
use super::failure::Failure;
use crate::domain::case::SightingChange;
use crate::store::SightingInterval;

/// Starts and ends intervals.
pub(super) fn put(c: &Connection, device: &DeviceId, changes: &[SightingChange]) -> Result<(), Failure> {
    if changes.is_empty() {
        return Ok(());
    }
    // Something that ends and starts at one instant has not been away.
    let mut start = c.prepare_cached(
        "INSERT INTO sightings (device_id, app, source, namespace, identifier, version, scope, grade, started_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT (device_id, app, source, namespace, identifier, version, scope, grade, started_at)
        DO UPDATE SET ended_at = NULL",
    )?;
    let mut end = c.prepare_cached(
        "UPDATE sightings SET ended_at = ?9
        WHERE device_id = ?1 AND app = ?2 AND source = ?3 AND namespace = ?4 AND identifier = ?5 AND version = ?6
            AND scope = ?7 AND grade = ?8 AND ended_at IS NULL",
    )?;
    for change in changes {
        let sighting = &change.sighting;
        let statement = if change.ended { &mut end } else { &mut start };
        statement.execute(params![
            device.as_str(),
            sighting.app.as_str(),
            sighting.source,
            sighting.namespace.as_str(),
            sighting.identifier,
            sighting.version.as_deref().unwrap_or_default(),
            sighting.scope.to_string(),
            sighting.grade.as_str(),
            micros(change.at),
        ])?;
    }
    Ok(())
}

/// All intervals of a device, oldest first.
pub(super) fn all(c: &Connection, device: &DeviceId) -> Result<Vec<SightingInterval>, Failure> {
    let mut query = c.prepare_cached(
        "SELECT app, source, namespace, identifier, version, scope, grade, started_at, ended_at FROM sightings
        WHERE device_id = ?1 ORDER BY started_at, app, source, namespace, identifier, version, scope, grade",
    )?;
    let intervals = query.query_map([device.as_str()], interval)?;
    Ok(intervals.collect::<Result<_, _>>()?)
}

fn interval(row: &Row<'_>) -> rusqlite::Result<SightingInterval> {
    let version: String = row.get(4)?;
    let sighting = Sighting {
        app: text(row, 0)?,
        source: row.get(1)?,
        namespace: word(row, 2, &Namespace::ALL, Namespace::as_str)?,
        identifier: row.get(3)?,
        scope: text(row, 5)?,
        grade: word(row, 6, &Grade::ALL, Grade::as_str)?,
        version: Some(version).filter(|version| !version.is_empty()),
    };
    Ok(SightingInterval { sighting, started_at: instant(row, 7)?, ended_at: maybe_instant(row, 8)? })
}
