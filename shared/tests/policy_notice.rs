//! What a policy may say to users, what its author is told when it is wrong, and that older agents and bundles stay good.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use offchannel_shared::language::Language;
use offchannel_shared::policy::{Bundle, Policy, Show, parse};

const BILINGUAL: &str = r#"schema = 1
name = "Corporate messaging"

[notice]
languages = ["cy", "en"]
show = "all"
title.cy = "Neges gan yr adran ddiogelwch"
title.en = "A message from the security team"
exceptions.cy = "Ysgrifennwch at diogelwch@example.org."
exceptions.en = """
Write to security@example.org.
Say what you need it for."""

[[rule]]
id = "no-telegram"
verdict = "prohibited"
apps = ["telegram"]
reason = "We cannot meet our duties as data controller."
notice.cy = "Ni chaniateir Telegram ar ddyfeisiau gwaith."
notice.en = "Telegram is not permitted on work devices."
"#;

fn bilingual() -> Policy {
    let parsed = parse(BILINGUAL).unwrap();
    assert_eq!(parsed.warnings, []);
    parsed.policy
}

#[test]
fn both_languages_are_shown_and_the_user_s_own_comes_first() {
    let policy = bilingual();
    assert_eq!((policy.notice.desktop, policy.notice.show), (true, Show::All));
    let wanted: Vec<Language> = vec!["en-GB".parse().unwrap()];
    let chosen = policy.notice.choose(&policy.rules[0].notice, &wanted);
    let texts: Vec<&str> = chosen.iter().map(|(_, text)| *text).collect();
    assert_eq!(
        texts,
        ["Telegram is not permitted on work devices.", "Ni chaniateir Telegram ar ddyfeisiau gwaith."]
    );
    let exceptions = policy.notice.choose(&policy.notice.exceptions, &[]);
    assert_eq!(exceptions[0].1, "Ysgrifennwch at diogelwch@example.org.");
    assert_eq!(exceptions[1].1, "Write to security@example.org.\nSay what you need it for.");
}

#[test]
fn notices_survive_their_bundle_and_a_policy_without_them_is_written_as_before() {
    let json = serde_json::to_value(bilingual()).unwrap();
    assert_eq!(serde_json::from_value::<Policy>(json).unwrap(), bilingual());
    let plain = parse(
        "schema = 1\nname = \"x\"\n[[rule]]\nid = \"a\"\nverdict = \"prohibited\"\napps = [\"signal\"]\n",
    );
    assert!(!serde_json::to_string(&plain.unwrap().policy).unwrap().contains("notice"));
}

#[test]
fn an_older_agent_ignores_notices_and_a_newer_one_takes_bundles_without_them() {
    // What the agent of version 0.1.0 knew of a policy, all of which must still be there and mean the same.
    #[derive(serde::Deserialize)]
    struct OldPolicy {
        schema: u32,
        name: String,
        rules: Vec<OldRule>,
    }
    #[derive(serde::Deserialize)]
    struct OldRule {
        reason: String,
    }
    let old: OldPolicy = serde_json::from_value(serde_json::to_value(bilingual()).unwrap()).unwrap();
    assert_eq!((old.schema, old.name.as_str()), (1, "Corporate messaging"));
    assert_eq!(old.rules[0].reason, "We cannot meet our duties as data controller.");

    // A bundle as the collector of version 0.1.0 wrote it.
    let bundle = r#"{"schema":1,"version":3,"issued_at":"2026-11-24T12:00:00Z","expires_at":"2026-12-22T12:00:00Z",
        "placement":{"ownership":"corporate","units":[]},"policy":{"schema":1,"name":"x","stale_after":"7d",
        "check_in_every":"5m","unreviewed":"ignore","rules":[{"id":"a","verdict":"prohibited","apps":["signal"],"where":{},
        "grades":["installed"],"severity":"high","grace":"0s","reason":"Why.","records_step":false}]}}"#;
    let bundle: Bundle = serde_json::from_str(bundle).unwrap();
    assert!(bundle.policy.rules[0].notice.is_empty());
    assert_eq!(bundle.policy.notice, parse("schema = 1\nname = \"x\"").unwrap().policy.notice);
}

#[test]
fn every_problem_of_a_notice_is_named_with_line_column_and_key() {
    let long = "x".repeat(101);
    let text = format!(
        r#"schema = 1
name = "x"
[notice]
desktop = "no"
show = "both"
languages = ["cymraeg!", "en", "cy"]
title.en = "{long}"
text.en = " "
text.EN = "Twice."
texts.en = "x"
exceptions = "Ask."
[[rule]]
id = "a"
verdict = "prohibited"
apps = ["signal"]
notice.en = "Bell \u0007 and escape"
notice.en_GB = "x"
notice.cy = 1
[[rule]]
id = "b"
verdict = "allowed"
apps = ["telegram"]
notice = {{}}
"#
    );
    let expected = r#"the policy has 11 errors
  4:11: error: notice.desktop: expected true or false, found the text "no"
  5:8: error: notice.show: expected one of one, all, found "both"
  6:14: error: notice.languages: "cymraeg!" is not a language tag: expected two or three letters, and more after a hyphen where needed, such as cy, en or en-GB (BCP 47)
  7:12: error: notice.title.en: has 101 characters, at most 100 are shown
  8:11: error: notice.text.en: must not be empty
  10:1: error: notice.texts: unknown key; did you mean "text"?
  11:14: error: notice.exceptions: expected a text for each language, such as exceptions.en = "...", found the text "Ask."
  16:13: error: rule[1].notice.en: holds the control character U+0007; only line breaks may be in it
  17:8: error: rule[1].notice.en_GB: "en_GB" is not a language tag: expected two or three letters, and more after a hyphen where needed, such as cy, en or en-GB (BCP 47)
  18:13: error: rule[1].notice.cy: expected a text, found the number 1
  23:10: error: rule[2].notice: there is no text in it: write one, such as notice.en = "...", or leave it out"#;
    let found = parse(&text).expect_err("the policy was taken").to_string();
    let errors: Vec<&str> = found.lines().filter(|line| !line.contains(": warning: ")).collect();
    assert_eq!(errors.join("\n"), expected);
}

#[test]
fn a_language_that_is_written_twice_or_one_too_many_is_refused() {
    let twice = BILINGUAL.replace("notice.cy = ", "notice.EN = ");
    let found = parse(&twice).expect_err("the policy was taken").to_string();
    assert!(found.contains("rule[1].notice.en: there is a text in en already"), "{found}");
    let many: String = (0..8).map(|n| format!("notice.a{} = \"x\"\n", char::from(b'a' + n))).collect();
    let found = parse(&format!("{BILINGUAL}{many}")).expect_err("the policy was taken").to_string();
    assert!(found.contains("rule[1].notice: has more than 8 languages"), "{found}");
}

#[test]
fn a_text_that_lacks_a_language_of_the_organisation_is_a_warning_and_so_is_one_for_nobody() {
    let text = BILINGUAL
        .replace("notice.cy = \"Ni chaniateir Telegram ar ddyfeisiau gwaith.\"\n", "")
        .replace("\"prohibited\"", "\"allowed\"");
    let warnings: Vec<String> = parse(&text).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "19:1: warning: rule[1].notice: has no text in cy, which notice.languages names",
            "19:1: warning: rule[1].notice: nobody is shown it: what is allowed is no finding",
        ]
    );
}
