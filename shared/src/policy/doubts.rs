//! What can be used, but probably does not do what was meant: rules that never decide, and rules that contradict.
//!
//! Everything here is told of all devices that a policy can be about, whatever they have: in doubt nothing is said.

use std::collections::BTreeSet;

use super::{Rule, Verdict, Where};
use crate::catalogue::{App, AppKind, Catalogue};
use crate::device::{Ownership, Platform};
use crate::ids::{AppId, NetworkId, UnitId};
use crate::inventory::Grade;
use crate::label::Label;

/// Most comparisons of rules with devices: a policy of any real size needs a small part of them.
const LOOKS_MAX: u32 = 5_000_000;

/// One doubt about a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The rule's place, from 0; `None` for the policy as a whole.
    pub(super) rule: Option<usize>,
    /// The key, and the place of the element in its list; the whole rule if not given.
    pub(super) at: Option<(&'static str, usize)>,
    /// What is doubtful.
    pub(super) message: String,
}

/// Everything that is doubtful about rules, in their order.
pub(super) fn doubts(rules: &[Rule], catalogue: &Catalogue) -> Vec<Doubt> {
    let mut looks = Looks { rules, catalogue, left: LOOKS_MAX };
    let mut doubts = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        match rule.verdict {
            Verdict::Required => looks.required(place, rule, &mut doubts),
            Verdict::Prohibited | Verdict::Allowed => looks.shadowed(place, rule, &mut doubts),
        }
        if rule.verdict != Verdict::Allowed {
            looks.alternatives(place, rule, &mut doubts);
        }
        if looks.left == 0 {
            let message =
                "there are too many rules to look for those that never decide; not all were looked at"
                    .to_owned();
            doubts.push(Doubt { rule: None, at: None, message });
            break;
        }
    }
    doubts
}

/// What a rule is about.
#[derive(Debug, Clone, Copy)]
enum Subject<'a> {
    App(&'a AppId, Option<App<'a>>),
    Network(&'a NetworkId),
    Kind(AppKind),
}

impl Subject<'_> {
    /// Whether a rule names all of it. A network is more than the apps that are known to talk to it today.
    fn is_named_by(&self, rule: &Rule) -> bool {
        match self {
            Self::App(id, app) => rule.apps.contains(id) || app.is_some_and(|app| rule.names(app)),
            Self::Network(network) => rule.networks.contains(network),
            Self::Kind(kind) => rule.kinds.contains(kind),
        }
    }
}

impl std::fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::App(id, _) => write!(f, "{:?}", id.as_str()),
            Self::Network(network) => write!(f, "{:?}", network.as_str()),
            Self::Kind(kind) => write!(f, "{:?}", kind.as_str()),
        }
    }
}

/// Devices that rules cannot tell apart: those of one platform and ownership, in one unit or in none that is named, with one
/// label or with none that is named. What carries more labels is in every scope that these are in, and may be in more.
#[derive(Debug, Clone, Copy)]
struct Devices<'a> {
    platform: Platform,
    ownership: Ownership,
    unit: Option<&'a UnitId>,
    label: Option<&'a Label>,
}

/// The units and labels that rules name.
#[derive(Debug, Default)]
struct Named<'a> {
    units: BTreeSet<&'a UnitId>,
    labels: BTreeSet<&'a Label>,
}

impl<'a> Devices<'a> {
    /// All those of a scope. Where it is about every unit or label, those that are named are told apart.
    fn of(scope: &'a Where, named: &Named<'a>) -> Vec<Self> {
        // All fields by name: a new kind of restriction must be thought of here.
        let Where { platform, ownership, unit, label } = scope;
        let platforms = if platform.is_empty() { &Platform::ALL[..] } else { platform };
        let ownerships = if ownership.is_empty() { &Ownership::ALL[..] } else { ownership };
        fn one_of<'a, T>(scope: &'a [T], named: &BTreeSet<&'a T>) -> Vec<Option<&'a T>> {
            if scope.is_empty() {
                std::iter::once(None).chain(named.iter().copied().map(Some)).collect()
            } else {
                scope.iter().map(Some).collect()
            }
        }
        let units = one_of(unit, &named.units);
        let labels = one_of(label, &named.labels);
        let places: Vec<(Option<&UnitId>, Option<&Label>)> =
            units.iter().flat_map(|unit| labels.iter().map(|label| (*unit, *label))).collect();
        let mut all = Vec::new();
        for platform in platforms {
            for ownership in ownerships {
                all.extend(places.iter().map(|(unit, label)| Self {
                    platform: *platform,
                    ownership: *ownership,
                    unit: *unit,
                    label: *label,
                }));
            }
        }
        all
    }

