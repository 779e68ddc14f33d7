//! PagerDuty, by its Events API v2.
//!
//! An alert is an incident under its own id as `dedup_key`: it triggers when the alert opens, comes back, is due again
//! or is escalated, is acknowledged when somebody takes the alert up or puts it off, and resolves with it. The API has
//! no event for the rest, of which nothing is sent. How an answer is understood:
//!
//! - 202: accepted. What rules of the service make of it is not told.
//! - 400: the event is refused as it is, and given up at once.
//! - everything else is tried again: 429, 5xx, time-outs.

use std::fmt;
use std::str::FromStr;

use http::StatusCode;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;
use serde_json::{Map, Value, json};

use super::http::{Answer, Client, Format, HttpChannel, HttpConfig, Post};
use super::net::TlsSetupError;
use super::text::{self, Message};
use crate::domain::alert::AlertAction;
use crate::domain::delivery::{Attempt, Delivery};

/// Where events are taken, unless the settings name another place (`https://events.eu.pagerduty.com/v2/enqueue`).
pub const URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Most bytes of an event; the API takes 512 KB.
pub const BODY_MAX: usize = 100_000;
/// Most characters of a summary (the API).
const SUMMARY_MAX: usize = 1_024;
/// Characters of a routing key.
const KEY_LENGTH: usize = 32;

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to send, and how.
    pub http: HttpConfig,
    /// Whose incidents they are.
    pub routing_key: RoutingKey,
}

/// The key of an integration "Events API v2" of a service. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct RoutingKey(String);

/// A text that is no routing key. Says nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a routing key: expected {KEY_LENGTH} letters and digits")]
pub struct RoutingKeyError;

impl FromStr for RoutingKey {
    type Err = RoutingKeyError;
    fn from_str(text: &str) -> Result<Self, RoutingKeyError> {
        let good = text.len() == KEY_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if good { Ok(Self(text.to_owned())) } else { Err(RoutingKeyError) }
    }
}

impl fmt::Debug for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoutingKey(..)")
    }
}

/// A channel to PagerDuty.
pub type PagerDuty = HttpChannel<Incidents>;

impl PagerDuty {
    /// Makes the channel.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        let Config { http, routing_key } = config;
        let client = Client::new(http, &[&routing_key.0])?;
        Ok(Self::with(name, Incidents { routing_key }, client))
    }
}

/// Events that make, acknowledge and resolve incidents.
#[derive(Debug)]
pub struct Incidents {
    routing_key: RoutingKey,
}

impl Format for Incidents {
    fn posts(&self, delivery: &Delivery, _: Timestamp) -> Result<Vec<Post>, serde_json::Error> {
        let notification = &delivery.notification;
        let event = |action: &str| -> Result<Post, serde_json::Error> {
            let write = |message: &Message| {
                let mut event = json!({
                    "routing_key": self.routing_key.0,
                    "event_action": action,
                    "dedup_key": notification.alert.id,
                });
                if action == "trigger" {
                    event["payload"] = payload(delivery, message);
                    event["client"] = "Offchannel".into();
                }
                serde_json::to_vec(&event)
            };
            Ok(Post::new(text::fitted(notification, BODY_MAX, write)?))
        };
        if notification.test {
            // Nobody is to be kept awake by it.
            return Ok(vec![event("trigger")?, event("resolve")?]);
        }
        action(notification.action).map(event).into_iter().collect()
    }

    fn understand(&self, answer: &Answer, now: Timestamp) -> Attempt {
        match answer.status {
            status if status.is_success() => Attempt::Accepted,
            StatusCode::BAD_REQUEST => answer.give_up("the event is refused as it is"),
            _ => answer.retry(now),
        }
    }
}

/// The event for what happened to an alert.
const fn action(action: AlertAction) -> Option<&'static str> {
    match action {
        AlertAction::Opened | AlertAction::Reopened | AlertAction::Woke | AlertAction::Escalated => {
            Some("trigger")
        }
        AlertAction::Acknowledged | AlertAction::Snoozed => Some("acknowledge"),
        AlertAction::Resolved => Some("resolve"),
        AlertAction::Ceased | AlertAction::Assigned | AlertAction::Noted | AlertAction::Recorded => None,
    }
}

