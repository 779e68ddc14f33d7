//! The table `device_places`: where devices belong, and what people have said of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::Label;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{json, maybe_text, maybe_word, micros, text, to_json, word};
use super::failure::Failure;
use super::units;
use crate::domain::placement::{
    Assigned, Assignment, DeviceKey, PersonRef, Placeable, PlacedBy, Placing, unit_of,
};
use crate::domain::token::Token;
use crate::domain::tree::Tree;
use crate::store::{Assign, PlanRefused};

/// The columns that [`placed`] reads.
const SELECT: &str =
    "SELECT d.id, d.hostname, a.retired_at IS NOT NULL, t.unit, d.ownership, p.unit, p.unit_by,
    p.ownership, coalesce(p.labels, '[]'), p.person
    FROM devices d JOIN device_activity a ON a.device_id = d.id JOIN tokens t ON t.id = d.token_id
    LEFT JOIN device_places p ON p.device_id = d.id";

/// A device with the unit that it belongs to.
struct Placed {
    device: Placeable,
    unit: Option<(UnitId, PlacedBy)>,
}

fn placed(row: &Row<'_>) -> rusqlite::Result<Placed> {
    let unit: Option<UnitId> = maybe_text(row, 5)?;
    let unit = unit.zip(maybe_word(row, 6, &PlacedBy::ALL, PlacedBy::as_str)?);
    let assigned = unit.as_ref().filter(|(_, by)| *by == PlacedBy::Assigned);
    let assignment = Assignment {
        unit: assigned.map(|(unit, _)| unit.clone()),
        ownership: maybe_word(row, 7, &Ownership::ALL, Ownership::as_str)?,
        labels: json(row, 8)?,
        person: maybe_text(row, 9)?,
    };
    let device = Placeable {
        id: text(row, 0)?,
        hostname: row.get(1)?,
        retired: row.get(2)?,
        token_unit: maybe_text(row, 3)?,
        token_ownership: word(row, 4, &Ownership::ALL, Ownership::as_str)?,
        assignment,
    };
    Ok(Placed { device, unit })
}

fn load(c: &Connection, id: &DeviceId) -> Result<Option<Placed>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} WHERE d.id = ?1"))?;
    Ok(query.query_row([id.as_str()], placed).optional()?)
}

/// The devices that are named so, by id.
fn find(c: &Connection, keys: &[DeviceKey]) -> Result<BTreeMap<DeviceId, Placed>, Failure> {
    let mut found = BTreeMap::new();
    let mut names = BTreeSet::new();
    for key in keys {
        match key {
            DeviceKey::Id(id) => {
                if let Some(one) = load(c, id)? {
                    found.insert(id.clone(), one);
                }
            }
            DeviceKey::Hostname(name) => {
                names.insert(name.to_ascii_lowercase());
            }
        }
    }
    if !names.is_empty() {
        let mut query = c.prepare_cached(&format!(
            "{SELECT} WHERE lower(d.hostname) IN (SELECT value FROM json_each(?1))"
        ))?;
        for one in query.query_map([to_json(&names)?], placed)? {
            let one = one?;
            found.insert(one.device.id.clone(), one);
        }
    }
    Ok(found)
}

/// The devices that are named so, and the units.
pub(super) fn placing(c: &Connection, keys: &[DeviceKey]) -> Result<Placing, Failure> {
    let devices = find(c, keys)?.into_values().map(|one| one.device).collect();
    Ok(Placing { tree: units::tree(c)?, devices })
}

