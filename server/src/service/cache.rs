//! What a check-in needs, in memory, so that it touches no disk unless something changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use offchannel_shared::device::Placement;
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{DeviceId, Epoch};
use offchannel_shared::signing::{Envelope, PublicKey};
use offchannel_shared::wire::Accepted;

use crate::domain::alert::AlertKind;
use crate::domain::case::Case;
use crate::domain::in_force_exceptions::{Holder, InForceExceptions};
use crate::domain::placement::PersonRef;
use crate::store::Seen;

/// What authentication needs to know of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    /// The key that its requests are signed with.
    pub public_key: PublicKey,
    /// Since when it has been the device's key.
    pub since: Timestamp,
    /// The key that it replaced, if any.
    pub replaced: Option<PublicKey>,
    /// Since when it is retired, if it is.
    pub retired_at: Option<Timestamp>,
}

/// What a check-in is compared with.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: DeviceKey,
    pub(super) placement: Placement,
    pub(super) placed_at: Option<Timestamp>,
    pub(super) on_record: Option<(Epoch, u64, Digest)>,
    /// It had fallen silent or said goodbye: that it is heard of again changes something.
    pub(super) missed: bool,
    /// It is told to have copies.
    pub(super) cloned: bool,
    /// Who uses it.
    person: Option<PersonRef>,
    accepted: Mutex<AcceptedOf>,
}

/// What is accepted on a device, as of a place in the history of exceptions. Not the list: every device of a unit may have
/// a hundred exceptions, and they are sent once.
#[derive(Debug, Default)]
struct AcceptedOf {
    version: u64,
    /// None if that is nothing, as on nearly all devices.
    told: Option<Box<Told>>,
}

/// What a device is told of.
#[derive(Debug)]
struct Told {
    digest: Digest,
    /// What had ended then is not in it.
    as_of: Timestamp,
}

impl Known {
    pub(super) fn of(case: &Case) -> Self {
        let active = |kind| case.alerts.iter().any(|alert| alert.kind == kind && alert.is_active());
        let device = &case.device;
        Self {
            key: DeviceKey {
                public_key: device.public_key.clone(),
                since: device.key_since(),
                replaced: device.replaced_key.as_ref().map(|replaced| replaced.public_key.clone()),
                retired_at: device.retired_at,
            },
            placement: device.placement.clone(),
            placed_at: device.placed_at,
            on_record: device.report.as_ref().map(|r| (r.epoch.clone(), r.revision, r.digest.clone())),
            missed: active(AlertKind::DeviceSilent) || device.goodbye.is_some(),
            cloned: active(AlertKind::DeviceCloned),
            person: device.person.clone(),
            accepted: Mutex::default(),
        }
    }

    /// What the device is told to be accepted on it, if that is not what it `knows`. It is looked for once for every place
    /// in the history of exceptions; that one has ended meanwhile, the device sees itself.
    pub(super) fn news(
        &self,
        id: &DeviceId,
        in_force: &InForceExceptions,
        knows: Option<&Digest>,
        now: Timestamp,
    ) -> Option<Vec<Accepted>> {
        let holder = Holder { id, placement: &self.placement, person: self.person.as_ref() };
        let mut known = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version != in_force.version() {
            let digest = Digest::of_accepted(&in_force.told_to(holder, now));
            let told = digest.map(|digest| Box::new(Told { digest, as_of: now }));
            *known = AcceptedOf { version: in_force.version(), told };
        }
        let told = known.told.as_ref();
        // By the same instant as the digest, or the device would never know what it is to know.
        let list = || told.map_or_else(Vec::new, |told| in_force.told_to(holder, told.as_of));
        (told.map(|told| &told.digest) != knows).then(list)
    }
}

/// Devices by id. An entry is dropped when something about the device is committed.
///
/// What is read from the store while something is committed may be old already: it is kept only if nothing
/// was forgotten since the reading began.
#[derive(Debug, Default)]
pub(super) struct DeviceCache(RwLock<Devices>);

#[derive(Debug, Default)]
struct Devices {
    known: BTreeMap<DeviceId, Arc<Known>>,
    generation: u64,
}

impl DeviceCache {
    pub(super) fn get(&self, id: &DeviceId) -> Option<Arc<Known>> {
        self.read().known.get(id).cloned()
    }

    /// To be taken before the store is read.
    pub(super) fn generation(&self) -> u64 {
        self.read().generation
    }

    pub(super) fn put(&self, id: DeviceId, known: Arc<Known>, as_of: u64) {
        let mut devices = self.write();
        if devices.generation == as_of {
            devices.known.insert(id, known);
        }
    }

