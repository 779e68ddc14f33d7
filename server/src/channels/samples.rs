//! Notifications for the tests of all channels, and names as nobody wants them.

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use offchannel_shared::policy::Severity;
use proptest::prelude::*;

use crate::domain::alert::{AlertAction, AlertKind, AlertState, Cause};
use crate::domain::delivery::{
    Delivery, DeliveryState, Evidence, Notification, NotifiedAlert, NotifiedApp, NotifiedDevice,
    NotifiedRule, NotifiedUnit, Trouble,
};
use crate::domain::digest::{Digest, InDigest};

pub(super) fn at() -> Timestamp {
    Timestamp::from_second(1_772_618_400).unwrap()
}

/// An app on a device that a rule prohibits.
pub(super) fn prohibited(hostname: &str, app: &str) -> Notification {
    Notification {
        action: AlertAction::Opened,
        at: at(),
        actor: "collector".to_owned(),
        note: None,
        alert: NotifiedAlert {
            id: AlertId::from_random([1; 16]),
            kind: AlertKind::ProhibitedApp,
            severity: Severity::High,
            state: AlertState::Open,
            opened_at: at(),
            cause: None,
            reopened: 0,
            assignee: None,
            snoozed_until: None,
        },
        device: Some(NotifiedDevice {
            id: "dev_1".to_owned(),
            hostname: hostname.to_owned(),
            platform: "linux".to_owned(),
            unit: Some("finance".to_owned()),
        }),
        unit: Some(NotifiedUnit {
            id: "finance".to_owned(),
            name: "Finance".to_owned(),
            owner: Some("Ada".to_owned()),
            owner_email: Some("ada@example.org".to_owned()),
        }),
        escalation: None,
        app: Some(NotifiedApp { id: "telegram".to_owned(), name: app.to_owned() }),
        rule: Some(NotifiedRule {
            id: "no-consumer-messaging".to_owned(),
            reason: "We cannot keep records of it.".to_owned(),
            alternatives: vec!["Microsoft Teams".to_owned()],
            policy_version: 3,
        }),
        evidence: vec![Evidence {
            source: "dpkg".to_owned(),
            identifier: "telegram-desktop".to_owned(),
            version: Some("4.6.5".to_owned()),
            scope: "system".to_owned(),
            grade: "installed".to_owned(),
        }],
        troubles: Vec::new(),
        test: false,
    }
}

/// As [`prohibited`], with everything that a device can choose as long and as bad as it can be.
pub(super) fn worst(name: &str) -> Notification {
    let mut notification = prohibited(name, name);
    notification.note = Some(name.to_owned());
    notification.alert.assignee = Some(name.to_owned());
    let place = Evidence {
        source: name.to_owned(),
        identifier: name.to_owned(),
        version: Some(name.to_owned()),
        scope: name.to_owned(),
        grade: name.to_owned(),
    };
    notification.evidence = vec![place; 10];
    let trouble = Trouble { source: name.to_owned(), health: "failed".to_owned(), why: name.to_owned() };
    notification.troubles = vec![trouble; 10];
    let rule = notification.rule.as_mut().unwrap();
    rule.reason = name.to_owned();
    rule.alternatives = vec![name.to_owned(); 10];
    notification
}

/// An alert about a whole unit.
pub(super) fn unit() -> Notification {
    let mut notification = prohibited("", "");
    (notification.device, notification.app, notification.rule) = (None, None, None);
    notification.alert.kind = AlertKind::DeviceSilent;
    notification.evidence.clear();
    notification
}

pub(super) fn delivery(notification: Notification) -> Delivery {
    Delivery {
        id: DeliveryId::from_random([2; 16]),
        channel: ChannelName::new("siem").unwrap(),
        alert: notification.alert.id.clone(),
        notification,
        digest: None,
        created_at: at(),
        due_at: at(),
        attempts: 0,
        state: DeliveryState::Pending,
        last_error: None,
    }
}

/// One change of the alert with this number, as a part of a digest.
pub(super) fn part(
    number: u8,
    action: AlertAction,
    cause: Option<Cause>,
    mut notification: Notification,
) -> Option<Delivery> {
    notification.action = action;
    notification.alert.id = AlertId::from_random([number; 16]);
    notification.alert.cause = cause;
    notification.alert.state = if cause.is_some() { AlertState::Resolved } else { AlertState::Open };
    let message = Some(DeliveryId::from_random([9; 16]));
    let group = "daily at 08:00, Europe/London".to_owned();
    Some(Delivery { digest: Some(InDigest { group, message }), ..delivery(notification) })
}

/// What happened to three alerts within an hour.
pub(super) fn digested() -> Vec<Delivery> {
    let telegram = || prohibited("sam-laptop", "Telegram");
    let mut signal = prohibited("kim-laptop", "Signal");
    signal.alert.severity = Severity::Critical;
    signal.at = at() + jiff::SignedDuration::from_hours(1);
    let (opened, removed) = (AlertAction::Opened, Some(Cause::Removed));
    let parts = [
        part(1, opened, None, telegram()),
        part(2, opened, None, unit()),
        part(1, AlertAction::Resolved, removed, telegram()),
        part(1, AlertAction::Reopened, None, telegram()),
        part(1, AlertAction::Resolved, removed, telegram()),
        part(3, opened, None, signal),
        part(2, AlertAction::Escalated, None, unit()),
    ];
    parts.into_iter().flatten().collect()
}

pub(super) fn digest(parts: &[Delivery]) -> Digest<'_> {
    Digest::of(parts).unwrap()
}

/// A digest with the worst names, of as many alerts as one has.
pub(super) fn worst_digest(name: &str) -> Vec<Delivery> {
    (0..=250).filter_map(|number| part(number, AlertAction::Opened, None, worst(name))).collect()
}

/// Names that try something, one for each thing that has gone wrong somewhere.
pub(super) const HOSTILE: [&str; 16] = [
    "a\u{202e}txt.exe",
    "line\r\nX-Header: forged",
    "=cmd|'/c calc'!A1",
    "+1+1",
    "@SUM(A1)",
    "a|b\\|c=d]\"",
    "<script>alert(1)</script>",
    "<!channel> <@U1> <https://evil.example|here>",
    "[click](https://evil.example) **bold** _x_ ~y~ `z`",
    "# head\n- item\n1. item\n> quote",
    "&lt;b&gt; &amp;",
    "{{DATE(2026-01-01T00:00:00Z)}} ${x} @{y}",
    "\u{0}\u{1b}[31mred\u{7f}",
    "\"}],\"text\":\"forged",
    "\u{1f480}\u{200d}\u{e0001}\u{feff}",
    "",
];

/// One of [`HOSTILE`], alone or in the midst of any text, up to 4 KiB long.
pub(super) fn hostile() -> impl Strategy<Value = String> {
    (prop::sample::select(&HOSTILE[..]), "\\PC{0,20}", any::<bool>()).prop_map(|(name, around, long)| {
        let text = format!("{around}{name}{around}");
        if long { text.repeat(4_096 / text.len().max(1) + 1) } else { text }
    })
}
