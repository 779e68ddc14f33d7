//! What an outcome of the wire means for what the agent does next.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::Epoch;
use offchannel_shared::signing::request::SKEW_MAX;
use offchannel_shared::wire::{ACCEPTED_MAX, Accepted, codes};

use super::core::Core;
use super::events::{Chance, InFlight, Moment, SentReport};
use crate::client::{Answer, Outcome};
use crate::schedule;

/// How often a device asks whose collector does not know it.
const UNKNOWN_EVERY: Duration = Duration::from_secs(3600);
/// How long a clock must have been off before that is told: a device without a battery is off at every start, until it
/// has asked for the time. Requests carry the collector's time at once.
const CLOCK_PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    /// The request of [`Core::poll_send`] has an outcome.
    pub fn handle_outcome(&mut self, outcome: Outcome, now: Moment, chance: Chance) {
        let Some(sent) = self.in_flight.take() else { return };
        match outcome {
            Outcome::Accepted(answer) => self.accepted(answer, sent, now, chance),
            Outcome::Later { status, retry_after } => {
                let wait = match retry_after {
                    Some(asked) => schedule::retry_after(asked, chance.number),
                    None => self.backoff.failed(chance.number),
                };
                self.wait(wait, now);
                if matches!(sent, InFlight::Rotate) {
                    self.rotation_failed(now, chance);
                }
                self.trouble(
                    format!("the collector is busy or has a fault (status {status}); it is asked again"),
                    now,
                );
            }
            Outcome::Refused { status, code, message, server_time } => {
                self.refused(&sent, status, &code, &message, server_time, now, chance);
            }
            Outcome::Unreachable(error) => {
                let wait = self.backoff.failed(chance.number);
                self.wait(wait, now);
                if matches!(sent, InFlight::Rotate) {
                    self.rotation_failed(now, chance);
                }
                self.trouble(format!("the collector cannot be reached: {}", error_chain(&error)), now);
            }
        }
    }

    fn accepted(&mut self, answer: Answer, sent: InFlight, now: Moment, chance: Chance) {
        let (next_check_in, bundle, server_time) = match (answer, sent) {
            (Answer::CheckIn(answer), _) => {
                self.report_wanted |= answer.report_wanted;
                self.told_accepted(answer.accepted);
                (answer.next_check_in, answer.bundle, answer.server_time)
            }
            (Answer::Report(answer), InFlight::Report(report)) => {
                if answer.accepted_revision >= report.request.revision {
                    self.acknowledged(&report);
                } else {
                    self.report_not_before = now.mono.saturating_add(schedule::long_wait(chance.number));
                }
                (answer.next_check_in, answer.bundle, answer.server_time)
            }
            (Answer::Rotate(answer), InFlight::Rotate) => {
                self.backoff.succeeded();
                self.no_trouble();
                self.told_time(answer.server_time, now);
                self.rotated(&answer, now, chance);
                return;
            }
            // The client reads an answer as that to its request; these never come.
            (Answer::Report(_) | Answer::Rotate(_) | Answer::Enrol(_) | Answer::Goodbye, _) => return,
        };
        self.key_works();
        self.record.last_contact = Some(now.wall);
        self.backoff.succeeded();
        self.no_trouble();
        self.interval = schedule::check_in_interval(next_check_in);
        self.check_in_at = now.mono.saturating_add(schedule::jitter(self.interval, chance.number));
        self.told_time(server_time, now);
        self.offered(bundle, now);
    }

    /// What is accepted on this device, if that is not what was known.
    fn told_accepted(&mut self, accepted: Option<Vec<Accepted>>) {
        let Some(mut accepted) = accepted else { return };
        accepted.truncate(ACCEPTED_MAX);
        if accepted != self.record.accepted {
            self.record.accepted = accepted;
            self.dirty = true;
        }
    }

    fn acknowledged(&mut self, report: &SentReport) {
        let request = &report.request;
        if request.epoch != self.record.epoch {
            return;
        }
        self.report_wanted = false;
        self.record.acknowledged = request.revision;
        self.record.acknowledged_digest = Some(request.digest.clone());
        self.record.transitions.retain(|owed| owed.revision > request.revision);
        // What fell off the front since was counted as lost, but has arrived.
        let told = request.transitions_lost.saturating_add(report.dropped);
        self.record.transitions_lost = self.record.transitions_lost.saturating_sub(told);
        self.dirty = true;
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of one refusal")]
    fn refused(
        &mut self,
        sent: &InFlight,
        status: u16,
        code: &str,
        message: &str,
        server_time: Timestamp,
        now: Moment,
        chance: Chance,
    ) {
        if matches!(sent, InFlight::Rotate) && !self.rotation_refused(code, message, now, chance) {
            return;
        }
        match code {
            codes::CLOCK_SKEW => {
                let known = self.clock_offset;
                self.told_time(server_time, now);
                // Once with the time that was just told; a second refusal is another problem.
                if known.is_some() || self.clock_offset.is_none() {
                    let wait = self.backoff.failed(chance.number);
                    self.wait(wait, now);
                    self.trouble(format!("the collector refuses this device's time: {message}"), now);
                }
            }
            // That a report is not valid as signed may be due to what carried it; the next check-in tells.
            codes::KEY_REPLACED | codes::SIGNATURE_INVALID
                if tells_of_the_key(sent, code) && self.key_refused(code, now) =>
            {
                // Another key is tried at once; what was to be told waits for it.
                let wait = self.backoff.failed(chance.number);
                self.wait(wait, now);
            }
            codes::DEVICE_UNKNOWN | codes::KEY_REPLACED => self.is_unknown(message, now, chance),
            codes::SIGNATURE_INVALID if !matches!(sent, InFlight::Report(_)) => {
                self.is_unknown(message, now, chance);
            }
            codes::REVISION_STALE => {
                // Ours is lower than what we once sent in the same epoch: our memory was put back, by a
                // backup or a restored image. Counting on from there would reuse revisions with other
                // content, so a new epoch starts.
                let wait = self.backoff.failed(chance.number);
                self.wait(wait, now);
                let why = "state.json is older than what was reported (restored from a backup or copied from \
                           another device?); a new epoch was started";
                tracing::warn!("{why}");
                self.record.start_epoch(Epoch::from_random(chance.id), Some(why));
                self.dirty = true;
                self.refresh(now);
            }
            codes::REPLAYED => {
                // Something between us repeats requests. The next one has a nonce of its own.
                let wait = self.backoff.failed(chance.number);
                self.wait(wait, now);
            }
            _ => {
                let wait = schedule::long_wait(chance.number);
                match sent {
                    // Check-ins go on, or the device would look silent.
                    InFlight::Report(_) => self.report_not_before = now.mono.saturating_add(wait),
                    InFlight::CheckIn | InFlight::Rotate | InFlight::Enrol => self.wait(wait, now),
                }
                self.trouble(format!("the collector refused a request ({status} {code}): {message}"), now);
            }
        }
    }

    /// The collector does not take this device for one of its own. It is asked again once an hour; each time a token is
    /// looked for, which the device enrols with.
    fn is_unknown(&mut self, message: &str, now: Moment, chance: Chance) {
        self.unknown = true;
        self.wait(schedule::jitter(UNKNOWN_EVERY, chance.number), now);
        let what = format!(
            "the collector does not know this device or its key ({message}); enrol it again: put a new token where \
             enrolment.token_file says, which is used within the hour or after a restart, or stop the agent and run \
             offchannel-agent enrol --replace --token-file FILE"
        );
        self.trouble(what, now);
    }

    fn wait(&mut self, wait: Duration, now: Moment) {
        self.not_before = now.mono.saturating_add(wait);
    }

    /// Compares clocks. Between half the allowed difference and all of it nothing changes, so that
    /// the source health does not flicker.
    fn told_time(&mut self, server_time: Timestamp, now: Moment) {
        let offset = server_time.duration_since(now.wall);
        let allowed = SignedDuration::from_secs(i64::from(SKEW_MAX.as_seconds()));
        let was_off = self.clock_offset.is_some();
        if offset.abs() > allowed || (was_off && offset.abs() > allowed / 2) {
            self.clock_offset = Some(offset);
        } else {
            self.clock_offset = None;
            self.clock_off_since = None;
        }
        let since = self.clock_offset.map(|_| *self.clock_off_since.get_or_insert(now.mono));
        let to_tell = since.is_some_and(|since| now.mono.saturating_sub(since) >= CLOCK_PATIENCE);
        if was_off != self.clock_offset.is_some() || self.clock_to_tell != to_tell {
            self.clock_to_tell = to_tell;
            self.refresh(now);
        }
    }
}

/// Whether the refusal of a request is about the key that signed it.
fn tells_of_the_key(sent: &InFlight, code: &str) -> bool {
    match sent {
        InFlight::CheckIn => true,
        InFlight::Report(_) => code == codes::KEY_REPLACED,
        InFlight::Rotate | InFlight::Enrol => false,
    }
}
