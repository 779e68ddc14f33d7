//! Taking in a file of units.

use std::collections::{BTreeMap, BTreeSet};

use offchannel_shared::ids::UnitId;
use offchannel_shared::label::Label;

use super::placement::Difference;
use super::sheet::{BadRow, BadRows, Row, Sheet};
use super::tree::{Organisation, Reorganised, Tree};
use super::unit::{Owner, UNITS_MAX, Unit, UnitError, check_email, check_name};

/// The columns of the file; the first is needed.
pub const COLUMNS: [&str; 6] = ["id", "name", "parent", "owner", "owner_email", "label"];

/// What becomes of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Something about it is different, but not where it belongs.
    Changed,
    /// It becomes part of another unit.
    Moved,
    /// It is there no more.
    Gone,
}

impl ChangeKind {
    /// The name used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Moved => "moved",
            Self::Gone => "gone",
        }
    }
}

/// A change of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitChange {
    /// The unit.
    pub unit: UnitId,
    /// What becomes of it.
    pub kind: ChangeKind,
    /// What is different.
    pub differences: Vec<Difference>,
}

/// What is different between two trees, sorted by unit.
pub fn changes(before: &Tree, after: &Tree) -> Vec<UnitChange> {
    let ids: BTreeSet<&UnitId> = before.units().chain(after.units()).map(|unit| &unit.id).collect();
    let change = |id: &UnitId| {
        let (old, new) = (before.get(id), after.get(id));
        let field = |name, read: fn(&Unit) -> Option<String>| {
            Difference::of(name, old.and_then(read), new.and_then(read))
        };
        let differences: Vec<Difference> = [
            field("name", |unit| Some(unit.name.clone())),
            field("parent", |unit| unit.parent.as_ref().map(ToString::to_string)),
            field("owner", |unit| unit.owner.as_ref().map(|owner| owner.name.clone())),
            field("owner_email", |unit| unit.owner.as_ref().and_then(|owner| owner.email.clone())),
            field("label", |unit| unit.label.as_ref().map(ToString::to_string)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let kind = match (old, new) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Gone,
            (Some(old), Some(new)) if old.parent != new.parent => ChangeKind::Moved,
            _ if differences.is_empty() => return None,
            _ => ChangeKind::Changed,
        };
        Some(UnitChange { unit: id.clone(), kind, differences })
    };
    ids.into_iter().filter_map(change).collect()
}

/// What a file comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPlan {
    /// The organisation with the rows that can be taken in.
    pub after: Reorganised,
    /// Everything that cannot; then nothing is.
    pub bad: BadRows,
}

/// The organisation as a file describes it. Units that the file does not have stay as they are, or go with `prune`.
pub fn plan(organisation: &Organisation, sheet: &Sheet, prune: bool) -> UnitPlan {
    let mut bad = sheet.bad.clone();
    let mut rows: BTreeMap<UnitId, &Row> = BTreeMap::new();
    let mut units: BTreeMap<UnitId, Unit> = BTreeMap::new();
    // Of rows that are wrong, what they are about; and whether there are rows of which not even that can be read.
    let mut unread: BTreeSet<UnitId> = BTreeSet::new();
    let mut unnamed = !sheet.bad.is_empty();
    for row in &sheet.rows {
        match read(row, &organisation.tree) {
            Err(problems) => {
                match UnitId::new(row.cell("id").unwrap_or_default()) {
                    Ok(id) => drop(unread.insert(id)),
                    Err(_) => unnamed = true,
                }
                bad.extend(problems);
            }
            Ok(unit) => {
                if let Some(first) = rows.get(&unit.id) {
                    bad.push(row.bad("id", format!("{} stands in line {} already", unit.id, first.line)));
                } else {
                    rows.insert(unit.id.clone(), row);
                    units.insert(unit.id.clone(), unit);
                }
            }
        }
    }
    for unit in organisation.tree.units().filter(|unit| !rows.contains_key(&unit.id)) {
        let held = organisation.held(&unit.id);
        if !prune {
            units.insert(unit.id.clone(), unit.clone());
        } else if held.devices + held.tokens > 0 && !unnamed && !unread.contains(&unit.id) {
            let held = super::unit::Held { units: 0, ..held };
            let message = format!("unit {} is not in the file and cannot go: it has {held}", unit.id);
            bad.push(BadRow { line: None, column: None, message });
        }
    }
    let tree: Tree = units.into_values().collect();
    if tree.len() > UNITS_MAX {
        bad.push(BadRow { line: None, column: None, message: UnitError::Many.to_string() });
    }
    // Where a row is wrong nobody knows what it makes of its unit: it is taken to be at the top, where it is in no way.
    let unread = unread.into_iter().filter(|id| !rows.contains_key(id)).map(|id| Unit {
        name: id.to_string(),
        id,
        parent: None,
        owner: None,
        label: None,
    });
    let whole: Tree = tree.units().cloned().chain(unread).collect();
    for (id, fault) in whole.faults() {
        // Rows that cannot be read may name what is missing, and may move what is there.
        let of_rows = || whole.path(&id).iter().all(|id| rows.contains_key(id));
        if unnamed && (matches!(fault, UnitError::Missing { .. }) || !of_rows()) {
            continue;
        }
        bad.push(match rows.get(&id) {
            Some(row) => row.bad("parent", fault),
            None => BadRow { line: None, column: None, message: format!("unit {id}: {fault}") },
        });
    }
    UnitPlan { after: Reorganised { tree, heirs: BTreeMap::new() }, bad: BadRows::sorted(bad) }
}

/// A unit as a row has it; what the file has no column for is as before.
fn read(row: &Row, tree: &Tree) -> Result<Unit, Vec<BadRow>> {
    let id = UnitId::new(row.cell("id").unwrap_or_default()).map_err(|error| vec![row.bad("id", error)])?;
    let before = tree.get(&id);
    let mut bad = Vec::new();
    let name = match row.cell("name") {
        None => before.map_or_else(|| id.to_string(), |unit| unit.name.clone()),
        Some("") => id.to_string(),
        Some(name) => {
            bad.extend(check_name(name).err().map(|error| row.bad("name", error)));
            name.to_owned()
        }
    };
    let parent = match row.cell("parent") {
        None => before.and_then(|unit| unit.parent.clone()),
        Some("") => None,
        Some(text) => UnitId::new(text).map_err(|error| bad.push(row.bad("parent", error))).ok(),
    };
    let old = before.and_then(|unit| unit.owner.as_ref());
    let owner = match row.cell("owner") {
        None => old.map(|owner| owner.name.clone()),
        Some("") => None,
        Some(name) => {
            bad.extend(check_name(name).err().map(|error| row.bad("owner", error)));
            Some(name.to_owned())
        }
    };
    let email = match row.cell("owner_email") {
        None => old.and_then(|owner| owner.email.clone()).filter(|_| owner.is_some()),
        Some("") => None,
        Some(email) => {
            bad.extend(check_email(email).err().map(|error| row.bad("owner_email", error)));
            if owner.is_none() {
                bad.push(
                    row.bad("owner_email", "an address without an owner: expected a name in owner, too"),
                );
            }
            Some(email.to_owned())
        }
    };
    let label = match row.cell("label") {
        None => before.and_then(|unit| unit.label.clone()),
        Some("") => None,
        Some(text) => Label::new(text).map_err(|error| bad.push(row.bad("label", error))).ok(),
    };
    if bad.is_empty() {
        Ok(Unit { id, name, parent, owner: owner.map(|name| Owner { name, email }), label })
    } else {
        Err(bad)
    }
}