fn payload(delivery: &Delivery, message: &Message) -> Value {
    let notification = &delivery.notification;
    let unit = notification.unit.as_ref().map(|unit| unit.name.as_str());
    let source = notification.device.as_ref().map(|device| device.hostname.as_str()).or(unit);
    let source = Some(text::clean(source.unwrap_or_default(), 255)).filter(|source| !source.is_empty());
    let mut details: Map<String, Value> =
        message.facts.iter().map(|(label, value)| ((*label).to_owned(), value.as_str().into())).collect();
    for (label, value) in [
        ("Why", message.why.as_deref()),
        ("Use instead", message.instead.as_deref()),
        ("What to do", message.next),
    ] {
        details.extend(value.map(|value| (label.to_owned(), value.into())));
    }
    details.insert("Delivery".to_owned(), delivery.id.as_str().into());
    json!({
        "summary": text::clean(&message.title, SUMMARY_MAX),
        "source": source.as_deref().unwrap_or("offchannel"),
        "severity": text::grave(notification.alert.severity).pagerduty,
        "timestamp": notification.at,
        "class": notification.alert.kind,
        "component": notification.app.as_ref().map(|app| text::clean(&app.name, 255)),
        "group": unit.map(|unit| text::clean(unit, 255)),
        "custom_details": details,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::samples;
    use crate::domain::delivery::Notification;

    fn events(notification: Notification) -> Vec<Value> {
        let incidents = Incidents { routing_key: "R0123456789abcdef0123456789ABCDE".parse().unwrap() };
        let posts = incidents.posts(&samples::delivery(notification), samples::at()).unwrap();
        posts
            .iter()
            .map(|post| {
                assert!(post.body().len() <= BODY_MAX);
                serde_json::from_slice(post.body()).unwrap()
            })
            .collect()
    }

    #[test]
    fn an_alert_is_one_incident_from_its_beginning_to_its_end() {
        let mut notification = samples::prohibited("sam-laptop", "Telegram");
        for (action, expected) in [
            (AlertAction::Opened, &["trigger"][..]),
            (AlertAction::Acknowledged, &["acknowledge"]),
            (AlertAction::Noted, &[]),
            (AlertAction::Escalated, &["trigger"]),
            (AlertAction::Resolved, &["resolve"]),
            (AlertAction::Reopened, &["trigger"]),
        ] {
            notification.action = action;
            let events = events(notification.clone());
            let sent: Vec<&str> =
                events.iter().map(|event| event["event_action"].as_str().unwrap()).collect();
            assert_eq!(sent, expected, "{action}");
            assert!(events.iter().all(|event| event["dedup_key"] == notification.alert.id.as_str()));
        }
    }

    #[test]
    fn an_event_says_what_is_where_and_how_grave() {
        let event = events(samples::prohibited("sam-laptop", "Telegram")).remove(0);
        let payload = &event["payload"];
        assert_eq!(payload["summary"], "New alert: prohibited app: Telegram on sam-laptop in Finance");
        assert_eq!((&payload["source"], &payload["severity"]), (&"sam-laptop".into(), &"error".into()));
        assert_eq!(payload["class"], "prohibited-app");
        assert_eq!(payload["custom_details"]["Why"], "We cannot keep records of it.");
        let event = events(samples::unit()).remove(0);
        assert_eq!(event["payload"]["source"], "Finance");
    }

    #[test]
    fn a_test_leaves_no_incident_open() {
        let mut notification = samples::unit();
        notification.test = true;
        let events = events(notification);
        assert_eq!(events.len(), 2);
        assert!(events[0]["payload"]["summary"].as_str().unwrap().starts_with("TEST: "));
        assert_eq!(events[1]["event_action"], "resolve");
    }

    #[test]
    fn a_routing_key_is_of_the_apis_form_and_never_printed() {
        let key = "R0123456789abcdef0123456789ABCDE";
        assert!(!format!("{:?}", key.parse::<RoutingKey>().unwrap()).contains("0123"));
        for bad in ["", "short", &format!("{key}x"), &key.replace('R', "-")] {
            assert!(bad.parse::<RoutingKey>().is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_name_makes_an_event_that_is_refused(name in samples::hostile()) {
            let event = events(samples::worst(&name)).remove(0);
            let summary = event["payload"]["summary"].as_str().unwrap();
            prop_assert!((1..=SUMMARY_MAX).contains(&summary.chars().count()));
            prop_assert!(!event["payload"]["source"].as_str().unwrap().is_empty());
            prop_assert!(!summary.contains(char::is_control), "{:?}", summary);
        }
    }
}
