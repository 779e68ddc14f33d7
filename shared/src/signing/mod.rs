//! Ed25519 keys, DSSE envelopes for documents, and RFC 9421 signatures for requests.

mod dsse;
mod keys;
pub mod request;

pub use dsse::{Envelope, EnvelopeError, EnvelopeSignature};
pub use keys::{KeyError, PublicKey, SigningKey};
