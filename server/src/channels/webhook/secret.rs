//! The secret that a webhook is signed with, and the signature.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::hmac;

use crate::channels::http::Post;

/// First characters of a secret, so that a leaked one is found by scanners.
const PREFIX: &str = "whsec_";
/// Fewest and most bytes of a secret (Standard Webhooks).
const BYTES: (usize, usize) = (24, 64);

/// A secret that receiver and collector share. Prints nothing of itself.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// A text that is no secret. Says nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the secret of a webhook: expected {PREFIX} and the base64 of {} to {} bytes", BYTES.0, BYTES.1)]
pub struct SecretError;

impl Secret {
    /// A body signed at an instant, under an id.
    pub(in crate::channels) fn signed(&self, id: &str, now: Timestamp, body: Vec<u8>) -> Post {
        let at = now.as_second();
        let signature = self.sign(id, at, &body);
        Post::new(body)
            .header("webhook-id", id.to_owned())
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signature)
    }

    /// The value of the `webhook-signature` header.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl FromStr for Secret {
    type Err = SecretError;
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let secret = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        let secret = STANDARD.decode(secret).map_err(|_| SecretError)?;
        if (BYTES.0..=BYTES.1).contains(&secret.len()) {
            Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
        } else {
            Err(SecretError)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked with the `standardwebhooks` reference implementation.
    #[test]
    fn a_signature_is_the_one_that_the_reference_implementation_expects() {
        let secret: Secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse().unwrap();
        let body = br#"{"type":"policy.denied_app_found","timestamp":"2026-03-04T10:00:00Z","data":{"device":"sam-laptop","app":"P2P Share","version":"2.1"}}"#;
        let signature = secret.sign("msg_0001", 1_772_618_400, body);
        assert_eq!(signature, "v1,fi51d8Qni1HaHQulrjafLwdhwsM/qQPjSIQMyDsPuvw=");
    }

    #[test]
    fn only_the_standards_form_of_a_secret_is_taken() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for good in [of(24), of(64)] {
            assert!(good.parse::<Secret>().is_ok(), "{good:?} was refused");
        }
        for bad in ["", "whsec_", "hunter2", &of(23), &of(65), &of(32).replace("whsec_", ""), "whsec_*"] {
            assert!(bad.parse::<Secret>().is_err(), "{bad:?} was taken");
        }
    }
}
