//! How measured times are told.

use std::time::Duration;

/// One line: what was measured, and its median, slowest tenth, slowest hundredth and maximum. Sorts the times.
pub fn summary(what: &str, times: &mut [Duration]) -> String {
    times.sort();
    let at =
        |part: usize| times.get((times.len().saturating_sub(1)) * part / 100).copied().unwrap_or_default();
    format!("{what}: p50 {:?}, p90 {:?}, p99 {:?}, most {:?}", at(50), at(90), at(99), at(100))
}
