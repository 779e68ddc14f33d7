//! One message of RFC 5424:
//!
//! ```text
//! LENGTH <PRI>1 TIME HOSTNAME offchannel - TYPE [offchannel@NUMBER id="..." ...] BOM BODY
//! ```
//!
//! It has no line breaks and an end: receivers cut what is too long and log the rest as a message of its own. Texts are
//! made shorter first, so that the body stays whole; only what does not fit even then is cut off, with a mark.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use offchannel_shared::policy::Severity;

use super::{cef, json};
use crate::channels::net::Host;
use crate::channels::{text, webhook};
use crate::domain::alert::AlertState;
use crate::domain::delivery::{Delivery, Notification};

/// The enterprise number for documents (RFC 5612), as long as Offchannel has none of its own.
pub const ENTERPRISE_DEFAULT: u32 = 32_473;
/// Octets of a message, if nothing is said: what receivers should take (RFC 5424, section 6.1).
pub const OCTETS_DEFAULT: u32 = 2_048;
/// Fewest and most octets that can be asked for; above, rsyslog cuts.
pub const OCTETS_RANGE: (u32, u32) = (1_024, 8_096);

/// The name of the structured data, before `@` and the number.
const SD_NAME: &str = "offchannel";
/// Most characters of each text in the structured data, longest first.
const SD_CUTS: [usize; 2] = [64, 16];
/// Most characters of each text in the body, one after the other until it fits.
const CUTS: [usize; 5] = [400, 160, 60, 24, 8];
/// Says that the rest is missing.
const MARK: &str = "…";
/// Says that UTF-8 follows (RFC 5424, section 6.4).
const BOM: &str = "\u{feff}";

/// What stands in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// The object of the webhook.
    Json,
    /// ArcSight's Common Event Format.
    Cef,
}

impl Body {
    /// All bodies.
    pub const ALL: [Self; 2] = [Self::Json, Self::Cef];

    /// The word for it in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cef => "cef",
        }
    }
}

/// The facility (RFC 5424, table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// All that a program may use.
    pub const ALL: [Self; 15] = [
        Self(1),
        Self(2),
        Self(3),
        Self(4),
        Self(10),
        Self(13),
        Self(14),
        Self(16),
        Self(17),
        Self(18),
        Self(19),
        Self(20),
        Self(21),
        Self(22),
        Self(23),
    ];
    /// The one that is used if nothing is said.
    pub const DEFAULT: Self = Self(16);

    /// The usual word for it.
    pub const fn as_str(self) -> &'static str {
        match self.0 {
            1 => "user",
            2 => "mail",
            3 => "daemon",
            4 => "auth",
            10 => "authpriv",
            13 => "audit",
            14 => "alert",
            16 => "local0",
            17 => "local1",
            18 => "local2",
            19 => "local3",
            20 => "local4",
            21 => "local5",
            22 => "local6",
            _ => "local7",
        }
    }
}

/// How messages are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The body.
    pub body: Body,
    /// The facility.
    pub facility: Facility,
    /// What this collector calls itself.
    pub hostname: Host,
    /// The enterprise number of the structured data.
    pub enterprise: u32,
    /// Most octets of a message.
    pub octets: usize,
}

impl Shape {
    /// The message of a delivery, with its length before it.
    pub(super) fn frame(&self, delivery: &Delivery) -> Result<Vec<u8>, serde_json::Error> {
        let message = self.message(delivery)?;
        let mut frame = format!("{} ", message.len()).into_bytes();
        frame.extend_from_slice(message.as_bytes());
        Ok(frame)
    }

    /// The message of a delivery.
    pub(super) fn message(&self, delivery: &Delivery) -> Result<String, serde_json::Error> {
        let n = &delivery.notification;
        let mut message = String::new();
        let mut fits = false;
        for (cut, structured) in CUTS.iter().zip([SD_CUTS[0], SD_CUTS[0], SD_CUTS[0], SD_CUTS[1], SD_CUTS[1]])
        {
            message = self.head(delivery, structured);
            let room = self.octets.saturating_sub(message.len());
            let body = match self.body {
                Body::Json => json::body(n, *cut, room)?,
                Body::Cef => cef::body(n, self.hostname.as_str(), *cut),
            };
            message += &body;
            fits = message.len() <= self.octets;
            if fits {
                break;
            }
        }
        if !fits {
            let end = message.floor_char_boundary(self.octets.saturating_sub(MARK.len()));
            message.truncate(end);
            message += MARK;
        }
        Ok(message)
    }

    /// Everything before the body.
    fn head(&self, delivery: &Delivery, cut: usize) -> String {
        let n = &delivery.notification;
        let priority = u32::from(self.facility.0) * 8 + severity(n);
        let mut head = format!(
            "<{priority}>1 {} {} offchannel - {} [{SD_NAME}@{}",
            time(n.at),
            self.hostname,
            webhook::kind(n),
            self.enterprise
        );
        let short = |value: &str| text::clean(value, cut);
        let mut tell = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                head += &format!(" {name}=\"{}\"", escaped(&value));
            }
        };
        tell("id", Some(delivery.id.to_string()));
        tell("alert", Some(n.alert.id.to_string()));
        tell("kind", Some(n.alert.kind.as_str().to_owned()));
        tell("severity", Some(n.alert.severity.as_str().to_owned()));
        tell("state", Some(n.alert.state.as_str().to_owned()));
        tell("device", n.device.as_ref().map(|device| short(&device.id)));
        tell("host", n.device.as_ref().map(|device| short(&device.hostname)));
        tell("unit", n.unit.as_ref().map(|unit| short(&unit.id)));
        tell("app", n.app.as_ref().map(|app| short(&app.id)));
        tell("rule", n.rule.as_ref().map(|rule| short(&rule.id)));
        head += "] ";
        head += BOM;
        head
    }
}

/// A value within the quotes of structured data (RFC 5424, section 6.3.3).
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// An instant to the microsecond: RFC 5424 takes no more digits.
fn time(at: Timestamp) -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::Trunc);
    at.round(round).unwrap_or(at)
}

/// The severity (RFC 5424, table 2). What is over is told for the record.
fn severity(n: &Notification) -> u32 {
    match n.alert.severity {
        _ if n.test || n.alert.state == AlertState::Resolved => 6,
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}
