//! The device's key in the course of time: when it is replaced, and which key signs what. Pure, as the core.
//!
//! A new key is on disk before it is offered. From then on nobody here knows which of the two the collector has, until
//! it says so: a request, its answer, either process or its disk may be lost at any moment. So the offer is
//! repeated, signed with the old key and, once the collector says that this one was replaced, with the new one. A key is
//! given up only when the collector has accepted the one that follows it.

use std::time::Duration;

use jiff::Timestamp;
use offchannel_shared::inventory::Health;
use offchannel_shared::signing::{KeyError, RotationProof, SigningKey};
use offchannel_shared::wire::{RotateRequest, RotateResponse, SCHEMA, codes};

use super::core::Core;
use super::events::{Chance, InFlight, Moment, Notes};
use crate::client::Request;
use crate::identity::{Identity, Seed};
use crate::schedule::{self, Backoff};

/// How long the replacement of a key waits after the collector has refused it.
const REFUSED_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Longest wait for a wall-clock instant, as for policies.
const WALL_WAIT_MAX: Duration = Duration::from_secs(3600);

/// What the collector is asked, until it says that it has the key that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// The next key, signed by the one in use.
    Next,
    /// The same, signed by the next key: the collector may have taken it before.
    NextAgain,
    /// The key in use, signed by the one before it: the collector may have been put back to that.
    InUse,
    /// The same, signed by the key in use: the collector may have had it all along.
    InUseAgain,
}

/// The keys, and how far the replacement of one is.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) identity: Identity,
    /// Time between two replacements; never, if not given.
    every: Option<Duration>,
    notes: Notes,
    /// Whether it was made on another machine. A copy replaces no key: it would lock out the original.
    copied: bool,
    /// The offer that is to be made next.
    open: Option<Offer>,
    /// Whether the collector has answered since the start, so that its time is known.
    heard: bool,
    /// Whether the identity differs from what is on disk.
    unsaved: bool,
    save_backoff: Backoff,
    save_not_before: Duration,
    not_before: Duration,
}

impl Keys {
    pub(super) fn new(
        identity: Identity,
        every: Option<Duration>,
        copied: bool,
        notes: Notes,
        now: Moment,
    ) -> Self {
        Self {
            // What became of it is not known any more.
            open: identity.next.as_ref().filter(|_| !copied).map(|_| Offer::Next),
            identity,
            every,
            notes,
            copied,
            heard: false,
            unsaved: false,
            save_backoff: Backoff::default(),
            save_not_before: now.mono,
            not_before: now.mono,
        }
    }

    /// The source health `identity`.
    pub(super) fn health(&self) -> Health {
        let notes: Vec<&str> =
            [&self.notes.identity, &self.notes.key].into_iter().flatten().map(String::as_str).collect();
        if notes.is_empty() { Health::Ok } else { Health::Partial(notes.join("; ")) }
    }

    /// The key that an offer is to replace, and the one that it offers.
    fn pair(&self, offer: Offer) -> Option<(&Seed, &Seed)> {
        let Identity { seed, next, previous, .. } = &self.identity;
        match offer {
            Offer::Next | Offer::NextAgain => Some((seed, next.as_ref()?)),
            Offer::InUse | Offer::InUseAgain => Some((previous.as_ref()?, seed)),
        }
    }

    /// The key that signs now. `offers` says whether it is an offer.
    fn signing(&self, offers: bool) -> &Seed {
        let Identity { seed, next, previous, .. } = &self.identity;
        let other = match self.open.filter(|_| offers) {
            Some(Offer::NextAgain) => next.as_ref(),
            Some(Offer::InUse) => previous.as_ref(),
            Some(Offer::Next | Offer::InUseAgain) | None => None,
        };
        other.unwrap_or(seed)
    }

