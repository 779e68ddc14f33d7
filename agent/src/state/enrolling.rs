//! Keeping an enrolment: all of it counts at once, or none of it.
//!
//! An enrolment is three files that make sense together only: the identity, what is remembered under it, and a policy
//! that its keys have signed. The last two are laid beside those in use, then the identity takes its place, from where
//! on the enrolment counts, then the two take theirs. What a kill in between left is put right when the identity
//! is read the next time: completed if the enrolment counts, else taken away.

use offchannel_shared::signing::Envelope;

use super::{Folder, IDENTITY, Loaded, PENDING, POLICY, Record, STATE, SealKey, StateError};
use crate::identity::Identity;
use crate::platform::storage::Access;

/// The policy of an enrolment that may not count yet.
const NEXT_POLICY: &str = "next-policy.json";
/// What is to be remembered under it, which says whose it is: the first to come after the policy, the last to go.
const NEXT_STATE: &str = "next-state.json";

/// An enrolment that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Who the device is by it.
    pub identity: &'a Identity,
    /// What is remembered under it.
    pub record: &'a Record,
    /// What that is sealed with, as the identity has it.
    pub seal: &'a SealKey,
    /// The policy that came with it.
    pub policy: &'a Envelope,
}

/// One step; each leaves the old enrolment whole, or the new one once the identity is read.
type Step = fn(&Folder, Kept<'_>) -> Result<(), StateError>;

const STEPS: [Step; 6] = [
    |folder, kept| folder.save(NEXT_POLICY, Access::Public, kept.policy),
    |folder, kept| folder.save_sealed(NEXT_STATE, kept.record, kept.seal),
    |folder, kept| folder.save(IDENTITY, Access::Private, kept.identity),
    |folder, _| folder.put(NEXT_POLICY, POLICY),
    |folder, _| folder.put(NEXT_STATE, STATE),
    |folder, _| folder.remove(PENDING),
];

impl Folder {
    /// Keeps an enrolment in place of the one before, if there is one.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_enrolment(&self, kept: Kept<'_>) -> Result<(), StateError> {
        STEPS.iter().try_for_each(|step| step(self, kept))
    }

    /// Puts right what an enrolment left behind that was cut off.
    pub(super) fn settle_enrolment(&self, identity: &Identity) -> Result<(), StateError> {
        let left = match self.load(NEXT_STATE, |_: &Record| true)? {
            Loaded::Found(record) => Some(record),
            Loaded::Absent | Loaded::Damaged(_) => None,
        };
        if left.is_some_and(|record| record.enrolment.as_ref() == Some(&identity.enrolment)) {
            self.put(NEXT_POLICY, POLICY)?;
            return self.put(NEXT_STATE, STATE);
        }
        for name in [NEXT_STATE, NEXT_POLICY] {
            if self.has(name) {
                self.remove(name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use offchannel_shared::ids::{DeviceId, Epoch};
    use offchannel_shared::signing::SigningKey;

    use super::*;
    use crate::identity::{Enrolment, Pending, Seed};
    use crate::state::Memory;

    /// An enrolment with the collector of this number.
    struct Site {
        identity: Identity,
        record: Record,
        seal: SealKey,
        policy: Envelope,
    }

    impl Site {
        fn new(number: u8) -> Self {
            let key = SigningKey::from_seed(&[number; 32]).unwrap();
            let enrolment = Enrolment {
                device_id: DeviceId::from_random([number; 16]),
                server: format!("https://c{number}"),
                signing_keys: vec![key.public().clone()],
            };
            let seal = SealKey::from_random([number; 32]);
            let seed = Seed::from_random([number; 32]);
            let now = jiff::Timestamp::UNIX_EPOCH;
            let identity = Identity {
                seal: Some(seal.clone()),
                ..Identity::new(seed, enrolment.clone(), "m".to_owned(), now)
            };
            let record = Record {
                enrolment: Some(enrolment),
                policy_version: u64::from(number),
                ..Record::new(Epoch::from_random([number; 16]))
            };
            Self { identity, record, seal, policy: Envelope::seal("test", &[number], &key) }
        }

        fn kept(&self) -> Kept<'_> {
            let Self { identity, record, seal, policy } = self;
            Kept { identity, record, seal, policy }
        }
    }

    /// What the next start finds.
    fn started(folder: &Folder) -> (Identity, Memory) {
        let Loaded::Found(identity) = folder.identity().unwrap() else { panic!("no identity") };
        let memory = folder.memory(Epoch::from_random([9; 16]), identity.seal.as_ref()).unwrap();
        (identity, memory)
    }

    fn names(folder: &Folder) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn cut_off_after_any_step_either_enrolment_is_whole() {
        let (old, new) = (Site::new(1), Site::new(2));
        for done in 0..=STEPS.len() {
            let place = tempfile::tempdir().unwrap();
            let folder = Folder::at(place.path());
            folder.save_enrolment(old.kept()).unwrap();
            let seed = Seed::from_random([2; 32]);
            folder.save_pending(&Pending { seed, machine: "m".to_owned() }).unwrap();
            for step in &STEPS[..done] {
                step(&folder, new.kept()).unwrap();
            }
            let whole = if done < 3 { &old } else { &new };
            for start in ["first", "second"] {
                let (identity, memory) = started(&folder);
                assert_eq!(identity, whole.identity, "{start} start after step {done}");
                assert_eq!(memory.record, whole.record, "{start} start after step {done}");
                assert_eq!(memory.policy.as_ref(), Some(&whole.policy), "{start} start after step {done}");
                assert_eq!(memory.damaged, Vec::<String>::new(), "{start} start after step {done}");
            }
            let left: Vec<String> = names(&folder).into_iter().filter(|name| name != PENDING).collect();
            assert_eq!(left, [IDENTITY, POLICY, STATE], "after step {done}");
        }
    }

    #[test]
    fn an_enrolment_that_is_tried_again_takes_nothing_from_the_attempt_before() {
        let (old, lost, new) = (Site::new(1), Site::new(2), Site::new(3));
        for done in 0..3 {
            let place = tempfile::tempdir().unwrap();
            let folder = Folder::at(place.path());
            folder.save_enrolment(old.kept()).unwrap();
            for step in &STEPS[..done] {
                step(&folder, lost.kept()).unwrap();
            }
            folder.save_enrolment(new.kept()).unwrap();
            let (identity, memory) = started(&folder);
            assert_eq!((identity, memory.record), (new.identity.clone(), new.record.clone()), "step {done}");
            assert_eq!(memory.policy.as_ref(), Some(&new.policy), "step {done}");
        }
    }

    #[test]
    fn a_first_enrolment_that_was_cut_off_is_none() {
        let site = Site::new(1);
        for done in 0..3 {
            let place = tempfile::tempdir().unwrap();
            let folder = Folder::at(place.path());
            for step in &STEPS[..done] {
                step(&folder, site.kept()).unwrap();
            }
            assert!(matches!(folder.identity(), Ok(Loaded::Absent)), "step {done}");
            folder.save_enrolment(site.kept()).unwrap();
            assert_eq!(started(&folder).1.damaged, Vec::<String>::new(), "step {done}");
        }
    }
}
