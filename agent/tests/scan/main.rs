//! Scanning, from trees of files to what `scan` prints.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod command;
#[cfg(unix)]
mod hostile;
mod metadata;
mod packages;
#[cfg(unix)]
mod places;
mod sources;
mod support;
