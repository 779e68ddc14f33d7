//! To whom an alert is carried that gets old, or that is one of many: steps, as device management has them for devices
//! that do not comply.
//!
//! Only the collector has to do with them; they are left out of what agents get.

use super::read::{Keys, Report};
use super::{Rule, Severity, UNREVIEWED_RULE};
use crate::ids::{AudienceId, RuleId, StepId};
use crate::nearest::nearest;
use crate::span::Span;

/// Most steps of a policy.
const STEPS_MAX: usize = 20;
/// Shortest and longest age at which a step can be taken.
const AFTER_BOUNDS: [Span; 2] = [Span::seconds(60), Span::seconds(366 * 86_400)];

/// Fewest and most breaches by which a step can be taken: the first one is no repetition.
const BREACHES_BOUNDS: [u32; 2] = [2, 1_000];

/// One step: what happens to an alert that is still there after some time, or that is not the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Unique in the policy; alerts remember by it that the step was taken.
    pub id: StepId,
    /// When it is taken.
    pub when: When,
    /// To whom: `analyst`, `owner`, `leadership` or any other word that the collector's routes name.
    pub to: AudienceId,
    /// Only alerts that are at least so grave.
    pub severity: Severity,
    /// Only alerts of these rules; all alerts, also those about the device itself, if empty.
    pub rules: Vec<RuleId>,
}

/// When a step is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// When the alert is so old.
    Age {
        /// How long after it opened, or reopened.
        after: Span,
        /// Only as long as nobody has taken the alert up or put it off.
        only_open: bool,
    },
    /// When the alert opens or reopens, and is not the first.
    Repetition(Repetition),
}

/// How many breaches of whom, in which time, are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repetition {
    /// So many at least, with the one that the alert is about.
    pub breaches: u32,
    /// Within this time before it.
    pub within: Span,
    /// Whose breaches are counted.
    pub by: Party,
}

/// Whose breaches are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// The device's.
    Device,
    /// Those of the person that the device is given to, on whatever device.
    Person,
    /// Those in the device's unit and below it.
    Unit,
}

impl Party {
    /// All parties.
    pub const ALL: [Self; 3] = [Self::Device, Self::Person, Self::Unit];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Person => "person",
            Self::Unit => "unit",
        }
    }
}

impl Step {
    /// Whether the step is about alerts of this rule and severity.
    pub fn concerns(&self, rule: Option<&RuleId>, severity: Severity) -> bool {
        severity >= self.severity
            && (self.rules.is_empty() || rule.is_some_and(|rule| self.rules.contains(rule)))
    }
}

pub(super) fn read_steps(report: &mut Report<'_>, keys: &mut Keys<'_, '_>, rules: &[Rule]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let tables = keys.tables(report, "escalation");
    if let Some(surplus) = tables.get(STEPS_MAX) {
        report.error(surplus.at.clone(), "escalation", format!("more than {STEPS_MAX} steps"));
    }
    for mut table in tables {
        let step = read_step(report, &mut table, rules);
        table.finish(report);
        let Some((at, step)) = step else { continue };
        if steps.iter().any(|seen| seen.id == step.id) {
            let message = format!("another step has the id {:?} already", step.id.as_str());
            report.error(at, table.name("id"), message);
        }
        steps.push(step);
    }
    steps
}

fn read_step(
    report: &mut Report<'_>,
    keys: &mut Keys<'_, '_>,
    rules: &[Rule],
) -> Option<(std::ops::Range<usize>, Step)> {
    let at = keys.at.clone();
    let id = keys.parsed::<StepId>(report, "id");
    let to = keys.parsed::<AudienceId>(report, "to");
    for (key, why) in [
        ("id", "missing; alerts remember by it that the step was taken"),
        ("to", "missing; expected a word for those to whom it is carried, such as owner"),
    ] {
        if keys.take(key).is_none() {
            report.error(at.clone(), keys.name(key), why);
        }
    }
    let when = read_when(report, keys);
    let severity = keys.word(report, "severity", &Severity::ALL, Severity::as_str).unwrap_or(Severity::Info);
    let mut named = Vec::new();
    for rule in keys.list::<RuleId>(report, "rules") {
        let id = rule.get_ref().as_str();
        if id != UNREVIEWED_RULE && !rules.iter().any(|known| known.id == *rule.get_ref()) {
            let near = nearest(id, rules.iter().map(|rule| rule.id.as_str()));
            let hint = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            report.error(rule.span(), keys.name("rules"), format!("the policy has no rule {id:?}{hint}"));
        }
        named.push(rule.into_inner());
    }
    let id = id?;
    let place = id.span();
    let (id, to) = (id.into_inner(), to?.into_inner());
    Some((place, Step { id, when: when?, to, severity, rules: named }))
}

