//! Judging: first match decides, required rules stand apart, and what is not asked about stays put.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::{Ownership, Placement, Platform};
use offchannel_shared::ids::{AppId, ExceptionId, UnitId};
use offchannel_shared::inventory::{Grade, Inventory, Scope, Sighting, Unlisted};
use offchannel_shared::label::Label;
use offchannel_shared::minimise::minimise;
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::{Breach, Evaluation, Exception, Policy, Subject, evaluate, parse};
use proptest::prelude::*;

const NOW: &str = "2026-11-24T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn policy(rules: &str) -> Policy {
    parse(&format!("schema = 1\nname = \"x\"\n{rules}")).unwrap_or_else(|error| panic!("{error}")).policy
}

fn sighting(app: &str, grade: Grade) -> Sighting {
    Sighting {
        app: AppId::new(app).unwrap(),
        source: "test".to_owned(),
        namespace: Namespace::Dpkg,
        identifier: app.to_owned(),
        scope: Scope::System,
        grade,
        version: None,
    }
}

fn inventory(sightings: &[(&str, Grade)]) -> Inventory {
    let sightings = sightings.iter().map(|(app, grade)| sighting(app, *grade)).collect();
    let mut inventory = Inventory { sightings, ..Inventory::default() };
    inventory.normalise();
    inventory
}

fn corporate() -> Placement {
    Placement::default()
}

fn labels(texts: &[&str]) -> BTreeSet<Label> {
    texts.iter().map(|text| Label::new(*text).unwrap()).collect()
}

fn judge_at(
    policy: &Policy,
    inventory: &Inventory,
    placement: &Placement,
    exceptions: &[Exception],
) -> Evaluation {
    let subject = Subject { platform: Platform::Linux, placement, inventory, exceptions };
    evaluate(policy, &Catalogue::built_in(), &subject, now())
}

/// Rule, app and breach of everything judged.
fn judged(policy: &Policy, inventory: &Inventory) -> Vec<(String, String, Breach)> {
    judge_at(policy, inventory, &corporate(), &[])
        .judged
        .into_iter()
        .map(|found| (found.rule.to_string(), found.app.to_string(), found.breach))
        .collect()
}

fn row(rule: &str, app: &str, breach: Breach) -> (String, String, Breach) {
    (rule.to_owned(), app.to_owned(), breach)
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = policy(
        "[[rule]]\nid = \"signal-is-fine\"\nverdict = \"allowed\"\napps = [\"signal\"]\n\
         [[rule]]\nid = \"no-consumer\"\nverdict = \"prohibited\"\nkinds = [\"consumer\"]\n",
    );
    let found = inventory(&[("signal", Grade::Installed), ("telegram", Grade::Installed)]);
    assert_eq!(judged(&policy, &found), [row("no-consumer", "telegram", Breach::Prohibited)]);
}

#[test]
fn a_network_catches_every_way_into_it() {
    let policy =
        policy("[[rule]]\nid = \"no-whatsapp\"\nverdict = \"prohibited\"\nnetworks = [\"whatsapp\"]\n");
    let found =
        inventory(&[("whatsapp", Grade::WebApp), ("zapzap", Grade::Installed), ("signal", Grade::Running)]);
    let expected = [
        row("no-whatsapp", "whatsapp", Breach::Prohibited),
        row("no-whatsapp", "zapzap", Breach::Prohibited),
    ];
    assert_eq!(judged(&policy, &found), expected);
}

#[test]
fn leftovers_and_other_grades_count_only_where_the_rule_says_so() {
    let rule =
        |grades| format!("[[rule]]\nid = \"r\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n{grades}\n");
    let found = inventory(&[("signal", Grade::Residual)]);
    assert_eq!(judged(&policy(&rule("")), &found), []);
    let strict = policy(&rule("grades = [\"residual\"]"));
    assert_eq!(judged(&strict, &found), [row("r", "signal", Breach::Prohibited)]);
    assert_eq!(judged(&strict, &inventory(&[("signal", Grade::Installed)])), []);
}

