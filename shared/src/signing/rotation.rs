//! The proof that comes with a new device key: whoever offers it has it.
//!
//! A request to replace a key is signed by the old one, which shows that the device itself asks. It shows nothing of
//! the new key, which could be somebody else's: so the new key signs, too, what is to be replaced by what, and where.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{KeyError, PublicKey, SigningKey};
use crate::ids::DeviceId;

/// What these signatures are made for, and nothing else: neither a request (RFC 9421 begins with `"@method"`) nor
/// an envelope (DSSE begins with `DSSEv1`) can begin like this.
const DOMAIN: &str = "offchannel key rotation 1";
/// Length of an Ed25519 signature, in bytes (RFC 8032).
const SIGNATURE_BYTES: usize = 64;

/// A signature by a device's new key over the device and both keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RotationProof([u8; SIGNATURE_BYTES]);

impl RotationProof {
    /// Proves that the new key is at hand.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] if the cryptographic library makes another kind of signature, which it never does.
    pub fn make(new: &SigningKey, device: &DeviceId, old: &PublicKey) -> Result<Self, KeyError> {
        let signature = new.sign(&message(device, old, new.public()));
        signature.try_into().map(Self).map_err(|_| KeyError::Malformed)
    }

    /// Whether `new` made it, for this device and to replace this key.
    pub fn holds(&self, device: &DeviceId, old: &PublicKey, new: &PublicKey) -> bool {
        new.verify(&message(device, old, new), &self.0)
    }
}

/// A device id has neither a line feed nor another length than its own, and keys have a fixed one: two different
/// rotations never give the same bytes.
fn message(device: &DeviceId, old: &PublicKey, new: &PublicKey) -> Vec<u8> {
    let mut message = format!("{DOMAIN}\n{device}\n").into_bytes();
    message.extend_from_slice(old.as_bytes());
    message.extend_from_slice(new.as_bytes());
    message
}

impl fmt::Debug for RotationProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationProof")
    }
}

impl TryFrom<String> for RotationProof {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| KeyError::Malformed)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Malformed)
    }
}

impl From<RotationProof> for String {
    fn from(proof: RotationProof) -> Self {
        STANDARD.encode(proof.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32]).unwrap()
    }

    fn device(byte: u8) -> DeviceId {
        DeviceId::from_random([byte; 16])
    }

    #[test]
    fn a_proof_is_good_for_its_device_and_keys_alone() {
        let (old, new, other) = (key(1), key(2), key(3));
        let proof = RotationProof::make(&new, &device(1), old.public()).unwrap();
        assert!(proof.holds(&device(1), old.public(), new.public()));
        assert!(!proof.holds(&device(2), old.public(), new.public()), "another device");
        assert!(!proof.holds(&device(1), other.public(), new.public()), "another old key");
        assert!(!proof.holds(&device(1), old.public(), other.public()), "another new key");
        let by_old =
            RotationProof(old.sign(&message(&device(1), old.public(), new.public())).try_into().unwrap());
        assert!(
            !by_old.holds(&device(1), old.public(), new.public()),
            "the old key proves nothing of the new one"
        );
    }

    #[test]
    fn no_other_signature_of_the_key_is_a_proof() {
        let (old, new) = (key(1), key(2));
        let bare = [device(1).as_str().as_bytes(), old.public().as_bytes(), new.public().as_bytes()].concat();
        let foreign = RotationProof(new.sign(&bare).try_into().unwrap());
        assert!(!foreign.holds(&device(1), old.public(), new.public()), "without the domain");
    }

    #[test]
    fn it_travels_as_base64_of_64_bytes() {
        let proof = RotationProof::make(&key(2), &device(1), key(1).public()).unwrap();
        let json = serde_json::to_string(&proof).unwrap();
        assert_eq!(serde_json::from_str::<RotationProof>(&json).unwrap(), proof);
        assert_eq!(json.len(), 88 + 2);
        for bad in ["\"\"", "\"AAAA\"", "\"?\"", "7"] {
            assert!(serde_json::from_str::<RotationProof>(bad).is_err(), "{bad}");
        }
    }
}