/// `after`, or `breaches` with `within` and `by`.
fn read_when(report: &mut Report<'_>, keys: &mut Keys<'_, '_>) -> Option<When> {
    let at = keys.at.clone();
    let after = bounded_span(report, keys, "after");
    let only_open = keys.boolean(report, "only_open");
    let breaches = keys.number(report, "breaches", BREACHES_BOUNDS);
    let within = bounded_span(report, keys, "within");
    let by = keys.word(report, "by", &Party::ALL, Party::as_str);
    let given = |keys: &mut Keys<'_, '_>, all: &[&'static str]| {
        all.iter().copied().filter(|key| keys.take(key).is_some()).collect::<Vec<_>>()
    };
    let (of_age, of_repetition) = (given(keys, &["after"]), given(keys, &["breaches", "within", "by"]));
    match (of_age.is_empty(), of_repetition.is_empty()) {
        (true, true) => {
            let why = "missing; expected a span of time, such as 72h, or breaches, within and by instead";
            report.error(at, keys.name("after"), why);
            None
        }
        (false, true) => Some(When::Age { after: after?, only_open: only_open.unwrap_or_default() }),
        (false, false) => {
            let why = format!(
                "a step is taken by age or by repetition: leave out after, or {}",
                of_repetition.join(", ")
            );
            report.error(at, keys.name("after"), why);
            None
        }
        (true, false) => {
            for (key, why) in [
                ("breaches", "missing; expected how many breaches are too many, such as 3"),
                ("within", "missing; expected the time in which they are counted, such as 90d"),
                ("by", "missing; expected whose breaches are counted: device, person or unit"),
            ] {
                if keys.take(key).is_none() {
                    report.error(at.clone(), keys.name(key), why);
                }
            }
            if only_open.is_some() {
                let why = "a step by repetition is taken when the alert opens: only steps by age wait for nobody to take it up";
                report.error(at, keys.name("only_open"), why);
            }
            Some(When::Repetition(Repetition { breaches: breaches?, within: within?, by: by? }))
        }
    }
}

/// A span within [`AFTER_BOUNDS`].
fn bounded_span(report: &mut Report<'_>, keys: &mut Keys<'_, '_>, key: &'static str) -> Option<Span> {
    let span = keys.parsed::<Span>(report, key)?;
    let [least, most] = AFTER_BOUNDS;
    if !(least..=most).contains(span.get_ref()) {
        let message = format!("must be from {least} to {most}, is {}", span.get_ref());
        report.error(span.span(), keys.name(key), message);
    }
    Some(span.into_inner())
}

#[cfg(test)]
mod tests {
    use crate::policy::parse;

    const RULE: &str = "schema = 1\nname = \"x\"\n[[rule]]\nid = \"chat\"\nverdict = \"prohibited\"\nkinds = [\"consumer\"]\n";

    fn problems(steps: &str) -> String {
        parse(&format!("{RULE}{steps}"))
            .map(|_| String::new())
            .unwrap_or_else(|problems| problems.to_string())
    }

    #[test]
    fn every_mistake_in_a_step_is_named() {
        let said = problems(
            "[[escalation]]\nid = \"a\"\nafter = \"1s\"\nto = \"owner\"\n[[escalation]]\nid = \"a\"\nafter = \"2d\"\nto = \"o w\"\nrules = [\"chats\"]\n[[escalation]]\nseverity = \"grave\"\nonlyopen = true\n",
        );
        for part in [
            "9:9: error: escalation[1].after: must be from 1m to 366d, is 1s",
            "14:6: error: escalation[2].to: \"o w\" is not a valid audience",
            "15:10: error: escalation[2].rules: the policy has no rule \"chats\"; did you mean \"chat\"?",
            "escalation[3].id: missing",
            "escalation[3].after: missing; expected a span of time, such as 72h, or breaches, within and by instead",
            "escalation[3].to: missing",
            "escalation[3].severity: expected one of info, low",
            "escalation[3].onlyopen: unknown key; did you mean \"only_open\"?",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        let twice = "[[escalation]]\nid = \"a\"\nafter = \"1d\"\nto = \"owner\"\n".repeat(2);
        assert!(problems(&twice).contains("another step has the id \"a\" already"), "{}", problems(&twice));
        let many: String = (0..21)
            .map(|n| format!("[[escalation]]\nid = \"a{n}\"\nafter = \"1d\"\nto = \"owner\"\n"))
            .collect();
        assert!(problems(&many).contains("more than 20 steps"), "{}", problems(&many));
    }

    #[test]
    fn a_step_is_taken_by_age_or_by_repetition() {
        let step = |keys: &str| problems(&format!("[[escalation]]\nid = \"a\"\nto = \"owner\"\n{keys}\n"));
        let repetition = "breaches = 3\nwithin = \"90d\"\nby = \"person\"";
        assert_eq!(step(repetition), "");
        for (keys, said) in [
            ("breaches = 3", "escalation[1].within: missing; expected the time in which they are counted"),
            ("within = \"1d\"\nby = \"unit\"", "escalation[1].breaches: missing; expected how many"),
            (
                "breaches = 1\nwithin = \"1d\"\nby = \"unit\"",
                "10:12: error: escalation[1].breaches: must be from 2 to 1000, is 1",
            ),
            ("breaches = \"3\"", "escalation[1].breaches: expected a number, found"),
            (
                "breaches = 3\nwithin = \"1s\"\nby = \"unit\"",
                "escalation[1].within: must be from 1m to 366d, is 1s",
            ),
            (
                "breaches = 3\nwithin = \"1d\"\nby = \"team\"",
                "escalation[1].by: expected one of device, person, unit",
            ),
            (
                &format!("{repetition}\nonly_open = true"),
                "escalation[1].only_open: a step by repetition is taken when",
            ),
            (
                &format!("{repetition}\nafter = \"1d\""),
                "escalation[1].after: a step is taken by age or by repetition: leave out after, or breaches, within, by",
            ),
        ] {
            assert!(step(keys).contains(said), "{said:?} is not in {}", step(keys));
        }
    }

    #[test]
    fn steps_are_no_business_of_the_agents() {
        let policy = parse(&format!("{RULE}[[escalation]]\nid = \"a\"\nafter = \"1d\"\nto = \"owner\"\n"))
            .unwrap()
            .policy;
        assert_eq!(policy.escalation.len(), 1);
        assert!(!serde_json::to_string(&policy).unwrap().contains("owner"));
    }
}
