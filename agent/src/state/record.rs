//! The content of `state.json`: what was found, what of it the collector has, what is still owed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{AppId, Epoch};
use offchannel_shared::inventory::{Inventory, Sighting, Transition, transitions};
use offchannel_shared::wire::{Accepted, ReportRequest, TRANSITIONS_MAX};
use serde::{Deserialize, Serialize};

use crate::identity::{Enrolment, is_another};

/// Most bytes of the transitions as JSON; with this all of them fit into one report.
pub const TRANSITIONS_BYTES: usize = 96 * 1024;

/// A report as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// When, by the device's clock.
    pub at: Timestamp,
    /// Exactly what.
    pub report: ReportRequest,
}

/// What stands between agent and collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when, by the device's clock.
    pub since: Timestamp,
    /// What is wrong and what to do.
    pub what: String,
}

/// What the agent remembers. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Always [`Record::SCHEMA`].
    pub schema: u32,
    /// What the enrolment gave, once there was one.
    #[serde(default)]
    pub enrolment: Option<Enrolment>,
    /// One life of this file; revisions count within it.
    pub epoch: Epoch,
    /// Revision of `inventory`; 0 before the first.
    pub revision: u64,
    /// Digest of `inventory`.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// The last revision that the collector acknowledged; 0 for none.
    pub acknowledged: u64,
    /// The digest of that revision.
    #[serde(default)]
    pub acknowledged_digest: Option<Digest>,
    /// What the organisation accepts on this device for a time, as the collector told it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// What was found last, as far as the policy asks about it.
    pub inventory: Inventory,
    /// Since when each app of `inventory` has been seen, by the device's clock.
    #[serde(default)]
    pub first_seen: BTreeMap<AppId, Timestamp>,
    /// What came and went since the acknowledged revision, oldest first, at most
    /// [`TRANSITIONS_MAX`] and [`TRANSITIONS_BYTES`].
    #[serde(default)]
    pub transitions: Vec<Transition>,
    /// How many transitions did not fit.
    #[serde(default)]
    pub transitions_lost: u64,
    /// The highest policy version that was ever in force here; never goes back.
    #[serde(default)]
    pub policy_version: u64,
    /// Why the last offered policy was refused; `None` once one was accepted.
    #[serde(default)]
    pub policy_refused: Option<String>,
    /// Hash of the id of the machine that this was found on, as in the facts; empty if that has none.
    #[serde(default)]
    pub machine: String,
    /// What happened to this file, for the source health `state`.
    #[serde(default)]
    pub note: Option<String>,
    /// When the collector last answered, as of the last save.
    #[serde(default)]
    pub last_contact: Option<Timestamp>,
    /// The last report, as it was sent.
    #[serde(default)]
    pub sent: Option<Sent>,
    /// Why the collector does not hear of us.
    #[serde(default)]
    pub trouble: Option<Trouble>,
}

/// What [`Record::observe`] made of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Whether it is another inventory than before, and so a new revision.
    pub changed: bool,
    /// Whether transitions were forgotten that the policy does not ask about any more.
    pub forgot: bool,
    /// Transitions that did not fit any more; they count as lost.
    pub dropped: Vec<Transition>,
}

impl Record {
    /// The only form of the file so far.
    pub const SCHEMA: u32 = 1;

