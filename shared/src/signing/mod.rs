//! Ed25519 keys, DSSE envelopes for documents, RFC 9421 signatures for requests, and proofs of new keys.

mod dsse;
mod keys;
pub mod request;
mod rotation;

pub use dsse::{Envelope, EnvelopeError, EnvelopeSignature};
pub use keys::{KeyError, PublicKey, SigningKey};
pub use rotation::RotationProof;
