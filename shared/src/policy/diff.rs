//! What distinguishes two policies, by what they mean: not lines of text, but settings, rules and own apps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Exceptions, Policy, Repetition, Rule, Step, UnitSurge, When};
use crate::ids::{AppId, RuleId};

/// One difference. Places of rules are counted from 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A setting of the policy as a whole, also of its notices and of escalation.
    Setting {
        /// Which one.
        key: String,
        /// Its value before, if it had one.
        before: Option<Value>,
        /// Its value after, if it has one.
        after: Option<Value>,
    },
    /// A rule that was not there.
    RuleAdded {
        /// Its id.
        rule: RuleId,
        /// Its place among the rules.
        place: usize,
        /// What it says, key by key.
        keys: BTreeMap<String, Value>,
    },
    /// A rule that is not there any more.
    RuleRemoved {
        /// Its id.
        rule: RuleId,
        /// Its place among the rules before.
        place: usize,
        /// What it said, key by key.
        keys: BTreeMap<String, Value>,
    },
    /// A rule that others have come before, or not come before any more: the first that matches decides.
    RuleMoved {
        /// Its id.
        rule: RuleId,
        /// Its place before.
        from: usize,
        /// Its place after.
        to: usize,
    },
    /// A key of a rule.
    RuleChanged {
        /// The rule's id.
        rule: RuleId,
        /// Which key.
        key: String,
        /// Its value before, if it had one.
        before: Option<Value>,
        /// Its value after, if it has one.
        after: Option<Value>,
    },
    /// An app of the organisation's own that was not there.
    AppAdded {
        /// Its id.
        app: AppId,
        /// What is said of it, key by key.
        keys: BTreeMap<String, Value>,
    },
    /// An app of the organisation's own that is not there any more.
    AppRemoved {
        /// Its id.
        app: AppId,
        /// What was said of it, key by key.
        keys: BTreeMap<String, Value>,
    },
    /// A key of an app of the organisation's own.
    AppChanged {
        /// The app's id.
        app: AppId,
        /// Which key.
        key: String,
        /// Its value before, if it had one.
        before: Option<Value>,
        /// Its value after, if it has one.
        after: Option<Value>,
    },
}

/// Everything in which `after` differs from `before`: settings, then rules in the order of `after`, then apps. Empty
/// exactly if the two are equal.
pub fn diff(before: &Policy, after: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    keys(&settings(before), &settings(after), |key, before, after| {
        changes.push(Change::Setting { key, before, after });
    });
    rules(&before.rules, &after.rules, &mut changes);
    apps(before, after, &mut changes);
    changes
}

fn rules(before: &[Rule], after: &[Rule], changes: &mut Vec<Change>) {
    let place = |rules: &[Rule], id: &RuleId| rules.iter().position(|rule| rule.id == *id);
    for (at, rule) in before.iter().enumerate().filter(|(_, rule)| place(after, &rule.id).is_none()) {
        changes.push(Change::RuleRemoved { rule: rule.id.clone(), place: at + 1, keys: keys_of(rule) });
    }
    let were: Vec<Option<usize>> = after.iter().map(|rule| place(before, &rule.id)).collect();
    let stayed = longest_rise(&were.iter().copied().flatten().collect::<Vec<_>>());
    for (at, (rule, was)) in after.iter().zip(&were).enumerate() {
        let Some((from, old)) = was.and_then(|was| Some((was, before.get(was)?))) else {
            changes.push(Change::RuleAdded { rule: rule.id.clone(), place: at + 1, keys: keys_of(rule) });
            continue;
        };
        if !stayed.contains(&from) {
            changes.push(Change::RuleMoved { rule: rule.id.clone(), from: from + 1, to: at + 1 });
        }
        keys(&keys_of(old), &keys_of(rule), |key, before, after| {
            changes.push(Change::RuleChanged { rule: rule.id.clone(), key, before, after });
        });
    }
}

fn apps(before: &Policy, after: &Policy, changes: &mut Vec<Change>) {
    let ids: BTreeSet<&AppId> = before.apps.keys().chain(after.apps.keys()).collect();
    for app in ids {
        match (before.apps.get(app), after.apps.get(app)) {
            (Some(old), Some(new)) => keys(&keys_of(old), &keys_of(new), |key, before, after| {
                changes.push(Change::AppChanged { app: app.clone(), key, before, after });
            }),
            (None, Some(new)) => changes.push(Change::AppAdded { app: app.clone(), keys: keys_of(new) }),
            (Some(old), None) => changes.push(Change::AppRemoved { app: app.clone(), keys: keys_of(old) }),
            (None, None) => {}
        }
    }
}

/// The largest set of numbers of a list that rise in its order: the rules that stayed where they were, as far as others
/// moved around them.
fn longest_rise(list: &[usize]) -> BTreeSet<usize> {
    // For each length of a rise: the place of its least end so far. And what comes before each place.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::new();
    let value = |place: usize| list.get(place).copied().unwrap_or_default();
    for (place, number) in list.iter().enumerate() {
        let length = ends.partition_point(|end| value(*end) < *number);
        previous.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter)).copied());
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut rise = BTreeSet::new();
    let mut next = ends.last().copied();
    while let Some(place) = next {
        rise.insert(value(place));
        next = previous.get(place).copied().flatten();
    }
    rise
}

