//! To whom an alert is carried that gets old: steps, as device management has them for devices that do not comply.
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

/// One step: what happens to an alert that is still there after some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Unique in the policy; alerts remember by it that the step was taken.
    pub id: StepId,
    /// How long after it opened, or reopened.
    pub after: Span,
    /// To whom: `analyst`, `owner`, `leadership` or any other word that the collector's routes name.
    pub to: AudienceId,
    /// Only alerts that are at least so grave.
    pub severity: Severity,
    /// Only alerts of these rules; all alerts, also those about the device itself, if empty.
    pub rules: Vec<RuleId>,
    /// Only as long as nobody has taken the alert up or put it off.
    pub only_open: bool,
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
    let after = keys.parsed::<Span>(report, "after");
    let to = keys.parsed::<AudienceId>(report, "to");
    for (key, why) in [
        ("id", "missing; alerts remember by it that the step was taken"),
        ("after", "missing; expected a span of time, such as 72h"),
        ("to", "missing; expected a word for those to whom it is carried, such as owner"),
    ] {
        if keys.take(key).is_none() {
            report.error(at.clone(), keys.name(key), why);
        }
    }
    let [least, most] = AFTER_BOUNDS;
    if let Some(after) = after.as_ref().filter(|after| !(least..=most).contains(after.get_ref())) {
        let message = format!("must be from {least} to {most}, is {}", after.get_ref());
        report.error(after.span(), keys.name("after"), message);
    }
    let severity = keys.word(report, "severity", &Severity::ALL, Severity::as_str).unwrap_or(Severity::Info);
    let only_open = keys.boolean(report, "only_open").unwrap_or_default();
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
    let (id, after, to) = (id.into_inner(), after?.into_inner(), to?.into_inner());
    Some((place, Step { id, after, to, severity, rules: named, only_open }))
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
            "escalation[3].after: missing; expected a span of time, such as 72h",
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
    fn steps_are_no_business_of_the_agents() {
        let policy = parse(&format!("{RULE}[[escalation]]\nid = \"a\"\nafter = \"1d\"\nto = \"owner\"\n"))
            .unwrap()
            .policy;
        assert_eq!(policy.escalation.len(), 1);
        assert!(!serde_json::to_string(&policy).unwrap().contains("owner"));
    }
}
