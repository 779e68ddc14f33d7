//! The rules of the collector, pure: no I/O, no clock, no randomness of their own.

pub mod alert;
pub mod case;
pub mod delivery;
pub mod device;
pub mod exception;
pub mod finding;
pub mod ingest;
mod notify;
pub mod published;
mod reconcile;
pub mod rotation;
pub mod route;
pub mod token;
pub mod trial;
pub mod trouble;
