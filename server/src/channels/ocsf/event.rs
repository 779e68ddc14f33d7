//! One compliance finding.
//!
//! An alert is a finding (`finding_info.uid` is its id) that is created, updated and closed.

use serde_json::{Map, Value, json};

use crate::channels::text::{self, Message};
use crate::domain::alert::{AlertAction, AlertState};
use crate::domain::delivery::{Delivery, Notification, NotifiedDevice};

/// The version of the schema. 1.4.0 is the oldest in which this class has a device and its resources without a profile, and
/// every later one of major version 1 takes the same events; so receivers with any schema since then can read it.
pub const VERSION: &str = "1.4.0";
/// Findings.
const CATEGORY: u32 = 2;
/// Compliance Finding.
const CLASS: u32 = 2003;
/// Most bytes of an event.
pub const EVENT_MAX: usize = 20_000;
/// Most characters of a name.
const NAME_MAX: usize = 255;

/// The event in one line of JSON, without a line break.
///
/// # Errors
/// Whatever `serde_json` refuses.
pub(super) fn render(delivery: &Delivery) -> Result<Vec<u8>, serde_json::Error> {
    text::fitted(&delivery.notification, EVENT_MAX, |message| serde_json::to_vec(&event(delivery, message)))
}

fn event(delivery: &Delivery, message: &Message) -> Value {
    let n = &delivery.notification;
    let activity = activity(n);
    let (status_id, status) = status(n.alert.state);
    let (compliance_id, compliance) = if status_id == 4 { (1, "Pass") } else { (3, "Fail") };
    let control = n.rule.as_ref().map_or_else(|| n.alert.kind.to_string(), |rule| name(&rule.id));
    let mut event = json!({
        "activity_id": activity,
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        // What a receiver sorts by, and what no validator compares with the two it is made of.
        "type_uid": type_uid(activity),
        "time": n.at.as_millisecond(),
        "severity_id": text::grave(n.alert.severity).ocsf,
        "status_id": status_id,
        "status": status,
        "message": message.title,
        "metadata": {
            "version": VERSION,
            "uid": delivery.id,
            "log_name": "alerts",
            "product": {
                "name": "Offchannel",
                "vendor_name": "Offchannel",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "finding_info": {
            "uid": n.alert.id,
            "title": message.title,
            "desc": message.why.as_deref().unwrap_or(&message.what),
            "created_time": n.alert.opened_at.as_millisecond(),
            "modified_time": n.at.as_millisecond(),
            "types": [n.alert.kind],
        },
        "compliance": {
            "control": control,
            "standards": ["Messaging policy"],
            "status_id": compliance_id,
            "status": compliance,
        },
        "unmapped": unmapped(n, message),
    });
    if let Some(next) = message.next {
        event["remediation"] = json!({ "desc": next });
    }
    if let Some(device) = &n.device {
        event["device"] = self::device(device);
    }
    let resources = resources(n);
    if !resources.is_empty() {
        event["resources"] = resources.into();
    }
    event
}

/// 1 create, 2 update, 3 close.
fn activity(n: &Notification) -> u32 {
    match n.action {
        AlertAction::Opened => 1,
        AlertAction::Resolved => 3,
        AlertAction::Reopened
        | AlertAction::Ceased
        | AlertAction::Acknowledged
        | AlertAction::Snoozed
        | AlertAction::Woke
        | AlertAction::Assigned
        | AlertAction::Noted
        | AlertAction::Recorded
        | AlertAction::Escalated => 2,
    }
}

/// The type: class and activity in one number.
fn type_uid(activity: u32) -> u32 {
    CLASS * 100 + activity
}

/// `status_id` of a finding and its name.
fn status(state: AlertState) -> (u32, &'static str) {
    match state {
        AlertState::Open => (1, "New"),
        AlertState::Acknowledged => (2, "In Progress"),
        AlertState::Snoozed => (3, "Suppressed"),
        AlertState::Resolved => (4, "Resolved"),
    }
}

fn device(device: &NotifiedDevice) -> Value {
    // Numbers of `os.type_id` and `device.type_id`; 0 is unknown, 99 other. Whether a computer is a laptop is not known.
    let (os, caption, type_id) = match device.platform.as_str() {
        "linux" => (200, "Linux", 0),
        "windows" => (100, "Windows", 0),
        "macos" => (300, "macOS", 0),
        "android" => (201, "Android", 5),
        "ios" => (301, "iOS", 5),
        "ipados" => (302, "iPadOS", 4),
        _ => (99, "Other", 0),
    };
    json!({
        "uid": name(&device.id),
        "hostname": name(&device.hostname),
        "type_id": type_id,
        "os": { "name": name(&device.platform), "type_id": os, "type": caption },
    })
}

/// The app and the unit that a finding is about.
fn resources(n: &Notification) -> Vec<Value> {
    let mut resources = Vec::new();
    if let Some(app) = &n.app {
        let mut resource = json!({ "uid": name(&app.id), "name": name(&app.name), "type": "Application" });
        if let Some(version) = n.evidence.iter().find_map(|place| place.version.as_deref()) {
            resource["version"] = name(version).into();
        }
        resources.push(resource);
    }
    if let Some(unit) = &n.unit {
        resources.push(json!({ "uid": name(&unit.id), "name": name(&unit.name), "type": "Unit" }));
    }
    resources
}

/// What the schema has no place for.
fn unmapped(n: &Notification, message: &Message) -> Map<String, Value> {
    let mut unmapped = Map::new();
    unmapped.insert("action".to_owned(), n.action.as_str().into());
    unmapped.insert("state".to_owned(), n.alert.state.as_str().into());
    unmapped.extend(message.instead.as_deref().map(|names| ("use_instead".to_owned(), names.into())));
    for (label, value) in &message.facts {
        if matches!(*label, "Found" | "Not in order" | "Cause" | "By" | "Note" | "Owner" | "Carried to") {
            unmapped.insert(label.to_lowercase().replace(' ', "_"), value.as_str().into());
        }
    }
    if n.test {
        unmapped.insert("test".to_owned(), true.into());
    }
    unmapped
}

/// A name; the schema wants some text where there is a name at all.
fn name(text: &str) -> String {
    let name = text::clean(text, NAME_MAX);
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::samples;

    fn read(notification: Notification) -> Value {
        let event = render(&samples::delivery(notification)).unwrap();
        assert!(event.len() <= EVENT_MAX && !event.contains(&b'\n'), "{} bytes", event.len());
        serde_json::from_slice(&event).unwrap()
    }

    #[test]
    fn a_finding_is_created_updated_and_closed_and_its_type_fits() {
        let mut notification = samples::prohibited("sam-laptop", "Telegram");
        for action in AlertAction::ALL {
            notification.action = action;
            let event = read(notification.clone());
            let activity = event["activity_id"].as_u64().unwrap();
            let expected = match action {
                AlertAction::Opened => 1,
                AlertAction::Resolved => 3,
                _ => 2,
            };
            assert_eq!(activity, expected, "{action}");
            assert_eq!(event["type_uid"], event["class_uid"].as_u64().unwrap() * 100 + activity);
            assert_eq!(event["class_uid"].as_u64().unwrap() / 1_000, event["category_uid"].as_u64().unwrap());
        }
    }

    #[test]
    fn a_finding_says_what_failed_where() {
        let event = read(samples::prohibited("sam-laptop", "Telegram"));
        assert_eq!(event["metadata"]["version"], VERSION);
        assert_eq!(event["compliance"]["control"], "no-consumer-messaging");
        assert_eq!(event["compliance"]["status"], "Fail");
        assert_eq!(event["device"]["os"]["type_id"], 200);
        assert_eq!(event["resources"][0]["version"], "4.6.5");
        assert_eq!(event["time"], 1_772_618_400_000_u64);
        let mut over = samples::prohibited("sam-laptop", "Telegram");
        over.alert.state = AlertState::Resolved;
        let event = read(over);
        assert_eq!((&event["status_id"], &event["compliance"]["status_id"]), (&4.into(), &1.into()));
    }

    #[test]
    fn a_finding_about_a_whole_unit_has_no_device() {
        let event = read(samples::unit());
        assert_eq!(event.get("device"), None);
        assert_eq!(event["resources"][0]["name"], "Finance");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_name_makes_a_finding_large_or_another(name in samples::hostile()) {
            let event = read(samples::worst(&name));
            prop_assert_eq!(&event["class_uid"], 2003);
            for text in [&event["message"], &event["device"]["hostname"], &event["resources"][0]["name"]] {
                prop_assert!(!text.as_str().unwrap().contains(char::is_control), "{}", text);
            }
        }
    }
}
