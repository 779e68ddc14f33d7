//! The body of a webhook.

use serde::Serialize;
use serde_json::Value;

use crate::domain::alert::AlertAction;
use crate::domain::delivery::{Notification, NotifiedAlert, NotifiedApp, NotifiedDevice};
use crate::domain::digest::Digest;

/// Most bytes of a body (Standard Webhooks).
pub const BODY_MAX: usize = 20_000;
/// Lengths to which texts are cut, one after the other, if a body is too large without its evidence.
/// A device chooses its own host name and versions; it must not be able to silence an alert with them.
const CUTS: [usize; 3] = [1024, 256, 64];

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: jiff::Timestamp,
    data: &'a Notification,
}

impl<'a> Body<'a> {
    fn of(data: &'a Notification) -> Self {
        Self { kind: kind(data), timestamp: data.at, data }
    }
}

/// The body in JSON, at most [`BODY_MAX`] bytes: evidence is dropped first, then long texts are cut.
///
/// # Errors
/// Whatever `serde_json` refuses.
pub(in crate::channels) fn render(notification: &Notification) -> Result<Vec<u8>, serde_json::Error> {
    let whole = serde_json::to_vec(&Body::of(notification))?;
    if whole.len() <= BODY_MAX {
        return Ok(whole);
    }
    let mut smaller = notification.clone();
    while smaller.evidence.pop().is_some() {
        let body = serde_json::to_vec(&Body::of(&smaller))?;
        if body.len() <= BODY_MAX {
            return Ok(body);
        }
    }
    let mut value = serde_json::to_value(Body::of(&smaller))?;
    for most in CUTS {
        cut(&mut value, most);
        let body = serde_json::to_vec(&value)?;
        if body.len() <= BODY_MAX {
            return Ok(body);
        }
    }
    serde_json::to_vec(&value)
}

/// The body in JSON, however long it is.
///
/// # Errors
/// Whatever `serde_json` refuses.
pub(in crate::channels) fn whole(notification: &Notification) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Body::of(notification))
}

/// What a digest tells of one alert.
#[derive(Serialize)]
struct Told<'a> {
    changes: Vec<AlertAction>,
    alert: &'a NotifiedAlert,
    device: Option<&'a NotifiedDevice>,
    unit: Option<&'a str>,
    app: Option<&'a NotifiedApp>,
    rule: Option<&'a str>,
}

#[derive(Serialize)]
struct DigestBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: jiff::Timestamp,
    data: DigestData<'a>,
}

#[derive(Serialize)]
struct DigestData<'a> {
    digest: &'a str,
    from: jiff::Timestamp,
    to: jiff::Timestamp,
    /// All of them.
    count: usize,
    alerts: Vec<Told<'a>>,
    /// How many of them are left out of `alerts`, for want of room.
    more: usize,
}

/// The body of a digest, at most [`BODY_MAX`] bytes: with as many alerts as there is room for, the gravest first.
///
/// # Errors
/// Whatever `serde_json` refuses.
pub(super) fn digest_body(digest: &Digest<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let alerts = digest.alerts();
    let (from, to) = digest.between().unwrap_or_default();
    // Lists are cut below, too.
    let mut shown = alerts.len().min(CUTS[1]);
    loop {
        let some = alerts.iter().take(shown).map(|one| Told {
            changes: one.changes.clone(),
            alert: &one.last.alert,
            device: one.last.device.as_ref(),
            unit: one.last.unit.as_ref().map(|unit| unit.id.as_str()),
            app: one.last.app.as_ref(),
            rule: one.last.rule.as_ref().map(|rule| rule.id.as_str()),
        });
        let data = DigestData {
            digest: digest.group,
            from,
            to,
            count: alerts.len(),
            alerts: some.collect(),
            more: alerts.len() - shown,
        };
        let body = DigestBody { kind: "alert.digest", timestamp: to, data };
        let mut value = serde_json::to_value(&body)?;
        // A device chooses its own host name.
        cut(&mut value, CUTS[1]);
        let body = serde_json::to_vec(&value)?;
        if body.len() <= BODY_MAX || shown == 0 {
            return Ok(body);
        }
        shown = shown * 3 / 4;
    }
}

