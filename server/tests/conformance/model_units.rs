//! The organisation of the model, naively: parents in a map, and a search whenever something is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use offchannel_server::domain::placement::{Assigned, Assignment, DeviceKey, PersonRef, PlacedBy};
use offchannel_server::domain::token::Token;
use offchannel_server::domain::tree::Reorganised;
use offchannel_server::domain::unit::Unit;
use offchannel_server::store::{Assign, Reorganise, Store};
use offchannel_shared::device::{Ownership, Placement};
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::Label;
use proptest::prelude::*;

use super::fixtures::at;
use super::model::Model;

const LABELS: [&str; 2] = ["kiosk", "site=leeds"];

/// Something that is done to the organisation, or to where devices belong in it.
#[derive(Debug, Clone)]
pub enum Organise {
    Put { unit: u64, parent: Option<u64>, label: Option<u8>, now: i64 },
    Remove { unit: u64, heir: Option<Option<u64>>, now: i64 },
    Say { device: u64, unit: Option<u64>, labels: u8, personal: bool, person: bool, now: i64 },
}

/// Any command.
pub fn commands() -> impl Strategy<Value = Organise> {
    let small = || 1_u64..5;
    let maybe = || prop::option::of(1_u64..5);
    prop_oneof![
        3 => (small(), maybe(), prop::option::of(0_u8..2), 0_i64..200)
            .prop_map(|(unit, parent, label, now)| Organise::Put { unit, parent, label, now }),
        1 => (small(), prop::option::of(maybe()), 0_i64..200)
            .prop_map(|(unit, heir, now)| Organise::Remove { unit, heir, now }),
        2 => (small(), maybe(), 0_u8..4, any::<bool>(), any::<bool>(), 0_i64..200).prop_map(
            |(device, unit, labels, personal, person, now)| {
                Organise::Say { device, unit, labels, personal, person, now }
            }
        ),
    ]
}

pub fn unit_id(number: u64) -> UnitId {
    UnitId::new(format!("unit-{number}")).unwrap()
}

pub fn labels(bits: u8) -> BTreeSet<Label> {
    let set = LABELS.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
    set.map(|(_, text)| Label::new(*text).unwrap()).collect()
}

/// The units, and what was said of devices.
#[derive(Debug, Default)]
pub struct Units {
    units: BTreeMap<UnitId, Unit>,
    /// When what is above a unit last changed.
    moved: BTreeMap<UnitId, i64>,
    said: BTreeMap<DeviceId, Assignment>,
    /// The ownership that a device's token gave it.
    ownership: BTreeMap<DeviceId, Ownership>,
    /// When what is said of a device, or its unit, last changed.
    placed: BTreeMap<DeviceId, i64>,
}

impl Units {
    pub fn knows(&self, unit: &UnitId) -> bool {
        self.units.contains_key(unit)
    }

    fn path(&self, unit: &UnitId) -> Vec<UnitId> {
        let mut path = vec![unit.clone()];
        while let Some(parent) = path.last().and_then(|last| self.units[last].parent.clone()) {
            path.push(parent);
            assert!(path.len() <= self.units.len(), "{unit} is above itself");
        }
        path
    }

    fn paths(&self) -> BTreeMap<UnitId, Vec<UnitId>> {
        self.units.keys().map(|unit| (unit.clone(), self.path(unit))).collect()
    }

    fn place(&self, device: &DeviceId, token: &Token) -> Option<(UnitId, PlacedBy)> {
        let said = self.said.get(device).cloned().unwrap_or_default();
        if let Some(unit) = said.unit {
            return Some((unit, PlacedBy::Assigned));
        }
        if let Some(unit) = token.unit.clone() {
            return Some((unit, PlacedBy::Token));
        }
        let mut best: Option<UnitId> = None;
        for unit in self.units.values() {
            let claims = unit.label.as_ref().is_some_and(|label| said.labels.contains(label));
            let deeper = |best: &UnitId| self.path(&unit.id).len() > self.path(best).len();
            if claims && best.as_ref().is_none_or(deeper) {
                best = Some(unit.id.clone());
            }
        }
        best.map(|unit| (unit, PlacedBy::Label))
    }
}

type Places = BTreeMap<DeviceId, Option<(UnitId, PlacedBy)>>;

impl Model {
    fn places(&self) -> Places {
        let place = |id: &DeviceId| self.units.place(id, &self.tokens[&self.devices[id].token]);
        self.devices.keys().map(|id| (id.clone(), place(id))).collect()
    }