    /// The state of a device that has never looked.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            schema: Self::SCHEMA,
            enrolment: None,
            epoch,
            revision: 0,
            digest: None,
            acknowledged: 0,
            acknowledged_digest: None,
            accepted: Vec::new(),
            inventory: Inventory::default(),
            first_seen: BTreeMap::new(),
            transitions: Vec::new(),
            transitions_lost: 0,
            policy_version: 0,
            policy_refused: None,
            machine: String::new(),
            note: None,
            last_contact: None,
            sent: None,
            trouble: None,
        }
    }

    /// Drops what is only worth telling until the next start, if it has been told. Returns whether
    /// that changed anything.
    pub(super) fn restarted(&mut self) -> bool {
        // Before the first revision there is nothing that could have told it.
        self.revision > 0 && self.is_acknowledged() && self.note.take().is_some()
    }

    /// Adds to what is to be told of this file, after what was not told yet. Returns whether that is news.
    pub fn add_note(&mut self, what: &str) -> bool {
        match &mut self.note {
            Some(note) if note.contains(what) => return false,
            Some(note) => {
                note.push_str("; ");
                note.push_str(what);
            }
            None => self.note = Some(what.to_owned()),
        }
        true
    }

    /// Whether the collector has the inventory.
    pub fn is_acknowledged(&self) -> bool {
        self.revision == self.acknowledged
    }

    /// All sightings that are remembered: the last ones and those that are owed.
    pub fn sightings(&self) -> impl Iterator<Item = &Sighting> {
        self.inventory.sightings.iter().chain(self.transitions.iter().map(|owed| &owed.sighting))
    }

    /// Takes what was found now. `asked` are those of [`Record::sightings`] that the policy still asks
    /// about. The others are forgotten, owed transitions among them: nobody may be told of them any
    /// more, and they did not go away either.
    ///
    /// What a policy newly asks about counts as having appeared, because that is not told from what
    /// came since.
    pub fn observe(&mut self, inventory: Inventory, asked: &BTreeSet<Sighting>, at: Timestamp) -> Observed {
        let owed = self.transitions.len();
        self.transitions.retain(|owed| asked.contains(&owed.sighting));
        let forgot = self.transitions.len() != owed;
        let digest = Digest::of(&inventory);
        if self.digest.as_ref() == Some(&digest) {
            return Observed { changed: false, forgot, dropped: Vec::new() };
        }
        // Before the first revision there is nothing that anything could have come after.
        if self.revision > 0 {
            let next = self.revision.saturating_add(1);
            let before: Vec<Sighting> =
                self.inventory.sightings.iter().filter(|old| asked.contains(*old)).cloned().collect();
            self.transitions.extend(transitions(&before, &inventory.sightings, next, at));
        }
        let mut room = TRANSITIONS_BYTES;
        let newest = self.transitions.iter().rev().take(TRANSITIONS_MAX);
        let kept = newest.take_while(|transition| take(&mut room, json_size(transition))).count();
        let beyond = self.transitions.len() - kept;
        let dropped: Vec<Transition> = self.transitions.drain(..beyond).collect();
        self.transitions_lost = self.transitions_lost.saturating_add(dropped.len() as u64);
        let found =
            inventory.sightings.iter().map(|s| &s.app).chain(inventory.unlisted.iter().map(|u| &u.app));
        let seen = |app: &AppId| (app.clone(), self.first_seen.get(app).copied().unwrap_or(at));
        self.first_seen = found.map(seen).collect();
        self.revision = self.revision.saturating_add(1);
        self.digest = Some(digest);
        self.inventory = inventory;
        Observed { changed: true, forgot, dropped }
    }

    /// Takes note of the machine that is looked at. Whether that changed anything.
    ///
    /// What was found on another machine is not this one's: a copied disk image starts its own epoch, by which the
    /// collector tells the two apart. What protects the device from older policies stays.
    pub fn is_on(&mut self, machine: &str, epoch: Epoch) -> bool {
        if machine.is_empty() || self.machine == machine {
            return false;
        }
        if is_another(&self.machine, machine) {
            let fresh = Self::new(epoch);
            let old = std::mem::replace(self, fresh);
            self.enrolment = old.enrolment;
            self.policy_version = old.policy_version;
        }
        machine.clone_into(&mut self.machine);
        true
    }

    /// Starts a new epoch with what is known now as its first revision. What was not acknowledged in
    /// the old one stays owed. `note` is for the source health `state`, if something is not in order with it.
    pub fn start_epoch(&mut self, epoch: Epoch, note: Option<&str>) {
        self.epoch = epoch;
        self.revision = 0;
        for transition in &mut self.transitions {
            transition.revision = 1;
        }
        self.digest = None;
        self.acknowledged = 0;
        self.acknowledged_digest = None;
        self.note = note.map(str::to_owned);
    }
}

/// Bytes of a list's element as JSON, with the comma after it.
pub fn json_size(value: &impl Serialize) -> usize {
    // What cannot be written never fits.
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len() + 1)
}

/// Takes so much of the room, if there is that much.
fn take(room: &mut usize, size: usize) -> bool {
    let fits = size <= *room;
    *room = room.saturating_sub(size);
    fits
}

#[cfg(test)]
mod tests {
    use offchannel_shared::inventory::{Change, Grade, Scope};
    use offchannel_shared::namespace::Namespace;
    use proptest::prelude::*;

    use super::*;

