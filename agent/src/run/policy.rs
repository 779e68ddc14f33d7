//! The policy in force on this device.

use std::sync::Arc;

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::inventory::Health;
use offchannel_shared::policy::{Bundle, BundleError};
use offchannel_shared::signing::{Envelope, PublicKey};

use super::core::Core;
use super::events::Moment;

/// An opened bundle with the catalogue that it makes.
#[derive(Debug, Clone)]
pub struct InForce {
    /// What was signed.
    pub bundle: Bundle,
    /// The built-in catalogue with the organisation's own entries.
    pub catalogue: Arc<Catalogue>,
}

impl InForce {
    /// Opens a bundle that the collector offers, at the collector's time.
    ///
    /// # Errors
    /// [`BundleError`]; what is in force then stays.
    pub fn offered(
        envelope: &Envelope,
        keys: &[PublicKey],
        at_least: u64,
        now: Timestamp,
    ) -> Result<Self, BundleError> {
        let bundle = Bundle::open(envelope, keys, Some(at_least), now)?;
        let catalogue = Arc::new(bundle.catalogue()?);
        Ok(Self { bundle, catalogue })
    }

    /// Opens the bundle that was kept. It was in time when it came, and stays in force after its
    /// expiry: an attacker who keeps new ones away must not switch the old one off.
    ///
    /// # Errors
    /// [`BundleError`]; the device then has no policy until the collector sends one.
    pub fn kept(envelope: &Envelope, keys: &[PublicKey], at_least: u64) -> Result<Self, BundleError> {
        Self::offered(envelope, keys, at_least, Timestamp::MIN)
    }

    /// Whether another bundle has other catalogue entries, so that a scan may find other things.
    pub fn finds_the_same_as(&self, other: &Self) -> bool {
        self.bundle.policy.apps == other.bundle.policy.apps
    }

    /// When what the policy asks about changes by itself: a rule comes into force, the bundle expires.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let rules = self.bundle.policy.rules.iter().filter_map(|rule| rule.effective_from);
        rules.chain([self.bundle.expires_at]).filter(|at| *at > now).min()
    }

    /// The source health `policy`.
    pub fn health(&self, refused: Option<&str>, now: Timestamp) -> Health {
        match refused {
            Some(why) => Health::Failed(why.to_owned()),
            None if self.bundle.expires_at <= now => Health::Partial(format!(
                "version {} expired at {} and stays in force",
                self.bundle.version, self.bundle.expires_at
            )),
            None => Health::Ok,
        }
    }
}

impl Core {
    /// A policy to store now.
    pub fn poll_policy(&self) -> Option<&Envelope> {
        self.policy_to_store.as_ref().map(|(envelope, _)| envelope)
    }

    /// Whether the policy of [`Core::poll_policy`] was stored; only then does it come into force.
    pub fn handle_policy_stored(&mut self, stored: bool, now: Moment) {
        let Some((_, policy)) = self.policy_to_store.take() else { return };
        if !stored {
            // The collector offers it again with the next answer.
            return;
        }
        let same = self.policy.as_ref().is_some_and(|old| old.finds_the_same_as(&policy));
        let version = policy.bundle.version;
        tracing::info!(version, name = %policy.bundle.policy.name, "a policy came into force");
        self.report_wanted |= version != self.record.policy_version;
        self.record.policy_version = version;
        self.record.policy_refused = None;
        self.dirty = true;
        self.policy = Some(policy);
        if same {
            self.refresh(now);
        } else {
            self.look_anew(now);
        }
    }

    /// Opens a policy that an answer carried, or takes its absence as a sign that ours is the newest.
    pub(super) fn offered(&mut self, envelope: Option<Envelope>, now: Moment) {
        let Some(envelope) = envelope else {
            if self.record.policy_refused.take().is_some() {
                self.dirty = true;
                self.refresh(now);
            }
            return;
        };
        let in_force = self.policy.as_ref().map_or(0, |policy| policy.bundle.version);
        let at_least = self.record.policy_version.max(in_force);
        match InForce::offered(
            &envelope,
            &self.keys.identity.enrolment.signing_keys,
            at_least,
            self.time(now.wall),
        ) {
            Ok(new) => {
                let old = self.policy.as_ref().map(|policy| &policy.bundle);
                let known = old.is_some_and(|old| {
                    // A renewal replayed from before would bring back an old placement.
                    old.version == new.bundle.version && new.bundle.issued_at <= old.issued_at
                });
                if !known {
                    self.policy_to_store = Some((envelope, new));
                } else if self.record.policy_refused.take().is_some() {
                    self.dirty = true;
                    self.refresh(now);
                }
            }
            Err(error) => {
                let why = format!("a policy was refused: {}", error_chain(&error));
                if self.record.policy_refused.as_ref() != Some(&why) {
                    tracing::error!("{why}; the last good one stays in force");
                    self.record.policy_refused = Some(why);
                    self.dirty = true;
                    self.refresh(now);
                }
            }
        }
    }
}
