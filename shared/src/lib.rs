//! What the agent, the collector and its connectors agree on.
//!
//! The catalogue and the matcher that turns artefacts into sightings, the policy model and its
//! evaluation, the wire types, and signing. Nothing here does I/O or reads a clock: `now` is an
//! argument, bytes come from the caller. Both sides judge with this one piece of code.

pub mod catalogue;
pub mod device;
pub mod digest;
pub mod error_chain;
pub mod exception_code;
pub mod ids;
pub mod inventory;
pub mod label;
pub mod language;
pub mod minimise;
pub mod namespace;
pub mod nearest;
pub mod policy;
pub mod signing;
pub mod span;
pub mod wire;
