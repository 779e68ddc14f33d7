//! What people read, in both languages, and what of other people they do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use offchannel_shared::device::{Placement, Platform};
use offchannel_shared::ids::{AppId, DeviceId, Epoch, ExceptionId, RuleId};
use offchannel_shared::inventory::{Grade, Inventory, Sighting, Unlisted};
use offchannel_shared::language::Language;
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::{BUNDLE_SCHEMA, Bundle, parse};
use offchannel_shared::wire::Accepted;

use super::*;
use crate::identity::Enrolment;
use crate::run::InForce;
use crate::state::Record;

const POLICY: &str = r#"
unreviewed = "report"
[notice]
languages = ["en", "cy"]
text.en = "These rules are for everybody."
text.cy = "Mae'r rheolau hyn i bawb."
exceptions.en = """
Write to security@example.org.
Say what you need it for."""
exceptions.cy = "Ysgrifennwch at diogelwch@example.org."
[[rule]]
id = "no-telegram"
verdict = "prohibited"
apps = ["telegram", "signal"]
severity = "high"
grace = "72h"
reason = "Duties as data controller."
notice.en = "It is not permitted at work."
notice.cy = "Ni chaniateir ef yn y gwaith."
alternatives = ["microsoft-teams", "element"]
records_step = true
[[rule]]
id = "teams-present"
verdict = "required"
apps = ["microsoft-teams"]
severity = "low"
reason = "Colleagues must reach you."
"#;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_796_000_000 + hour * 3_600).unwrap()
}

fn user(name: &str) -> Scope {
    Scope::User(format!("u-{name}"))
}

/// A device where Telegram is there for everybody, and Signal in bob's home.
fn view(rules: &str) -> View {
    let sighting = |app: &str, scope: Scope| Sighting {
        app: AppId::new(app).unwrap(),
        source: "flatpak".to_owned(),
        namespace: Namespace::Flatpak,
        identifier: format!("org.{app}.desktop"),
        scope,
        grade: Grade::Installed,
        version: Some("1.0".to_owned()),
    };
    let mut inventory = Inventory {
        sightings: vec![sighting("telegram", Scope::System), sighting("signal", user("bob"))],
        ..Inventory::default()
    };
    inventory.normalise();
    let mut record = Record::new(Epoch::from_random([1; 16]));
    record.observe(inventory, &BTreeSet::new(), at(0));
    record.enrolment = Some(Enrolment {
        device_id: DeviceId::from_random([7; 16]),
        server: "https://collector.example".to_owned(),
        signing_keys: Vec::new(),
    });
    record.last_contact = Some(at(1));
    record.trouble = Some(Trouble { since: at(2), what: "no route\x1b[2J to it".to_owned() });
    let bundle = Bundle {
        schema: BUNDLE_SCHEMA,
        version: 3,
        issued_at: at(0),
        expires_at: at(24 * 28),
        placement: Placement::default(),
        policy: parse(&format!("schema = 1\nname = \"Corporate messaging\"\n{rules}")).unwrap().policy,
    };
    let catalogue = Arc::new(bundle.catalogue().unwrap());
    View { record: Some(record), policy: Some(InForce { bundle, catalogue }), configured: None }
}

fn shown(view: &View, viewer: &Viewer, languages: &[&str], hour: i64) -> String {
    let languages: Vec<Language> = languages.iter().map(|tag| tag.parse().unwrap()).collect();
    let words = Words::for_languages(&languages);
    let asked = Asked { viewer, languages: &languages, words, platform: Platform::Linux, now: at(hour) };
    let mut out = Vec::new();
    table(&mut out, &status(view, &asked), &asked).unwrap();
    String::from_utf8(out).unwrap()
}

fn alice() -> Viewer {
    Viewer::User([user("alice")].into())
}

