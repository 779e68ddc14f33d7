//! What was ever sent is read for good: bodies that were recorded from version 1 on, by the types and by a
//! collector of today.
//!
//! A recorded body is never changed. A later version adds a folder of its own beside `v1`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use offchannel_shared::digest::Digest;
use offchannel_shared::inventory::{Change, Grade, Health};
use offchannel_shared::policy::Bundle;
use offchannel_shared::wire::{
    CHECK_IN_PATH, CheckInRequest, CheckInResponse, ENROL_PATH, EnrolRequest, EnrolResponse, ErrorBody,
    GOODBYE_PATH, GoodbyeRequest, REPORT_PATH, ROTATE_PATH, ReportRequest, ReportResponse, RotateRequest,
    RotateResponse, codes,
};
use offchannel_tests::device::json;
use offchannel_tests::{Signer, Site};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json as value};

/// The key of the device that was recorded.
const DEVICE: [u8; 32] = [7; 32];
/// The key that took its place.
const NEXT: [u8; 32] = [8; 32];

fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports/v1").join(format!("{name}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything of `old` is in `new`, which may have more.
fn includes(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            old.iter().all(|(key, old)| new.get(key).is_some_and(|new| includes(new, old)))
        }
        (Value::Array(new), Value::Array(old)) => {
            new.len() == old.len() && new.iter().zip(old).all(|(new, old)| includes(new, old))
        }
        (new, old) => new == old,
    }
}

/// The same with a field in every object that nobody knows yet.
fn from_a_later_peer(body: &Value) -> Value {
    match body {
        Value::Object(object) => {
            let fields = object.iter().map(|(key, field)| (key.clone(), from_a_later_peer(field)));
            fields.chain([("added_later".to_owned(), value!({"x": [1, null]}))]).collect()
        }
        Value::Array(list) => list.iter().map(from_a_later_peer).collect(),
        other => other.clone(),
    }
}

/// Reads a recorded body; what is read holds all that was recorded, and a later peer's additions change nothing.
#[track_caller]
fn read<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(name: &str) -> T {
    let body = recorded(name);
    let read: T =
        serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{name} is not read: {error}"));
    let again = serde_json::to_value(&read).expect("JSON");
    assert!(includes(&again, &body), "{name} lost something: {body:#} became {again:#}");
    let later: T = serde_json::from_value(from_a_later_peer(&body))
        .unwrap_or_else(|error| panic!("{name} of a later peer is not read: {error}"));
    assert_eq!(later, read, "{name} of a later peer");
    read
}

#[test]
fn recorded_requests_are_read_as_they_were_meant() {
    let enrol: EnrolRequest = read("enrol");
    assert_eq!(enrol.public_key, Signer::with_seed(&DEVICE).public_key());
    let report: ReportRequest = read("report");
    assert_eq!(Digest::of(&report.inventory), report.digest, "the digest of what was recorded");
    let mut grades: Vec<Grade> = report.inventory.sightings.iter().map(|sighting| sighting.grade).collect();
    grades.sort();
    grades.dedup();
    assert_eq!(grades, Grade::ALL, "every grade was recorded");
    let health = |source: &str| {
        let found = report.inventory.sources.iter().find(|health| health.source == source);
        found.map(|found| found.health.clone()).expect("a source")
    };
    assert_eq!((health("dpkg"), health("flatpak")), (Health::Ok, Health::Absent));
    assert!(matches!(health("snap"), Health::Partial(why) if why.contains("permission denied")));
    assert!(matches!(health("web-app"), Health::Failed(why) if why.contains("permission denied")));
    let changes: Vec<Change> = report.transitions.iter().map(|transition| transition.change).collect();
    assert_eq!(changes, [Change::Appeared, Change::Disappeared]);
    let check_in: CheckInRequest = read("check-in");
    assert_eq!((check_in.revision, check_in.digest), (report.revision, Some(report.digest)));
    let goodbye: GoodbyeRequest = read("goodbye");
    assert!(!goodbye.stays_up, "what an older agent does not say is not known");
    let goodbye: GoodbyeRequest = read("goodbye-stays-up");
    assert!(goodbye.stays_up);
    let rotate: RotateRequest = read("rotate");
    let enrolled: EnrolResponse = read("enrol-answer");
    assert_eq!(rotate.public_key, Signer::with_seed(&NEXT).public_key());
    assert!(rotate.proof.holds(&enrolled.device_id, &enrol.public_key, &rotate.public_key));
}