    /// What to ask after the key that signed an offer was refused.
    fn after(&self, offer: Offer, code: &str) -> Option<Offer> {
        match offer {
            Offer::Next => Some(Offer::NextAgain),
            // A collector that has replaced that key, too, was not put back.
            Offer::NextAgain if code == codes::SIGNATURE_INVALID => {
                self.identity.previous.as_ref().map(|_| Offer::InUse)
            }
            Offer::InUse => Some(Offer::InUseAgain),
            Offer::NextAgain | Offer::InUseAgain => None,
        }
    }

    /// When the key in use is to be replaced: up to a tenth sooner or later, the same after every start, so that a
    /// fleet that was enrolled in one go does not ask in one go.
    fn due(&self) -> Option<Timestamp> {
        let (every, since) = (self.every?, self.identity.key_since?);
        let device = &self.identity.enrolment.device_id;
        let wait = every - every / 10 + schedule::splay(device, every / 5);
        Some(since.checked_add(wait).unwrap_or(Timestamp::MAX))
    }

    fn may_replace(&self) -> bool {
        self.heard && !self.copied && !self.unsaved && self.open.is_none()
    }
}

/// The birth of a key that an identity of an earlier version does not tell: up to one interval ago, by the device's
/// id, so that a fleet that is upgraded in one go does not replace its keys in one go.
pub fn assumed_birth(identity: &Identity, every: Duration, now: Timestamp) -> Timestamp {
    let age = schedule::splay(&identity.enrolment.device_id, every);
    now.checked_sub(age).unwrap_or(now)
}

impl Core {
    /// The key that signs requests now.
    ///
    /// # Errors
    /// [`KeyError`] if the cryptographic library refuses the seed.
    pub fn key(&self) -> Result<SigningKey, KeyError> {
        self.keys.signing(matches!(self.in_flight, Some(InFlight::Rotate))).key()
    }

    /// Who the device is now.
    pub fn identity(&self) -> &Identity {
        &self.keys.identity
    }

    /// Whether a new key is wanted, for [`Core::handle_new_key`].
    pub fn poll_new_key(&self, now: Moment) -> bool {
        let due = || self.keys.due().is_some_and(|due| due <= self.time(now.wall));
        self.in_flight.is_none() && self.keys.may_replace() && now.mono >= self.keys.not_before && due()
    }

    /// A new key was made. It is offered once it is on disk. One that was made before and refused is offered again.
    pub fn handle_new_key(&mut self, seed: Seed) {
        if self.keys.identity.next.is_none() {
            self.keys.identity.next = Some(seed);
            self.keys.unsaved = true;
        }
        self.keys.open = Some(Offer::Next);
    }

    /// The identity, if it must be saved now.
    pub fn poll_identity(&self, now: Moment) -> Option<&Identity> {
        (self.keys.unsaved && now.mono >= self.keys.save_not_before).then_some(&self.keys.identity)
    }

    /// Whether the identity was saved.
    pub fn handle_identity_saved(&mut self, saved: bool, now: Moment, chance: Chance) {
        if saved {
            self.keys.unsaved = false;
            self.keys.save_backoff.succeeded();
        } else {
            let wait = self.keys.save_backoff.failed(chance.number);
            self.keys.save_not_before = now.mono.saturating_add(wait);
        }
    }

    /// The offer of a new key, if the collector is to be asked now.
    pub(super) fn poll_rotate(&mut self, now: Moment) -> Option<Request> {
        if self.keys.open.is_none() || self.keys.unsaved || now.mono < self.keys.not_before {
            return None;
        }
        let request = self.offer();
        if request.is_none() {
            // There is nothing to change to; or a seed makes no key, which is said where it is to sign.
            self.keys.open = None;
        }
        request.map(Request::Rotate)
    }

    fn offer(&self) -> Option<RotateRequest> {
        let (old, new) = self.keys.pair(self.keys.open?)?;
        let (old, new) = (old.key().ok()?, new.key().ok()?);
        let device = &self.keys.identity.enrolment.device_id;
        let proof = RotationProof::make(&new, device, old.public()).ok()?;
        Some(RotateRequest { schema: SCHEMA, public_key: new.public().clone(), proof })
    }

