//! The agent: finds the messaging apps of a device and reports what the policy asks about.

pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod confinement;
pub mod enrol;
pub mod goodbye;
pub mod identity;
pub mod lines;
pub mod platform;
pub mod plist;
pub mod run;
pub mod scan;
pub mod schedule;
pub mod service;
pub mod state;
pub mod telemetry;
pub mod watch;