    /// Brings devices in line with what is said of them, which was changed at an instant.
    fn settle(&mut self, before: &Places, moved: &[UnitId], changed: &BTreeSet<DeviceId>, now: i64) {
        for (id, place) in self.places() {
            let unit = place.as_ref().map(|(unit, _)| unit.clone());
            let elsewhere =
                before.get(&id).and_then(|place| place.as_ref().map(|(unit, _)| unit)) != unit.as_ref();
            if elsewhere || changed.contains(&id) {
                self.units.placed.insert(id.clone(), now);
            }
            let concerned =
                elsewhere || changed.contains(&id) || unit.is_some_and(|unit| moved.contains(&unit));
            let device = self.devices.get_mut(&id).unwrap();
            if concerned && device.retired_at.is_none() {
                device.evaluate_at = Some(device.evaluate_at.map_or(at(now), |due| due.min(at(now))));
            }
            self.write(&id, place);
        }
    }

    fn write(&mut self, id: &DeviceId, place: Option<(UnitId, PlacedBy)>) {
        let said = self.units.said.get(id).cloned().unwrap_or_default();
        let unit = place.as_ref().map(|(unit, _)| unit);
        let moved = unit.and_then(|unit| self.units.moved.get(unit)).copied();
        let device = self.devices.get_mut(id).unwrap();
        device.placement = Placement {
            ownership: said.ownership.unwrap_or(self.units.ownership[id]),
            units: unit.map_or_else(Vec::new, |unit| self.units.path(unit)),
            labels: said.labels,
        };
        device.placed_by = place.map(|(_, by)| by);
        device.placed_at = self.units.placed.get(id).copied().max(moved).map(at);
        device.person = said.person;
    }

    /// A device was enrolled with this token, for the first time or again.
    pub(super) fn enrolled(&mut self, id: &DeviceId, token: &Token, again: bool, now: i64) {
        let before = self.devices[id].placement.clone();
        self.units.ownership.insert(id.clone(), token.ownership);
        let said = self.units.said.entry(id.clone()).or_default();
        said.labels.extend(token.labels.iter().cloned());
        let place = self.units.place(id, token);
        self.write(id, place.clone());
        let after = &self.devices[id].placement;
        let unit = |placement: &Placement| placement.units.first().cloned();
        let same = unit(&before) == unit(after)
            && before.labels == after.labels
            && before.ownership == after.ownership;
        if again && !same {
            self.units.placed.insert(id.clone(), now);
            self.write(id, place);
        }
    }

    pub(super) async fn organise(&mut self, store: &Arc<dyn Store>, command: Organise) {
        match command {
            Organise::Put { unit: number, parent, label, now } => {
                let id = unit_id(number);
                let label = label.map(|bit| Label::new(LABELS[usize::from(bit)]).unwrap());
                let parent = parent.map(unit_id);
                let unit =
                    Unit { id: id.clone(), name: "x".to_owned(), parent: parent.clone(), owner: None, label };
                let circle = |parent: &UnitId| {
                    *parent == id || !self.units.knows(parent) || self.units.path(parent).contains(&id)
                };
                let refused = parent.as_ref().is_some_and(circle);
                let put = unit.clone();
                let change = Reorganise(Arc::new(move |organisation| {
                    let mut tree = organisation.tree.clone();
                    tree.put(put.clone())?;
                    Ok(Reorganised { tree, ..Reorganised::default() })
                }));
                let outcome = store.reorganise(change, at(now)).await.unwrap();
                assert_eq!(outcome.is_err(), refused, "{outcome:?}");
                if !refused {
                    self.reorganised(now, |model| drop(model.units.units.insert(id, unit)));
                }
            }
            Organise::Remove { unit: number, heir, now } => {
                let (id, heir) = (unit_id(number), heir.map(|heir| heir.map(unit_id)));
                let refused = self.keeps(&id, heir.as_ref(), now);
                let (gone, to) = (id.clone(), heir.clone());
                let change = Reorganise(Arc::new(move |organisation| {
                    Ok(organisation.without(&gone, to.as_ref().map(Option::as_ref))?)
                }));
                let outcome = store.reorganise(change, at(now)).await.unwrap();
                assert_eq!(outcome.is_err(), refused, "{outcome:?}");
                if !refused {
                    self.remove(&id, heir.flatten(), now);
                }
            }
            Organise::Say { device, unit, labels: bits, personal, person, now } => {
                let said = Assignment {
                    unit: unit.map(unit_id),
                    ownership: personal.then_some(Ownership::Personal),
                    labels: labels(bits),
                    person: person.then(|| PersonRef::new("p-1").unwrap()),
                };
                for id in self.of_key(device) {
                    self.say(store, &id, said.clone(), now).await;
                }
            }
        }
    }

