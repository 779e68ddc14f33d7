//! What people read of a notification, whatever the channel: what happened, to which app, on which device of which unit,
//! why it matters, what to use instead, what to do. Pure; a channel adds the escapes of its own markup.
//!
//! Names come from devices and are hostile: every text here is one line without control and direction characters, and
//! has an end.

mod clean;
pub mod digest;

use offchannel_shared::policy::Severity;

pub use clean::clean;

use crate::domain::alert::{AlertAction, AlertKind, AlertState, COLLECTOR};
use crate::domain::delivery::{Evidence, Notification, Trouble};

/// Most characters of a title.
const TITLE_MAX: usize = 200;
/// Most characters of a subject.
const SUBJECT_MAX: usize = 100;
/// Lengths to which texts are cut, one after the other, until a channel has room for the message.
const CUTS: [usize; 4] = [400, 160, 60, 24];
/// Most places and troubles that are named.
const NAMED: usize = 3;

/// What is told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What happened, in a few words.
    pub title: String,
    /// What happened, in a sentence.
    pub what: String,
    /// Why the organisation minds.
    pub why: Option<String>,
    /// What to use instead.
    pub instead: Option<String>,
    /// What is to be done now.
    pub next: Option<&'static str>,
    /// Everything else, by its label.
    pub facts: Vec<(&'static str, String)>,
}

/// Makes a message of a notification and has it written by `write`, with shorter and shorter texts until what is
/// written has at most `most` bytes. What is too long even then is returned as it is.
///
/// # Errors
/// The first error of `write`.
pub fn fitted<E>(
    notification: &Notification,
    most: usize,
    write: impl Fn(&Message) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let mut written = Vec::new();
    for cut in CUTS {
        written = write(&message(notification, cut))?;
        if written.len() <= most {
            break;
        }
    }
    Ok(written)
}

/// What is told, with texts of at most so many characters.
pub fn message(notification: &Notification, most: usize) -> Message {
    let n = notification;
    let text = |text: &str| clean(text, most);
    let (noun, next) = words(n.alert.kind);
    let next = if n.action == AlertAction::Ceased { RECORDS } else { next };
    let mut about = noun.to_owned();
    if let Some(app) = &n.app {
        about += &format!(": {}", text(&app.name));
    }
    let device = n.device.as_ref().map(|device| text(&device.hostname));
    if let Some(device) = &device {
        about += &format!(" on {device}");
    }
    let unit = match (&n.unit, &n.device) {
        (Some(unit), _) => Some(text(&unit.name)),
        (None, Some(device)) => device.unit.as_deref().map(text),
        (None, None) => None,
    };
    if let Some(unit) = &unit {
        about += &format!(" in {unit}");
    }
    let by = (n.actor != COLLECTOR).then(|| text(&n.actor));
    let happened = happened(n.action);
    let (mark, note) =
        if n.test { ("TEST: ", "This only tries out the channel: nothing happened. ") } else { ("", "") };
    let mut what = format!("{note}{happened}: {about}");
    if let Some(by) = &by {
        what += &format!(", by {by}");
    }
    what.push('.');
    let over = n.alert.state == AlertState::Resolved;
    let instead: Vec<String> =
        n.rule.iter().flat_map(|rule| &rule.alternatives).take(NAMED).map(|name| text(name)).collect();
    Message {
        title: clean(&format!("{mark}{happened}: {about}"), TITLE_MAX.min(most * 3)),
        what,
        why: n.rule.as_ref().map(|rule| text(&rule.reason)).filter(|why| !why.is_empty()),
        instead: (!instead.is_empty()).then(|| instead.join(", ")),
        next: (!over && !n.test).then_some(next),
        facts: facts(n, unit, by, most),
    }
}

/// What an alert is about, in a few words that stay the same whatever happens to it: what has one subject is one
/// conversation.
pub fn subject(notification: &Notification) -> String {
    let n = notification;
    let (noun, _) = words(n.alert.kind);
    let mut subject = if n.test { format!("TEST: {noun}") } else { noun.to_owned() };
    if let Some(app) = &n.app {
        subject += &format!(" {}", clean(&app.name, SUBJECT_MAX / 3));
    }
    match (&n.device, &n.unit) {
        (Some(device), _) => subject += &format!(" on {}", clean(&device.hostname, SUBJECT_MAX / 3)),
        (None, Some(unit)) => subject += &format!(" in {}", clean(&unit.name, SUBJECT_MAX / 3)),
        (None, None) => {}
    }
    clean(&subject, SUBJECT_MAX)
}

fn facts(
    n: &Notification,
    unit: Option<String>,
    by: Option<String>,
    most: usize,
) -> Vec<(&'static str, String)> {
    let text = &|text: &str| clean(text, most);
    let mut facts = Vec::new();
    let mut tell = |label, value: Option<String>| {
        let value = value.map(|value| clean(&value, most.saturating_mul(2)));
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (label, value)));
    };
    tell("App", n.app.as_ref().map(|app| text(&app.name)));
    tell("Device", n.device.as_ref().map(|d| format!("{} ({})", text(&d.hostname), text(&d.platform))));
    tell("Unit", unit);
    tell("Owner", n.unit.as_ref().and_then(|unit| unit.owner.as_deref()).map(text));
    tell("Severity", Some(n.alert.severity.as_str().to_owned()));
    tell("State", Some(n.alert.state.to_string()));
    tell("Cause", n.alert.cause.map(|cause| cause.as_str().to_owned()));
    tell("Rule", n.rule.as_ref().map(|rule| text(&rule.id)));
    tell("Found", named(&n.evidence, |place| found(place, text)));
    tell("Not in order", named(&n.troubles, |trouble| wrong(trouble, text)));
    tell("By", by);
    tell("Note", n.note.as_deref().map(text));
    tell("Assigned to", n.alert.assignee.as_deref().map(text));
    tell("Put off until", n.alert.snoozed_until.map(instant));
    tell("Carried to", n.escalation.as_ref().map(|step| text(&step.to)));
    tell("Open since", Some(instant(n.alert.opened_at)));
    tell("Alert", Some(n.alert.id.to_string()));
    facts
}