    pub(super) fn forget(&self, id: &DeviceId) {
        let mut devices = self.write();
        devices.generation = devices.generation.wrapping_add(1);
        devices.known.remove(id);
    }

    pub(super) fn clear(&self) {
        let mut devices = self.write();
        devices.generation = devices.generation.wrapping_add(1);
        devices.known.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.read().known.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Devices> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Devices> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most signed bundles that are kept; more than there are placements at a time, and some 100 MB at most.
const BUNDLES_MAX: usize = 4_096;

/// Signed bundles by placement: all devices of a unit get the same bytes.
#[derive(Debug, Default)]
pub(super) struct BundleCache(Mutex<BTreeMap<String, Signed>>);

/// A signed bundle with what makes it usable for another device.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) version: u64,
    pub(super) issued_at: Timestamp,
    pub(super) envelope: Envelope,
}

impl BundleCache {
    pub(super) fn get(&self, placement: &str) -> Option<Signed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(placement).cloned()
    }

    pub(super) fn put(&self, placement: String, signed: Signed) {
        let mut bundles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Places that are there no more must not add up over the years.
        if bundles.len() >= BUNDLES_MAX {
            bundles.clear();
        }
        bundles.insert(placement, signed);
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// When devices were heard of, until it is written: not worth a synchronous write each.
#[derive(Debug, Default)]
pub(super) struct SeenDevices(Mutex<BTreeMap<DeviceId, Seen>>);

impl SeenDevices {
    pub(super) fn put(&self, seen: Seen) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(seen.device.clone(), seen);
    }

    /// When a device was heard of, if that is not written yet.
    pub(super) fn at(&self, id: &DeviceId) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).map(|seen| seen.at)
    }

    pub(super) fn take(&self) -> Vec<Seen> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all).into_values().collect()
    }

    /// Puts back what could not be written, unless something later is known by now.
    pub(super) fn put_back(&self, seen: Vec<Seen>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in seen {
            all.entry(one.device.clone()).or_insert(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use offchannel_shared::ids::ExceptionId;
    use offchannel_shared::policy::Exception;
    use offchannel_shared::signing::SigningKey;

    use super::*;
    use crate::domain::exception::Covers;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn known() -> Known {
        Known {
            key: DeviceKey {
                public_key: SigningKey::from_seed(&[1; 32]).unwrap().public().clone(),
                since: at(0),
                replaced: None,
                retired_at: None,
            },
            placement: Placement::default(),
            placed_at: None,
            on_record: None,
            missed: false,
            cloned: false,
            person: None,
            accepted: Mutex::default(),
        }
    }

    #[test]
    fn a_device_is_told_once_what_is_accepted_whatever_ends_meanwhile_and_whenever_it_asks() {
        let (device, known) = (DeviceId::from_random([1; 16]), known());
        let accepted = |number: u8, start: i64, end: i64| {
            let exception = Exception {
                id: ExceptionId::from_random([number; 16]),
                rule: None,
                app: None,
                start: at(start),
                end: at(end),
            };
            (Covers::Device(device.clone()), exception)
        };
        let none = InForceExceptions::default();
        assert_eq!(
            known.news(&device, &none, None, at(0)),
            None,
            "there is nothing, and it knows of nothing"
        );
        let two = InForceExceptions::new(2, [accepted(1, 0, 10), accepted(2, 0, 20)]);
        let first = known.news(&device, &two, None, at(5)).unwrap();
        assert_eq!(first.len(), 2);
        // The answer was lost, and asked for again when one of them had ended.
        let again = known.news(&device, &two, None, at(15)).unwrap();
        assert_eq!(again, first);
        let digest = Digest::of_accepted(&again);
        assert_eq!(known.news(&device, &two, digest.as_ref(), at(16)), None, "or it would be told for ever");
        // A request that is answered late, by what was in force before, spoils nothing.
        assert_eq!(known.news(&device, &none, digest.as_ref(), at(16)), Some(Vec::new()));
        let late = known.news(&device, &two, None, at(17)).unwrap();
        assert_eq!(late.len(), 1);
        let over = InForceExceptions::new(3, [accepted(2, 0, 18)]);
        assert_eq!(known.news(&device, &over, Digest::of_accepted(&late).as_ref(), at(18)), Some(Vec::new()));
        assert_eq!(known.news(&device, &over, None, at(19)), None);
    }

    #[test]
    fn what_is_accepted_takes_little_memory_however_much_it_is() {
        assert!(size_of::<Mutex<AcceptedOf>>() <= 24);
        assert!(size_of::<Told>() <= 48);
    }
}