    async fn say(&mut self, store: &Arc<dyn Store>, id: &DeviceId, said: Assignment, now: i64) {
        let (device, assignment) = (id.clone(), said.clone());
        let decide = Assign(Arc::new(move |_| {
            Ok(vec![Assigned { device: device.clone(), assignment: assignment.clone() }])
        }));
        let outcome = store.assign(vec![DeviceKey::Id(id.clone())], decide, at(now)).await;
        let known = said.unit.as_ref().is_none_or(|unit| self.units.knows(unit));
        assert_eq!(outcome.is_ok(), known, "{outcome:?}");
        if known {
            let (before, old) = (self.places(), self.units.said.insert(id.clone(), said.clone()));
            let old = old.unwrap_or_default();
            let base = self.units.ownership[id];
            let same =
                old.labels == said.labels && old.ownership.unwrap_or(base) == said.ownership.unwrap_or(base);
            let changed = if same { BTreeSet::new() } else { BTreeSet::from([id.clone()]) };
            self.settle(&before, &[], &changed, now);
            // An exception may be that person's.
            let device = self.devices.get_mut(id).unwrap();
            if old.person != said.person && device.retired_at.is_none() {
                device.evaluate_at = Some(device.evaluate_at.map_or(at(now), |due| due.min(at(now))));
            }
        }
    }

    /// Whether a unit cannot be removed.
    fn keeps(&self, id: &UnitId, heir: Option<&Option<UnitId>>, now: i64) -> bool {
        if !self.units.knows(id) {
            return true;
        }
        match heir {
            Some(None) => false,
            Some(Some(heir)) => !self.units.knows(heir) || self.units.path(heir).contains(id),
            None => {
                let parts = self.units.units.values().any(|unit| unit.parent.as_ref() == Some(id));
                let devices = self
                    .devices
                    .values()
                    .any(|device| device.retired_at.is_none() && device.placement.units.first() == Some(id));
                let tokens = self.tokens.values().any(|token| {
                    let good = token.revoked_at.is_none() && token.expires_at > at(now);
                    good && token.uses < token.max_uses && token.unit.as_ref() == Some(id)
                });
                parts || devices || tokens
            }
        }
    }

    fn remove(&mut self, id: &UnitId, heir: Option<UnitId>, now: i64) {
        let places = self.places();
        self.reorganised(now, |model| {
            for (device, place) in places {
                if place.as_ref().is_some_and(|(unit, by)| unit == id && *by != PlacedBy::Token) {
                    let said = model.units.said.entry(device).or_default();
                    said.unit.clone_from(&heir);
                }
            }
            for token in model.tokens.values_mut().filter(|token| token.unit.as_ref() == Some(id)) {
                token.unit.clone_from(&heir);
            }
            model.units.units.remove(id);
            for unit in model.units.units.values_mut().filter(|unit| unit.parent.as_ref() == Some(id)) {
                unit.parent.clone_from(&heir);
            }
        });
    }

    /// Changes the units, and everything that follows from it.
    fn reorganised(&mut self, now: i64, change: impl FnOnce(&mut Self)) {
        let (places, paths) = (self.places(), self.units.paths());
        change(self);
        let after = self.units.paths();
        let moved: Vec<UnitId> =
            after.iter().filter(|(id, path)| paths.get(id) != Some(path)).map(|(id, _)| id.clone()).collect();
        self.units.moved.retain(|id, _| after.contains_key(id));
        self.units.moved.extend(moved.iter().map(|id| (id.clone(), now)));
        self.settle(&places, &moved, &BTreeSet::new(), now);
    }

    pub(super) async fn compare_units(&self, store: &Arc<dyn Store>, context: &str) {
        let organisation = store.organisation(at(100)).await.unwrap();
        let units: Vec<&Unit> = organisation.tree.units().collect();
        assert_eq!(units, self.units.units.values().collect::<Vec<_>>(), "{context}");
        for unit in self.units.units.keys() {
            assert_eq!(organisation.tree.path(unit), self.units.path(unit), "{context}");
            let within = |id: &&DeviceId| self.devices[*id].placement.units.contains(unit);
            let expected: Vec<&DeviceId> = self.devices.keys().filter(within).collect();
            let listed = store.devices_in(unit, None, 100).await.unwrap();
            assert_eq!(listed.iter().map(|one| &one.device.id).collect::<Vec<_>>(), expected, "{context}");
        }
    }
}
