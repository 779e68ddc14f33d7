//! What is said of rules that never decide and of rules that contradict: never wrongly, and not too rarely.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::{Ownership, Placement, Platform};
use offchannel_shared::ids::AppId;
use offchannel_shared::inventory::{Grade, Inventory, Scope, Sighting};
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::{Known, Policy, Subject, check, check_where, evaluate, parse};
use proptest::prelude::*;

const HEAD: &str = "schema = 1\nname = \"x\"\n";

fn warnings(rules: &str) -> Vec<String> {
    let parsed = parse(&format!("{HEAD}{rules}")).unwrap_or_else(|problems| panic!("{problems}"));
    parsed.warnings.iter().map(ToString::to_string).collect()
}

fn rule(id: &str, verdict: &str, rest: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\nverdict = \"{verdict}\"\n{rest}\n")
}

#[test]
fn an_app_that_an_earlier_rule_decides_is_named_where_it_stands() {
    let rules = rule("a", "allowed", "apps = [\"signal\"]")
        + &rule("b", "prohibited", "apps = [\"telegram\", \"signal\"]");
    assert_eq!(
        warnings(&rules),
        [r#"10:21: warning: rule[2].apps: "signal" is decided by rule "a" already"#]
    );
    // Also where the first names it by its network or kind.
    let rules = rule("a", "prohibited", "networks = [\"whatsapp\"]")
        + &rule("b", "prohibited", "apps = [\"telegram\", \"whatsapp\"]");
    assert_eq!(warnings(&rules).len(), 1, "{:?}", warnings(&rules));
}

#[test]
fn units_and_labels_that_there_are_not_are_named_where_they_stand() {
    let known = Known {
        units: ["finance", "sales"].map(|unit| unit.parse().unwrap()).into(),
        labels: ["kiosk", "site=leeds"].map(|label| label.parse().unwrap()).into(),
    };
    let text = rule(
        "a",
        "prohibited",
        "apps = [\"signal\"]\nwhere = { unit = [\"sales\", \"fianance\"], label = [\"kiosk\", \"site=york\"] }",
    );
    let text = format!("{HEAD}{text}");
    let found = check_where(&text, Timestamp::UNIX_EPOCH, &known).unwrap().warnings;
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "7:28: warning: rule[1].where.unit: there is no unit \"fianance\"; did you mean \"finance\"?",
            "7:59: warning: rule[1].where.label: no device, token or unit has the label \"site=york\"",
        ]
    );
    assert_eq!(
        check(&text, Timestamp::UNIX_EPOCH).unwrap().warnings,
        [],
        "where that is not known nothing is said"
    );
}

