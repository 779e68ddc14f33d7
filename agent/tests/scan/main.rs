//! Scanning, from trees of files to what `scan` prints.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod command;
mod hostile;
#[cfg(unix)]
mod linux;
#[cfg(unix)]
mod macos;
#[cfg(unix)]
mod metadata;
#[cfg(unix)]
mod packages;
#[cfg(unix)]
mod places;
mod registry;
#[cfg(windows)]
mod registry_live;
#[cfg(unix)]
mod rpm;
mod rpm_formats;
#[cfg(unix)]
mod rpm_program;
#[cfg(target_os = "linux")]
mod running;
mod sources;
mod support;
#[cfg(unix)]
mod windows;
