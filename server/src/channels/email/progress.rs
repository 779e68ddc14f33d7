//! Which recipients of a mail are done with, while others are to be tried again.
//!
//! Kept in memory only: after a restart the mail goes to all once more, under the same `Message-ID`.

use std::collections::VecDeque;
use std::sync::Mutex;

use lettre::Address;
use offchannel_shared::ids::DeliveryId;

use super::smtp::{Outcome, Reply};
use crate::domain::delivery::Attempt;

/// Most mails whose recipients are remembered; the oldest is forgotten first.
const MAILS_MAX: usize = 1_000;

/// The recipients who are done with, of mails that are to be tried again.
#[derive(Debug, Default)]
pub(super) struct Progress {
    mails: Mutex<VecDeque<Done>>,
}

#[derive(Debug)]
struct Done {
    mail: DeliveryId,
    taken: Vec<Address>,
    refused: Vec<(Address, Reply)>,
}

impl Progress {
    /// Those of `all` who are not done with.
    pub(super) fn left(&self, mail: &DeliveryId, all: &[Address]) -> Vec<Address> {
        let mails = self.mails.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let done = mails.iter().find(|done| done.mail == *mail);
        let is_done = |address: &Address| {
            done.is_some_and(|done| {
                done.taken.contains(address) || done.refused.iter().any(|(refused, _)| refused == address)
            })
        };
        all.iter().filter(|address| !is_done(address)).cloned().collect()
    }

    /// Takes in how an attempt went, and says what that means for the delivery.
    pub(super) fn after(&self, mail: &DeliveryId, outcome: Outcome) -> Attempt {
        let Outcome { taken, deferred, refused, said: _ } = outcome;
        let mut mails = self.mails.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = mails.iter().position(|done| done.mail == *mail).and_then(|at| mails.remove(at));
        let mut done =
            before.unwrap_or_else(|| Done { mail: mail.clone(), taken: Vec::new(), refused: Vec::new() });
        done.taken.extend(taken);
        done.refused.extend(refused);
        let attempt = done.attempt(&deferred);
        if !deferred.is_empty() {
            mails.push_back(done);
            if mails.len() > MAILS_MAX {
                mails.pop_front();
            }
        }
        attempt
    }
}

impl Done {
    fn attempt(&self, deferred: &[(Address, Reply)]) -> Attempt {
        let mut errors = Vec::new();
        if !deferred.is_empty() {
            errors.push(format!("the mail server does not take it now for {}", named(deferred)));
        }
        if !self.refused.is_empty() {
            errors.push(format!("the mail server refuses it for {}", named(&self.refused)));
        }
        if !self.taken.is_empty() && !errors.is_empty() {
            let taken: Vec<String> = self.taken.iter().map(ToString::to_string).collect();
            errors.push(format!("it took it for {}", taken.join(", ")));
        }
        let error = errors.join("; ");
        match (deferred, self.taken.as_slice()) {
            ([_, ..], _) => Attempt::Retry { error, after: None },
            ([], []) => Attempt::GiveUp { error },
            ([], [_, ..]) if error.is_empty() => Attempt::Accepted,
            ([], [_, ..]) => Attempt::InPart { error },
        }
    }
}

/// Recipients with what the server said.
fn named(recipients: &[(Address, Reply)]) -> String {
    let named: Vec<String> =
        recipients.iter().map(|(address, reply)| format!("{address} ({reply})")).collect();
    named.join(", ")
}
