//! What people read when their policy file is wrong: exact positions, every problem at once.

use offchannel_shared::policy::{Severity, Unreviewed, Verdict, parse};
use offchannel_shared::span::Span;
use proptest::prelude::*;

const GOOD: &str = r#"
schema = 1
name = "Corporate messaging"
stale_after = "7d"
check_in_every = "5m"
unreviewed = "report"

[[rule]]
id = "no-consumer-messaging"
verdict = "prohibited"
networks = ["whatsapp", "telegram"]
where = { platform = ["windows", "macos", "linux", "ios", "android"], ownership = ["corporate"] }
grades = ["installed", "running", "web-app", "extension"]
effective_from = "2026-12-01"
severity = "high"
grace = "72h"
reason = "We cannot meet our duties as data controller."
alternatives = ["microsoft-teams"]
records_step = true

[[rule]]
id = "approved-channel-present"
verdict = "required"
apps = ["microsoft-teams"]
severity = "low"
"#;

/// The problems of a text, as people read them.
fn problems(text: &str) -> String {
    parse(text).expect_err("the policy was taken").to_string()
}

#[test]
fn the_policy_of_the_design_reads_as_written() {
    let parsed = parse(GOOD).unwrap();
    assert_eq!(parsed.warnings, []);
    let policy = parsed.policy;
    assert_eq!(policy.stale_after, Span::seconds(604_800));
    assert_eq!(policy.unreviewed, Unreviewed::Report);
    let rule = &policy.rules[0];
    assert_eq!((rule.verdict, rule.severity, rule.records_step), (Verdict::Prohibited, Severity::High, true));
    assert_eq!(rule.effective_from.unwrap().to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(rule.grace, "72h".parse().unwrap());
}

#[test]
fn a_policy_survives_its_bundle() {
    let policy = parse(GOOD).unwrap().policy;
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<offchannel_shared::policy::Policy>(&json).unwrap(), policy);
}

#[test]
fn every_problem_is_named_with_line_column_and_key() {
    let text = r#"schema = 2
name = ""
stale_aftr = "7d"
check_in_every = "1s"

[[rule]]
id = "a b"
verdict = "forbidden"
apps = ["watsapp"]
grace = "3 days"

[[rule]]
id = "x"
verdict = "prohibited"
networks = ["telegrm"]
where = { platform = ["window"], colour = "red" }
records_step = "yes"

[[rule]]
id = "x"
verdict = "required"
networks = ["signal"]
effective_from = "soon"
"#;
    let expected = r#"the policy has 15 errors
  1:10: error: schema: expected 1, found the number 2
  2:8: error: name: must not be empty
  3:1: error: stale_aftr: unknown key; did you mean "stale_after"?
  4:18: error: check_in_every: must be from 5s to 1d, is 1s
  7:6: error: rule[1].id: "a b" is not a valid rule id: expected 1 to 64 of a-z, 0-9 and inner hyphens
  8:11: error: rule[1].verdict: expected one of prohibited, allowed, required, found "forbidden"
  9:9: error: rule[1].apps: no app "watsapp" in the catalogue; did you mean "whatsapp"?
  10:9: error: rule[1].grace: "3 days" is not a span of time: expected a whole number and a unit of s, m, h, d or w, such as 72h
  15:13: error: rule[2].networks: no app in the catalogue talks to "telegrm"; did you mean "telegram"?
  16:23: error: rule[2].where.platform: expected one of android, ios, linux, macos, windows, found "window"
  16:34: error: rule[2].where.colour: unknown key; expected one of platform, ownership, unit, label
  17:16: error: rule[2].records_step: expected true or false, found the text "yes"
  19:1: error: rule[3].apps: missing; a required rule names the apps of which one must be there
  20:6: error: rule[3].id: another rule has the id "x" already
  23:18: error: rule[3].effective_from: expected a date such as 2026-12-01 (from 00:00 UTC) or a time such as 2026-12-01T09:00:00+01:00, found "soon""#;
    assert_eq!(problems(text), expected);
}

#[test]
fn text_that_is_no_toml_is_refused_where_it_breaks() {
    assert!(problems("schema = 1\nname = \"x").contains("2:"), "{}", problems("schema = 1\nname = \"x"));
}

