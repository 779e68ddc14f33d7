//! What the agent remembers across restarts, and how it survives crashes.
//!
//! Three files, all written by [`Folder::write`]: `identity.json` (secret), `state.json` and
//! `policy.json` (the last good bundle as it was received). Nothing is written when nothing changes.
//! The order of saving is what makes a kill at any moment harmless: a revision is on disk before it
//! is sent, a policy before it is applied, an acknowledgement after it has arrived. An enrolment changes all three
//! at once (`enrolling`).

mod enrolling;
mod files;
mod record;
mod seal;

use offchannel_shared::ids::Epoch;
use offchannel_shared::signing::Envelope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;

pub use enrolling::Kept;
pub use files::{Folder, Lock};
pub use record::{Observed, Record, Sent, TRANSITIONS_BYTES, Trouble, json_size};
pub use seal::{SealKey, SealKeyError};

use crate::identity::{Identity, Pending};
use crate::platform::storage::{self, Access};
use files::Read;

const IDENTITY: &str = "identity.json";
const PENDING: &str = "pending-identity.json";
const STATE: &str = "state.json";
const POLICY: &str = "policy.json";

/// Why the agent's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder cannot be made or written.
    #[error("cannot use the state folder {path}; set state_dir to a folder that this account may write")]
    Folder {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Another process works in it.
    #[error("another offchannel-agent (process {holder}) uses the state folder {path}: stop it first")]
    Locked {
        /// Which folder.
        path: String,
        /// The process, if it said so.
        holder: String,
    },
    /// A file is there and cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The rights of a file or folder cannot be told or set.
    #[error("cannot see to it that {path} is for the agent's user alone")]
    Rights {
        /// Which.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A value cannot be written as JSON.
    #[error("cannot write {0} as JSON")]
    Encode(&'static str, #[source] serde_json::Error),
}

/// Who beside the agent's user could get at the device's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// Other accounts could read it. They cannot any more.
    pub key: bool,
    /// Other accounts may write in the folder, and so put another file in its place.
    pub folder: bool,
}

/// What became of a file of ours.
#[derive(Debug)]
pub enum Loaded<T> {
    /// It is not there.
    Absent,
    /// What it says.
    Found(T),
    /// It does not say anything that we understand; it is kept under this name.
    Damaged(String),
}

/// What `run` starts from, apart from the identity.
#[derive(Debug)]
pub struct Memory {
    /// The state; a new epoch if there was none.
    pub record: Record,
    /// The last good policy.
    pub policy: Option<Envelope>,
    /// What was damaged, for the log.
    pub damaged: Vec<String>,
    /// Whether the record is as it is on disk.
    pub saved: bool,
}

impl Folder {
    /// Who the device is. An enrolment that was cut off is put right before. The folder must be locked by the caller.
    ///
    /// # Errors
    /// [`StateError`]. A damaged file is no error here: it is set aside, and the device must enrol.
    pub fn identity(&self) -> Result<Loaded<Identity>, StateError> {
        let loaded = self.load(IDENTITY, |identity: &Identity| identity.schema == Identity::SCHEMA)?;
        if let Loaded::Found(identity) = &loaded {
            self.settle_enrolment(identity)?;
        }
        Ok(loaded)
    }

    /// What is wrong with the rights on the identity and its folder, with what to do. A file that others could read
    /// is closed to them; what they have read they keep.
    ///
    /// # Errors
    /// [`StateError`] if the rights cannot be told or put right.
    pub fn exposure(&self) -> Result<Exposure, StateError> {
        let path = self.path().join(IDENTITY);
        let failed = |cause| StateError::Rights { path: path.display().to_string(), cause };
        let open = storage::is_open_to_others(&path, Access::Private).map_err(failed)?;
        if open {
            storage::close_to_others(&path).map_err(failed)?;
        }
        let dir = self.path();
        let failed = |cause| StateError::Rights { path: dir.display().to_string(), cause };
        let folder = storage::is_open_to_others(dir, Access::Public).map_err(failed)?;
        Ok(Exposure { key: open, folder })
    }

    /// Keeps who the device is.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_identity(&self, identity: &Identity) -> Result<(), StateError> {
        self.save(IDENTITY, Access::Private, identity)
    }

    /// The key of an enrolment whose answer never arrived. It is tried again with the same key, so
    /// that the collector can tell a repetition from a second device.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn pending(&self) -> Result<Loaded<Pending>, StateError> {
        self.load(PENDING, |_: &Pending| true)
    }

    /// Keeps the key of an enrolment that is about to be asked for.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_pending(&self, pending: &Pending) -> Result<(), StateError> {
        self.save(PENDING, Access::Private, pending)
    }

    /// What an enrolled device remembers. Files that are damaged, or altered by somebody else, are set aside, and
    /// that a file is missing is told as well: enrolling makes them all. `fresh` is the epoch of a new state; without
    /// a `seal`, which the identity of an older agent does not have, nothing tells whether the state was altered.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn memory(&self, fresh: Epoch, seal: Option<&SealKey>) -> Result<Memory, StateError> {
        let mut damaged = Vec::new();
        let mut saved = false;
        let mut lost = |what: String| {
            damaged.push(format!("state.json {what}; a new epoch was started"));
            Record::new(fresh.clone())
        };
        let mut record = match self.read(STATE)? {
            Read::Absent => lost("was missing".to_owned()),
            Read::Found(bytes) => match serde_json::from_slice::<Record>(&bytes) {
                Ok(_) if seal.is_some_and(|seal| !seal.is_whole(&bytes)) => {
                    let kept = self.set_aside(STATE)?;
                    lost(format!("was altered by something else than the agent and is kept as {kept}"))
                }
                Ok(mut record) if record.schema == Record::SCHEMA => {
                    saved = !record.restarted();
                    record
                }
                Ok(_) | Err(_) => lost(format!("was damaged and is kept as {}", self.set_aside(STATE)?)),
            },
        };
        let policy = match self.load(POLICY, |_: &Envelope| true)? {
            Loaded::Found(envelope) => Some(envelope),
            Loaded::Absent => {
                damaged.push("policy.json was missing; it is asked for".to_owned());
                None
            }
            Loaded::Damaged(kept) => {
                damaged.push(format!("policy.json was damaged and is kept as {kept}; it is asked for again"));
                None
            }
        };
        for what in &damaged {
            saved &= !record.add_note(what);
        }
        Ok(Memory { record, policy, damaged, saved })
    }

    /// Keeps what is remembered, under a seal.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_record(&self, record: &Record, seal: &SealKey) -> Result<(), StateError> {
        self.save_sealed(STATE, record, seal)
    }

    fn save_sealed(&self, name: &'static str, record: &Record, seal: &SealKey) -> Result<(), StateError> {
        let failed = |cause| StateError::Encode(name, cause);
        let bytes = serde_json::to_vec(record).map_err(failed)?;
        let sealed = seal.seal(&bytes).ok_or_else(|| failed(serde_json::Error::custom("it is no object")))?;
        self.write(name, Access::Public, &sealed)
    }

    /// Keeps the policy bundle as it was received.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_policy(&self, envelope: &Envelope) -> Result<(), StateError> {
        self.save(POLICY, Access::Public, envelope)
    }

    /// What is remembered, for those who only look: nothing is set aside, nothing locked.
    ///
    /// # Errors
    /// [`StateError`]; a damaged file counts as one that cannot be read.
    pub fn look(&self) -> Result<(Option<Record>, Option<Envelope>), StateError> {
        Ok((self.peek(STATE)?, self.peek(POLICY)?))
    }

    /// Who the device is, for those who only look: nothing is set aside, nothing locked.
    ///
    /// # Errors
    /// [`StateError`]; a damaged file counts as one that cannot be read.
    pub fn look_identity(&self) -> Result<Option<Identity>, StateError> {
        self.peek(IDENTITY)
    }

    fn peek<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        match self.read(name)? {
            Read::Absent => Ok(None),
            Read::Found(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                let damage = format!("it is damaged, and is set aside when the agent starts ({error})");
                let cause = std::io::Error::new(std::io::ErrorKind::InvalidData, damage);
                StateError::Read { path: self.path().join(name).display().to_string(), cause }
            }),
        }
    }

    /// Reads a file of ours; one that is damaged, or not `valid`, is set aside.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load<T: DeserializeOwned>(
        &self,
        name: &str,
        valid: impl Fn(&T) -> bool,
    ) -> Result<Loaded<T>, StateError> {
        match self.read(name)? {
            Read::Absent => Ok(Loaded::Absent),
            Read::Found(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) if valid(&value) => Ok(Loaded::Found(value)),
                Ok(_) | Err(_) => Ok(Loaded::Damaged(self.set_aside(name)?)),
            },
        }
    }

    /// Replaces a file of ours.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save(&self, name: &'static str, access: Access, value: &impl Serialize) -> Result<(), StateError> {
        let bytes = serde_json::to_vec(value).map_err(|cause| StateError::Encode(name, cause))?;
        self.write(name, access, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        (place, folder)
    }

    fn epoch(byte: u8) -> Epoch {
        Epoch::from_random([byte; 16])
    }

    fn envelope() -> Envelope {
        let key = offchannel_shared::signing::SigningKey::from_seed(&[1; 32]).unwrap();
        Envelope::seal("test", b"{}", &key)
    }

    fn seal() -> SealKey {
        SealKey::from_random([3; 32])
    }

    /// What becomes of the folder's files at the next start.
    fn started(folder: &Folder) -> Memory {
        folder.memory(epoch(2), Some(&seal())).unwrap()
    }

    #[test]
    fn state_reads_back_as_it_was_saved() {
        let (_place, folder) = folder();
        let mut record = Record::new(epoch(1));
        record.transitions_lost = 3;
        folder.save_record(&record, &seal()).unwrap();
        folder.save(POLICY, Access::Public, &envelope()).unwrap();
        let memory = started(&folder);
        assert_eq!(memory.record, record);
        assert_eq!(memory.damaged, Vec::<String>::new());
    }

    #[test]
    fn files_that_are_gone_from_an_enrolled_device_are_told() {
        let (_place, folder) = folder();
        let memory = started(&folder);
        assert_eq!(memory.record.epoch, epoch(2));
        let note = memory.record.note.unwrap();
        assert_eq!(
            note,
            "state.json was missing; a new epoch was started; policy.json was missing; it is asked for"
        );
        assert!(!memory.saved);
    }

    #[test]
    fn what_was_not_told_yet_is_not_forgotten_at_the_next_start() {
        let (_place, folder) = folder();
        let first = started(&folder).record;
        folder.save_record(&first, &seal()).unwrap();
        let second = started(&folder);
        assert_eq!(second.record.note, first.note);
        assert!(second.saved, "the same note again is no news");
    }

    #[test]
    fn every_torn_state_file_starts_a_new_epoch_and_is_kept() {
        let (_place, folder) = folder();
        folder.save_record(&Record::new(epoch(1)), &seal()).unwrap();
        let whole = std::fs::read(folder.path().join(STATE)).unwrap();
        for length in 0..whole.len() {
            std::fs::write(folder.path().join(STATE), &whole[..length]).unwrap();
            let memory = started(&folder);
            assert_eq!(memory.record.epoch, epoch(2), "{length} bytes");
            let note = memory.record.note.unwrap();
            assert!(note.contains("state.json was damaged and is kept as state.json.damaged-"), "{note}");
        }
        assert_eq!(std::fs::read(folder.path().join("state.json.damaged-1")).unwrap(), b"");
    }

    #[test]
    fn an_altered_state_file_starts_a_new_epoch_and_is_kept() {
        let (_place, folder) = folder();
        folder.save_record(&Record::new(epoch(1)), &seal()).unwrap();
        let whole = std::fs::read_to_string(folder.path().join(STATE)).unwrap();
        let unsealed = serde_json::to_string(&Record::new(epoch(1))).unwrap();
        for altered in [whole.replace("\"revision\":0", "\"revision\":7"), unsealed] {
            std::fs::write(folder.path().join(STATE), &altered).unwrap();
            let trusting = folder.memory(epoch(2), None).unwrap();
            assert_eq!(trusting.record.epoch, epoch(1), "without a key nobody can tell");
            let memory = started(&folder);
            assert_eq!(memory.record.epoch, epoch(2), "{altered}");
            let note = memory.record.note.unwrap();
            assert!(note.starts_with("state.json was altered by something else than the agent"), "{note}");
        }
        assert!(folder.path().join("state.json.damaged-2").exists());
    }

    #[test]
    fn a_state_file_of_a_newer_agent_is_set_aside_and_not_overwritten() {
        let (_place, folder) = folder();
        let mut record = Record::new(epoch(1));
        record.schema = 99;
        folder.save_record(&record, &seal()).unwrap();
        assert!(started(&folder).damaged[0].starts_with("state.json was damaged"));
        assert!(folder.path().join("state.json.damaged-1").exists());
    }

    #[test]
    fn a_damaged_identity_is_told_from_none() {
        let (_place, folder) = folder();
        assert!(matches!(folder.identity(), Ok(Loaded::Absent)));
        std::fs::write(folder.path().join(IDENTITY), b"{\"schema\":1").unwrap();
        assert!(matches!(folder.identity(), Ok(Loaded::Damaged(kept)) if kept == "identity.json.damaged-1"));
        assert!(matches!(folder.identity(), Ok(Loaded::Absent)));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_could_read_is_told_and_closed_to_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_place, folder) = folder();
        let path = folder.path().join(IDENTITY);
        let set = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(&path, b"{}").unwrap();
        for (file, dir, expected) in [
            (0o600, 0o755, Exposure { key: false, folder: false }),
            (0o640, 0o700, Exposure { key: true, folder: false }),
            (0o604, 0o755, Exposure { key: true, folder: false }),
            (0o600, 0o775, Exposure { key: false, folder: true }),
        ] {
            set(&path, file);
            set(folder.path(), dir);
            assert_eq!(folder.exposure().unwrap(), expected, "{file:o} in {dir:o}");
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file:o} is put right");
        }
    }

    #[test]
    fn looking_changes_nothing() {
        let (_place, folder) = folder();
        assert!(matches!(folder.look(), Ok((None, None))));
        std::fs::write(folder.path().join(STATE), b"{").unwrap();
        let Err(StateError::Read { cause, .. }) = folder.look() else { panic!("a damaged file was read") };
        assert!(
            cause.to_string().starts_with("it is damaged, and is set aside when the agent starts"),
            "{cause}"
        );
        assert!(folder.path().join(STATE).exists());
    }
}
