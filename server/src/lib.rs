//! The collector: judges reports against the organisation's policy, raises alerts, keeps evidence.

pub mod clock;
pub mod domain;
pub mod random;
pub mod service;
pub mod store;