/// The type of a notification.
pub(in crate::channels) fn kind(notification: &Notification) -> &'static str {
    if notification.test {
        return "channel.test";
    }
    match notification.action {
        AlertAction::Opened => "alert.opened",
        AlertAction::Reopened => "alert.reopened",
        AlertAction::Ceased => "alert.ceased",
        AlertAction::Resolved => "alert.resolved",
        AlertAction::Acknowledged => "alert.acknowledged",
        AlertAction::Snoozed => "alert.snoozed",
        AlertAction::Woke => "alert.woke",
        AlertAction::Assigned => "alert.assigned",
        AlertAction::Noted => "alert.noted",
        AlertAction::Recorded => "alert.recorded",
        AlertAction::Escalated => "alert.escalated",
    }
}

/// Cuts texts to a number of characters and lists to as many elements.
fn cut(value: &mut Value, most: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(most) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(list) => {
            list.truncate(most);
            list.iter_mut().for_each(|element| cut(element, most));
        }
        Value::Object(object) => object.values_mut().for_each(|field| cut(field, most)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::samples;

    fn notification(hostname: &str, evidence: usize, version: &str) -> Notification {
        let mut notification = samples::prohibited(hostname, "Telegram");
        notification.action = AlertAction::Reopened;
        let mut place = notification.evidence.remove(0);
        place.version = Some(version.to_owned());
        notification.evidence = vec![place; evidence];
        notification
    }

    fn read(notification: &Notification) -> Value {
        let body = render(notification).unwrap();
        assert!(body.len() <= BODY_MAX, "{} bytes", body.len());
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_digest_says_what_became_of_each_alert() {
        let parts = samples::digested();
        let body: Value = serde_json::from_slice(&digest_body(&samples::digest(&parts)).unwrap()).unwrap();
        assert_eq!(
            (&body["type"], &body["timestamp"]),
            (&"alert.digest".into(), &"2026-03-04T11:00:00Z".into())
        );
        let data = &body["data"];
        assert_eq!((&data["count"], &data["more"]), (&3.into(), &0.into()));
        assert_eq!(
            data["alerts"][2]["changes"],
            serde_json::json!(["opened", "resolved", "reopened", "resolved"])
        );
        assert_eq!(data["alerts"][2]["device"]["hostname"], "sam-laptop");
        let parts = samples::worst_digest(&"\u{1}".repeat(200_000));
        let body = digest_body(&samples::digest(&parts)).unwrap();
        assert!(body.len() <= BODY_MAX, "{} bytes", body.len());
        let body: Value = serde_json::from_slice(&body).unwrap();
        let shown = body["data"]["alerts"].as_array().unwrap().len();
        assert!(shown > 0 && body["data"]["more"] == 251 - shown, "{shown}");
    }

    #[test]
    fn a_body_says_what_happened_when_and_to_what() {
        let body = read(&notification("sam-laptop", 1, "4.6.5"));
        assert_eq!(body["type"], "alert.reopened");
        assert_eq!(body["timestamp"], "2026-03-04T10:00:00Z");
        assert_eq!(body["data"]["alert"]["kind"], "prohibited-app");
        assert_eq!(body["data"]["device"]["hostname"], "sam-laptop");
        assert_eq!(body["data"]["evidence"][0]["identifier"], "telegram-desktop");
    }

    #[test]
    fn evidence_is_dropped_before_anything_else() {
        let body = read(&notification("sam-laptop", 10, &"9".repeat(3_000)));
        let kept = body["data"]["evidence"].as_array().unwrap().len();
        assert!((1..10).contains(&kept), "{kept} places kept");
        assert_eq!(body["data"]["device"]["hostname"], "sam-laptop");
    }

    #[test]
    fn a_device_cannot_make_a_body_too_large() {
        let body = read(&notification(&"\u{1}".repeat(200_000), 10, &"9".repeat(200_000)));
        assert_eq!(body["data"]["app"]["id"], "telegram");
        assert!(body["data"]["device"]["hostname"].as_str().unwrap().ends_with('…'));
    }
}
