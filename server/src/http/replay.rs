//! Requests that were seen before.
//!
//! A request can be accepted until its instant lies [`SKEW_MAX`] in the past, and it may lie as much in the
//! future when it comes first: what was accepted is remembered for at least twice that long, in two
//! generations that take turns. The memory is this process's own. After a restart, and on another replica, a
//! request of the last minutes could be sent once more by somebody who can read inside TLS; reports and
//! check-ins do not mind, they say the same state again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use offchannel_shared::signing::request::{Claim, SKEW_MAX};
use ring::digest::{Context, SHA256};

/// Most requests of one generation: about 100 MB in the worst case, and 7,000 requests a second.
const MOST: usize = 4_000_000;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// It is new, and remembered from now on.
    New,
    /// It was seen before.
    Seen,
    /// There is no room to remember it. To forget another one instead would let that one in again.
    Full,
}

/// The requests that were accepted lately.
#[derive(Debug)]
pub(super) struct Replays {
    generations: Mutex<Generations>,
    most: usize,
}

#[derive(Debug)]
struct Generations {
    since: Timestamp,
    current: BTreeSet<u128>,
    last: BTreeSet<u128>,
}

impl Default for Replays {
    fn default() -> Self {
        Self::with_room_for(MOST)
    }
}

impl Replays {
    fn with_room_for(most: usize) -> Self {
        let generations =
            Generations { since: Timestamp::MIN, current: BTreeSet::new(), last: BTreeSet::new() };
        Self { generations: Mutex::new(generations), most }
    }

    /// Whether a request was seen before. Does not remember it.
    pub(super) fn seen(&self, claim: &Claim, now: Timestamp) -> bool {
        let print = print(claim);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        generations.has(print)
    }

    /// Remembers a request whose signature was verified.
    pub(super) fn remember(&self, claim: &Claim, now: Timestamp) -> Memory {
        let print = print(claim);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        if generations.has(print) {
            Memory::Seen
        } else if generations.current.len() >= self.most {
            Memory::Full
        } else {
            generations.current.insert(print);
            Memory::New
        }
    }
}

impl Generations {
    /// Starts a new generation when the current one is old enough. A clock that is put back only makes
    /// the memory longer.
    fn turn(&mut self, now: Timestamp) {
        let age = now.as_second().saturating_sub(self.since.as_second());
        let length = i64::from(SKEW_MAX.as_seconds()) * 2;
        if age <= length {
            return;
        }
        let current = std::mem::take(&mut self.current);
        self.last = if age <= length * 2 { current } else { BTreeSet::new() };
        self.since = now;
    }

    fn has(&self, print: u128) -> bool {
        self.current.contains(&print) || self.last.contains(&print)
    }
}

/// Half of the SHA-256 of what makes a request the same: who, when, nonce.
fn print(claim: &Claim) -> u128 {
    let mut hash = Context::new(&SHA256);
    for part in [claim.key_id.as_bytes(), claim.nonce.as_bytes()] {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hash.update(&claim.created.as_second().to_le_bytes());
    hash.finish().as_ref().iter().take(16).fold(0, |print, byte| print << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use offchannel_shared::signing::SigningKey;
    use offchannel_shared::signing::request::sign;
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn claim(nonce: u8, second: i64) -> Claim {
        let key = SigningKey::from_seed(&[9; 32]).unwrap();
        let headers: HeaderMap = sign(&key, "dev_x", "POST", "/p", b"", at(second), [nonce; 16])
            .into_iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Claim::read(&headers).unwrap()
    }

    #[test]
    fn a_request_is_new_once() {
        let replays = Replays::default();
        assert!(!replays.seen(&claim(1, 0), at(0)));
        assert_eq!(replays.remember(&claim(1, 0), at(0)), Memory::New);
        assert_eq!(replays.remember(&claim(1, 0), at(1)), Memory::Seen);
        assert_eq!(replays.remember(&claim(2, 0), at(1)), Memory::New, "another nonce");
        assert_eq!(replays.remember(&claim(1, 1), at(1)), Memory::New, "another instant");
    }

    #[test]
    fn what_does_not_fit_is_not_taken_in_place_of_what_is_remembered() {
        let replays = Replays::with_room_for(2);
        for nonce in [1, 2] {
            assert_eq!(replays.remember(&claim(nonce, 0), at(0)), Memory::New);
        }
        assert_eq!(replays.remember(&claim(3, 0), at(0)), Memory::Full);
        assert_eq!(replays.remember(&claim(1, 0), at(1)), Memory::Seen);
        assert_eq!(replays.remember(&claim(3, 601), at(601)), Memory::New, "the next generation has room");
        assert_eq!(replays.remember(&claim(1, 0), at(601)), Memory::Seen);
    }

    proptest! {
        /// However requests come in between, none is taken twice while its instant is accepted.
        #[test]
        fn nothing_is_forgotten_while_it_could_be_accepted(
            created in -300i64..=300,
            others in prop::collection::vec(0i64..900, 0..20),
        ) {
            let replays = Replays::default();
            // Accepted at 0; could be accepted again until its instant is 300 s old.
            prop_assert_eq!(replays.remember(&claim(1, created), at(0)), Memory::New);
            let mut others = others;
            others.sort_unstable();
            for other in others.into_iter().filter(|other| *other <= created + 300) {
                replays.remember(&claim(2, other), at(other));
                prop_assert_eq!(replays.remember(&claim(1, created), at(other)), Memory::Seen);
            }
            prop_assert_eq!(replays.remember(&claim(1, created), at(created + 300)), Memory::Seen);
        }
    }
}
