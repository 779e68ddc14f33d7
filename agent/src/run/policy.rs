//! The policy in force on this device.

use std::sync::Arc;

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::inventory::Health;
use offchannel_shared::policy::{Bundle, BundleError};
use offchannel_shared::signing::{Envelope, PublicKey};

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