    /// When something is to be done about the keys, if nothing happens before.
    pub(super) fn keys_timeout(&self, now: Moment) -> Option<Duration> {
        let keys = &self.keys;
        if keys.unsaved {
            return Some(keys.save_not_before);
        }
        if self.in_flight.is_some() {
            return None;
        }
        if keys.open.is_some() {
            return Some(keys.not_before.max(self.not_before));
        }
        if !keys.may_replace() {
            return None;
        }
        let wait = keys.due()?.duration_since(self.time(now.wall));
        let wait = Duration::try_from(wait).unwrap_or_default().min(WALL_WAIT_MAX);
        Some(now.mono.saturating_add(wait).max(keys.not_before))
    }

    /// The collector has accepted a request that the key in use signed.
    pub(super) fn key_works(&mut self) {
        self.keys.heard = true;
    }

    /// The collector has the key that was offered.
    pub(super) fn rotated(&mut self, answer: &RotateResponse, now: Moment, chance: Chance) {
        let keys = &mut self.keys;
        match keys.open.take() {
            Some(Offer::Next | Offer::NextAgain) => {
                keys.identity.adopt(answer.key_since);
                keys.unsaved = true;
                tracing::info!("the device's key was replaced, as it is from time to time");
                if keys.notes.key.take().is_some() {
                    self.refresh(now);
                }
            }
            Some(Offer::InUse) => {
                keys.open = keys.identity.next.as_ref().map(|_| Offer::Next);
                tracing::warn!(
                    "the collector knew the key before the device's; it was led to the one in use"
                );
            }
            // It had the key in use all along: what it refused is refused for another reason, and will be again.
            Some(Offer::InUseAgain) | None => {
                self.not_before = now.mono.saturating_add(schedule::long_wait(chance.number));
            }
        }
    }

    /// An offer got no answer, or a reason to wait: nothing else is to wait with it.
    pub(super) fn rotation_failed(&mut self, now: Moment, chance: Chance) {
        self.keys.not_before = now.mono.saturating_add(schedule::long_wait(chance.number));
    }

    /// The collector has refused an offer. Whether that means something for the device beyond its new key.
    pub(super) fn rotation_refused(
        &mut self,
        code: &str,
        message: &str,
        now: Moment,
        chance: Chance,
    ) -> bool {
        match code {
            // It has another key. The last one that it may have is tried, and then nothing more.
            codes::KEY_REPLACED | codes::SIGNATURE_INVALID => {
                self.keys.open = self.keys.open.and_then(|offer| self.keys.after(offer, code));
                self.keys.open.is_none()
            }
            codes::DEVICE_UNKNOWN | codes::CLOCK_SKEW | codes::REPLAYED => {
                self.rotation_failed(now, chance);
                true
            }
            _ => {
                tracing::warn!(
                    "the collector does not replace the device's key ({code}): {message}; the old one stays"
                );
                let keys = &mut self.keys;
                keys.open = None;
                keys.not_before = now.mono.saturating_add(schedule::jitter(REFUSED_WAIT, chance.number));
                // This one will not do; another one may.
                if [codes::KEY_TAKEN, codes::KEY_UNPROVEN].contains(&code) {
                    keys.unsaved |= keys.identity.next.take().is_some();
                }
                false
            }
        }
    }

    /// The collector has refused the key in use. Whether another key is there to be tried.
    pub(super) fn key_refused(&mut self, code: &str, now: Moment) -> bool {
        let Identity { next, previous, .. } = &self.keys.identity;
        self.keys.open = match (next, previous) {
            (Some(_), _) => Some(Offer::Next),
            // A collector that knows of a later key was not put back to before the one in use.
            (None, Some(_)) if code == codes::SIGNATURE_INVALID => Some(Offer::InUse),
            (None, _) => None,
        };
        self.keys.not_before = now.mono;
        self.keys.open.is_some()
    }
}
