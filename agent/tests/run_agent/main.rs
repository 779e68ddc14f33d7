//! The real agent as a process, against a collector on a real TLS socket.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it as the test itself may")]

mod commands;
mod crashes;
#[cfg(target_os = "linux")]
mod idle_hour;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod notices;
mod privacy;
mod reports;
mod service;
#[cfg(target_os = "linux")]
mod settings;
#[cfg(target_os = "linux")]
mod supervisor;
mod support;
#[cfg(target_os = "linux")]
mod users;
