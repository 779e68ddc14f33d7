//! The rules of the collector, pure: no I/O, no clock, no randomness of their own.

pub mod alert;
pub mod api_token;
pub mod case;
pub mod delivery;
pub mod device;
pub mod device_import;
pub mod digest;
pub mod exception;
pub mod finding;
pub mod ingest;
pub mod ledger;
pub mod name;
mod notify;
pub mod placement;
pub mod policy_draft;
pub mod policy_whatif;
pub mod published;
mod reconcile;
pub mod rotation;
pub mod route;
pub mod sheet;
pub mod token;
pub mod tree;
pub mod trial;
pub mod trouble;
pub mod unit;
pub mod unit_import;
