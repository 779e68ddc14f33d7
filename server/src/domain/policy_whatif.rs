//! What a policy would change if it were in force now, device by device.
//!
//! A device is judged by [`ingest::evaluate`], which is what judges it after a publication: the two cannot differ.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, AppId, DeliveryId, DeviceId, FindingId, Id, RuleId, UnitId};
use serde::Serialize;

use super::case::{Case, NewIds};
use super::finding::{Finding, FindingKind};
use super::ingest::{self, Context, Refusal};

/// How a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It counts as a breach.
    Breach,
    /// The time to put it right is not over.
    Grace,
    /// It is accepted for a time.
    Exempt,
}

impl Weight {
    fn of(finding: &Finding, now: Timestamp) -> Self {
        if finding.exception.is_some() {
            Self::Exempt
        } else if finding.breach_at <= now {
            Self::Breach
        } else {
            Self::Grace
        }
    }

    /// The name used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Grace => "grace",
            Self::Exempt => "exempt",
        }
    }
}

/// What becomes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It would be in breach, and is not.
    NewlyInBreach,
    /// It would be in grace, and is not.
    NewlyInGrace,
    /// All that is wrong would be accepted by exceptions, and is not.
    NewlyExempt,
    /// Nothing would be wrong any more.
    Cleared,
    /// It would stand as it does, with other findings.
    OtherFindings,
    /// Nothing would change.
    Unchanged,
}

impl Outcome {
    /// The words used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewlyInBreach => "newly in breach",
            Self::NewlyInGrace => "newly in grace",
            Self::NewlyExempt => "newly exempt",
            Self::Cleared => "cleared",
            Self::OtherFindings => "other findings",
            Self::Unchanged => "unchanged",
        }
    }

    fn of(before: Option<Weight>, after: Option<Weight>, changes: bool) -> Self {
        if before == after {
            return if changes { Self::OtherFindings } else { Self::Unchanged };
        }
        match after {
            Some(Weight::Breach) => Self::NewlyInBreach,
            Some(Weight::Grace) => Self::NewlyInGrace,
            Some(Weight::Exempt) => Self::NewlyExempt,
            None => Self::Cleared,
        }
    }
}

/// What changes about one rule and app of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingChange {
    /// The rule.
    pub rule: RuleId,
    /// The app.
    pub app: AppId,
    /// Which duty is not met.
    pub kind: FindingKind,
    /// How it counts now; not at all, if not given.
    pub before: Option<Weight>,
    /// How it would count.
    pub after: Option<Weight>,
}

/// What a policy would change about a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub hostname: String,
    /// Its unit and that unit's ancestors.
    pub units: Vec<UnitId>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The gravest of its findings now; none, if not given.
    pub before: Option<Weight>,
    /// The gravest of its findings then.
    pub after: Option<Weight>,
    /// Everything that changes, by rule and app.
    pub changes: Vec<FindingChange>,
}

/// What the policy of the context would change about a device now.
///
/// # Errors
/// [`Refusal`] for a device that is not judged any more.
pub fn effect(case: &Case, context: &Context<'_>) -> Result<Effect, Refusal> {
    let now = context.now;
    let decision = ingest::evaluate(case.clone(), context, &mut Passing(0))?;
    let decided: Vec<Finding> = decision.map(|decision| decision.findings).unwrap_or_default();
    let touched: BTreeSet<&FindingId> = decided.iter().map(|finding| &finding.id).collect();
    let kept = case.findings.iter().filter(|finding| !touched.contains(&finding.id));
    let before = weights(case.findings.iter(), now);
    let after = weights(kept.chain(&decided), now);
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |key: &(RuleId, AppId)| {
        let (old, new) = (before.get(key), after.get(key));
        let (_, kind) = new.or(old)?;
        let (before, after) = (old.map(|(weight, _)| *weight), new.map(|(weight, _)| *weight));
        let (rule, app) = key.clone();
        (old != new).then_some(FindingChange { rule, app, kind: *kind, before, after })
    };
    let changes: Vec<FindingChange> = keys.into_iter().filter_map(change).collect();
    let gravest = |weights: &Weights| weights.values().map(|(weight, _)| *weight).min();
    let (before, after) = (gravest(&before), gravest(&after));
    let device = &case.device;
    Ok(Effect {
        device: device.id.clone(),
        hostname: device.facts.hostname.clone(),
        units: device.placement.units.clone(),
        outcome: Outcome::of(before, after, !changes.is_empty()),
        before,
        after,
        changes,
    })
}

type Weights = BTreeMap<(RuleId, AppId), (Weight, FindingKind)>;

fn weights<'a>(findings: impl Iterator<Item = &'a Finding>, now: Timestamp) -> Weights {
    findings
        .filter(|finding| finding.ended_at.is_none())
        .map(|f| ((f.rule.clone(), f.app.clone()), (Weight::of(f, now), f.kind)))
        .collect()
}

