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
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn debian_root() -> Option<PathBuf> {
    std::env::var_os("OFFCHANNEL_TEST_DEBIAN_ROOT").filter(|path| !path.is_empty()).map(PathBuf::from)
}
