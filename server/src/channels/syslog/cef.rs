//! The body in ArcSight's Common Event Format, version 0:
//!
//! ```text
//! CEF:0|Offchannel|Collector|VERSION|KIND|NAME|SEVERITY|key=value key=value
//! ```
//!
//! What a device chooses stands in the extension only. Its values are single lines without invisible characters.

use offchannel_shared::policy::Severity;

use crate::channels::text;
use crate::domain::delivery::Notification;

/// The body, with texts of at most so many characters.
pub(super) fn body(n: &Notification, hostname: &str, cut: usize) -> String {
    let message = text::message(n, cut);
    let mut out = format!(
        "CEF:0|Offchannel|Collector|{}|{}|{}|{}|",
        header(env!("CARGO_PKG_VERSION")),
        header(n.alert.kind.as_str()),
        header(&format!("{} {}", n.alert.kind, n.action)),
        severity(n.alert.severity),
    );
    let short = |value: &str| text::clean(value, cut);
    let mut first = true;
    let mut tell = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let space = if first { "" } else { " " };
            first = false;
            out += &format!("{space}{key}={}", extension(&value));
        }
    };
    tell("rt", Some(n.at.as_millisecond().to_string()));
    tell("start", Some(n.alert.opened_at.as_millisecond().to_string()));
    tell("dvchost", Some(hostname.to_owned()));
    tell("externalId", Some(n.alert.id.to_string()));
    tell("cat", Some(if n.test { "test".to_owned() } else { n.alert.kind.to_string() }));
    tell("act", Some(n.action.to_string()));
    tell("outcome", Some(n.alert.state.to_string()));
    tell("deviceExternalId", n.device.as_ref().map(|device| short(&device.id)));
    tell("dhost", n.device.as_ref().map(|device| short(&device.hostname)));
    tell("suser", Some(short(&n.actor)));
    tell("duser", n.unit.as_ref().and_then(|unit| unit.owner.as_deref()).map(short));
    // Six fields have no meaning of their own; each has its label beside it.
    let version = n.evidence.iter().find_map(|place| place.version.as_deref());
    for (field, label, value) in [
        ("cs1", "rule", n.rule.as_ref().map(|rule| short(&rule.id))),
        ("cs2", "app", n.app.as_ref().map(|app| short(&app.name))),
        ("cs3", "version", version.map(short)),
        ("cs4", "unit", n.unit.as_ref().map(|unit| short(&unit.name))),
        ("cs5", "alternatives", message.instead.clone()),
        ("cs6", "platform", n.device.as_ref().map(|device| short(&device.platform))),
    ] {
        if value.as_ref().is_some_and(|value| !value.is_empty()) {
            tell(&format!("{field}Label"), Some(label.to_owned()));
            tell(field, value);
        }
    }
    tell("reason", message.why.clone());
    tell("msg", Some(message.what.clone()));
    out
}

/// 0 to 10: up to 3 low, 6 medium, 8 high, then very high.
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}

/// A value between the bars.
fn header(value: &str) -> String {
    value.replace('\\', "\\\\").replace('|', "\\|")
}

/// A value in the extension. Line breaks have an escape there, too; none comes so far.
fn extension(value: &str) -> String {
    value.replace('\\', "\\\\").replace('=', "\\=")
}
