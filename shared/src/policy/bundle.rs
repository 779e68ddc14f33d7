//! A policy as it travels to agents: versioned, limited in time, signed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::catalogue::Catalogue;
use crate::device::Placement;
use crate::signing::{Envelope, EnvelopeError, PublicKey};

/// The schema of [`Bundle`].
pub const BUNDLE_SCHEMA: u32 = 1;

/// The DSSE payload type of a policy bundle.
pub const BUNDLE_TYPE: &str = "application/vnd.offchannel.policy-bundle+json";

/// What an agent needs to know of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Always [`BUNDLE_SCHEMA`].
    pub schema: u32,
    /// The policy's version; an agent never goes back.
    pub version: u64,
    /// When the collector signed this bundle.
    pub issued_at: Timestamp,
    /// After this the bundle is out of date; the agent keeps it in force and says so.
    pub expires_at: Timestamp,
    /// The device's place in the organisation, by which rules are scoped.
    pub placement: Placement,
    /// The policy.
    pub policy: Policy,
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// No trusted key signed it, or not this content.
    #[error("the policy bundle is not signed by a trusted key")]
    Signature(#[source] EnvelopeError),
    /// The content is no bundle.
    #[error("the signed policy bundle cannot be read")]
    Content(#[source] serde_json::Error),
    /// A schema from the future.
    #[error("the policy bundle has schema {0}, this program reads {BUNDLE_SCHEMA}: update it")]
    Schema(u32),
    /// It is older than the one in force.
    #[error("the policy bundle has version {offered}, older than version {in_force} in force")]
    Older {
        /// The version that was offered.
        offered: u64,
        /// The version in force.
        in_force: u64,
    },
    /// It was out of date when it arrived.
    #[error("the policy bundle expired at {0}")]
    Expired(Timestamp),
    /// Its own catalogue entries break the catalogue's rules.
    #[error("the policy bundle's catalogue entries are not valid: {0}")]
    Catalogue(String),
}

impl Bundle {
    /// Opens a signed bundle.
    ///
    /// `in_force` is the version that the caller has; the same version is accepted again, because a
    /// renewed bundle carries a new expiry and placement.
    ///
    /// # Errors
    /// [`BundleError`]; the caller then keeps what it has.
    pub fn open(
        envelope: &Envelope,
        keys: &[PublicKey],
        in_force: Option<u64>,
        now: Timestamp,
    ) -> Result<Self, BundleError> {
        let payload = envelope.open(BUNDLE_TYPE, keys).map_err(BundleError::Signature)?;
        let schema: Schema = serde_json::from_slice(&payload).map_err(BundleError::Content)?;
        if schema.schema != BUNDLE_SCHEMA {
            return Err(BundleError::Schema(schema.schema));
        }
        let bundle: Self = serde_json::from_slice(&payload).map_err(BundleError::Content)?;
        if let Some(in_force) = in_force.filter(|version| bundle.version < *version) {
            return Err(BundleError::Older { offered: bundle.version, in_force });
        }
        if bundle.expires_at <= now {
            return Err(BundleError::Expired(bundle.expires_at));
        }
        bundle.catalogue()?;
        Ok(bundle)
    }

    /// The catalogue together with the organisation's own entries.
    ///
    /// # Errors
    /// [`BundleError::Catalogue`] if those entries break the catalogue's rules.
    pub fn catalogue(&self) -> Result<Catalogue, BundleError> {
        Catalogue::with_overlay(&self.policy.apps).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            BundleError::Catalogue(errors.join("; "))
        })
    }
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}
