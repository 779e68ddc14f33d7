//! The table `units`, and what a change of the organisation moves.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::Label;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{json, maybe_text, micros, text, to_json, unsigned};
use super::failure::Failure;
use super::placements;
use crate::domain::tree::{Organisation, Reorganised, Tree};
use crate::domain::unit::{Held, Owner, Unit};
use crate::store::{PlanRefused, Reorganise};

/// All units.
pub(super) fn tree(c: &Connection) -> Result<Tree, Failure> {
    let mut query = c.prepare_cached("SELECT id, name, parent, owner, owner_email, label FROM units")?;
    let units = query.query_map([], unit)?;
    Ok(units.collect::<Result<_, _>>()?)
}

fn unit(row: &Row<'_>) -> rusqlite::Result<Unit> {
    let owner = match row.get(3)? {
        Some(name) => Some(Owner { name, email: row.get(4)? }),
        None => None,
    };
    Ok(Unit {
        id: text(row, 0)?,
        name: row.get(1)?,
        parent: maybe_text(row, 2)?,
        owner,
        label: maybe_text(row, 5)?,
    })
}

/// A unit and those above it; `None` if there is no such unit.
pub(super) fn path(c: &Connection, id: &UnitId) -> Result<Option<Vec<UnitId>>, Failure> {
    let mut query = c.prepare_cached("SELECT path FROM units WHERE id = ?1")?;
    Ok(query.query_row([id.as_str()], |row| json(row, 0)).optional()?)
}

/// All units with what belongs to them.
pub(super) fn organisation(c: &Connection, now: Timestamp) -> Result<Organisation, Failure> {
    let mut held: BTreeMap<UnitId, Held> = BTreeMap::new();
    let mut query = c.prepare_cached(
        "SELECT p.unit, count(*) FROM device_places p JOIN device_activity a ON a.device_id = p.device_id
        WHERE p.unit IS NOT NULL AND a.retired_at IS NULL GROUP BY p.unit",
    )?;
    for counted in query.query_map([], |row| Ok((text(row, 0)?, unsigned(row, 1)?)))? {
        let (unit, devices) = counted?;
        held.entry(unit).or_default().devices = devices;
    }
    let mut query = c.prepare_cached(
        "SELECT unit, count(*) FROM tokens
        WHERE unit IS NOT NULL AND revoked_at IS NULL AND expires_at > ?1 AND uses < max_uses GROUP BY unit",
    )?;
    for counted in query.query_map([micros(now)], |row| Ok((text(row, 0)?, unsigned(row, 1)?)))? {
        let (unit, tokens) = counted?;
        held.entry(unit).or_default().tokens = tokens;
    }
    Ok(Organisation { tree: tree(c)?, held })
}

/// Changes the organisation, and everything that this moves.
pub(super) fn reorganise(
    c: &Connection,
    change: &Reorganise,
    now: Timestamp,
) -> Result<Result<Organisation, PlanRefused>, Failure> {
    let before = organisation(c, now)?;
    let Reorganised { tree, heirs } = match change.0(&before) {
        Ok(after) => after,
        Err(refused) => return Ok(Err(refused)),
    };
    let moved = put(c, &before.tree, &tree, now)?;
    placements::moved(c, &moved, now)?;
    let homeless = remove(c, &before.tree, &tree, &heirs, now)?;
    placements::settle(c, &tree, homeless, now)?;
    let claims =
        |tree: &Tree| -> BTreeSet<Label> { tree.units().filter_map(|unit| unit.label.clone()).collect() };
    let claimed: BTreeSet<Label> = claims(&before.tree).union(&claims(&tree)).cloned().collect();
    if !claimed.is_empty() && before.tree != tree {
        let concerned = placements::left_to_labels(c, &claimed)?;
        placements::settle(c, &tree, concerned, now)?;
    }
    Ok(Ok(before))
}

/// Writes units that are new or different; returns those that are somewhere else than before.
fn put(c: &Connection, before: &Tree, after: &Tree, now: Timestamp) -> Result<Vec<UnitId>, Failure> {
    let mut wanted: Vec<(Vec<UnitId>, &Unit)> =
        after.units().map(|unit| (after.path(&unit.id), unit)).collect();
    // What others are part of comes first.
    wanted.sort_by_key(|(path, _)| path.len());
    let mut statement = c.prepare_cached(
        "INSERT INTO units (id, name, parent, owner, owner_email, label, path, placed_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, parent = excluded.parent, owner = excluded.owner,
            owner_email = excluded.owner_email, label = excluded.label, path = excluded.path,
            placed_at = CASE WHEN excluded.path = path THEN placed_at ELSE excluded.placed_at END",
    )?;
    let mut moved = Vec::new();
    for (path, unit) in wanted {
        let elsewhere = before.path(&unit.id) != path;
        if !elsewhere && before.get(&unit.id) == Some(unit) {
            continue;
        }
        statement.execute(params![
            unit.id.as_str(),
            unit.name,
            unit.parent.as_ref().map(UnitId::as_str),
            unit.owner.as_ref().map(|owner| &owner.name),
            unit.owner.as_ref().and_then(|owner| owner.email.as_ref()),
            unit.label.as_ref().map(Label::as_str),
            to_json(&path)?,
            micros(now),
        ])?;
        if elsewhere {
            moved.push(unit.id.clone());
        }
    }
    Ok(moved)
}

/// Removes units that are there no more, and gives what belongs to them to their heirs; returns the devices that
/// have none.
fn remove(
    c: &Connection,
    before: &Tree,
    after: &Tree,
    heirs: &BTreeMap<UnitId, UnitId>,
    now: Timestamp,
) -> Result<Vec<DeviceId>, Failure> {
    let mut gone: Vec<&UnitId> =
        before.units().map(|unit| &unit.id).filter(|id| after.get(id).is_none()).collect();
    gone.sort_by_key(|id| std::cmp::Reverse(before.path(id).len()));
    let mut homeless = Vec::new();
    let mut tokens = c.prepare_cached("UPDATE tokens SET unit = ?2 WHERE unit = ?1")?;
    let mut delete = c.prepare_cached("DELETE FROM units WHERE id = ?1")?;
    for id in gone {
        let heir = heirs.get(id);
        tokens.execute(params![id.as_str(), heir.map(UnitId::as_str)])?;
        homeless.extend(placements::inherit(c, id, heir, now)?);
        delete.execute([id.as_str()])?;
    }
    Ok(homeless)
}