    fn inventory(apps: &[u16]) -> Inventory {
        let sighting = |app: &u16| Sighting {
            app: AppId::new(format!("a{app}")).unwrap(),
            source: "dpkg".to_owned(),
            namespace: Namespace::Dpkg,
            identifier: format!("a{app}"),
            scope: Scope::System,
            grade: Grade::Installed,
            version: None,
        };
        let mut inventory =
            Inventory { sightings: apps.iter().map(sighting).collect(), ..Inventory::default() };
        inventory.normalise();
        inventory
    }

    /// Observes under a policy that asks about everything.
    fn observe(record: &mut Record, inventory: Inventory, at: Timestamp) -> Observed {
        let asked = record.sightings().cloned().collect();
        record.observe(inventory, &asked, at)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_app_that_came_and_went_unseen_by_the_collector_is_remembered() {
        let mut record = Record::new(Epoch::from_random([1; 16]));
        for (second, apps) in [(1, [].as_slice()), (2, &[7]), (3, &[])] {
            assert!(observe(&mut record, inventory(apps), at(second)).changed);
        }
        assert_eq!(record.revision, 3);
        let changes: Vec<_> = record.transitions.iter().map(|t| (t.at, t.change)).collect();
        assert_eq!(changes, [(at(2), Change::Appeared), (at(3), Change::Disappeared)]);
        assert!(!observe(&mut record, inventory(&[]), at(4)).changed, "the same inventory is no revision");
    }

    #[test]
    fn on_another_machine_it_starts_anew_but_takes_no_older_policy() {
        let epoch = |byte| Epoch::from_random([byte; 16]);
        let mut record = Record::new(epoch(1));
        record.policy_version = 6;
        assert!(record.is_on("m1", epoch(2)), "the first one is noted");
        observe(&mut record, inventory(&[7]), at(1));
        for same in ["m1", ""] {
            assert!(!record.is_on(same, epoch(2)));
        }
        assert_eq!((&record.epoch, record.revision), (&epoch(1), 1));
        assert!(record.is_on("m2", epoch(2)));
        let expected = Record { machine: "m2".to_owned(), policy_version: 6, ..Record::new(epoch(2)) };
        assert_eq!(record, expected);
        assert!(!record.is_on("m2", epoch(3)), "after its next start, too");
    }

    #[test]
    fn first_seen_outlives_other_changes_but_not_the_app() {
        let mut record = Record::new(Epoch::from_random([1; 16]));
        for (second, apps) in [(1, [7].as_slice()), (2, &[7, 8]), (3, &[8]), (4, &[7, 8])] {
            observe(&mut record, inventory(apps), at(second));
        }
        let seen: Vec<_> = record.first_seen.iter().map(|(app, at)| (app.as_str(), *at)).collect();
        assert_eq!(seen, [("a7", at(4)), ("a8", at(2))]);
    }

    #[test]
    fn what_is_not_asked_about_any_more_is_forgotten_and_did_not_go_away() {
        let mut record = Record::new(Epoch::from_random([1; 16]));
        observe(&mut record, inventory(&[]), at(1));
        observe(&mut record, inventory(&[7, 8]), at(2));
        let only = inventory(&[8]);
        let asked = only.sightings.iter().cloned().collect();
        let observed = record.observe(only, &asked, at(3));
        assert_eq!((observed.changed, observed.forgot), (true, true));
        let left: Vec<_> = record.transitions.iter().map(|t| (t.change, t.sighting.app.as_str())).collect();
        assert_eq!(left, [(Change::Appeared, "a8")]);
        assert_eq!(record.transitions_lost, 0, "what may not be told is not lost");
    }

    proptest! {
        #[test]
        fn transitions_are_bounded_and_what_is_dropped_is_counted(
            steps in proptest::collection::vec(proptest::collection::btree_set(0u16..600, 0..500), 0..8)
        ) {
            let mut record = Record::new(Epoch::from_random([1; 16]));
            observe(&mut record, inventory(&[]), at(0));
            let mut all = 0;
            let mut before = BTreeSet::new();
            for apps in steps {
                all += apps.symmetric_difference(&before).count() as u64;
                observe(&mut record, inventory(&apps.iter().copied().collect::<Vec<_>>()), at(1));
                before = apps;
            }
            prop_assert!(record.transitions.len() <= TRANSITIONS_MAX);
            prop_assert!(json_size(&record.transitions) <= TRANSITIONS_BYTES + 2);
            prop_assert_eq!(record.transitions.len() as u64 + record.transitions_lost, all);
        }
    }
}
