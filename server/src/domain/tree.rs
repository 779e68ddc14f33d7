//! The organisation as a tree of units. Whatever is done to it, no unit is below itself.

use std::collections::{BTreeMap, BTreeSet};

use offchannel_shared::ids::UnitId;
use offchannel_shared::label::Label;
use offchannel_shared::nearest::nearest;

use super::unit::{DEPTH_MAX, Held, UNITS_MAX, Unit, UnitError};

/// Longest way up that is looked at; far longer than any that is taken in.
const WAY_MAX: usize = 1_000;

/// All units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    units: BTreeMap<UnitId, Unit>,
    /// The units of each parent, there or not, and those at the top: an organisation is too large to look for them.
    parts: BTreeMap<Option<UnitId>, BTreeSet<UnitId>>,
}

/// The organisation with what belongs to each unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Organisation {
    /// The units.
    pub tree: Tree,
    /// The devices and tokens of each unit that has any.
    pub held: BTreeMap<UnitId, Held>,
}

/// How the organisation is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reorganised {
    /// The units.
    pub tree: Tree,
    /// Where the devices and tokens of units go that are there no more; nowhere, if not given.
    pub heirs: BTreeMap<UnitId, UnitId>,
}

impl FromIterator<Unit> for Tree {
    /// Takes units as they are, such as those of the store, which were checked.
    fn from_iter<I: IntoIterator<Item = Unit>>(units: I) -> Self {
        let mut tree = Self::default();
        for unit in units {
            tree.insert(unit);
        }
        tree
    }
}

impl Tree {
    /// The unit with this id.
    pub fn get(&self, id: &UnitId) -> Option<&Unit> {
        self.units.get(id)
    }

    /// The unit with this id, which has to be there.
    ///
    /// # Errors
    /// [`UnitError::Missing`], with the id that was probably meant.
    pub fn find(&self, id: &UnitId) -> Result<&Unit, UnitError> {
        Guesses::default().find(self, id)
    }

    /// All units, sorted by id.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values()
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The unit and those above it, the nearest first; empty if there is no such unit.
    pub fn path(&self, id: &UnitId) -> Vec<UnitId> {
        let above = |unit: &&Unit| unit.parent.as_ref().and_then(|parent| self.units.get(parent));
        let way = std::iter::successors(self.units.get(id), above);
        // In a file that is to be taken in, units can go round in a circle.
        way.take(WAY_MAX.min(self.units.len() + 1)).map(|unit| unit.id.clone()).collect()
    }

    /// Whether a unit is `top` or below it.
    pub fn is_within(&self, id: &UnitId, top: &UnitId) -> bool {
        self.path(id).contains(top)
    }

    /// The unit and all below it.
    pub fn within(&self, top: &UnitId) -> BTreeSet<UnitId> {
        let mut within = BTreeSet::new();
        let mut next: Vec<&UnitId> = self.units.get_key_value(top).map(|(id, _)| id).into_iter().collect();
        while let Some(id) = next.pop() {
            if within.insert(id.clone()) {
                next.extend(self.parts(Some(id)).map(|part| &part.id));
            }
        }
        within
    }

    /// The units whose parent is this one, or those at the top, sorted by id.
    pub fn parts<'a>(&'a self, of: Option<&'a UnitId>) -> impl Iterator<Item = &'a Unit> {
        let ids = self.parts.get(&of.cloned()).into_iter().flatten();
        ids.filter_map(|id| self.units.get(id))
    }

    /// The unit that claims a device by one of its labels; of several the one farthest down, then the first by id.
    pub fn by_label(&self, labels: &BTreeSet<Label>) -> Option<&UnitId> {
        let claims = |unit: &&Unit| unit.label.as_ref().is_some_and(|label| labels.contains(label));
        let claiming = self.units.values().filter(claims);
        claiming
            .min_by_key(|unit| (std::cmp::Reverse(self.path(&unit.id).len()), &unit.id))
            .map(|unit| &unit.id)
    }

