//! Who this device is to the collector.
//!
//! The file is only ever replaced whole. A new key stands in it before it is offered, and the old one stays until
//! the collector has said that it took the new one, so that after a kill at any moment one of them is the key
//! that the collector knows ([ADR 0014](../../docs/adr/0014-keys-are-replaced-in-place.md)).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::signing::{KeyError, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::state::SealKey;

/// The device's private key, as the seed that it is made from. Prints nothing of it, and is overwritten in memory
/// when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed([u8; 32]);

impl Seed {
    /// Takes 32 bytes from a secure random source.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key pair.
    ///
    /// # Errors
    /// [`KeyError`] if the cryptographic library refuses the seed.
    pub fn key(&self) -> Result<SigningKey, KeyError> {
        SigningKey::from_seed(&self.0)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl TryFrom<String> for Seed {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        let text = Zeroizing::new(text);
        let bytes = Zeroizing::new(STANDARD.decode(text.as_bytes()).map_err(|_| KeyError::Malformed)?);
        bytes.as_slice().try_into().map(Self).map_err(|_| KeyError::Malformed)
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        STANDARD.encode(seed.0)
    }
}

/// What the enrolment gave, nothing of it secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The device's id.
    pub device_id: DeviceId,
    /// The collector it was enrolled with.
    pub server: String,
    /// The keys that sign policy bundles.
    pub signing_keys: Vec<PublicKey>,
}

/// The key of an enrolment that was asked for and not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PendingForm")]
pub struct Pending {
    /// The private key.
    pub seed: Seed,
    /// Hash of the id of the machine that made it; empty if that has none, or an earlier version made it.
    pub machine: String,
}

/// Earlier versions wrote the seed alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum PendingForm {
    Seed(Seed),
    Pending { seed: Seed, machine: String },
}

impl From<PendingForm> for Pending {
    fn from(form: PendingForm) -> Self {
        match form {
            PendingForm::Seed(seed) => Self { seed, machine: String::new() },
            PendingForm::Pending { seed, machine } => Self { seed, machine },
        }
    }
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Always [`Identity::SCHEMA`].
    pub schema: u32,
    /// The private key.
    pub seed: Seed,
    /// The secret that seals what the agent remembers; an older agent made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealKey>,
    /// Since when the collector has had it, by the collector's clock. Earlier versions did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_since: Option<Timestamp>,
    /// The key that is to take its place, until the collector has said that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Seed>,
    /// The key before it. The collector refuses it, unless it was put back by a backup to where it knows no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Seed>,
    /// Hash of the id of the machine that enrolled, as in the facts. Empty if that has none; earlier versions did
    /// not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What the collector gave for it.
    #[serde(flatten)]
    pub enrolment: Enrolment,
}

impl Identity {
    /// The only form of the file so far.
    pub const SCHEMA: u32 = 1;

    /// A device that has just enrolled with this key.
    pub fn new(seed: Seed, enrolment: Enrolment, machine: String, now: Timestamp) -> Self {
        let (schema, key_since, machine) = (Self::SCHEMA, Some(now), Some(machine));
        Self { schema, seed, seal: None, key_since, next: None, previous: None, machine, enrolment }
    }

    /// Whether it is or was the key of this device.
    pub fn has(&self, seed: &Seed) -> bool {
        [Some(&self.seed), self.next.as_ref(), self.previous.as_ref()].contains(&Some(seed))
    }

    /// Whether it was made on another machine than this one. A machine without an id is nobody else.
    pub fn is_of_another_than(&self, machine: &str) -> bool {
        self.machine.as_deref().is_some_and(|made_on| is_another(made_on, machine))
    }

    /// The collector has taken the next key.
    pub fn adopt(&mut self, since: Timestamp) {
        if let Some(next) = self.next.take() {
            self.previous = Some(std::mem::replace(&mut self.seed, next));
            self.key_since = Some(since);
        }
    }
}

/// Whether two hashes of machine ids are those of different machines. An empty one says nothing.
pub fn is_another(one: &str, other: &str) -> bool {
    !one.is_empty() && !other.is_empty() && one != other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(byte: u8) -> Seed {
        Seed::from_random([byte; 32])
    }

    fn identity() -> Identity {
        let enrolment = Enrolment {
            device_id: DeviceId::from_random([3; 16]),
            server: "https://c".to_owned(),
            signing_keys: Vec::new(),
        };
        Identity::new(seed(1), enrolment, "m1".to_owned(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_seed_reads_back_and_never_prints() {
        let seed = seed(7);
        let json = serde_json::to_string(&seed).unwrap();
        assert_eq!(serde_json::from_str::<Seed>(&json).unwrap(), seed);
        assert_eq!(format!("{seed:?}"), "Seed");
        assert!(serde_json::from_str::<Seed>("\"AAAA\"").is_err());
    }

    #[test]
    fn the_files_of_earlier_versions_are_read() {
        let json = serde_json::to_value(identity()).unwrap();
        let mut old = json.clone();
        for added in ["key_since", "machine"] {
            assert!(old.as_object_mut().unwrap().remove(added).is_some(), "{added}");
        }
        let read: Identity = serde_json::from_value(old).unwrap();
        assert_eq!(read, Identity { key_since: None, machine: None, ..identity() });
        assert!(!read.is_of_another_than("m2"), "nobody knows where it was made");
        let bare = serde_json::to_string(&seed(7)).unwrap();
        let pending: Pending = serde_json::from_str(&bare).unwrap();
        assert_eq!(pending, Pending { seed: seed(7), machine: String::new() });
        let json = serde_json::to_string(&Pending { machine: "m".to_owned(), ..pending }).unwrap();
        assert_eq!(serde_json::from_str::<Pending>(&json).unwrap().machine, "m");
    }

    #[test]
    fn a_machine_that_has_no_id_is_nobody_else() {
        assert!(identity().is_of_another_than("m2"));
        assert!(!identity().is_of_another_than("m1"));
        assert!(!identity().is_of_another_than(""));
        let unknown = Identity { machine: Some(String::new()), ..identity() };
        assert!(!unknown.is_of_another_than("m2"));
    }

    #[test]
    fn the_next_key_takes_the_place_of_the_one_that_was_offered_for_it() {
        let mut identity = identity();
        let before = identity.clone();
        identity.adopt(Timestamp::MAX);
        assert_eq!(identity, before, "nothing was offered");
        identity.next = Some(seed(2));
        identity.adopt(Timestamp::MAX);
        assert_eq!((&identity.seed, &identity.next, &identity.previous), (&seed(2), &None, &Some(seed(1))));
        assert_eq!(identity.key_since, Some(Timestamp::MAX));
        assert!(identity.has(&seed(1)) && identity.has(&seed(2)) && !identity.has(&seed(3)));
    }
}