#[test]
fn a_required_app_is_missing_unless_one_of_them_is_there() {
    let policy = policy(
        "[[rule]]\nid = \"approved\"\nverdict = \"required\"\napps = [\"microsoft-teams\", \"teams-for-linux\"]\n",
    );
    let missing = [row("approved", "microsoft-teams", Breach::RequiredMissing)];
    assert_eq!(judged(&policy, &inventory(&[])), missing);
    assert_eq!(judged(&policy, &inventory(&[("microsoft-teams", Grade::Residual)])), missing);
    assert_eq!(judged(&policy, &inventory(&[("teams-for-linux", Grade::Installed)])), []);
}

#[test]
fn apps_that_no_rule_names_are_unreviewed_only_if_asked_for() {
    let rules = "[[rule]]\nid = \"r\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n";
    let mut found = inventory(&[("telegram", Grade::Installed), ("signal", Grade::Residual)]);
    found.unlisted.push(Unlisted {
        app: AppId::new("unlisted-acme").unwrap(),
        source: "desktop-entry".to_owned(),
        namespace: Namespace::DesktopEntry,
        identifier: "acme.desktop".to_owned(),
        scope: Scope::System,
        grade: Grade::Installed,
        name: None,
        version: None,
        categories: vec!["Chat".to_owned()],
    });
    assert_eq!(judged(&policy(rules), &found), []);
    let asking = policy(&format!("unreviewed = \"report\"\n{rules}"));
    let expected = [
        row("unreviewed", "telegram", Breach::Unreviewed),
        row("unreviewed", "unlisted-acme", Breach::Unreviewed),
    ];
    assert_eq!(judged(&asking, &found), expected);
}

#[test]
fn rules_are_scoped_by_platform_ownership_unit_and_label() {
    let scoped = |scope: &str| {
        policy(&format!(
            "[[rule]]\nid = \"r\"\nverdict = \"prohibited\"\napps = [\"signal\"]\nwhere = {scope}\n"
        ))
    };
    let unit = |id| UnitId::new(id).unwrap();
    let finance = Placement {
        ownership: Ownership::Personal,
        units: vec![unit("payroll"), unit("finance")],
        labels: labels(&["kiosk", "site=leeds"]),
    };
    let found = inventory(&[("signal", Grade::Installed)]);
    for (scope, counts) in [
        ("{ platform = [\"windows\"] }", false),
        ("{ platform = [\"linux\"] }", true),
        ("{ ownership = [\"corporate\"] }", false),
        ("{ unit = [\"finance\"] }", true),
        ("{ unit = [\"legal\"] }", false),
        ("{ unit = [\"payroll\"], ownership = [\"personal\"] }", true),
        ("{ label = [\"site=leeds\"] }", true),
        ("{ label = [\"lab\", \"kiosk\"] }", true),
        ("{ label = [\"site=york\"] }", false),
        ("{ label = [\"site\"] }", false),
        ("{ label = [\"kiosk\"], unit = [\"legal\"] }", false),
    ] {
        let evaluation = judge_at(&scoped(scope), &found, &finance, &[]);
        assert_eq!(!evaluation.judged.is_empty(), counts, "{scope}");
    }
}

#[test]
fn a_rule_waits_for_its_date_and_says_when_to_look_again() {
    let policy = policy(
        "unreviewed = \"report\"\n[[rule]]\nid = \"r\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n\
         effective_from = \"2026-12-01\"\n",
    );
    let found = inventory(&[("signal", Grade::Installed)]);
    let before = judge_at(&policy, &found, &corporate(), &[]);
    assert_eq!(before.judged, [], "an app that a rule names is not unreviewed");
    let start = "2026-12-01T00:00:00Z".parse().unwrap();
    assert_eq!(before.next_change, Some(start));
    let placement = corporate();
    let subject =
        Subject { platform: Platform::Linux, placement: &placement, inventory: &found, exceptions: &[] };
    let after = evaluate(&policy, &Catalogue::built_in(), &subject, start);
    assert_eq!((after.judged.len(), after.next_change), (1, None));
}