#[test]
fn an_app_in_two_rules_is_a_warning() {
    let text = "schema = 1\nname = \"x\"\n\
        [[rule]]\nid = \"a\"\nverdict = \"allowed\"\napps = [\"signal\"]\n\
        [[rule]]\nid = \"b\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n\
        [[rule]]\nid = \"c\"\nverdict = \"prohibited\"\napps = [\"telegram\"]\n\
        [[rule]]\nid = \"d\"\nverdict = \"required\"\napps = [\"telegram\"]\n";
    let warnings: Vec<String> = parse(text).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            r#"7:1: warning: rule[2]: never decides anything: rule "a" decides all of it before it"#,
            r#"18:9: warning: rule[4].apps: "telegram" is both required and prohibited, see rule "c""#,
        ]
    );
}

#[test]
fn an_organisation_adds_apps_of_its_own() {
    let text = r#"
schema = 1
name = "x"
[[app]]
id = "acme-chat"
name = "Acme Chat"
vendor = "Acme"
kind = "workplace"
networks = ["acme"]
official = true
homepage = "https://acme.example"
match = { dpkg = ["acme-chat"] }
[[rule]]
id = "no-acme"
verdict = "prohibited"
networks = ["acme"]
"#;
    assert_eq!(parse(text).unwrap().policy.apps.len(), 1);
    let wrong = text.replace("[\"acme-chat\"] }", "[\"b\", \"a\"] }");
    assert!(problems(&wrong).contains("app[1]: match.dpkg must be sorted"), "{}", problems(&wrong));
    let unknown = text.replace("vendor", "vender");
    assert!(problems(&unknown).contains("app[1]: unknown key \"vender\""), "{}", problems(&unknown));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,300}") {
        let _ = parse(&text);
    }

    /// One character wrong somewhere in a good policy: taken or refused with a position inside the file.
    #[test]
    fn a_damaged_policy_is_refused_inside_the_file(at in 0..GOOD.len(), byte in 0x20u8..0x7f) {
        let mut text = GOOD.as_bytes().to_vec();
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        if let Err(problems) = parse(&text) {
            for problem in problems.0 {
                prop_assert!(problem.line <= text.lines().count() + 1, "{problem}");
            }
        }
    }
}

#[test]
fn a_label_that_is_none_is_named_with_what_was_expected() {
    let text = "schema = 1\nname = \"x\"\n[[rule]]\nid = \"a\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n\
                where = { label = [\"kiosk\", \"Site=Leeds\", \"kiosk\"] }\n";
    assert_eq!(
        problems(text),
        "the policy has 2 errors\n  \
         7:29: error: rule[1].where.label: \"Site=Leeds\" is not a valid label: expected key or key=value, each 1 to 64 of \
         a-z, 0-9 and inner hyphens\n  \
         7:43: error: rule[1].where.label: \"kiosk\" is there twice"
    );
}

/// A file that is wrong all over is refused as fast as any: each of these took minutes when everything was told.
#[test]
fn what_is_wrong_with_a_file_that_is_wrong_all_over_is_told_as_far_as_anybody_reads() {
    let many = |one: &dyn Fn(usize) -> String| (0..40_000).map(one).collect::<String>();
    let rule = "[[rule]]\nid = \"a\"\nverdict = \"prohibited\"\n";
    let head = "schema = 1\nname = \"x\"\n";
    for text in [
        format!("{head}{}", many(&|at| format!("key{at} = 1\n"))),
        format!("{head}{}", many(&|at| format!("[[rule]]\nid = \"-{at}\"\n"))),
        format!("{head}{rule}apps = [{}]\n", many(&|at| format!("\"x{at}\", "))),
        format!("{head}{rule}apps = [{}]\n", many(&|_| "\"signal\", ".to_owned())),
        format!(
            "{head}{rule}apps = [\"signal\"]\nwhere = {{ unit = [{}] }}\n",
            many(&|at| format!("\"u{at}\", "))
        ),
    ] {
        let problems = parse(&text).unwrap_err();
        assert!(problems.0.len() <= 402, "{}", problems.0.len());
        let most = problems.0.iter().any(|problem| {
            problem.message.ends_with("put these right first")
                || problem.message == "expected at most 1000 elements, found 40000"
        });
        assert!(most, "{problems}");
    }
    // Nothing is wrong here, and there is much to doubt.
    let rules = (0..6_000).map(|at| {
        format!(
            "[[rule]]\nid = \"r{at}\"\nverdict = \"prohibited\"\napps = [\"signal\"]\nalternatives = [\"threema\", \"wire\", \"zoom\"]\n"
        )
    });
    let warnings = parse(&format!("{head}{}", rules.collect::<String>())).unwrap().warnings;
    assert_eq!(warnings.len(), 201);
}