#[test]
fn a_user_reads_everything_that_concerns_them_in_english() {
    let expected = "\
Device        dev_070w3ge1r70w3ge1r70w3ge1r7
Collector     https://collector.example
Policy        Corporate messaging, version 3, good until 2026-12-28T00:53:20Z
Last contact  2026-11-30T01:53:20Z (as of the last change; a running agent keeps the newest in memory)
Reported      not the newest state; it follows as soon as the collector answers
Trouble       since 2026-11-30T02:53:20Z: no route [2J to it

Not in order: 2
These rules are for everybody.

Telegram is prohibited (rule no-telegram, severity high)
  found       installed: flatpak org.telegram.desktop 1.0, for everybody on this device
  since       2026-11-30T00:53:20Z
  time left   until 2026-12-03T00:53:20Z; from then on it counts as a breach
  why         It is not permitted at work.
  what to do  First copy business records out of it into the records system. Remove Telegram. Use Microsoft Teams or Element instead.
  code        B292X-G70C3

Microsoft Teams is required and missing (rule teams-present, severity low)
  why         Colleagues must reach you.
  what to do  Install Microsoft Teams.
  code        8DEWJ-VHA6J

More in the accounts of other users, which is not shown to you: 1

To ask for an exception
  Write to security@example.org.
  Say what you need it for.
  Give the code that stands with it. An exception that is granted shows here with the next contact.

What was sent from this device: offchannel-agent explain
";
    assert_eq!(shown(&view(POLICY), &alice(), &["en-GB"], 3), expected);
}

#[test]
fn a_user_reads_the_same_in_welsh() {
    let expected = "\
Dyfais            dev_070w3ge1r70w3ge1r70w3ge1r7
Casglydd          https://collector.example
Polisi            Corporate messaging, fersiwn 3, dilys tan 2026-12-28T00:53:20Z
Cyswllt diwethaf  2026-11-30T01:53:20Z (adeg y newid diwethaf; mae'r asiant yn cadw'r diweddaraf yn ei gof)
Adroddwyd         nid y cyflwr diweddaraf; caiff hwnnw ei anfon cyn gynted ag y bydd y casglydd yn ateb
Anhawster         ers 2026-11-30T02:53:20Z: no route [2J to it

Heb fod mewn trefn: 2
Mae'r rheolau hyn i bawb.

Mae Telegram wedi'i wahardd (rheol no-telegram, difrifoldeb uchel)
  canfuwyd        wedi'i osod: flatpak org.telegram.desktop 1.0, i bawb ar y ddyfais hon
  ers             2026-11-30T00:53:20Z
  pam             Ni chaniateir ef yn y gwaith.
  beth i'w wneud  Yn gyntaf, copïwch gofnodion busnes ohono i'r system gofnodion. Dilëwch Telegram. Defnyddiwch Microsoft Teams neu Element yn ei le.
  cod             B292X-G70C3

Mae Microsoft Teams yn ofynnol, ac nid yw yma (rheol teams-present, difrifoldeb isel)
  pam             Colleagues must reach you.
  beth i'w wneud  Gosodwch Microsoft Teams.
  cod             8DEWJ-VHA6J

Rhagor yng nghyfrifon defnyddwyr eraill, na chaiff ei ddangos i chi: 1

I ofyn am eithriad
  Ysgrifennwch at diogelwch@example.org.
  Rhowch y cod a ddangosir gydag ef. Bydd eithriad a ganiateir i'w weld yma ar ôl y cyswllt nesaf.

Yr hyn a anfonwyd o'r ddyfais hon: offchannel-agent explain
";
    assert_eq!(shown(&view(POLICY), &alice(), &["cy"], 100), expected);
}

#[test]
fn both_languages_are_shown_where_the_policy_wants_it_and_the_user_s_own_is_first() {
    let both = POLICY.replace("[notice]", "[notice]\nshow = \"all\"");
    let text = shown(&view(&both), &alice(), &["cy"], 3);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part:?} not in {text}"));
    assert!(place("Ni chaniateir ef yn y gwaith.") < place("It is not permitted at work."));
    assert!(place("Ysgrifennwch at") < place("Write to security"));
}

#[test]
fn what_is_in_another_s_account_is_counted_and_not_named() {
    let view = view(POLICY);
    for (viewer, sees) in
        [(alice(), false), (Viewer::User([user("bob")].into()), true), (Viewer::Keeper, true)]
    {
        let text = shown(&view, &viewer, &[], 3);
        assert_eq!(text.contains("Signal is prohibited"), sees, "{viewer:?}: {text}");
        assert_eq!(text.contains("org.signal.desktop"), sees, "{viewer:?}: {text}");
        assert_eq!(
            text.contains("More in the accounts of other users, which is not shown to you: 1"),
            !sees,
            "{text}"
        );
        assert_eq!(text.contains("u-bob"), viewer == Viewer::Keeper, "{viewer:?}: {text}");
    }
}

#[test]
fn an_app_that_meets_a_duty_may_be_another_s() {
    let mut view = view(&POLICY.replace("apps = [\"microsoft-teams\"]", "apps = [\"signal\"]"));
    assert!(!shown(&view, &alice(), &[], 3).contains("is required and missing"));
    let record = view.record.as_mut().unwrap();
    record.inventory.sightings.retain(|sighting| sighting.app.as_str() != "signal");
    assert!(shown(&view, &alice(), &[], 3).contains("Signal is required and missing"));
}

#[test]
fn names_that_others_wrote_give_a_terminal_no_orders_and_no_lines() {
    let mut view = view(POLICY);
    let record = view.record.as_mut().unwrap();
    record.inventory.unlisted.push(Unlisted {
        app: AppId::new("unlisted-1").unwrap(),
        source: "desktop-entry".to_owned(),
        namespace: Namespace::DesktopEntry,
        identifier: "x\x1b]0;y\x07.desktop".to_owned(),
        scope: Scope::System,
        grade: Grade::Installed,
        name: Some("Nice\x1b[31m\nMatrix is allowed".to_owned()),
        version: None,
        categories: Vec::new(),
    });
    let text = shown(&view, &alice(), &[], 3);
    assert!(text.contains("Nice [31m Matrix is allowed has not been reviewed"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

/// The same device with an exception for everything of a rule, from the fifth to the tenth hour.
fn accepting(rule: &str) -> View {
    let mut view = view(POLICY);
    let accepted = Accepted {
        id: ExceptionId::from_random([3; 16]),
        rule: Some(RuleId::new(rule).unwrap()),
        app: None,
        start: at(5),
        end: at(10),
    };
    view.record.as_mut().unwrap().accepted = vec![accepted];
    view
}

#[test]
fn what_is_accepted_is_shown_as_that_for_its_time_and_counts_again_without_any_contact() {
    let view = accepting("no-telegram");
    let during = shown(&view, &alice(), &["en"], 6);
    assert!(during.contains("Not in order: 1\n"), "{during}");
    let accepted = "Telegram is prohibited (rule no-telegram, severity high)
  found       installed: flatpak org.telegram.desktop 1.0, for everybody on this device
  since       2026-11-30T00:53:20Z
  accepted    by your organisation, until 2026-11-30T10:53:20Z (exc_030c1g60r30c1g60r30c1g60r3)
  why         It is not permitted at work.
  what to do  Nothing until then.
";
    assert!(during.contains(accepted), "{during}");
    for hour in [4, 10] {
        let other = shown(&view, &alice(), &["en"], hour);
        assert!(other.contains("Not in order: 2\n") && !other.contains("accepted"), "{hour}: {other}");
    }
    let welsh = shown(&view, &alice(), &["cy"], 6);
    assert!(welsh.contains("derbyniwyd      gan eich sefydliad, tan 2026-11-30T10:53:20Z"), "{welsh}");
    assert!(welsh.contains("Dim tan hynny."), "{welsh}");
}

#[test]
fn where_all_is_accepted_nobody_is_asked_to_do_anything() {
    let rules = POLICY.split("[[rule]]\nid = \"teams-present\"").next().unwrap();
    let mut view = view(rules);
    view.record.as_mut().unwrap().accepted = accepting("no-telegram").record.unwrap().accepted;
    let during = shown(&view, &alice(), &["en"], 6);
    assert!(during.contains("Nothing that is yours counts against the policy now."), "{during}");
    assert!(!during.contains("To ask for an exception"), "{during}");
}

#[test]
fn the_collector_is_that_of_the_settings_once_they_name_another_than_at_enrolment() {
    let mut view = view(POLICY);
    view.configured = Some("https://moved.example".to_owned());
    let text = shown(&view, &alice(), &["en"], 3);
    assert!(text.contains("Collector     https://moved.example\n"), "{text}");
    assert_eq!(view.sent_to(), None, "to which of the two it was sent is not known");
    view.configured = Some("https://collector.example".to_owned());
    assert_eq!(view.sent_to(), Some("https://collector.example"));
}