#[test]
fn an_exception_accepts_a_finding_for_its_time() {
    let policy =
        policy("[[rule]]\nid = \"r\"\nverdict = \"prohibited\"\napps = [\"signal\", \"telegram\"]\n");
    let found = inventory(&[("signal", Grade::Installed), ("telegram", Grade::Installed)]);
    let exception = |start: &str, end: &str| Exception {
        id: ExceptionId::from_random([1; 16]),
        rule: None,
        app: Some(AppId::new("signal").unwrap()),
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
    };
    let accepted = |exception: Exception| {
        let evaluation = judge_at(&policy, &found, &corporate(), &[exception]);
        let accepted: Vec<bool> = evaluation.judged.iter().map(|f| f.exception.is_some()).collect();
        (accepted, evaluation.next_change.map(|at| at.to_string()))
    };
    let day = |day: &str| format!("2026-11-{day}T12:00:00Z");
    assert_eq!(accepted(exception(&day("20"), &day("30"))), (vec![true, false], Some(day("30"))));
    assert_eq!(accepted(exception(&day("20"), &day("24"))), (vec![false, false], None));
    assert_eq!(accepted(exception(&day("25"), &day("30"))), (vec![false, false], Some(day("25"))));
}

#[test]
fn only_what_is_asked_about_leaves_the_device() {
    let policy = policy(
        "[[rule]]\nid = \"a\"\nverdict = \"allowed\"\napps = [\"signal\"]\n\
         [[rule]]\nid = \"b\"\nverdict = \"prohibited\"\nkinds = [\"consumer\"]\n\
         [[rule]]\nid = \"c\"\nverdict = \"required\"\napps = [\"microsoft-teams\"]\n\
         [[rule]]\nid = \"d\"\nverdict = \"prohibited\"\nkinds = [\"irc\"]\nwhere = { platform = [\"windows\"] }\n",
    );
    let found = inventory(&[
        ("signal", Grade::Installed),
        ("telegram", Grade::Installed),
        ("telegram", Grade::Residual),
        ("microsoft-teams", Grade::WebApp),
        ("hexchat", Grade::Installed),
        ("slack", Grade::Installed),
    ]);
    let least = minimise(&found, &policy, &Catalogue::built_in(), Platform::Linux, &corporate(), now());
    let kept: Vec<(&str, Grade)> = least.sightings.iter().map(|s| (s.app.as_str(), s.grade)).collect();
    assert_eq!(kept, [("microsoft-teams", Grade::WebApp), ("telegram", Grade::Installed)]);
}

#[test]
fn leftovers_of_unlisted_messengers_stay_on_the_device() {
    let policy = policy("unreviewed = \"report\"\n");
    let unlisted = |grade| Unlisted {
        app: AppId::new("unlisted-acme").unwrap(),
        source: "desktop-entry".to_owned(),
        namespace: Namespace::DesktopEntry,
        identifier: "acme.desktop".to_owned(),
        scope: Scope::System,
        grade,
        name: None,
        version: None,
        categories: vec!["Chat".to_owned()],
    };
    let found = Inventory {
        unlisted: vec![unlisted(Grade::Installed), unlisted(Grade::Residual)],
        ..Inventory::default()
    };
    let least = minimise(&found, &policy, &Catalogue::built_in(), Platform::Linux, &corporate(), now());
    assert_eq!(least.unlisted, [unlisted(Grade::Installed)]);
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let verdict = prop::sample::select(vec!["prohibited", "allowed", "required"]);
    let app = prop::sample::select(vec!["signal", "telegram", "whatsapp", "slack", "microsoft-teams"]);
    let grades = prop::sample::subsequence(vec!["installed", "running", "web-app", "residual"], 1..4);
    let scope =
        prop::sample::select(vec!["{}", "{ platform = [\"linux\"] }", "{ ownership = [\"personal\"] }"]);
    let rules = prop::collection::vec((verdict, app, grades, scope), 0..6);
    (rules, any::<bool>()).prop_map(|(rules, report)| {
        let mut text = format!("unreviewed = \"{}\"\n", if report { "report" } else { "ignore" });
        for (index, (verdict, app, grades, scope)) in rules.iter().enumerate() {
            text += &format!(
                "[[rule]]\nid = \"r{index}\"\nverdict = \"{verdict}\"\napps = [\"{app}\"]\ngrades = {grades:?}\nwhere = {scope}\n"
            );
        }
        policy(&text)
    })
}

fn any_inventory() -> impl Strategy<Value = Inventory> {
    let app =
        prop::sample::select(vec!["signal", "telegram", "whatsapp", "slack", "microsoft-teams", "hexchat"]);
    let grade = prop::sample::select(Grade::ALL.to_vec());
    prop::collection::vec((app, grade), 0..8).prop_map(|list| inventory(&list))
}

