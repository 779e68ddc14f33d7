//! Splunk, by its HTTP Event Collector.
//!
//! An event has the fields of the webhook, under the id of the delivery, so that what comes twice can be told. How an
//! answer is understood (the numbers are those of Splunk's documentation of HEC):
//!
//! - 200 with code 0: delivered, which means received and not yet indexed.
//! - 400 with code 6, 12 or 13: the event is refused as it is, and given up at once.
//! - everything else is tried again: a token that is switched off or unknown and an index that is missing (code 1 to 4,
//!   7) can be put right, 8 and 9 are trouble of the server. An answer of 200 that is not Splunk's comes from something
//!   between.

use http::StatusCode;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Answer, Client, Format, HttpChannel, HttpConfig, Post};
use super::net::TlsSetupError;
use super::token::Token;
use super::{text, webhook};
use crate::domain::delivery::{Attempt, Delivery};

/// Where events are taken.
pub const PATH: &str = "/services/collector/event";
/// The `source` of every event.
const SOURCE: &str = "offchannel";
/// The `sourcetype` of every event, if the settings name no other.
pub const SOURCETYPE: &str = "offchannel:alert";
/// Most characters of a host name.
const HOST_MAX: usize = 255;

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to send, and how.
    pub http: HttpConfig,
    /// The token of the HTTP Event Collector.
    pub token: Token,
    /// The index, if not the token's own.
    pub index: Option<String>,
    /// The `sourcetype`.
    pub sourcetype: String,
}

/// A channel to Splunk.
pub type Splunk = HttpChannel<Events>;

impl Splunk {
    /// Makes the channel.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        let Config { http, token, index, sourcetype } = config;
        let client = Client::new(http, &[token.reveal()])?;
        Ok(Self::with(name, Events { token, index, sourcetype }, client))
    }
}

/// Events, one in each body.
#[derive(Debug)]
pub struct Events {
    token: Token,
    index: Option<String>,
    sourcetype: String,
}

/// What Splunk answers.
#[derive(Deserialize)]
struct Said {
    code: i64,
}

impl Format for Events {
    fn posts(&self, delivery: &Delivery, _: Timestamp) -> Result<Vec<Post>, serde_json::Error> {
        let notification = &delivery.notification;
        // As the webhook bounds it: evidence is dropped first, then long texts are cut.
        let mut event: Value = serde_json::from_slice(&webhook::render(notification)?)?;
        event["id"] = delivery.id.as_str().into();
        let micros = notification.at.as_microsecond();
        let mut body = json!({
            "time": format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000)),
            "source": SOURCE,
            "sourcetype": self.sourcetype,
            "event": event,
            "fields": {
                "alert_id": notification.alert.id,
                "alert_kind": notification.alert.kind,
                "severity": notification.alert.severity,
            },
        });
        if let Some(device) = &notification.device {
            body["host"] = text::clean(&device.hostname, HOST_MAX).into();
        }
        if let Some(index) = &self.index {
            body["index"] = index.as_str().into();
        }
        let authorization = format!("Splunk {}", self.token.reveal());
        Ok(vec![Post::new(serde_json::to_vec(&body)?).header("authorization", authorization)])
    }

    fn understand(&self, answer: &Answer, now: Timestamp) -> Attempt {
        let code = serde_json::from_str::<Said>(&answer.body).ok().map(|said| said.code);
        match (answer.status, code) {
            (StatusCode::OK, Some(0)) => Attempt::Delivered,
            (StatusCode::BAD_REQUEST, Some(6 | 12 | 13)) => answer.give_up("the event is refused as it is"),
            _ => answer.retry(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::samples;
    use crate::domain::delivery::Notification;

    fn body(notification: Notification) -> Vec<u8> {
        let events = Events {
            token: "s3cr3t".parse().unwrap(),
            index: Some("security".to_owned()),
            sourcetype: SOURCETYPE.to_owned(),
        };
        assert!(!format!("{events:?}").contains("s3cr3t"));
        let post = events.posts(&samples::delivery(notification), samples::at()).unwrap().remove(0);
        post.body().to_vec()
    }

    #[test]
    fn an_event_has_its_time_host_index_and_id() {
        let body: Value =
            serde_json::from_slice(&body(samples::prohibited("sam-laptop", "Telegram"))).unwrap();
        assert_eq!(body["time"], "1772618400.000000");
        assert_eq!((&body["host"], &body["index"]), (&"sam-laptop".into(), &"security".into()));
        assert_eq!(body["event"]["id"], samples::delivery(samples::unit()).id.as_str());
        assert_eq!(body["event"]["type"], "alert.opened");
        assert_eq!(body["event"]["data"]["app"]["name"], "Telegram");
        assert_eq!(body["fields"]["severity"], "high");
    }

    #[test]
    fn an_event_about_a_whole_unit_has_no_host() {
        let body: Value = serde_json::from_slice(&body(samples::unit())).unwrap();
        assert_eq!(body.get("host"), None);
        assert_eq!(body["event"]["data"]["unit"]["name"], "Finance");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_name_makes_an_event_large_or_another(name in samples::hostile()) {
            let body = body(samples::worst(&name));
            prop_assert!(body.len() <= webhook::BODY_MAX + 2_000, "{} bytes", body.len());
            let body: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&body["sourcetype"], SOURCETYPE);
            prop_assert_eq!(&body["event"]["type"], "alert.opened");
        }
    }
}
