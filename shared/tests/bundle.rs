//! What an agent accepts as a policy: signed by a key it trusts, never older, never expired.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use jiff::Timestamp;
use offchannel_shared::device::Placement;
use offchannel_shared::policy::{BUNDLE_SCHEMA, BUNDLE_TYPE, Bundle, BundleError, parse};
use offchannel_shared::signing::{Envelope, SigningKey};
use offchannel_shared::span::Span;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

fn bundle(version: u64) -> Bundle {
    Bundle {
        schema: BUNDLE_SCHEMA,
        version,
        issued_at: now(),
        expires_at: Span::minutes(60).after(now()),
        placement: Placement::default(),
        policy: parse("schema = 1\nname = \"x\"").unwrap().policy,
    }
}

fn sealed(bundle: &Bundle) -> Envelope {
    Envelope::seal(BUNDLE_TYPE, &serde_json::to_vec(bundle).unwrap(), &key(1))
}

fn open(envelope: &Envelope, in_force: Option<u64>) -> Result<Bundle, BundleError> {
    Bundle::open(envelope, &[key(1).public().clone()], in_force, now())
}

#[test]
fn the_same_or_a_newer_version_is_taken() {
    assert_eq!(open(&sealed(&bundle(3)), None).unwrap(), bundle(3));
    assert_eq!(open(&sealed(&bundle(3)), Some(3)).unwrap(), bundle(3));
    assert_eq!(open(&sealed(&bundle(4)), Some(3)).unwrap(), bundle(4));
}

#[test]
fn an_older_version_is_refused() {
    let refused = open(&sealed(&bundle(2)), Some(3));
    assert!(matches!(refused, Err(BundleError::Older { offered: 2, in_force: 3 })), "{refused:?}");
}

#[test]
fn another_key_another_type_and_altered_content_are_refused() {
    let payload = serde_json::to_vec(&bundle(3)).unwrap();
    let mut altered = sealed(&bundle(3));
    altered.payload = sealed(&bundle(9)).payload;
    for envelope in [
        Envelope::seal(BUNDLE_TYPE, &payload, &key(2)),
        Envelope::seal("text/plain", &payload, &key(1)),
        altered,
    ] {
        let refused = open(&envelope, None);
        assert!(matches!(refused, Err(BundleError::Signature(_))), "{refused:?}");
    }
}

#[test]
fn an_expired_bundle_and_an_unknown_schema_are_refused() {
    let expired = Bundle { expires_at: now(), ..bundle(3) };
    assert!(matches!(open(&sealed(&expired), None), Err(BundleError::Expired(_))));
    let future = Bundle { schema: 2, ..bundle(3) };
    assert!(matches!(open(&sealed(&future), None), Err(BundleError::Schema(2))));
    let text = Envelope::seal(BUNDLE_TYPE, b"[]", &key(1));
    assert!(matches!(open(&text, None), Err(BundleError::Content(_))));
}

#[test]
fn fields_of_a_newer_collector_are_ignored() {
    let mut json = serde_json::to_value(bundle(3)).unwrap();
    json["from_the_future"] = 1.into();
    json["policy"]["from_the_future"] = 1.into();
    let envelope = Envelope::seal(BUNDLE_TYPE, json.to_string().as_bytes(), &key(1));
    assert_eq!(open(&envelope, None).unwrap(), bundle(3));
}
