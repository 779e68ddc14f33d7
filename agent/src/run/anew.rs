//! Enrolling again while the agent runs: the collector does not know this device any more, and there is a token.
//!
//! What was found and what is owed stays; it is told under the new name, in a new epoch.

use offchannel_shared::device::DeviceFacts;
use offchannel_shared::ids::Epoch;

use super::core::Core;
use super::events::{Chance, InFlight, Moment, Notes};
use super::keys::Keys;
use super::policy::InForce;
use crate::identity::Identity;
use crate::schedule::{self, Backoff};
use crate::state::Record;

/// Another identity, all of it on disk.
#[derive(Debug)]
pub struct Renewed {
    /// Who the device is now.
    pub identity: Identity,
    /// What is remembered of before, under the new name.
    pub record: Record,
    /// The policy that came with it.
    pub policy: InForce,
    /// Seconds to the first check-in.
    pub first_check_in: u32,
}

impl Core {
    /// What the device says of itself, if it would enrol again now. Asked once after each refusal, so that it is tried
    /// about once an hour.
    pub fn poll_enrol(&mut self) -> Option<DeviceFacts> {
        if !self.unknown || self.in_flight.is_some() {
            return None;
        }
        let (_, facts, _) = self.found.as_ref()?;
        self.unknown = false;
        Some(facts.clone())
    }

    /// There is a token, and an enrolment is under way.
    pub fn handle_enrolling(&mut self) {
        self.in_flight = Some(InFlight::Enrol);
    }

    /// What is remembered, as it goes on after an enrolment.
    pub fn record_to_renew(&self, epoch: Epoch) -> Record {
        let mut record = self.record.clone();
        record.start_epoch(epoch, None);
        record.policy_refused = None;
        record.trouble = None;
        record
    }

    /// The enrolment did not succeed; the device stays who it was.
    pub fn handle_not_enrolled(&mut self, why: &str, now: Moment) {
        self.in_flight = None;
        self.trouble(
            format!("the collector does not know this device, and it cannot enrol again: {why}"),
            now,
        );
    }

    /// The device has another identity.
    pub fn handle_renewed(&mut self, renewed: Renewed, now: Moment, chance: Chance) {
        let Renewed { identity, record, policy, first_check_in } = renewed;
        tracing::info!(device = %identity.enrolment.device_id, "the device was enrolled again");
        self.in_flight = None;
        self.keys = Keys::new(identity, self.settings.rotate_every, false, Notes::default(), now);
        self.record = record;
        self.dirty = false;
        self.staged = None;
        self.policy_to_store = None;
        self.unknown = false;
        self.report_wanted = true;
        self.backoff = Backoff::default();
        self.not_before = now.mono;
        self.report_not_before = now.mono;
        self.interval = schedule::check_in_interval(first_check_in);
        self.check_in_at = now.mono.saturating_add(schedule::jitter(self.interval, chance.number));
        let same = self.policy.as_ref().is_some_and(|old| old.finds_the_same_as(&policy));
        self.policy = Some(policy);
        if same {
            self.refresh(now);
        } else {
            self.look_anew(now);
        }
    }
}
