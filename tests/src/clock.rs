//! The only reader of clocks and of the environment in the tests.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

/// The present instant of the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The present instant of a clock that never jumps.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn instant() -> Instant {
    Instant::now()
}

/// A root file system with messengers installed from Debian; `tests/run` makes one.
pub fn debian_root() -> Option<PathBuf> {
    path_from("OFFCHANNEL_TEST_DEBIAN_ROOT")
}

/// A root file system of Debian with nothing but systemd; `tests/run` makes one.
pub fn bare_debian_root() -> Option<PathBuf> {
    path_from("OFFCHANNEL_TEST_BARE_ROOT")
}

/// The folder of the packages that `packaging/build` has made; `tests/run` calls it.
pub fn packages() -> Option<PathBuf> {
    path_from("OFFCHANNEL_TEST_PACKAGES")
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn path_from(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// How often a test kills a program, where somebody wants that more often than every run has time for.
///
/// # Panics
/// If `OFFCHANNEL_TEST_KILLS` is no number.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn kills() -> Option<usize> {
    std::env::var("OFFCHANNEL_TEST_KILLS").ok().map(|kills| kills.parse().expect("a number of kills"))
}
