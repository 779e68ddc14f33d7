//! Who this device is to the collector.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::signing::{KeyError, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};

use crate::state::SealKey;

/// The device's private key, as the seed that it is made from. Prints nothing of it.
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

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl TryFrom<String> for Seed {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| KeyError::Malformed)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Malformed)
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
    /// What the collector gave for it.
    #[serde(flatten)]
    pub enrolment: Enrolment,
}

impl Identity {
    /// The only form of the file so far.
    pub const SCHEMA: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_reads_back_and_never_prints() {
        let seed = Seed::from_random([7; 32]);
        let json = serde_json::to_string(&seed).unwrap();
        assert_eq!(serde_json::from_str::<Seed>(&json).unwrap(), seed);
        assert_eq!(format!("{seed:?}"), "Seed");
        assert!(serde_json::from_str::<Seed>("\"AAAA\"").is_err());
    }
}
