//! What the agent remembers across restarts, and how it survives crashes.
//!
//! Three files, all written by [`Folder::write`]: `identity.json` (secret), `state.json` and
//! `policy.json` (the last good bundle as it was received). Nothing is written when nothing changes.
//! The order of saving is what makes a kill at any moment harmless: a revision is on disk before it
//! is sent, a policy before it is applied, an acknowledgement after it has arrived.

mod files;
mod record;

use offchannel_shared::ids::Epoch;
use offchannel_shared::signing::Envelope;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use files::{Folder, Lock};
pub use record::{Observed, Record, Sent, TRANSITIONS_BYTES, Trouble, json_size};

use crate::identity::{Identity, Seed};
use crate::platform::storage::Access;
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
    /// A value cannot be written as JSON.
    #[error("cannot write {0} as JSON")]
    Encode(&'static str, #[source] serde_json::Error),
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
    /// Who the device is.
    ///
    /// # Errors
    /// [`StateError`]. A damaged file is no error here: it is set aside, and the device must enrol.
    pub fn identity(&self) -> Result<Loaded<Identity>, StateError> {
        self.load(IDENTITY, |identity: &Identity| identity.schema == Identity::SCHEMA)
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
    pub fn pending(&self) -> Result<Loaded<Seed>, StateError> {
        self.load(PENDING, |_: &Seed| true)
    }

    /// Keeps the key of an enrolment that is about to be asked for.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_pending(&self, seed: &Seed) -> Result<(), StateError> {
        self.save(PENDING, Access::Private, seed)
    }

    /// Forgets the key of an enrolment that is done.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn remove_pending(&self) -> Result<(), StateError> {
        self.remove(PENDING)
    }

    /// What is remembered. Damaged files are set aside; `fresh` is the epoch of a new state.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn memory(&self, fresh: Epoch) -> Result<Memory, StateError> {
        let mut damaged = Vec::new();
        let mut saved = false;
        let mut record = match self.load(STATE, |record: &Record| record.schema == Record::SCHEMA)? {
            Loaded::Found(mut record) => {
                saved = !record.restarted();
                record
            }
            Loaded::Absent => Record::new(fresh),
            Loaded::Damaged(kept) => {
                damaged
                    .push(format!("state.json was damaged and is kept as {kept}; a new epoch was started"));
                Record::new(fresh)
            }
        };
        let policy = match self.load(POLICY, |_: &Envelope| true)? {
            Loaded::Found(envelope) => Some(envelope),
            Loaded::Absent => None,
            Loaded::Damaged(kept) => {
                damaged.push(format!("policy.json was damaged and is kept as {kept}; it is asked for again"));
                None
            }
        };
        if !damaged.is_empty() {
            record.note = Some(damaged.join("; "));
            saved = false;
        }
        Ok(Memory { record, policy, damaged, saved })
    }

    /// Keeps what is remembered.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save_record(&self, record: &Record) -> Result<(), StateError> {
        self.save(STATE, Access::Public, record)
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
                StateError::Read { path: self.path().join(name).display().to_string(), cause: error.into() }
            }),
        }
    }

    fn load<T: DeserializeOwned>(
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

    fn save(&self, name: &'static str, access: Access, value: &impl Serialize) -> Result<(), StateError> {
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

    #[test]
    fn state_reads_back_as_it_was_saved() {
        let (_place, folder) = folder();
        let mut record = folder.memory(epoch(1)).unwrap().record;
        assert_eq!(record.epoch, epoch(1));
        record.transitions_lost = 3;
        folder.save_record(&record).unwrap();
        let memory = folder.memory(epoch(2)).unwrap();
        assert_eq!(memory.record, record);
        assert_eq!(memory.damaged, Vec::<String>::new());
    }

    #[test]
    fn every_torn_state_file_starts_a_new_epoch_and_is_kept() {
        let (_place, folder) = folder();
        folder.save_record(&Record::new(epoch(1))).unwrap();
        let whole = std::fs::read(folder.path().join(STATE)).unwrap();
        for length in 0..whole.len() {
            std::fs::write(folder.path().join(STATE), &whole[..length]).unwrap();
            let memory = folder.memory(epoch(2)).unwrap();
            assert_eq!(memory.record.epoch, epoch(2), "{length} bytes");
            let note = memory.record.note.unwrap();
            assert!(note.contains("state.json was damaged and is kept as state.json.damaged-"), "{note}");
        }
        assert_eq!(std::fs::read(folder.path().join("state.json.damaged-1")).unwrap(), b"");
    }

    #[test]
    fn a_state_file_of_a_newer_agent_is_set_aside_and_not_overwritten() {
        let (_place, folder) = folder();
        let mut record = Record::new(epoch(1));
        record.schema = 99;
        folder.save_record(&record).unwrap();
        assert_eq!(folder.memory(epoch(2)).unwrap().damaged.len(), 1);
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

    #[test]
    fn looking_changes_nothing() {
        let (_place, folder) = folder();
        assert!(matches!(folder.look(), Ok((None, None))));
        std::fs::write(folder.path().join(STATE), b"{").unwrap();
        assert!(matches!(folder.look(), Err(StateError::Read { .. })));
        assert!(folder.path().join(STATE).exists());
    }
}