/// The first few of a list, and how many more there are.
fn named<T>(list: &[T], name: impl Fn(&T) -> String) -> Option<String> {
    let mut names: Vec<String> = list.iter().take(NAMED).map(name).collect();
    match list.len().saturating_sub(NAMED) {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    (!names.is_empty()).then(|| names.join("; "))
}

fn found(place: &Evidence, text: &dyn Fn(&str) -> String) -> String {
    let version = place.version.as_deref().map(|version| format!(" {}", text(version))).unwrap_or_default();
    format!(
        "{} {}{version} ({}, {})",
        text(&place.source),
        text(&place.identifier),
        text(&place.grade),
        text(&place.scope)
    )
}

fn wrong(trouble: &Trouble, text: &dyn Fn(&str) -> String) -> String {
    format!("{}: {}", text(&trouble.source), text(&trouble.why))
}

/// An instant for people, to the minute.
fn instant(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// What is to be done where an app is gone, and with it what was written.
const RECORDS: &str =
    "State what became of the business records, or that there were none; the alert closes then.";

/// What an alert is about, and what is to be done about it.
const fn words(kind: AlertKind) -> (&'static str, &'static str) {
    match kind {
        AlertKind::ProhibitedApp => (
            "prohibited app",
            "Have the app removed, or have an exception approved. The alert resolves by itself when the app is gone.",
        ),
        AlertKind::UnreviewedApp => {
            ("messaging app that no rule names", "Decide whether the policy is to prohibit or to allow it.")
        }
        AlertKind::RequiredAppMissing => ("required app missing", "Have one of the required apps installed."),
        AlertKind::DeviceSilent => (
            "silent device",
            "Find out whether the device is in use and its agent runs; retire it if it is gone.",
        ),
        AlertKind::AgentUninstalled => {
            ("agent removed", "Find out who removes the agent and why; retire the device if that is meant.")
        }
        AlertKind::AgentStopped => (
            "agent stopped on a device that stays up",
            "Find out who stopped the agent and why, and start it again.",
        ),
        AlertKind::AgentTampered => {
            ("agent tampered with", "Look at the device: files of the agent were altered or lost.")
        }
        AlertKind::DeviceCloned => {
            ("key of a device used twice", "Find the second machine, and enrol both anew.")
        }
        AlertKind::MachineChanged => (
            "device that reports from another machine",
            "Ask whether the device was repaired or installed anew; if it was, enrol it again and retire the old one.",
        ),
        AlertKind::PolicyRefused => (
            "policy refused by the agent",
            "Compare what the agent says with the policy and the signing key of the collector.",
        ),
        AlertKind::SourceUnreadable => (
            "places that cannot be looked at",
            "Look at what the agent says on the device: apps in these places are not seen.",
        ),
        AlertKind::ClockOff => ("clock that is off", "Have the clock of the device set."),
        AlertKind::ExceptionEnding => (
            "exception that is about to end",
            "Find out whether it is still needed: a new one has to be asked for and approved, else what it accepts counts again.",
        ),
        AlertKind::UnitSurge => (
            "surge of breaches",
            "Talk to whoever answers for the unit: `offchannel-server ledger list --unit` has the breaches, and its own alert each.",
        ),
    }
}

/// What happened to an alert.
const fn happened(action: AlertAction) -> &'static str {
    match action {
        AlertAction::Opened => "New alert",
        AlertAction::Reopened => "Back again",
        AlertAction::Ceased => "Over, records to be seen to",
        AlertAction::Resolved => "Resolved",
        AlertAction::Acknowledged => "Taken up",
        AlertAction::Snoozed => "Put off",
        AlertAction::Woke => "Due again",
        AlertAction::Assigned => "Assigned",
        AlertAction::Noted => "Note",
        AlertAction::Recorded => "Records stated",
        AlertAction::Escalated => "Escalated",
    }
}

/// How grave an alert is, in the words and numbers of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grave {
    /// `severity_id` of OCSF: 1 informational to 5 critical.
    pub ocsf: u8,
    /// `severity` of PagerDuty: `info`, `warning`, `error` or `critical`.
    pub pagerduty: &'static str,
    /// Colour of an adaptive card's text.
    pub card: &'static str,
}

/// How grave a severity is elsewhere.
pub const fn grave(severity: Severity) -> Grave {
    let (ocsf, pagerduty, card) = match severity {
        Severity::Info => (1, "info", "Default"),
        Severity::Low => (2, "info", "Accent"),
        Severity::Medium => (3, "warning", "Warning"),
        Severity::High => (4, "error", "Attention"),
        Severity::Critical => (5, "critical", "Attention"),
    };
    Grave { ocsf, pagerduty, card }
}

#[cfg(test)]
mod tests;
