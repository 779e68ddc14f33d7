//! What messages say, and that hostile names say nothing of their own.

use proptest::prelude::*;

use super::*;
use crate::channels::samples;

#[test]
fn a_message_says_what_where_why_what_instead_and_what_to_do() {
    let message = message(&samples::prohibited("sam-laptop", "Telegram"), 400);
    assert_eq!(message.title, "New alert: prohibited app: Telegram on sam-laptop in Finance");
    assert_eq!(message.what, "New alert: prohibited app: Telegram on sam-laptop in Finance.");
    assert_eq!(message.why.as_deref(), Some("We cannot keep records of it."));
    assert_eq!(message.instead.as_deref(), Some("Microsoft Teams"));
    assert!(message.next.is_some_and(|next| next.contains("removed")));
    let facts: Vec<String> = message.facts.iter().map(|(label, value)| format!("{label}: {value}")).collect();
    for expected in [
        "App: Telegram",
        "Device: sam-laptop (linux)",
        "Unit: Finance",
        "Owner: Ada",
        "Severity: high",
        "State: open",
        "Rule: no-consumer-messaging",
        "Found: dpkg telegram-desktop 4.6.5 (installed, system)",
        "Open since: 2026-03-04 10:00 UTC",
    ] {
        assert!(facts.iter().any(|fact| fact == expected), "expected {expected:?} in {facts:#?}");
    }
}

#[test]
fn what_is_over_asks_for_nothing_and_a_test_says_so_first() {
    let mut notification = samples::prohibited("sam-laptop", "Telegram");
    notification.alert.state = AlertState::Resolved;
    notification.action = AlertAction::Resolved;
    notification.actor = "ada".to_owned();
    let resolved = message(&notification, 400);
    assert_eq!(resolved.next, None);
    assert!(resolved.what.ends_with("in Finance, by ada."), "{}", resolved.what);
    notification.test = true;
    let test = message(&notification, 400);
    assert!(test.title.starts_with("TEST: ") && test.what.starts_with("This only tries out"), "{test:?}");
}

#[test]
fn a_message_about_a_whole_unit_names_the_unit() {
    let message = message(&samples::unit(), 400);
    assert!(message.title.ends_with(" in Finance") && !message.title.contains(" on "), "{}", message.title);
}

#[test]
fn every_kind_and_action_has_words() {
    let mut notification = samples::prohibited("sam-laptop", "Telegram");
    for kind in AlertKind::ALL {
        for action in AlertAction::ALL {
            (notification.alert.kind, notification.action) = (kind, action);
            let message = message(&notification, 400);
            assert!(message.title.len() > 20 && message.next.is_some(), "{message:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_cut_until_it_does() {
    let notification = samples::prohibited(&"h".repeat(4_096), &"a".repeat(4_096));
    let write = |message: &Message| Ok::<_, ()>(format!("{message:?}").into_bytes());
    let long = fitted(&notification, usize::MAX, write).unwrap();
    let short = fitted(&notification, 1_500, write).unwrap();
    assert!(long.len() > 2_000 && short.len() <= 1_500, "{} and {}", long.len(), short.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_makes_a_message_long_or_breaks_its_lines(name in samples::hostile(), host in samples::hostile()) {
        let message = message(&samples::prohibited(&host, &name), 160);
        let texts = message.facts.iter().map(|(_, value)| value).chain([&message.title, &message.what]);
        for text in texts {
            prop_assert!(text.chars().count() <= 3 * 160 * 4, "{} characters", text.chars().count());
            prop_assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", text);
        }
    }
}
