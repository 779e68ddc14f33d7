//! Scanning, from trees of files to what `scan` prints.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod command;
#[cfg(unix)]
mod hostile;
#[cfg(unix)]
mod macos;
mod packages;
#[cfg(unix)]
mod places;
#[cfg(unix)]
mod registry;
#[cfg(windows)]
mod registry_live;
mod sources;
mod support;