/// Writes what is said of devices.
pub(super) fn assign(
    c: &Connection,
    keys: &[DeviceKey],
    decide: &Assign,
    now: Timestamp,
) -> Result<Result<Placing, PlanRefused>, Failure> {
    let found = find(c, keys)?;
    let devices = found.values().map(|one| one.device.clone()).collect();
    let before = Placing { tree: units::tree(c)?, devices };
    let assigned = match decide.0(&before) {
        Ok(assigned) => assigned,
        Err(refused) => return Ok(Err(refused)),
    };
    for Assigned { device, assignment } in &assigned {
        let Some(one) = found.get(device) else { return Err(Failure::not_found("device", device)) };
        if let Some(unit) = assignment.unit.as_ref().filter(|unit| before.tree.get(unit).is_none()) {
            return Err(Failure::not_found("unit", unit));
        }
        let unit = one.device.unit(&before.tree, assignment);
        let changed = is_elsewhere(one, assignment, unit.as_ref(), one.device.token_ownership);
        put(c, device, assignment, unit.as_ref(), changed.then_some(now))?;
        // No rule reads who uses a device, and its agent is not told; but an exception may be that person's.
        if one.device.assignment.person != assignment.person {
            due(c, std::slice::from_ref(device), now)?;
        }
    }
    Ok(Ok(before))
}

/// Places a device that was enrolled with this token. What people have said of it holds beside any token. A device that
/// is new has been told nothing yet that could have changed.
pub(super) fn enrolled(
    c: &Connection,
    id: &DeviceId,
    token: &Token,
    known_before: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(one) = load(c, id)? else { return Err(Failure::not_found("device", id)) };
    let mut said = one.device.assignment.clone();
    said.labels.extend(token.labels.iter().cloned());
    // The whole tree is of interest only where labels place the device.
    let by_label = said.unit.is_none() && token.unit.is_none() && !said.labels.is_empty();
    let unit = if by_label {
        unit_of(&units::tree(c)?, None, None, &said.labels)
    } else {
        let assigned = said.unit.clone().map(|unit| (unit, PlacedBy::Assigned));
        assigned.or_else(|| token.unit.clone().map(|unit| (unit, PlacedBy::Token)))
    };
    if one.device.token_ownership != token.ownership {
        let mut statement = c.prepare_cached("UPDATE devices SET ownership = ?2 WHERE id = ?1")?;
        statement.execute(params![id.as_str(), token.ownership.as_str()])?;
    }
    let changed = known_before && is_elsewhere(&one, &said, unit.as_ref(), token.ownership);
    put(c, id, &said, unit.as_ref(), changed.then_some(now))
}

/// Whether what rules read of a device changes.
fn is_elsewhere(
    before: &Placed,
    said: &Assignment,
    unit: Option<&(UnitId, PlacedBy)>,
    token: Ownership,
) -> bool {
    let was = &before.device.assignment;
    before.unit.as_ref().map(|(unit, _)| unit) != unit.map(|(unit, _)| unit)
        || was.labels != said.labels
        || was.ownership.unwrap_or(before.device.token_ownership) != said.ownership.unwrap_or(token)
}

/// Writes what is said of a device and where it belongs. If that changes what rules read, it is due at `changed`.
fn put(
    c: &Connection,
    id: &DeviceId,
    said: &Assignment,
    unit: Option<&(UnitId, PlacedBy)>,
    changed: Option<Timestamp>,
) -> Result<(), Failure> {
    let mut statement = c.prepare_cached(
        "INSERT INTO device_places (device_id, unit, unit_by, ownership, labels, person, placed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (device_id) DO UPDATE SET unit = excluded.unit, unit_by = excluded.unit_by,
            ownership = excluded.ownership, labels = excluded.labels, person = excluded.person,
            placed_at = coalesce(excluded.placed_at, placed_at)",
    )?;
    statement.execute(params![
        id.as_str(),
        unit.map(|(unit, _)| unit.as_str()),
        unit.map(|(_, by)| by.as_str()),
        said.ownership.map(Ownership::as_str),
        to_json(&said.labels)?,
        said.person.as_ref().map(PersonRef::as_str),
        changed.map(micros),
    ])?;
    changed.map_or(Ok(()), |at| due(c, std::slice::from_ref(id), at))
}

