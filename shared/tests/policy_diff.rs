//! What distinguishes two policies: everything, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;

use offchannel_shared::policy::diff::{Change, diff};
use offchannel_shared::policy::{Policy, parse};
use proptest::prelude::*;
use serde_json::Value;

const BEFORE: &str = r#"
schema = 1
name = "Corporate messaging"
stale_after = "7d"
notice.title.en = "About apps"
[[rule]]
id = "teams"
verdict = "allowed"
apps = ["microsoft-teams"]
[[rule]]
id = "no-chat"
verdict = "prohibited"
apps = ["signal", "telegram"]
severity = "high"
where = { platform = ["linux"] }
[[rule]]
id = "no-irc"
verdict = "prohibited"
kinds = ["irc"]
[[escalation]]
id = "late"
after = "2d"
to = "owner"
[[app]]
id = "acme-chat"
name = "Acme Chat"
vendor = "Acme"
kind = "workplace"
networks = ["acme"]
official = true
homepage = "https://acme.example"
match = { dpkg = ["acme-chat"] }
"#;

const AFTER: &str = r#"
schema = 1
name = "Corporate messaging"
stale_after = "14d"
notice.title.en = "About apps"
[[rule]]
id = "no-irc"
verdict = "prohibited"
kinds = ["irc"]
grace = "3d"
[[rule]]
id = "teams"
verdict = "allowed"
apps = ["microsoft-teams"]
[[rule]]
id = "no-sms"
verdict = "prohibited"
kinds = ["sms"]
[[rule]]
id = "no-chat"
verdict = "prohibited"
apps = ["signal", "whatsapp"]
severity = "high"
[[escalation]]
id = "late"
after = "3d"
to = "owner"
[[app]]
id = "acme-chat"
name = "Acme Chat"
vendor = "Acme"
kind = "workplace"
networks = ["acme"]
official = true
homepage = "https://acme.example"
match = { dpkg = ["acme-chat", "acme-messenger"] }
"#;

fn policy(text: &str) -> Policy {
    parse(text).unwrap_or_else(|problems| panic!("{problems}")).policy
}

#[test]
fn a_difference_is_told_by_what_it_means() {
    let told: Vec<String> = diff(&policy(BEFORE), &policy(AFTER)).iter().map(ToString::to_string).collect();
    let expected = [
        "~ escalation.late.after: 2d -> 3d",
        "~ stale_after: 1w -> 2w",
        "> rule no-irc: from place 3 to place 1",
        "~ rule no-irc: grace: 0s -> 3d",
        "+ rule no-sms, in place 3\n    grace = 0s\n    grades = [running, installed, web-app, extension]\n    kinds = [sms]\n    records_step = false\n    severity = medium\n    verdict = prohibited",
        "~ rule no-chat: apps: + whatsapp, - telegram",
        "~ rule no-chat: where.platform: [linux] -> (not set)",
        "~ app acme-chat: match.dpkg: + acme-messenger",
    ];
    assert_eq!(told, expected);
    // Comments and the order of keys mean nothing.
    let same = format!("# A comment.\n{}", BEFORE.replace("schema = 1\nname", "schema = 1\n\nname"));
    assert_eq!(diff(&policy(BEFORE), &policy(&same)), []);
}

/// A policy as what [`Change`] tells of it: settings, rules in their order, apps.
#[derive(Debug, Clone, PartialEq, Default)]
struct Told {
    settings: BTreeMap<String, Value>,
    rules: Vec<(String, BTreeMap<String, Value>)>,
    apps: BTreeMap<String, BTreeMap<String, Value>>,
}

fn set(keys: &mut BTreeMap<String, Value>, key: &str, before: &Option<Value>, after: &Option<Value>) {
    assert_eq!(keys.get(key), before.as_ref(), "{key}");
    match after {
        Some(after) => keys.insert(key.to_owned(), after.clone()),
        None => keys.remove(key),
    };
}