    /// Whether all of them are among those that a scope is about.
    fn are_in(&self, scope: &Where) -> bool {
        let Where { platform, ownership, unit, label } = scope;
        (platform.is_empty() || platform.contains(&self.platform))
            && (ownership.is_empty() || ownership.contains(&self.ownership))
            && (unit.is_empty() || self.unit.is_some_and(|own| unit.contains(own)))
            && (label.is_empty() || self.label.is_some_and(|own| label.contains(own)))
    }
}

struct Looks<'a> {
    rules: &'a [Rule],
    catalogue: &'a Catalogue,
    left: u32,
}

impl<'a> Looks<'a> {
    /// A rule, or a part of it, that earlier rules leave nothing to decide.
    fn shadowed(&mut self, place: usize, rule: &'a Rule, doubts: &mut Vec<Doubt>) {
        let app = |id: &'a AppId| Subject::App(id, self.catalogue.app(id.as_str()));
        let apps = rule.apps.iter().map(app).enumerate().map(|(at, subject)| ("apps", at, subject));
        let networks = rule.networks.iter().map(Subject::Network).enumerate();
        let kinds = rule.kinds.iter().copied().map(Subject::Kind).enumerate();
        let subjects: Vec<(&'static str, usize, Subject<'a>)> = apps
            .chain(networks.map(|(at, subject)| ("networks", at, subject)))
            .chain(kinds.map(|(at, subject)| ("kinds", at, subject)))
            .collect();
        let decided: Vec<Option<BTreeSet<usize>>> =
            subjects.iter().map(|(_, _, subject)| self.decided_before(place, rule, subject)).collect();
        if !decided.is_empty() && decided.iter().all(Option::is_some) {
            let by: BTreeSet<usize> = decided.into_iter().flatten().flatten().collect();
            let message = format!("never decides anything: {} before it", self.decide(&by));
            doubts.push(Doubt { rule: Some(place), at: None, message });
            return;
        }
        for ((key, at, subject), by) in subjects.iter().zip(decided) {
            let Some(by) = by else { continue };
            let message = format!("{subject} is decided by {} already", self.named(&by));
            doubts.push(Doubt { rule: Some(place), at: Some((key, *at)), message });
        }
    }

    /// The earlier rules that decide whatever the rule could decide about a subject, if they leave it nothing.
    fn decided_before(
        &mut self,
        place: usize,
        rule: &Rule,
        subject: &Subject<'_>,
    ) -> Option<BTreeSet<usize>> {
        if !self.look_at(place) {
            return None;
        }
        let before: Vec<(usize, &Rule)> = self
            .rules
            .iter()
            .enumerate()
            .take(place)
            .filter(|(_, other)| other.verdict != Verdict::Required)
            // In force whenever the rule is: no date comes before any date.
            .filter(|(_, other)| other.effective_from <= rule.effective_from)
            .filter(|(_, other)| subject.is_named_by(other))
            .collect();
        if before.is_empty() {
            return None;
        }
        let mut by = BTreeSet::new();
        for devices in Devices::of(&rule.scope, &Named::default()) {
            for grade in &rule.grades {
                let decides = |other: &Rule| devices.are_in(&other.scope) && other.grades.contains(grade);
                let (place, _) = before.iter().find(|(_, other)| self.looks() && decides(other))?;
                by.insert(*place);
            }
        }
        Some(by)
    }