/// What a policy says apart from its rules and apps.
fn settings(policy: &Policy) -> BTreeMap<String, Value> {
    // All fields by name: what a policy says in future must be told here, too.
    let Policy {
        schema: _,
        name,
        stale_after,
        check_in_every,
        unreviewed,
        notice,
        rules: _,
        exceptions,
        escalation,
        unit_surge,
        apps: _,
    } = policy;
    let mut settings = BTreeMap::new();
    flatten("name", value(name), &mut settings);
    flatten("stale_after", value(stale_after), &mut settings);
    flatten("check_in_every", value(check_in_every), &mut settings);
    flatten("unreviewed", value(unreviewed), &mut settings);
    flatten("notice", value(notice), &mut settings);
    let Exceptions { longest, review_before } = exceptions;
    flatten("exceptions.longest", value(longest), &mut settings);
    flatten("exceptions.review_before", value(review_before), &mut settings);
    if !escalation.is_empty() {
        let ids: Vec<&str> = escalation.iter().map(|step| step.id.as_str()).collect();
        flatten("escalation", value(&ids), &mut settings);
    }
    if let Some(UnitSurge { breaches, within, severity }) = unit_surge {
        flatten("unit_surge.breaches", value(breaches), &mut settings);
        flatten("unit_surge.within", value(within), &mut settings);
        flatten("unit_surge.severity", value(severity), &mut settings);
    }
    for step in escalation {
        let Step { id, when, to, severity, rules } = step;
        let prefix = format!("escalation.{id}");
        match when {
            When::Age { after, only_open } => {
                flatten(&format!("{prefix}.after"), value(after), &mut settings);
                flatten(&format!("{prefix}.only_open"), value(only_open), &mut settings);
            }
            When::Repetition(Repetition { breaches, within, by }) => {
                flatten(&format!("{prefix}.breaches"), value(breaches), &mut settings);
                flatten(&format!("{prefix}.within"), value(within), &mut settings);
                flatten(&format!("{prefix}.by"), value(&by.as_str()), &mut settings);
            }
        }
        flatten(&format!("{prefix}.to"), value(to), &mut settings);
        flatten(&format!("{prefix}.severity"), value(severity), &mut settings);
        if !rules.is_empty() {
            flatten(&format!("{prefix}.rules"), value(rules), &mut settings);
        }
    }
    settings
}

/// What a rule or an app says, key by key.
fn keys_of(of: &impl Serialize) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    let Value::Object(object) = value(of) else { return keys };
    for (key, value) in object.into_iter().filter(|(key, _)| key != "id") {
        flatten(&key, value, &mut keys);
    }
    keys
}

/// None of a policy's parts fails to be written: their maps have texts as keys.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or(Value::Null)
}

fn flatten(key: &str, value: Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => {
            let object: Map<String, Value> = object;
            for (inner, value) in object {
                flatten(&format!("{key}.{inner}"), value, into);
            }
        }
        value => {
            into.insert(key.to_owned(), value);
        }
    }
}

/// Tells every key whose value differs.
fn keys(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    mut tell: impl FnMut(String, Option<Value>, Option<Value>),
) {
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in all {
        let (old, new) = (before.get(key), after.get(key));
        if old != new {
            tell(key.clone(), old.cloned(), new.cloned());
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { key, before, after } => write!(f, "~ {key}: {}", Changed(before, after)),
            Self::RuleAdded { rule, place, keys } => {
                write!(f, "+ rule {rule}, in place {place}{}", Keys(keys))
            }
            Self::RuleRemoved { rule, place, keys } => {
                write!(f, "- rule {rule}, was in place {place}{}", Keys(keys))
            }
            Self::RuleMoved { rule, from, to } => write!(f, "> rule {rule}: from place {from} to place {to}"),
            Self::RuleChanged { rule, key, before, after } => {
                write!(f, "~ rule {rule}: {key}: {}", Changed(before, after))
            }
            Self::AppAdded { app, keys } => write!(f, "+ app {app}{}", Keys(keys)),
            Self::AppRemoved { app, keys } => write!(f, "- app {app}{}", Keys(keys)),
            Self::AppChanged { app, key, before, after } => {
                write!(f, "~ app {app}: {key}: {}", Changed(before, after))
            }
        }
    }
}

struct Keys<'a>(&'a BTreeMap<String, Value>);

impl fmt::Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(key, value)| write!(f, "\n    {key} = {}", Plain(value)))
    }
}

/// A value before and after; of lists only what came and went, unless it is their order.
struct Changed<'a>(&'a Option<Value>, &'a Option<Value>);

impl fmt::Display for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(Value::Array(before)), Some(Value::Array(after))) = (self.0, self.1) {
            let came =
                after.iter().filter(|one| !before.contains(one)).map(|one| format!("+ {}", Plain(one)));
            let went =
                before.iter().filter(|one| !after.contains(one)).map(|one| format!("- {}", Plain(one)));
            let changed: Vec<String> = came.chain(went).collect();
            if !changed.is_empty() {
                return f.write_str(&changed.join(", "));
            }
        }
        let plain = |value: &Option<Value>| {
            value.as_ref().map_or_else(|| "(not set)".to_owned(), |value| Plain(value).to_string())
        };
        write!(f, "{} -> {}", plain(self.0), plain(self.1))
    }
}

struct Plain<'a>(&'a Value);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) if !text.is_empty() && !text.contains(char::is_control) => f.write_str(text),
            Value::Array(list) => {
                let list: Vec<String> = list.iter().map(|one| Plain(one).to_string()).collect();
                write!(f, "[{}]", list.join(", "))
            }
            other => write!(f, "{other}"),
        }
    }
}
