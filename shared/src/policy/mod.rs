//! The policy: ordered rules that give apps a verdict.
//!
//! The first prohibited or allowed rule that matches a sighting decides, as in a firewall;
//! `required` rules stand apart. Nothing about which app is good or bad is built in.

mod bundle;
pub mod diff;
mod doubts;
mod escalation;
mod evaluate;
mod known;
mod notice;
mod parse;
mod parse_notice;
mod problem;
mod read;
mod surge;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use bundle::{BUNDLE_SCHEMA, BUNDLE_TYPE, Bundle, BundleError};
pub use escalation::{Party, Repetition, Step, When};
pub use evaluate::{Breach, Evaluation, Exception, Judged, Subject, UNREVIEWED_RULE, evaluate};
pub use known::Known;
pub use notice::{LANGUAGES_MAX, NOTICE_MAX, Notice, Show, TITLE_MAX, Texts};
pub use parse::{Parsed, check, check_where, parse};
pub use problem::{Level, Problem, Problems};
pub use surge::UnitSurge;

use crate::catalogue::{App, AppKind, Entry};
use crate::device::{Ownership, Placement, Platform};
use crate::ids::{AppId, NetworkId, RuleId, UnitId};
use crate::inventory::Grade;
use crate::label::Label;
use crate::span::Span;

/// The only policy schema so far.
pub const POLICY_SCHEMA: u32 = 1;

/// Which of two outcomes a rule gives, or that it wants an app to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The app must not be there.
    Prohibited,
    /// The app may be there.
    Allowed,
    /// One of the rule's apps must be there.
    Required,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 3] = [Self::Prohibited, Self::Allowed, Self::Required];

    /// The name used in policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prohibited => "prohibited",
            Self::Allowed => "allowed",
            Self::Required => "required",
        }
    }
}

/// How grave a breach is, for those who sort alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// To be dealt with some time.
    Low,
    /// To be dealt with.
    #[default]
    Medium,
    /// To be dealt with soon.
    High,
    /// To be dealt with at once.
    Critical,
}

impl Severity {
    /// All severities, mildest first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The name used in policies, alerts and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What happens to messaging apps that no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unreviewed {
    /// They are reported, as a finding of the rule [`UNREVIEWED_RULE`].
    Report,
    /// They are not reported at all.
    #[default]
    Ignore,
}

impl Unreviewed {
    /// Both choices.
    pub const ALL: [Self; 2] = [Self::Report, Self::Ignore];

    /// The name used in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Ignore => "ignore",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A whole policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Always [`POLICY_SCHEMA`].
    pub schema: u32,
    /// Name for people.
    pub name: String,
    /// How long a device may be silent before its state counts as stale.
    pub stale_after: Span,
    /// How often agents check in when nothing happens.
    pub check_in_every: Span,
    /// What happens to messaging apps that no rule names.
    pub unreviewed: Unreviewed,
    /// What users are told.
    #[serde(default, skip_serializing_if = "notice::is_default")]
    pub notice: Notice,
    /// The rules, in the order that decides.
    pub rules: Vec<Rule>,
    /// How long exceptions may be. Agents do not get it.
    #[serde(skip)]
    pub exceptions: Exceptions,
    /// To whom alerts are carried that get old. Agents do not get them.
    #[serde(skip)]
    pub escalation: Vec<Step>,
    /// When many breaches in a unit are a matter of the unit; never if not given. Agents do not get it.
    #[serde(skip)]
    pub unit_surge: Option<UnitSurge>,
    /// The organisation's own catalogue entries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<AppId, Entry>,
}

/// What exceptions may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceptions {
    /// Longest time from start to end.
    pub longest: Span,
    /// How long before its end an exception is to be looked at again.
    pub review_before: Span,
}

impl Default for Exceptions {
    fn default() -> Self {
        Self { longest: Span::seconds(90 * 86_400), review_before: Span::seconds(7 * 86_400) }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Unique in the policy; findings and alerts carry it.
    pub id: RuleId,
    /// What the rule says of its apps.
    pub verdict: Verdict,
    /// The apps, networks and kinds that it is about; an app in any of them is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<AppId>,
    /// Networks: every app that talks to one of them is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkId>,
    /// Kinds: every app of one of them is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<AppKind>,
    /// The devices that it is about.
    #[serde(default, rename = "where")]
    pub scope: Where,
    /// The grades that count.
    pub grades: Vec<Grade>,
    /// When it comes into force; always, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<Timestamp>,
    /// How grave a breach is.
    pub severity: Severity,
    /// Time between a finding's start and the moment it counts as a breach.
    pub grace: Span,
    /// Why, in one language: for those who work on alerts, and for the device's user where there is no notice.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the device's user is told about a finding.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub notice: Texts,
    /// What to use instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<AppId>,
    /// Whether business records must be copied before an alert can close.
    #[serde(default)]
    pub records_step: bool,
}

/// The devices that a rule is about. An empty list means no restriction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Where {
    /// Platforms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platform: Vec<Platform>,
    /// Kinds of ownership.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ownership: Vec<Ownership>,
    /// Units, each with its descendants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unit: Vec<UnitId>,
    /// Labels, of which a device carries at least one. Never sent to agents: see [`Policy::as_sent_to`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label: Vec<Label>,
}

impl Where {
    /// Whether a device is among those meant.
    pub fn includes(&self, platform: Platform, placement: &Placement) -> bool {
        let any = |list: bool, hit: bool| list || hit;
        any(self.platform.is_empty(), self.platform.contains(&platform))
            && any(self.ownership.is_empty(), self.ownership.contains(&placement.ownership))
            && any(self.unit.is_empty(), placement.units.iter().any(|unit| self.unit.contains(unit)))
            && self.includes_labels(placement)
    }

    /// Whether a device is among those meant as far as its labels go.
    fn includes_labels(&self, placement: &Placement) -> bool {
        self.label.is_empty() || self.label.iter().any(|label| placement.labels.contains(label))
    }
}

impl Rule {
    /// Whether an app is one of those that the rule is about.
    pub fn names(&self, app: App<'_>) -> bool {
        self.apps.iter().any(|id| id.as_str() == app.id)
            || self.kinds.contains(&app.kind)
            || self.networks.iter().any(|network| app.networks().any(|n| n == network.as_str()))
    }

    /// Whether the rule is in force.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.effective_from.is_none_or(|from| from <= now)
    }
}

impl Policy {
    /// The rule with this id.
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }

    /// The labels that rules are scoped by; no other label changes what a device is judged by.
    pub fn labels(&self) -> BTreeSet<&Label> {
        self.rules.iter().flat_map(|rule| &rule.scope.label).collect()
    }

    /// The policy as a device of this placement gets it: rules for other labels are left out, and the others no
    /// longer ask for any. The outcome of judging is the same, agents that know no labels judge rightly, and no
    /// device learns what it, or any other, is labelled.
    #[must_use]
    pub fn as_sent_to(&self, placement: &Placement) -> Self {
        let mut policy = self.clone();
        policy.rules.retain(|rule| rule.scope.includes_labels(placement));
        for rule in &mut policy.rules {
            rule.scope.label.clear();
        }
        policy
    }
}