#[test]
fn recorded_answers_are_read_as_they_were_meant() {
    let answer: EnrolResponse = read("enrol-answer");
    let _: CheckInResponse = read("check-in-answer");
    let _: ReportResponse = read("report-answer");
    let _: RotateResponse = read("rotate-answer");
    let refusal: ErrorBody = read("refusal");
    assert_eq!(refusal.error.code, "clock_skew");

    let at: Timestamp = "2026-11-20T08:00:01Z".parse().expect("an instant");
    let bundle =
        Bundle::open(&answer.bundle, &answer.signing_keys, Some(3), at).expect("a bundle that was signed");
    let payload = STANDARD.decode(&answer.bundle.payload).expect("base64");
    let payload: Value = serde_json::from_slice(&payload).expect("JSON");
    let again = serde_json::to_value(&bundle).expect("JSON");
    assert!(includes(&again, &payload), "the bundle lost something: {payload:#} became {again:#}");
    let later: Bundle =
        serde_json::from_value(from_a_later_peer(&payload)).expect("a bundle of a later collector");
    assert_eq!(later, bundle);
    assert_eq!(bundle.policy.rules.len(), 3);
}

#[test]
fn the_catalogue_entries_of_a_later_collector_are_read() {
    let text = "schema = 1\nname = \"Overlay\"\n\n[[app]]\nid = \"intranet-chat\"\nname = \"Intranet chat\"\nvendor = \"Us\"\n\
                kind = \"workplace\"\nnetworks = [\"intranet-chat\"]\nofficial = true\nhomepage = \"https://chat.example.org\"\n\n\
                [app.match]\ndpkg = [\"intranet-chat\"]\n";
    let bundle = offchannel_tests::collector::bundle(1, text);
    let mut payload = serde_json::to_value(&bundle).expect("JSON");
    let entry = &mut payload["policy"]["apps"]["intranet-chat"];
    assert!(entry.is_object(), "{payload:#}");
    entry["added_later"] = value!(true);
    let later: Bundle = serde_json::from_value(payload).expect("a bundle of a later collector");
    assert_eq!(later, bundle);
}

#[test]
fn a_collector_of_today_takes_what_was_recorded() {
    let site = Site::serving();
    let client = site.client();
    let signer = Signer::with_seed(&DEVICE);
    let mut enrol = recorded("enrol");
    enrol["token"] = site.token_with(&["--unit", "sales"]).1.into();
    let enrolled: EnrolResponse = signer.post(&client, ENROL_PATH, &json(&enrol)).ok();
    let signer = signer.named(enrolled.device_id.as_str());

    let report = recorded("report");
    let answer: ReportResponse = signer.post(&client, REPORT_PATH, &json(&report)).ok();
    assert_eq!(answer.accepted_revision, 7);
    let answer: CheckInResponse = signer.post(&client, CHECK_IN_PATH, &json(&recorded("check-in"))).ok();
    assert!(!answer.report_wanted, "the check-in says what the report said");
    // It is read and understood; its proof is for the device that was recorded, and this is another one.
    let (status, code, message) = signer.post(&client, ROTATE_PATH, &json(&recorded("rotate"))).refusal();
    assert_eq!((status, code.as_str()), (422, codes::KEY_UNPROVEN), "{message}");
    let goodbye = signer.post(&client, GOODBYE_PATH, &json(&recorded("goodbye")));
    assert_eq!((goodbye.status, goodbye.body.len()), (204, 0), "{}", goodbye.text());

    let device = site.only_device();
    let sent = report["inventory"]["sightings"].as_array().expect("sightings");
    let shown = device["sightings"].as_array().expect("sightings");
    assert_eq!(shown.len(), sent.len(), "{device:#}");
    for (shown, sent) in shown.iter().zip(sent) {
        for field in ["app", "grade", "source", "identifier", "version", "scope"] {
            assert_eq!(shown[field], sent.get(field).cloned().unwrap_or_default(), "{field} of {shown:#}");
        }
    }
    assert_eq!(device["device"]["hostname"], "sam-laptop", "{device:#}");
    assert_eq!(device["sources"].as_array().map(Vec::len), Some(6), "{device:#}");
    // What came and went before it was reported is an alert that opened and resolved.
    assert_eq!(site.alert_about("hexchat")["state"], "resolved");
    assert_eq!(site.alert_about("telegram")["state"], "open");
}
