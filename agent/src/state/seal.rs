//! The seal of `state.json`: tells a file that somebody altered from one that this agent wrote.
//!
//! A file whose JSON is torn shows that by itself. One in which a number was changed does not, and it could say
//! that an app was never there. The seal is an HMAC (RFC 2104) under a secret that lies beside the device's key, so
//! that whoever cannot read that cannot make one. The file stays one JSON object that anyone may read: the seal is
//! its first field and covers every byte behind it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// What a sealed file begins with.
const HEAD: &[u8] = b"{\"seal\":\"";
/// What stands between the seal and what it covers.
const NECK: &[u8] = b"\",";
/// Length of a seal: 32 bytes in base64.
const SEAL: usize = 44;

/// The secret that seals are made with. Prints nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealKey([u8; 32]);

/// Why a text is no key.
#[derive(Debug, thiserror::Error)]
#[error("expected 32 bytes in base64")]
pub struct SealKeyError;

impl SealKey {
    /// Takes 32 bytes from a secure random source.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn tag(&self, covered: &[u8]) -> hmac::Tag {
        hmac::sign(&self.hmac(), covered)
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }

    /// A JSON object with a seal as its first field; `None` if it is no object or an empty one.
    pub(super) fn seal(&self, object: &[u8]) -> Option<Vec<u8>> {
        let covered = object.strip_prefix(b"{").filter(|rest| rest.starts_with(b"\""))?;
        let seal = STANDARD.encode(self.tag(covered));
        Some([HEAD, seal.as_bytes(), NECK, covered].concat())
    }

    /// Whether a file is as it was when it was sealed.
    pub(super) fn is_whole(&self, file: &[u8]) -> bool {
        let parts = || {
            let (seal, rest) = file.strip_prefix(HEAD)?.split_at_checked(SEAL)?;
            Some((STANDARD.decode(seal).ok()?, rest.strip_prefix(NECK)?))
        };
        parts().is_some_and(|(seal, covered)| hmac::verify(&self.hmac(), covered, &seal).is_ok())
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

impl TryFrom<String> for SealKey {
    type Error = SealKeyError;
    fn try_from(text: String) -> Result<Self, SealKeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| SealKeyError)?;
        bytes.try_into().map(Self).map_err(|_| SealKeyError)
    }
}

impl From<SealKey> for String {
    fn from(key: SealKey) -> Self {
        STANDARD.encode(key.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: SealKey = SealKey([7; 32]);

    #[test]
    fn a_sealed_object_is_an_object_that_says_the_same_and_one_thing_more() {
        let sealed = KEY.seal(br#"{"a":1,"b":[2]}"#).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&sealed).unwrap();
        assert_eq!((&value["a"], &value["b"][0]), (&1.into(), &2.into()));
        assert_eq!(value["seal"].as_str().unwrap().len(), SEAL);
        assert!(KEY.is_whole(&sealed));
        assert!(!SealKey([8; 32]).is_whole(&sealed), "another secret makes another seal");
        assert!(!KEY.is_whole(br#"{"a":1,"b":[2]}"#), "without a seal nothing is known");
    }

    #[test]
    fn a_key_reads_back_and_never_prints() {
        let json = serde_json::to_string(&KEY).unwrap();
        assert_eq!(serde_json::from_str::<SealKey>(&json).unwrap(), KEY);
        assert_eq!(format!("{KEY:?}"), "SealKey");
        assert!(serde_json::from_str::<SealKey>("\"AAAA\"").is_err());
    }

    proptest! {
        #[test]
        fn every_change_of_a_byte_is_seen(at: prop::sample::Index, to: u8) {
            let sealed = KEY.seal(br#"{"schema":1,"revision":17,"acknowledged":16}"#).unwrap();
            let mut altered = sealed.clone();
            let at = at.index(altered.len());
            altered[at] = to;
            // Base64 has one form of every seal here: its last character's spare bits are refused.
            prop_assert_eq!(KEY.is_whole(&altered), altered == sealed);
        }

        #[test]
        fn any_bytes_are_judged_without_panic(bytes: Vec<u8>) {
            prop_assert!(!KEY.is_whole(&bytes));
            let _ = KEY.seal(&bytes);
        }
    }
}
