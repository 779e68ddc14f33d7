//! A fleet that comes back after an outage, with the schedule that agents really have and virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use offchannel_agent::schedule::{Backoff, check_in_interval, retry_after, splay};
use offchannel_shared::ids::DeviceId;

const AGENTS: usize = 100_000;

/// How long the collector was away.
const OUTAGE: Duration = Duration::from_secs(3600);

/// What it tells those whom it cannot serve at once.
const LATER: Duration = Duration::from_secs(30);

/// SplitMix64: the same fleet in every run of a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

/// What became of the fleet once the collector was back.
#[derive(Debug, Default)]
struct Outcome {
    /// How many agents needed so many attempts.
    attempts: BTreeMap<u32, usize>,
    /// The most attempts in one second.
    peak: usize,
    /// When the last one was served, after the return.
    last: Duration,
}

/// Lets the fleet fail for as long as the outage lasts, and then come back to a collector that serves so many in a
/// second.
fn come_back(capacity: usize, seed: u64) -> Outcome {
    let mut random = Random(seed);
    let interval = check_in_interval(300);
    let mut backoffs = vec![Backoff::default(); AGENTS];
    let mut attempts = vec![0_u32; AGENTS];
    let mut due = BinaryHeap::new();
    for agent in 0..AGENTS {
        // The first check-in that fails is the next one of each.
        let device = DeviceId::from_random((agent as u128).to_be_bytes());
        due.push(Reverse((splay(&device, interval), agent)));
    }
    let mut outcome = Outcome::default();
    let mut in_second: BTreeMap<u64, usize> = BTreeMap::new();
    while let Some(Reverse((now, agent))) = due.pop() {
        if now < OUTAGE {
            due.push(Reverse((now + backoffs[agent].failed(random.next()), agent)));
            continue;
        }
        attempts[agent] += 1;
        let asked = in_second.entry(now.as_secs()).or_default();
        *asked += 1;
        if *asked > capacity {
            due.push(Reverse((now + retry_after(LATER, random.next()), agent)));
        } else {
            outcome.last = now - OUTAGE;
        }
    }
    outcome.peak = in_second.into_values().max().unwrap_or_default();
    for count in attempts {
        *outcome.attempts.entry(count).or_default() += 1;
    }
    outcome
}

#[test]
fn a_fleet_that_comes_back_needs_at_most_two_attempts_each() {
    for seed in [1, 7, 99] {
        // Agents that all wait up to ten minutes come with 333 in the first second, by chance a few more. A collector
        // that takes 350 can put off the others; with less than that some are put off twice.
        let outcome = come_back(350, seed);
        assert!(outcome.attempts.keys().all(|count| *count <= 2), "{seed}: {outcome:?}");
        assert_eq!(outcome.attempts.values().sum::<usize>(), AGENTS);
        assert!(outcome.peak <= AGENTS / 200, "{seed}: {outcome:?}");
        assert!(outcome.last <= Duration::from_secs(660), "{seed}: {outcome:?}");
    }
}