proptest! {
    /// The agent may leave out what is not asked about only because it changes no judgement.
    #[test]
    fn minimising_changes_no_judgement(policy in any_policy(), found in any_inventory()) {
        let least = minimise(&found, &policy, &Catalogue::built_in(), Platform::Linux, &corporate(), now());
        prop_assert!(least.sightings.iter().all(|sighting| found.sightings.contains(sighting)));
        prop_assert_eq!(judged(&policy, &least), judged(&policy, &found));
    }

    /// Against a naive reading of the rules, one sighting at a time.
    #[test]
    fn judging_agrees_with_a_naive_reading(policy in any_policy(), found in any_inventory()) {
        let catalogue = Catalogue::built_in();
        let mut expected = Vec::new();
        for sighting in &found.sightings {
            let app = catalogue.app(sighting.app.as_str()).unwrap();
            let applies = |rule: &&offchannel_shared::policy::Rule| {
                rule.names(app) && rule.scope.includes(Platform::Linux, &corporate())
            };
            let named = policy.rules.iter().any(|rule| applies(&rule));
            let first = policy.rules.iter().filter(applies).find(|rule| {
                rule.verdict.as_str() != "required" && rule.grades.contains(&sighting.grade)
            });
            match first {
                Some(rule) if rule.verdict.as_str() == "prohibited" => {
                    expected.push(row(rule.id.as_str(), sighting.app.as_str(), Breach::Prohibited));
                }
                None if !named && policy.unreviewed.as_str() == "report" && sighting.grade != Grade::Residual => {
                    expected.push(row("unreviewed", sighting.app.as_str(), Breach::Unreviewed));
                }
                _ => {}
            }
        }
        for rule in policy.rules.iter().filter(|r| r.verdict.as_str() == "required") {
            let there = found.sightings.iter().any(|s| rule.apps.contains(&s.app) && rule.grades.contains(&s.grade));
            if rule.scope.includes(Platform::Linux, &corporate()) && !there {
                expected.push(row(rule.id.as_str(), rule.apps[0].as_str(), Breach::RequiredMissing));
            }
        }
        expected.sort();
        expected.dedup();
        prop_assert_eq!(judged(&policy, &found), expected);
    }
}

const LABELS: [&str; 3] = ["kiosk", "lab", "site=leeds"];

/// Some of the labels.
fn some_labels() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(&LABELS[..], 0..=3)
}

proptest! {
    /// Agents of any age judge and minimise rightly without a word about labels.
    #[test]
    fn what_is_sent_to_a_device_judges_as_the_whole_policy_does(
        rules in prop::collection::vec((0..3_usize, 0..2_usize, some_labels()), 0..5),
        found in prop::sample::subsequence(&["signal", "telegram"][..], 0..=2),
        own in some_labels(),
    ) {
        let mut text = "unreviewed = \"report\"\n".to_owned();
        for (index, (verdict, app, scope)) in rules.iter().enumerate() {
            let verdict = ["prohibited", "allowed", "required"][*verdict];
            let app = ["signal", "telegram"][*app];
            text.push_str(&format!("[[rule]]\nid = \"r{index}\"\nverdict = {verdict:?}\napps = [{app:?}]\n"));
            if !scope.is_empty() {
                text.push_str(&format!("where = {{ label = {scope:?} }}\n"));
            }
        }
        let whole = policy(&text);
        let found: Vec<_> = found.into_iter().map(|app| (app, Grade::Installed)).collect();
        let found = inventory(&found);
        let placement = Placement { labels: labels(&own), ..corporate() };
        let sent = whole.as_sent_to(&placement);
        prop_assert!(sent.labels().is_empty());
        prop_assert!(!serde_json::to_string(&sent).unwrap().contains("label"));
        let catalogue = Catalogue::built_in();
        let at_agent = minimise(&found, &sent, &catalogue, Platform::Linux, &corporate(), now());
        prop_assert_eq!(
            &at_agent,
            &minimise(&found, &whole, &catalogue, Platform::Linux, &placement, now())
        );
        prop_assert_eq!(
            judge_at(&sent, &at_agent, &corporate(), &[]),
            judge_at(&whole, &at_agent, &placement, &[])
        );
    }
}
