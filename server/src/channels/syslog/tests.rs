//! What messages look like, and that they stay within bounds whatever devices are called.

use proptest::prelude::*;

use super::message::{Body, ENTERPRISE_DEFAULT, Facility, OCTETS_DEFAULT, OCTETS_RANGE, Shape};
use crate::channels::samples;
use crate::domain::alert::{AlertAction, AlertKind, AlertState};
use crate::domain::delivery::Notification;

fn shape(body: Body, octets: u32) -> Shape {
    Shape {
        body,
        facility: Facility::DEFAULT,
        hostname: "collector.example.org".parse().unwrap(),
        enterprise: ENTERPRISE_DEFAULT,
        octets: octets as usize,
    }
}

fn message(notification: Notification, body: Body) -> String {
    shape(body, OCTETS_DEFAULT).message(&samples::delivery(notification)).unwrap()
}

/// Header with structured data, and body, of a message.
fn parts(message: &str) -> (&str, &str) {
    message.split_once("] \u{feff}").unwrap()
}

#[test]
fn a_message_has_every_field_of_the_rfc() {
    let message = message(samples::prohibited("sam-laptop", "Telegram"), Body::Cef);
    let ids = samples::delivery(samples::unit());
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "<131>1 2026-03-04T10:00:00Z collector.example.org offchannel - alert.opened \
         [offchannel@32473 id=\"{}\" alert=\"{}\" kind=\"prohibited-app\" severity=\"high\" state=\"open\" \
         device=\"dev_1\" host=\"sam-laptop\" unit=\"finance\" app=\"telegram\" rule=\"no-consumer-messaging\"] \u{feff}\
         CEF:0|Offchannel|Collector|{version}|prohibited-app|prohibited-app opened|8|\
         rt=1772618400000 start=1772618400000 dvchost=collector.example.org externalId={} cat=prohibited-app act=opened \
         outcome=open deviceExternalId=dev_1 dhost=sam-laptop suser=collector duser=Ada cs1Label=rule \
         cs1=no-consumer-messaging cs2Label=app cs2=Telegram cs3Label=version cs3=4.6.5 cs4Label=unit cs4=Finance \
         cs5Label=alternatives cs5=Microsoft Teams cs6Label=platform cs6=linux reason=We cannot keep records of it. \
         msg=New alert: prohibited app: Telegram on sam-laptop in Finance.",
        ids.id, ids.alert, ids.alert
    );
    assert_eq!(message, expected);
}

#[test]
fn a_frame_begins_with_the_octets_of_its_message() {
    let delivery = samples::delivery(samples::prohibited("sam-laptop", "日本語"));
    let shape = shape(Body::Json, OCTETS_DEFAULT);
    let frame = String::from_utf8(shape.frame(&delivery).unwrap()).unwrap();
    let (length, message) = frame.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), message.len());
    assert_eq!(message, shape.message(&delivery).unwrap());
}

#[test]
fn values_cannot_leave_their_quotes_nor_their_fields() {
    let mut notification = samples::prohibited("a\"] x=\"y\\", "a|b=c\\d cs1=e");
    notification.at = "2026-03-04T10:00:00.123456789Z".parse().unwrap();
    let message = message(notification, Body::Cef);
    let (head, body) = parts(&message);
    assert!(head.contains(" host=\"a\\\"\\] x=\\\"y\\\\\" "), "{head}");
    assert!(head.contains(" 2026-03-04T10:00:00.123456Z "), "{head}");
    assert!(body.contains(" cs2=a|b\\=c\\\\d cs1\\=e cs3Label=version"), "{body}");
}

#[test]
fn what_is_over_is_told_for_the_record() {
    let mut notification = samples::prohibited("sam-laptop", "Telegram");
    notification.alert.state = AlertState::Resolved;
    assert!(message(notification, Body::Json).starts_with("<134>1 "));
}

#[test]
fn every_kind_and_action_has_a_message() {
    let mut notification = samples::prohibited("sam-laptop", "Telegram");
    for kind in AlertKind::ALL {
        for action in AlertAction::ALL {
            (notification.alert.kind, notification.action) = (kind, action);
            for body in Body::ALL {
                let message = message(notification.clone(), body);
                let id = message.split(' ').nth(5).unwrap();
                assert!(id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_name_makes_a_message_long_or_two(
        name in samples::hostile(),
        octets in OCTETS_RANGE.0..=OCTETS_RANGE.1,
        body in prop::sample::select(&Body::ALL[..]),
    ) {
        let message = shape(body, octets).message(&samples::delivery(samples::worst(&name))).unwrap();
        prop_assert!(message.len() <= octets as usize, "{} octets", message.len());
        prop_assert!(!message.contains(|c: char| c.is_control() || "\u{2028}\u{2029}\u{202e}".contains(c)), "{message:?}");
        let (head, body_text) = parts(&message);
        // The only quotes that are not escaped are those of ten values.
        let bare = head.replace("\\\\", "").replace("\\\"", "");
        prop_assert_eq!(bare.matches('"').count() % 2, 0, "{}", head);
        match body {
            Body::Json if octets >= OCTETS_DEFAULT => {
                let value: serde_json::Value = serde_json::from_str(body_text).unwrap();
                prop_assert_eq!(&value["type"], "alert.opened");
            }
            Body::Json => {}
            Body::Cef => prop_assert!(body_text.starts_with("CEF:0|Offchannel|Collector|")),
        }
    }
}
