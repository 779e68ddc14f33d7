//! Judging a device: a pure function of inventory, policy, exceptions, device facts and `now`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Policy, Rule, Severity, Unreviewed, Verdict};
use crate::catalogue::Catalogue;
use crate::device::{Placement, Platform};
use crate::ids::{AppId, ExceptionId, RuleId};
use crate::inventory::{Grade, Inventory, Sighting};
use crate::span::Span;

/// The rule id that findings of unreviewed apps carry; no rule of a policy may use it.
pub const UNREVIEWED_RULE: &str = "unreviewed";

/// A finding accepted for a time, as far as judging needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Its id.
    pub id: ExceptionId,
    /// The rule that it waives; every rule if not given.
    pub rule: Option<RuleId>,
    /// The app that it accepts; every app if not given.
    pub app: Option<AppId>,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Operating system family.
    pub platform: Platform,
    /// What the organisation says of the device.
    pub placement: &'a Placement,
    /// What was found on it.
    pub inventory: &'a Inventory,
    /// The exceptions that apply to it.
    pub exceptions: &'a [Exception],
}

/// Which duty a device does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// A prohibited app is there.
    Prohibited,
    /// A messaging app is there that no rule names.
    Unreviewed,
    /// None of the required apps is there.
    RequiredMissing,
}

/// One way in which the policy is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The rule; [`UNREVIEWED_RULE`] for unreviewed apps.
    pub rule: RuleId,
    /// The app; for a required rule the first that it names.
    pub app: AppId,
    /// Which duty is not met.
    pub breach: Breach,
    /// How grave it is.
    pub severity: Severity,
    /// Time until it counts as a breach.
    pub grace: Span,
    /// The strongest grade among the sightings that count. `None` where something is missing.
    pub grade: Option<Grade>,
    /// The exception that accepts it now, if any.
    pub exception: Option<ExceptionId>,
}

/// The outcome for one device at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evaluation {
    /// Where the policy is not met, sorted by rule and app, at most one for each pair.
    pub judged: Vec<Judged>,
    /// The next instant at which the outcome can change by itself: a rule comes into force, an
    /// exception starts or ends.
    pub next_change: Option<Timestamp>,
}

/// Judges a device.
pub fn evaluate(policy: &Policy, catalogue: &Catalogue, subject: &Subject<'_>, now: Timestamp) -> Evaluation {
    let scoped: Vec<&Rule> =
        policy.rules.iter().filter(|rule| rule.scope.includes(subject.platform, subject.placement)).collect();
    let mut judged: BTreeMap<(RuleId, AppId), Judged> = BTreeMap::new();
    let mut add = |found: Judged| {
        let seen = judged.entry((found.rule.clone(), found.app.clone())).or_insert_with(|| found.clone());
        // Grades are ordered strongest first.
        seen.grade = seen.grade.min(found.grade);
    };
    for sighting in &subject.inventory.sightings {
        if let Some(found) = judge_sighting(policy, &scoped, catalogue, sighting, now) {
            add(found);
        }
    }
    if policy.unreviewed == Unreviewed::Report {
        let unlisted = subject.inventory.unlisted.iter().filter(|found| found.grade != Grade::Residual);
        for found in unlisted {
            if let Some(found) = unreviewed(&found.app, found.grade) {
                add(found);
            }
        }
    }
    let required = scoped.iter().filter(|rule| rule.verdict == Verdict::Required && rule.in_force(now));
    for rule in required {
        let present = |s: &Sighting| {
            rule.grades.contains(&s.grade) && catalogue.app(s.app.as_str()).is_some_and(|app| rule.names(app))
        };
        if let Some(app) = rule.apps.first()
            && !subject.inventory.sightings.iter().any(present)
        {
            add(by_rule(rule, app.clone(), Breach::RequiredMissing, None));
        }
    }
    let mut judged: Vec<Judged> = judged.into_values().collect();
    for found in &mut judged {
        found.exception = exception_for(subject.exceptions, found, now);
    }
    let rules = scoped.iter().filter_map(|rule| rule.effective_from);
    let exceptions = subject.exceptions.iter().flat_map(|exception| [exception.start, exception.end]);
    let next_change = rules.chain(exceptions).filter(|at| *at > now).min();
    Evaluation { judged, next_change }
}

/// The first rule that matches a sighting decides.
fn judge_sighting(
    policy: &Policy,
    scoped: &[&Rule],
    catalogue: &Catalogue,
    sighting: &Sighting,
    now: Timestamp,
) -> Option<Judged> {
    // An agent with a newer catalogue may report an app that this one does not know.
    let app = catalogue.app(sighting.app.as_str());
    let names = |rule: &Rule| match app {
        Some(app) => rule.names(app),
        None => rule.apps.contains(&sighting.app),
    };
    let about: Vec<&Rule> = scoped.iter().filter(|rule| names(rule)).copied().collect();
    let decides = about.iter().find(|rule| {
        rule.verdict != Verdict::Required && rule.in_force(now) && rule.grades.contains(&sighting.grade)
    });
    match decides {
        Some(rule) => (rule.verdict == Verdict::Prohibited)
            .then(|| by_rule(rule, sighting.app.clone(), Breach::Prohibited, Some(sighting.grade))),
        // An app that some rule names is reviewed, even where no rule counts this grade, or not yet.
        None if about.is_empty() && sighting.grade != Grade::Residual => (policy.unreviewed
            == Unreviewed::Report)
            .then(|| unreviewed(&sighting.app, sighting.grade))
            .flatten(),
        None => None,
    }
}

fn by_rule(rule: &Rule, app: AppId, breach: Breach, grade: Option<Grade>) -> Judged {
    Judged {
        rule: rule.id.clone(),
        app,
        breach,
        severity: rule.severity,
        grace: rule.grace,
        grade,
        exception: None,
    }
}

fn unreviewed(app: &AppId, grade: Grade) -> Option<Judged> {
    Some(Judged {
        rule: RuleId::new(UNREVIEWED_RULE).ok()?,
        app: app.clone(),
        breach: Breach::Unreviewed,
        severity: Severity::Info,
        grace: Span::ZERO,
        grade: Some(grade),
        exception: None,
    })
}

/// The exception that lasts longest among those that accept a finding now.
fn exception_for(exceptions: &[Exception], found: &Judged, now: Timestamp) -> Option<ExceptionId> {
    exceptions
        .iter()
        .filter(|exception| exception.start <= now && now < exception.end)
        .filter(|exception| exception.rule.as_ref().is_none_or(|rule| *rule == found.rule))
        .filter(|exception| exception.app.as_ref().is_none_or(|app| *app == found.app))
        .max_by_key(|exception| (exception.end, exception.id.clone()))
        .map(|exception| exception.id.clone())
}