    /// Apps that a rule requires and another prohibits, on the same devices.
    fn required(&mut self, place: usize, rule: &'a Rule, doubts: &mut Vec<Doubt>) {
        for (at, app) in rule.apps.iter().enumerate() {
            if let Some((by, _)) = self.prohibited(app, &rule.scope, &rule.grades) {
                let message =
                    format!("{:?} is both required and prohibited, see rule {:?}", app.as_str(), self.id(by));
                doubts.push(Doubt { rule: Some(place), at: Some(("apps", at)), message });
            }
        }
    }

    /// Alternatives that are prohibited themselves.
    fn alternatives(&mut self, place: usize, rule: &'a Rule, doubts: &mut Vec<Doubt>) {
        for (at, app) in rule.alternatives.iter().enumerate() {
            // One that may be used in the browser, or as a program, can be an alternative.
            let usable = [Grade::Installed, Grade::WebApp];
            if let Some((by, everywhere)) = self.prohibited(app, &rule.scope, &usable) {
                let some = if everywhere { "" } else { ", on some of the devices" };
                let message =
                    format!("{:?} is prohibited itself, see rule {:?}{some}", app.as_str(), self.id(by));
                doubts.push(Doubt { rule: Some(place), at: Some(("alternatives", at)), message });
            }
        }
    }

    /// A rule that prohibits an app at all these grades on devices of a scope once every rule is in force, and whether
    /// it is prohibited on all of them.
    fn prohibited(&mut self, app: &AppId, scope: &'a Where, grades: &[Grade]) -> Option<(usize, bool)> {
        if !self.look_at(self.rules.len()) {
            return None;
        }
        let subject = Subject::App(app, self.catalogue.app(app.as_str()));
        let about: Vec<(usize, &Rule)> = self
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.verdict != Verdict::Required && subject.is_named_by(rule))
            .collect();
        if about.iter().all(|(_, rule)| rule.verdict != Verdict::Prohibited) {
            return None;
        }
        let named = Named {
            units: about.iter().flat_map(|(_, rule)| &rule.scope.unit).collect(),
            labels: about.iter().flat_map(|(_, rule)| &rule.scope.label).collect(),
        };
        let (mut found, mut everywhere) = (None, true);
        for devices in Devices::of(scope, &named) {
            let mut by = None;
            let all = !grades.is_empty()
                && grades.iter().all(|grade| {
                    let decides = about.iter().find(|(_, rule)| {
                        self.looks() && devices.are_in(&rule.scope) && rule.grades.contains(grade)
                    });
                    by = decides.filter(|(_, rule)| rule.verdict == Verdict::Prohibited).map(|(at, _)| *at);
                    by.is_some()
                });
            match by.filter(|_| all) {
                Some(by) => found = found.or(Some(by)),
                None => everywhere = false,
            }
        }
        // What could not be looked at is not told.
        found.filter(|_| self.left > 0).map(|by| (by, everywhere))
    }

    /// Whether there may be a look at each of so many rules.
    fn look_at(&mut self, rules: usize) -> bool {
        self.left = self.left.saturating_sub(u32::try_from(rules).unwrap_or(u32::MAX));
        self.left > 0
    }

    /// Whether there may be one more look.
    fn looks(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn id(&self, place: usize) -> &str {
        self.rules.get(place).map_or("", |rule| rule.id.as_str())
    }

    fn named(&self, places: &BTreeSet<usize>) -> String {
        let names: Vec<String> =
            places.iter().take(3).map(|place| format!("{:?}", self.id(*place))).collect();
        let noun = if places.len() == 1 { "rule" } else { "rules" };
        let more = if places.len() > names.len() { " and others" } else { "" };
        format!("{noun} {}{more}", names.join(", "))
    }

    fn decide(&self, places: &BTreeSet<usize>) -> String {
        let verb = if places.len() == 1 { "decides" } else { "decide" };
        format!("{} {verb} all of it", self.named(places))
    }
}