/// Ids of things that nobody ever sees.
struct Passing(u128);

impl Passing {
    fn next<K: offchannel_shared::ids::Kind>(&mut self) -> Id<K> {
        // Not those of any finding that is on record: those are random.
        self.0 += 1;
        Id::from_random(self.0.to_be_bytes())
    }
}

impl NewIds for Passing {
    fn finding(&mut self) -> FindingId {
        self.next()
    }
    fn alert(&mut self) -> AlertId {
        self.next()
    }
    fn delivery(&mut self) -> DeliveryId {
        self.next()
    }
}

/// How many devices have each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All of them.
    pub devices: u64,
    /// See [`Outcome::NewlyInBreach`].
    pub newly_in_breach: u64,
    /// See [`Outcome::NewlyInGrace`].
    pub newly_in_grace: u64,
    /// See [`Outcome::NewlyExempt`].
    pub newly_exempt: u64,
    /// See [`Outcome::Cleared`].
    pub cleared: u64,
    /// See [`Outcome::OtherFindings`].
    pub other_findings: u64,
    /// See [`Outcome::Unchanged`].
    pub unchanged: u64,
}

impl Totals {
    fn count(&mut self, outcome: Outcome) {
        self.devices += 1;
        let one = match outcome {
            Outcome::NewlyInBreach => &mut self.newly_in_breach,
            Outcome::NewlyInGrace => &mut self.newly_in_grace,
            Outcome::NewlyExempt => &mut self.newly_exempt,
            Outcome::Cleared => &mut self.cleared,
            Outcome::OtherFindings => &mut self.other_findings,
            Outcome::Unchanged => &mut self.unchanged,
        };
        *one += 1;
    }

    fn add(&mut self, other: &Self) {
        self.devices += other.devices;
        self.newly_in_breach += other.newly_in_breach;
        self.newly_in_grace += other.newly_in_grace;
        self.newly_exempt += other.newly_exempt;
        self.cleared += other.cleared;
        self.other_findings += other.other_findings;
        self.unchanged += other.unchanged;
    }
}

/// On how many devices a rule's findings about an app come and go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RuleTotals {
    /// Those that would count as a breach and do not, or the other way round, and so on: how many change in any way.
    pub devices: u64,
    /// Of these, on how many it would newly be a breach.
    pub newly_a_breach: u64,
    /// Of these, on how many it would newly be accepted by an exception.
    pub newly_accepted: u64,
    /// Of these, on how many there would be no finding any more.
    pub gone: u64,
}

/// What a policy would change about many devices. Bounded: only the gravest effects are kept, the counts are whole.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// All devices.
    pub totals: Totals,
    /// Of these, those that have reported nothing yet.
    pub not_reported: u64,
    /// Devices by unit, each counted in its unit and all that this is in.
    pub units: BTreeMap<UnitId, Totals>,
    /// Devices by what changes.
    pub rules: BTreeMap<(RuleId, AppId), RuleTotals>,
    /// The gravest effects, those without a change not among them.
    pub effects: BTreeMap<(Outcome, DeviceId), Effect>,
    /// Most effects that are kept.
    limit: usize,
}

impl Tally {
    /// An empty one that keeps so many effects.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes in what changes about a device.
    pub fn count(&mut self, effect: Effect, reported: bool) {
        self.totals.count(effect.outcome);
        self.not_reported += u64::from(!reported);
        for unit in &effect.units {
            self.units.entry(unit.clone()).or_default().count(effect.outcome);
        }
        for change in &effect.changes {
            let totals = self.rules.entry((change.rule.clone(), change.app.clone())).or_default();
            totals.devices += 1;
            totals.newly_a_breach += u64::from(change.after == Some(Weight::Breach));
            totals.newly_accepted += u64::from(change.after == Some(Weight::Exempt));
            totals.gone += u64::from(change.after.is_none());
        }
        if effect.outcome != Outcome::Unchanged {
            self.effects.insert((effect.outcome, effect.device.clone()), effect);
            self.trim();
        }
    }

    /// Takes in what another one has counted.
    pub fn add(&mut self, other: Self) {
        self.totals.add(&other.totals);
        self.not_reported += other.not_reported;
        for (unit, totals) in other.units {
            self.units.entry(unit).or_default().add(&totals);
        }
        for (key, more) in other.rules {
            let totals = self.rules.entry(key).or_default();
            totals.devices += more.devices;
            totals.newly_a_breach += more.newly_a_breach;
            totals.newly_accepted += more.newly_accepted;
            totals.gone += more.gone;
        }
        self.effects.extend(other.effects);
        self.trim();
    }

    fn trim(&mut self) {
        while self.effects.len() > self.limit {
            self.effects.pop_last();
        }
    }
}