    /// Who answers for a unit: its own owner, or that of the nearest unit above that has one.
    pub fn owner<'a>(&'a self, path: &[UnitId]) -> Option<&'a Unit> {
        path.iter().filter_map(|id| self.units.get(id)).find(|unit| unit.owner.is_some())
    }

    /// Adds a unit.
    ///
    /// # Errors
    /// [`UnitError`]; the tree is as before then.
    pub fn add(&mut self, unit: Unit) -> Result<(), UnitError> {
        if self.units.contains_key(&unit.id) {
            return Err(UnitError::Exists(unit.id));
        }
        self.put(unit)
    }

    /// Puts a unit in the place of the one with its id, or adds it. With another parent it moves, and everything below
    /// it moves along.
    ///
    /// # Errors
    /// [`UnitError`]; the tree is as before then.
    pub fn put(&mut self, unit: Unit) -> Result<(), UnitError> {
        unit.check()?;
        if let Some(parent) = &unit.parent {
            if *parent == unit.id {
                return Err(UnitError::Cycle { unit: unit.id.clone(), parent: parent.clone() });
            }
            self.find(parent)?;
            if self.is_within(parent, &unit.id) {
                return Err(UnitError::Cycle { unit: unit.id.clone(), parent: parent.clone() });
            }
        }
        let id = unit.id.clone();
        let before = self.insert(unit);
        let moved = before
            .as_ref()
            .is_none_or(|before| Some(&before.parent) != self.units.get(&id).map(|u| &u.parent));
        let refused = if self.units.len() > UNITS_MAX {
            Some(UnitError::Many)
        } else if moved {
            self.within(&id).into_iter().find(|id| self.path(id).len() > DEPTH_MAX).map(UnitError::Deep)
        } else {
            None
        };
        if let Some(refused) = refused {
            match before {
                Some(before) => self.insert(before),
                None => self.take(&id),
            };
            return Err(refused);
        }
        Ok(())
    }

    /// Removes a unit; the units below it become parts of `heir`, or go to the top.
    ///
    /// # Errors
    /// [`UnitError`]; the tree is as before then.
    pub fn remove(&mut self, id: &UnitId, heir: Option<&UnitId>) -> Result<(), UnitError> {
        self.find(id)?;
        if let Some(heir) = heir {
            self.find(heir)?;
            if self.is_within(heir, id) {
                return Err(UnitError::Heir { unit: id.clone(), heir: heir.clone() });
            }
        }
        let mut next = self.clone();
        let parts: Vec<Unit> = self.parts(Some(id)).cloned().collect();
        for part in parts {
            next.put(Unit { parent: heir.cloned(), ..part })?;
        }
        next.take(id);
        *self = next;
        Ok(())
    }

    /// Puts a unit in its place, whatever that makes of the tree; returns the one that was there.
    fn insert(&mut self, unit: Unit) -> Option<Unit> {
        let before = self.take(&unit.id);
        self.parts.entry(unit.parent.clone()).or_default().insert(unit.id.clone());
        self.units.insert(unit.id.clone(), unit);
        before
    }

    fn take(&mut self, id: &UnitId) -> Option<Unit> {
        let unit = self.units.remove(id)?;
        if let Some(parts) = self.parts.get_mut(&unit.parent) {
            parts.remove(id);
            if parts.is_empty() {
                self.parts.remove(&unit.parent);
            }
        }
        Some(unit)
    }

    /// What is wrong with the tree as a whole, by unit: for many changes at once, whose order must not matter.
    pub fn faults(&self) -> Vec<(UnitId, UnitError)> {
        let mut guesses = Guesses::default();
        let mut fault = |unit: &Unit| {
            let parent = unit.parent.as_ref()?;
            if let Err(missing) = guesses.find(self, parent) {
                return Some(missing);
            }
            if self.is_on_circle(&unit.id) {
                return Some(UnitError::Cycle { unit: unit.id.clone(), parent: parent.clone() });
            }
            let path = self.path(&unit.id);
            // What hangs on a circle is put right with the circle.
            let straight = path.iter().collect::<BTreeSet<_>>().len() == path.len();
            (straight && path.len() > DEPTH_MAX).then(|| UnitError::Deep(unit.id.clone()))
        };
        self.units.values().filter_map(|unit| Some((unit.id.clone(), fault(unit)?))).collect()
    }

    /// Whether a unit is above itself.
    fn is_on_circle(&self, id: &UnitId) -> bool {
        let parent = self.get(id).and_then(|unit| unit.parent.as_ref());
        parent.is_some_and(|parent| self.is_within(parent, id))
    }
}

/// What was probably meant by units that are not there. A guess compares an id with all that there are, so a file in which
/// no unit is right gets some guesses and not one for each row.
#[derive(Debug, Default)]
pub(super) struct Guesses(BTreeMap<UnitId, Option<UnitId>>);

impl Guesses {
    /// Most different ids that are guessed at.
    const MAX: usize = 20;

    /// As [`Tree::find`].
    pub(super) fn find<'t>(&mut self, tree: &'t Tree, id: &UnitId) -> Result<&'t Unit, UnitError> {
        if let Some(unit) = tree.get(id) {
            return Ok(unit);
        }
        if self.0.len() < Self::MAX && !self.0.contains_key(id) {
            let near = nearest(id.as_str(), tree.units.keys().map(UnitId::as_str));
            self.0.insert(id.clone(), near.and_then(|near| UnitId::new(near).ok()));
        }
        Err(UnitError::Missing { unit: id.clone(), near: self.0.get(id).cloned().flatten() })
    }
}

impl Organisation {
    /// What belongs to a unit itself.
    pub fn held(&self, id: &UnitId) -> Held {
        let held = self.held.get(id).copied().unwrap_or_default();
        Held { units: self.tree.parts(Some(id)).count() as u64, ..held }
    }

    /// The organisation without a unit. What belongs to it goes to `heir`: a unit, or nowhere (`Some(None)`).
    ///
    /// # Errors
    /// [`UnitError`], [`UnitError::InUse`] if something belongs to it and nothing was said about that.
    pub fn without(&self, id: &UnitId, heir: Option<Option<&UnitId>>) -> Result<Reorganised, UnitError> {
        self.tree.find(id)?;
        let held = self.held(id);
        if heir.is_none() && !held.is_empty() {
            return Err(UnitError::InUse { unit: id.clone(), held });
        }
        let heir = heir.flatten();
        let mut tree = self.tree.clone();
        tree.remove(id, heir)?;
        Ok(Reorganised { tree, heirs: heir.map(|heir| (id.clone(), heir.clone())).into_iter().collect() })
    }
}
