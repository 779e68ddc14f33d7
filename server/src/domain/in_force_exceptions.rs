//! The exceptions that devices are judged with, and told of.
//!
//! What was accepted once is kept for ever, so there are more of them every year, while a device has few: its own are
//! found by what they are for, and not by looking at all.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use offchannel_shared::device::Placement;
use offchannel_shared::ids::{DeviceId, ExceptionId, UnitId};
use offchannel_shared::label::Label;
use offchannel_shared::policy::Exception;
use offchannel_shared::wire::{ACCEPTED_MAX, Accepted};

use super::device::Device;
use super::exception::Covers;
use super::placement::PersonRef;

/// All that accept something at some time, as of a place in the history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForceExceptions {
    version: u64,
    devices: BTreeMap<DeviceId, Vec<Exception>>,
    units: BTreeMap<UnitId, Vec<Exception>>,
    people: BTreeMap<PersonRef, Vec<Exception>>,
    labels: BTreeMap<Label, Vec<Exception>>,
}

/// What of a device decides which exceptions are its own.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Its id.
    pub id: &'a DeviceId,
    /// What the organisation says of it.
    pub placement: &'a Placement,
    /// Who uses it.
    pub person: Option<&'a PersonRef>,
}

impl<'a> From<&'a Device> for Holder<'a> {
    fn from(device: &'a Device) -> Self {
        Self { id: &device.id, placement: &device.placement, person: device.person.as_ref() }
    }
}

impl InForceExceptions {
    /// Those that were approved, with whom each is for, as of this entry of the history; 0 is before the first.
    pub fn new(version: u64, all: impl IntoIterator<Item = (Covers, Exception)>) -> Self {
        let mut new = Self { version, ..Self::default() };
        for (covers, exception) in all {
            match covers {
                Covers::Device(id) => new.devices.entry(id).or_default(),
                Covers::Unit(id) => new.units.entry(id).or_default(),
                Covers::Person(person) => new.people.entry(person).or_default(),
                Covers::Label(label) => new.labels.entry(label).or_default(),
            }
            .push(exception);
        }
        new
    }

    /// The newest entry of the history that is taken in; 0 for none.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many accept something at an instant.
    pub fn count(&self, now: Timestamp) -> usize {
        self.all().filter(|exception| exception.start <= now && now < exception.end).count()
    }

    /// Those that are not over, and will be by an instant.
    pub fn ending(&self, now: Timestamp, by: Timestamp) -> BTreeSet<ExceptionId> {
        let ending = self.all().filter(|exception| now < exception.end && exception.end <= by);
        ending.map(|exception| exception.id.clone()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Exception> {
        let devices = self.devices.values().flatten();
        devices
            .chain(self.units.values().flatten())
            .chain(self.people.values().flatten())
            .chain(self.labels.values().flatten())
    }

    /// Those that matter for a device, in no order.
    pub fn of(&self, device: &Device) -> Vec<Exception> {
        self.held_by(device.into()).cloned().collect()
    }

    /// What a device is told of: what is accepted on it now or later, by id; if that is too much, what ends last.
    pub fn told_to(&self, device: Holder<'_>, now: Timestamp) -> Vec<Accepted> {
        let mut own: Vec<&Exception> = self.held_by(device).filter(|own| own.end > now).collect();
        own.sort_by_key(|own| std::cmp::Reverse((own.end, &own.id)));
        own.truncate(ACCEPTED_MAX);
        own.sort_by_key(|own| &own.id);
        let told = |own: &Exception| Accepted {
            id: own.id.clone(),
            rule: own.rule.clone(),
            app: own.app.clone(),
            start: own.start,
            end: own.end,
        };
        own.into_iter().map(told).collect()
    }

    fn held_by<'s>(&'s self, device: Holder<'s>) -> impl Iterator<Item = &'s Exception> {
        let Placement { units, labels, .. } = device.placement;
        let own = self.devices.get(device.id).into_iter();
        own.chain(units.iter().filter_map(|unit| self.units.get(unit)))
            .chain(device.person.and_then(|person| self.people.get(person)))
            .chain(labels.iter().filter_map(|label| self.labels.get(label)))
            .flatten()
    }
}