#[test]
fn a_rule_that_never_decides_is_named_once() {
    let rules =
        rule("a", "prohibited", "apps = [\"signal\"]\nwhere = { platform = [\"linux\", \"windows\"] }")
            + &rule("b", "allowed", "kinds = [\"consumer\"]")
            + &rule(
                "c",
                "prohibited",
                "apps = [\"signal\", \"telegram\"]\nwhere = { platform = [\"linux\", \"ios\"] }",
            );
    assert_eq!(
        warnings(&rules),
        [r#"12:1: warning: rule[3]: never decides anything: rules "a", "b" decide all of it before it"#]
    );
}

#[test]
fn what_only_looks_shadowed_is_not_named() {
    for (what, first, second) in [
        (
            "another platform",
            "where = { platform = [\"linux\"] }",
            "where = { platform = [\"linux\", \"ios\"] }",
        ),
        ("another unit", "where = { unit = [\"sales\"] }", "where = { unit = [\"sales\", \"legal\"] }"),
        ("every unit", "where = { unit = [\"sales\"] }", ""),
        ("another grade", "grades = [\"running\"]", "grades = [\"running\", \"residual\"]"),
        ("in force earlier", "effective_from = \"2030-01-02\"", "effective_from = \"2030-01-01\""),
    ] {
        let rules = rule("a", "allowed", &format!("apps = [\"signal\"]\n{first}"))
            + &rule("b", "prohibited", &format!("apps = [\"signal\"]\n{second}"));
        assert_eq!(warnings(&rules), Vec::<String>::new(), "{what}");
    }
    // A network is more than the apps that are known to talk to it today.
    let rules = rule(
        "a",
        "allowed",
        "kinds = [\"consumer\", \"workplace\", \"conferencing\", \"irc\", \"multi-messenger\", \"sms\"]",
    ) + &rule("b", "prohibited", "networks = [\"whatsapp\"]");
    assert_eq!(warnings(&rules), Vec::<String>::new());
}

#[test]
fn a_required_app_that_is_prohibited_is_named() {
    let required = rule("must", "required", "apps = [\"microsoft-teams\"]");
    for prohibiting in
        ["apps = [\"microsoft-teams\"]", "kinds = [\"workplace\"]", "networks = [\"microsoft-teams\"]"]
    {
        let rules = required.clone() + &rule("no", "prohibited", prohibiting);
        let expected =
            r#"6:9: warning: rule[1].apps: "microsoft-teams" is both required and prohibited, see rule "no""#;
        assert_eq!(warnings(&rules), [expected], "{prohibiting}");
    }
    for harmless in [
        rule("no", "prohibited", "kinds = [\"consumer\"]"),
        // Decided before.
        rule("yes", "allowed", "apps = [\"microsoft-teams\"]")
            + &rule("no", "prohibited", "kinds = [\"workplace\"]"),
        // Leftovers do not meet the rule anyway.
        rule("no", "prohibited", "kinds = [\"workplace\"]\ngrades = [\"residual\"]"),
    ] {
        assert_eq!(warnings(&(required.clone() + &harmless)), Vec::<String>::new(), "{harmless}");
    }
    let scoped = |unit: &str| format!("apps = [\"microsoft-teams\"]\nwhere = {{ unit = [\"{unit}\"] }}");
    let apart = rule("must", "required", &scoped("sales")) + &rule("no", "prohibited", &scoped("legal"));
    assert_eq!(warnings(&apart), Vec::<String>::new());
}

#[test]
fn an_alternative_that_is_prohibited_itself_is_named() {
    let rules =
        rule("no", "prohibited", "kinds = [\"consumer\"]\nalternatives = [\"microsoft-teams\", \"signal\"]");
    assert_eq!(
        warnings(&rules),
        [r#"7:36: warning: rule[1].alternatives: "signal" is prohibited itself, see rule "no""#]
    );
    let allowed =
        rule("yes", "allowed", "apps = [\"signal\"]\nwhere = { ownership = [\"personal\"] }") + &rules;
    let found = warnings(&allowed);
    assert!(found[0].ends_with("see rule \"no\", on some of the devices"), "{found:?}");
}

#[test]
fn a_date_that_is_past_is_named_to_those_who_publish() {
    let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
    let text = |date: &str| {
        format!(
            "{HEAD}{}",
            rule("a", "allowed", &format!("apps = [\"signal\"]\neffective_from = \"{date}\""))
        )
    };
    let past = check(&text("2025-12-01"), now).unwrap().warnings;
    assert_eq!(
        past[0].to_string(),
        "7:18: warning: rule[1].effective_from: 2025-12-01T00:00:00Z is past: the rule is in force with the policy"
    );
    assert_eq!(check(&text("2026-12-01"), now).unwrap().warnings, []);
    assert_eq!(parse(&text("2025-12-01")).unwrap().warnings, []);
}

const APPS: [&str; 4] = ["signal", "telegram", "microsoft-teams", "whatsapp"];
const UNITS: [&str; 2] = ["sales", "legal"];

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

/// Rules out of few apps, networks, kinds and scopes, so that they meet.
fn rules() -> impl Strategy<Value = Vec<String>> {
    let some = |words: &[&'static str]| prop::sample::subsequence(words.to_vec(), 1..=words.len());
    let verdict = prop::sample::select(vec!["prohibited", "allowed", "allowed", "required"]);
    let about = (some(&APPS), some(&["whatsapp", "signal"]), some(&["consumer", "workplace"]), 0_u8..8);
    let platforms = prop::option::weighted(0.4, some(&["linux", "windows", "ios"]));
    let units = prop::option::weighted(0.4, some(&UNITS));
    let labels = prop::option::weighted(0.3, some(&["kiosk", "site=leeds"]));
    let grades = prop::option::weighted(0.3, some(&["running", "installed", "web-app"]));
    let from = prop::option::weighted(0.3, prop::sample::select(vec!["2026-01-01", "2026-02-01"]));
    let one = (verdict, about, platforms, units, labels, grades, from).prop_map(
        |(verdict, (apps, networks, kinds, which), platforms, units, labels, grades, from)| {
            let mut rest = String::new();
            if which & 1 == 0 || verdict == "required" {
                rest += &format!("apps = [{}]\n", list(&apps));
            } else {
                rest += &format!("networks = [{}]\n", list(&networks));
            }
            if which & 4 == 4 {
                rest += &format!("kinds = [{}]\n", list(&kinds));
            }
            let scope: Vec<String> = platforms
                .map(|list_| format!("platform = [{}]", list(&list_)))
                .into_iter()
                .chain(units.map(|list_| format!("unit = [{}]", list(&list_))))
                .chain(labels.map(|list_| format!("label = [{}]", list(&list_))))
                .collect();
            if !scope.is_empty() {
                rest += &format!("where = {{ {} }}\n", scope.join(", "));
            }
            if let Some(grades) = grades {
                rest += &format!("grades = [{}]\n", list(&grades));
            }
            if let Some(from) = from {
                rest += &format!("effective_from = \"{from}\"\n");
            }
            format!("verdict = \"{verdict}\"\n{rest}")
        },
    );
    prop::collection::vec(one, 1..5)
}

/// How a policy judges one device.
type Judge<'a> = dyn Fn(&Policy) -> Vec<String> + 'a;

/// Every device with one app of one grade, at every time that makes a difference, with what is judged of it.
fn judged(policy: &Policy, one: &mut dyn FnMut(&str, &Judge<'_>)) {
    let catalogue = Catalogue::built_in();
    let others = ["zapzap", "element"];
    for platform in Platform::ALL {
        for ownership in Ownership::ALL {
            let units: [&[&str]; 5] = [&[], &["sales"], &["legal"], &["legal", "sales"], &["elsewhere"]];
            let labels: [&[&str]; 4] = [&[], &["kiosk"], &["site=leeds"], &["site=leeds", "kiosk"]];
            // Each with each: a rule may ask for any of both.
            for (units, labels) in
                units.iter().flat_map(|units| labels.iter().map(move |labels| (units, labels)))
            {
                let placement = Placement {
                    ownership,
                    units: units.iter().map(|unit| unit.parse().unwrap()).collect(),
                    labels: labels.iter().map(|label| label.parse().unwrap()).collect(),
                };
                for app in APPS.into_iter().chain(others) {
                    for grade in Grade::ALL {
                        let sighting = Sighting {
                            app: AppId::new(app).unwrap(),
                            source: "dpkg".to_owned(),
                            namespace: Namespace::Dpkg,
                            identifier: app.to_owned(),
                            scope: Scope::System,
                            grade,
                            version: None,
                        };
                        let inventory = Inventory { sightings: vec![sighting], ..Inventory::default() };
                        let subject = Subject {
                            platform,
                            placement: &placement,
                            inventory: &inventory,
                            exceptions: &[],
                        };
                        let judge = |policy: &Policy| {
                            let times =
                                ["2025-01-01T00:00:00Z", "2026-01-15T00:00:00Z", "2026-03-01T00:00:00Z"];
                            times
                                .iter()
                                .flat_map(|now| {
                                    evaluate(policy, &catalogue, &subject, now.parse().unwrap()).judged
                                })
                                .map(|judged| format!("{} {} {:?}", judged.rule, judged.app, judged.breach))
                                .collect::<Vec<String>>()
                        };
                        one(app, &judge);
                    }
                }
            }
        }
    }
    let _ = policy;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// A rule that is said never to decide can be left out, and no device is judged otherwise; an app likewise. And a
    /// rule about apps alone of which nothing is said decides something somewhere.
    #[test]
    fn what_is_said_never_to_decide_never_does(rules in rules()) {
        let text: String = rules.iter().enumerate().map(|(at, rest)| format!("[[rule]]\nid = \"r{at}\"\n{rest}")).collect();
        let parsed = parse(&format!("{HEAD}unreviewed = \"report\"\n{text}")).unwrap();
        let whole = parsed.policy;
        for (at, text) in rules.iter().enumerate() {
            let said = |key: &str| {
                parsed.warnings.iter().filter(|one| one.key == format!("rule[{}]{key}", at + 1)).map(|one| one.message.clone()).collect::<Vec<_>>()
            };
            let mut without = whole.clone();
            if said("").iter().any(|message| message.starts_with("never decides")) {
                without.rules.remove(at);
            } else {
                for app in APPS.iter().filter(|app| said(".apps").iter().any(|m| m.starts_with(&format!("{app:?} is decided")))) {
                    without.rules[at].apps.retain(|one| one.as_str() != *app);
                }
            }
            let mut same = true;
            judged(&whole, &mut |_, judge| same &= judge(&whole) == judge(&without));
            prop_assert!(same, "rule {at} of {text}: {:?}", parsed.warnings);
            // Turned round, a rule that decides nothing turns nothing round.
            let apps_alone = !text.contains("networks") && !text.contains("kinds") && !text.contains("required");
            if apps_alone && said("").is_empty() && said(".apps").is_empty() && !text.contains("effective_from") {
                use offchannel_shared::policy::Verdict;
                let mut turned = whole.clone();
                let rule = &mut turned.rules[at];
                rule.verdict = if rule.verdict == Verdict::Allowed { Verdict::Prohibited } else { Verdict::Allowed };
                let mut differs = false;
                judged(&whole, &mut |_, judge| differs |= judge(&whole) != judge(&turned));
                let earlier_later = whole.rules.iter().take(at).any(|rule| rule.effective_from.is_some());
                prop_assert!(differs || earlier_later, "rule {at} of {text} decides nothing, and nothing is said");
            }
        }
    }
}
