//! Policy versions: published, in force at once or later, replaced, cancelled.

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::policy::Policy;

/// A published policy version. What it says is never changed afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Counts up from 1.
    pub version: u64,
    /// The file as it was published, byte for byte.
    pub source: String,
    /// Who published it; where two have to agree, who proposed it.
    pub author: String,
    /// Why, in the author's words.
    pub comment: String,
    /// When.
    pub published_at: Timestamp,
    /// When it is to take force; at its publication, if not given.
    pub effective_from: Option<Timestamp>,
    /// Since when it has been in force, or was; `None` as long as it has not been, and for ever if it never is.
    pub in_force_since: Option<Timestamp>,
    /// Who approved it, where two have to agree.
    pub approved_by: Option<String>,
    /// When, and by whom, it was cancelled before it took force.
    pub cancelled: Option<(Timestamp, String)>,
}

/// How a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// Devices are judged by it.
    InForce,
    /// It takes force later, unless a newer version is in force by then.
    Scheduled,
    /// It was in force.
    Replaced,
    /// A newer version took force before its time came; it never will.
    Overtaken,
    /// It was cancelled before its time came.
    Cancelled,
}

impl VersionState {
    /// The name used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in force",
            Self::Scheduled => "scheduled",
            Self::Replaced => "replaced",
            Self::Overtaken => "overtaken",
            Self::Cancelled => "cancelled",
        }
    }
}

impl PolicyVersion {
    /// A version that takes force when it is published.
    pub fn at_once(source: &str, author: &str, comment: &str, at: Timestamp) -> Self {
        Self {
            version: 0,
            source: source.to_owned(),
            author: author.to_owned(),
            comment: comment.to_owned(),
            published_at: at,
            effective_from: None,
            in_force_since: Some(at),
            approved_by: None,
            cancelled: None,
        }
    }

    /// How it stands while another version, or itself, is in force; 0 for none.
    pub fn state(&self, in_force: u64) -> VersionState {
        match () {
            () if self.version == in_force => VersionState::InForce,
            () if self.cancelled.is_some() => VersionState::Cancelled,
            () if self.in_force_since.is_some() => VersionState::Replaced,
            () if self.version < in_force => VersionState::Overtaken,
            () => VersionState::Scheduled,
        }
    }
}

/// Whether one person alone can publish a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Publication {
    /// Whoever may publish does.
    #[default]
    Alone,
    /// A publication is a proposal that somebody else has to approve.
    FourEyes,
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
