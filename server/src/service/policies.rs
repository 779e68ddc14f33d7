//! Policies: checking them, and handing the one in force to agents.

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Placement;
use offchannel_shared::policy::{self, BUNDLE_SCHEMA, BUNDLE_TYPE, Bundle, Parsed};
use offchannel_shared::signing::Envelope;
use offchannel_shared::span::Span;

use super::cache::Signed;
use super::{Service, ServiceError};
use crate::domain::published::{InForce, PolicyVersion};

/// How long a bundle is good for. Renewed at half of it, so an agent has two weeks to check in.
const BUNDLE_LIFE: Span = Span::seconds(28 * 86_400);
/// A bundle is renewed when less than this is left.
const BUNDLE_RENEWAL: Span = Span::seconds(14 * 86_400);
/// A signed bundle serves other devices of the same placement for so long.
const BUNDLE_REUSE: Span = Span::minutes(60);

impl Service {
    /// Checks a policy file.
    ///
    /// # Errors
    /// [`ServiceError::Policy`] with everything that is wrong.
    pub fn check_policy(source: &str, now: Timestamp) -> Result<Parsed, ServiceError> {
        policy::check(source, now).map_err(ServiceError::Policy)
    }

    /// One policy version, or the newest that was not cancelled.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn policy(&self, version: Option<u64>) -> Result<Option<PolicyVersion>, ServiceError> {
        Ok(self.0.store.policy(version).await?)
    }

    /// All policy versions, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn policies(&self) -> Result<Vec<PolicyVersion>, ServiceError> {
        Ok(self.0.store.policies().await?)
    }

    /// The policy by which devices are judged.
    ///
    /// # Errors
    /// [`ServiceError::NoPolicy`].
    pub fn in_force(&self) -> Result<Arc<InForce>, ServiceError> {
        let in_force = self.0.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.clone().ok_or(ServiceError::NoPolicy)
    }

    pub(super) async fn load_policy(&self) -> Result<(), ServiceError> {
        let Some(stored) = self.0.store.policy_in_force().await? else { return Ok(()) };
        if self.in_force().is_ok_and(|known| known.version == stored.version) {
            return Ok(());
        }
        let version = stored.version;
        let parsed =
            policy::parse(&stored.source).map_err(|source| ServiceError::StoredPolicy { version, source })?;
        // Parsing has checked the policy's own entries.
        let catalogue = Catalogue::with_overlay(&parsed.policy.apps).unwrap_or_default();
        let in_force = Arc::new(InForce { version, policy: parsed.policy, catalogue });
        *self.0.in_force.write().unwrap_or_else(PoisonError::into_inner) = Some(in_force);
        self.0.bundles.clear();
        Ok(())
    }

    /// The signed policy for a device, if the agent's is older or about to expire.
    pub(super) fn bundle_if_needed(
        &self,
        placement: &Placement,
        placed_at: Option<Timestamp>,
        version: u64,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Envelope>, ServiceError> {
        let current = self.in_force()?.version == version;
        let lasts = expires_at.is_none_or(|at| at > BUNDLE_RENEWAL.after(now));
        // All bundles live equally long: when it ends says when it was signed, and so where the device was then.
        let elsewhere = expires_at.zip(placed_at).is_some_and(|(at, placed)| at < BUNDLE_LIFE.after(placed));
        if current && lasts && !elsewhere {
            return Ok(None);
        }
        self.bundle_for(placement, placed_at, now).map(Some)
    }

    /// The signed policy for devices of this placement, signed since they were placed so: an agent takes no bundle that is
    /// older than its own, and it may have been elsewhere meanwhile.
    pub(super) fn bundle_for(
        &self,
        placement: &Placement,
        placed_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Envelope, ServiceError> {
        let in_force = self.in_force()?;
        // Labels that no rule asks for make no other bundle.
        let asked = in_force.policy.labels();
        let mut placement = placement.clone();
        placement.labels.retain(|label| asked.contains(label));
        let key = serde_json::to_string(&placement).map_err(ServiceError::Bundle)?;
        let since = placed_at.unwrap_or(Timestamp::MIN);
        let fresh = |signed: &Signed| {
            signed.version == in_force.version
                && signed.issued_at >= since
                && now < BUNDLE_REUSE.after(signed.issued_at)
        };
        if let Some(signed) = self.0.bundles.get(&key).filter(fresh) {
            return Ok(signed.envelope);
        }
        let policy = in_force.policy.as_sent_to(&placement);
        placement.labels.clear();
        // A clock that was put back must not make a bundle that looks older than the placement.
        let issued_at = now.max(since);
        let bundle = Bundle {
            schema: BUNDLE_SCHEMA,
            version: in_force.version,
            issued_at,
            expires_at: BUNDLE_LIFE.after(issued_at),
            placement,
            policy,
        };
        let payload = serde_json::to_vec(&bundle).map_err(ServiceError::Bundle)?;
        let envelope = Envelope::seal(BUNDLE_TYPE, &payload, &self.0.signing_key);
        let signed = Signed { version: in_force.version, issued_at, envelope: envelope.clone() };
        self.0.bundles.put(key, signed);
        Ok(envelope)
    }
}