impl Told {
    /// What is told of a policy beside one that says nothing.
    fn of(policy: &Policy) -> Self {
        let mut told = Self::default();
        let mut nothing = policy.clone();
        (nothing.rules, nothing.apps, nothing.escalation) = (Vec::new(), BTreeMap::new(), Vec::new());
        nothing.name = "nothing".to_owned();
        told.settings.insert("name".to_owned(), "nothing".into());
        told.apply(&diff(&nothing, policy));
        // Those which are the same in both are not told.
        let json = serde_json::to_value(policy).unwrap();
        for key in ["stale_after", "check_in_every", "unreviewed"] {
            told.settings.insert(key.to_owned(), json[key].clone());
        }
        told
    }

    fn apply(&mut self, changes: &[Change]) {
        let mut placed: BTreeMap<usize, (String, BTreeMap<String, Value>)> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Setting { key, before, after } => set(&mut self.settings, key, before, after),
                Change::RuleRemoved { rule, .. } => self.rules.retain(|(id, _)| *id != rule.as_str()),
                Change::RuleAdded { rule, place, keys } => {
                    placed.insert(*place, (rule.to_string(), keys.clone()));
                }
                Change::RuleMoved { rule, to, .. } => {
                    let at = self.rules.iter().position(|(id, _)| *id == rule.as_str()).unwrap();
                    placed.insert(*to, self.rules.remove(at));
                }
                Change::RuleChanged { rule, key, before, after } => {
                    let all = self.rules.iter_mut().chain(placed.values_mut());
                    let (_, keys) = all.into_iter().find(|(id, _)| *id == rule.as_str()).unwrap();
                    set(keys, key, before, after);
                }
                Change::AppAdded { app, keys } => {
                    self.apps.insert(app.to_string(), keys.clone());
                }
                Change::AppRemoved { app, .. } => {
                    self.apps.remove(app.as_str());
                }
                Change::AppChanged { app, key, before, after } => {
                    set(self.apps.get_mut(app.as_str()).unwrap(), key, before, after);
                }
            }
        }
        // In rising order, so that every place is that of the end.
        for (place, rule) in placed {
            self.rules.insert(place - 1, rule);
        }
    }
}

#[derive(Debug, Clone)]
struct Made(String);

fn made() -> impl Strategy<Value = Made> {
    let rule = (0_u8..6, 0_u8..3, any::<bool>(), 0_u8..4);
    let rules = prop::collection::vec(rule, 0..7);
    (rules, 1_u8..4, any::<bool>(), 0_u8..3).prop_map(|(rules, days, own, steps)| {
        let mut text = format!("schema = 1\nname = \"n{days}\"\nstale_after = \"{days}d\"\n");
        let mut seen = Vec::new();
        for (id, app, prohibited, grace) in rules {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            let app = ["signal", "telegram", "whatsapp"][usize::from(app)];
            let verdict = if prohibited { "prohibited" } else { "allowed" };
            text += &format!("[[rule]]\nid = \"r{id}\"\nverdict = \"{verdict}\"\napps = [\"{app}\"]\ngrace = \"{grace}h\"\n");
            if grace == 3 {
                text += "where = { unit = [\"sales\"] }\nreason = \"Why.\"\n";
            }
        }
        for step in 0..steps {
            text += &format!("[[escalation]]\nid = \"s{step}\"\nafter = \"{days}d\"\nto = \"owner\"\n");
        }
        if own {
            text += &format!("[[app]]\nid = \"acme\"\nname = \"Acme {days}\"\nvendor = \"Acme\"\nkind = \"workplace\"\nnetworks = [\"acme\"]\nofficial = true\nhomepage = \"https://acme.example\"\nmatch = {{ dpkg = [\"acme-chat\"] }}\n");
        }
        Made(text)
    })
}

proptest! {
    #[test]
    fn a_difference_makes_one_policy_of_the_other(before in made(), after in made()) {
        let (before, after) = (policy(&before.0), policy(&after.0));
        prop_assert_eq!(diff(&before, &before), vec![]);
        let changes = diff(&before, &after);
        prop_assert_eq!(changes.is_empty(), before == after);
        let mut told = Told::of(&before);
        told.apply(&changes);
        prop_assert_eq!(told, Told::of(&after), "{:?}", changes);
    }
}