/// Makes active devices due at `at`, unless they are due before.
fn due(c: &Connection, devices: &[DeviceId], at: Timestamp) -> Result<(), Failure> {
    let mut statement = c.prepare_cached(
        "UPDATE device_activity SET evaluate_at = ?2
        WHERE device_id = ?1 AND retired_at IS NULL AND (evaluate_at IS NULL OR evaluate_at > ?2)",
    )?;
    for device in devices {
        statement.execute(params![device.as_str(), micros(at)])?;
    }
    Ok(())
}

/// Makes the devices of these units due: what is above their unit has changed.
pub(super) fn moved(c: &Connection, units: &[UnitId], at: Timestamp) -> Result<(), Failure> {
    if units.is_empty() {
        return Ok(());
    }
    let mut statement = c.prepare_cached(
        "UPDATE device_activity SET evaluate_at = ?2
        WHERE retired_at IS NULL AND (evaluate_at IS NULL OR evaluate_at > ?2) AND device_id IN (
            SELECT device_id FROM device_places WHERE unit IN (SELECT value FROM json_each(?1)))",
    )?;
    statement.execute(params![to_json(&units)?, micros(at)])?;
    Ok(())
}

/// Takes the devices out of a unit that is to go, and puts them into its heir; returns them if there is none.
pub(super) fn inherit(
    c: &Connection,
    unit: &UnitId,
    heir: Option<&UnitId>,
    at: Timestamp,
) -> Result<Vec<DeviceId>, Failure> {
    let mut query = c.prepare_cached("SELECT device_id FROM device_places WHERE unit = ?1")?;
    let devices = query.query_map([unit.as_str()], |row| text(row, 0))?;
    let devices: Vec<DeviceId> = devices.collect::<Result<_, _>>()?;
    // That a label brings a device to the heir is nowhere said: it is there because somebody wanted it.
    let mut statement = c.prepare_cached(
        "UPDATE device_places SET unit = ?2, placed_at = ?3,
            unit_by = CASE WHEN ?2 IS NULL THEN NULL WHEN unit_by = 'label' THEN 'assigned' ELSE unit_by END
        WHERE unit = ?1",
    )?;
    statement.execute(params![unit.as_str(), heir.map(UnitId::as_str), micros(at)])?;
    due(c, &devices, at)?;
    Ok(if heir.is_some() { Vec::new() } else { devices })
}

/// Every label that a device, a token or a unit has.
pub(super) fn labels(c: &Connection) -> Result<BTreeSet<Label>, Failure> {
    let mut query = c.prepare_cached(
        "SELECT own.value FROM device_places, json_each(labels) own WHERE labels <> '[]'
        UNION SELECT own.value FROM tokens, json_each(labels) own WHERE labels <> '[]'
        UNION SELECT label FROM units WHERE label IS NOT NULL",
    )?;
    let labels = query.query_map([], |row| text(row, 0))?;
    Ok(labels.collect::<Result<_, _>>()?)
}

/// Devices that nobody and no token has placed, and that carry one of these labels.
pub(super) fn left_to_labels(c: &Connection, labels: &BTreeSet<Label>) -> Result<Vec<DeviceId>, Failure> {
    let mut query = c.prepare_cached(
        "SELECT device_id FROM device_places
        WHERE (unit_by IS NULL OR unit_by = 'label') AND labels <> '[]' AND EXISTS (
            SELECT 1 FROM json_each(labels) own WHERE own.value IN (SELECT value FROM json_each(?1)))",
    )?;
    let devices = query.query_map([to_json(labels)?], |row| text(row, 0))?;
    Ok(devices.collect::<Result<_, _>>()?)
}

/// Puts devices where they belong by what is known of them.
pub(super) fn settle(
    c: &Connection,
    tree: &Tree,
    devices: Vec<DeviceId>,
    now: Timestamp,
) -> Result<(), Failure> {
    for id in devices {
        let Some(one) = load(c, &id)? else { continue };
        let unit = one.device.unit(tree, &one.device.assignment);
        if unit != one.unit {
            put(c, &id, &one.device.assignment, unit.as_ref(), Some(now))?;
        }
    }
    Ok(())
}
