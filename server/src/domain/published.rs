//! A policy version as published.

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::policy::Policy;

/// A published policy version; never changed afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Counts up from 1.
    pub version: u64,
    /// The file as it was published, byte for byte.
    pub source: String,
    /// Who published it.
    pub author: String,
    /// Why, in the author's words.
    pub comment: String,
    /// When.
    pub published_at: Timestamp,
}

/// A policy version ready to judge with.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The version.
    pub version: u64,
    /// The policy.
    pub policy: Policy,
    /// The built-in catalogue with the policy's own entries.
    pub catalogue: Catalogue,
}
