//! DSSE envelopes (<https://github.com/secure-systems-lab/dsse>): a document and who signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{PublicKey, SigningKey};

/// A signed document. The signature covers the type and the exact bytes of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Media type of the payload.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Base64 of the payload.
    pub payload: String,
    /// At least one signature.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// Which key made it, a hint.
    pub keyid: String,
    /// Base64 of the signature.
    pub sig: String,
}

/// Why an envelope cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It is about something else.
    #[error("expected the payload type {expected:?}, found {found:?}")]
    Type {
        /// The type that was wanted.
        expected: String,
        /// The type that it has.
        found: String,
    },
    /// The payload is not base64.
    #[error("the payload is not base64")]
    Encoding,
    /// None of its signatures is valid under a trusted key.
    #[error("no signature is valid under a trusted key; it names the keys {0}")]
    Untrusted(String),
}

impl Envelope {
    /// Signs a document.
    pub fn seal(payload_type: &str, payload: &[u8], key: &SigningKey) -> Self {
        let sig = STANDARD.encode(key.sign(&pre_authentication(payload_type, payload)));
        Self {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![EnvelopeSignature { keyid: key.public().id(), sig }],
        }
    }

    /// The document, if a trusted key signed it.
    ///
    /// # Errors
    /// [`EnvelopeError`] if it is of another type, broken, or not signed by any of these keys.
    pub fn open(&self, payload_type: &str, trusted: &[PublicKey]) -> Result<Vec<u8>, EnvelopeError> {
        if self.payload_type != payload_type {
            let found = self.payload_type.chars().take(120).collect();
            return Err(EnvelopeError::Type { expected: payload_type.to_owned(), found });
        }
        let payload = STANDARD.decode(&self.payload).map_err(|_| EnvelopeError::Encoding)?;
        let message = pre_authentication(payload_type, &payload);
        let valid = |signature: &EnvelopeSignature| {
            STANDARD
                .decode(&signature.sig)
                .is_ok_and(|sig| trusted.iter().any(|key| key.verify(&message, &sig)))
        };
        // A peer must not make us verify for ever: nobody signs with more keys than these.
        if self.signatures.iter().take(4).any(valid) {
            return Ok(payload);
        }
        let named: Vec<String> =
            self.signatures.iter().take(4).map(|s| s.keyid.chars().take(32).collect()).collect();
        Err(EnvelopeError::Untrusted(named.join(", ")))
    }
}

/// DSSE's pre-authentication encoding, version 1.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32]).unwrap()
    }

    #[test]
    fn the_encoding_is_the_one_of_the_specification() {
        let message = pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn another_key_or_type_does_not_open_it() {
        let envelope = Envelope::seal("a/b", b"x", &key(1));
        assert_eq!(envelope.open("a/b", &[key(2).public().clone(), key(1).public().clone()]).unwrap(), b"x");
        assert!(matches!(envelope.open("a/b", &[key(2).public().clone()]), Err(EnvelopeError::Untrusted(_))));
        assert!(matches!(envelope.open("a/c", &[key(1).public().clone()]), Err(EnvelopeError::Type { .. })));
    }

    proptest! {
        #[test]
        fn no_altered_payload_opens(payload: Vec<u8>, other: Vec<u8>) {
            prop_assume!(payload != other);
            let mut envelope = Envelope::seal("a/b", &payload, &key(1));
            envelope.payload = STANDARD.encode(other);
            prop_assert!(envelope.open("a/b", &[key(1).public().clone()]).is_err());
        }
    }
}
