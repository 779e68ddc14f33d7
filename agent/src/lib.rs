//! The agent: finds the messaging apps of a device and reports what the policy asks about.

pub mod clock;
pub mod platform;
pub mod scan;
