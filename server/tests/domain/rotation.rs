//! Replacing a device's key.

use offchannel_server::domain::alert::AlertAction::{Opened, Resolved};
use offchannel_server::domain::case::Decision;
use offchannel_server::domain::device::ReplacedKey;
use offchannel_server::domain::ingest::{self, Refusal};
use offchannel_server::domain::rotation::{ReplacedKeyUse, replaced_key_used, rotate};
use offchannel_shared::ids::DeviceId;
use offchannel_shared::signing::{PublicKey, RotationProof, SigningKey};
use offchannel_shared::wire::{RotateRequest, SCHEMA};

use crate::world::{POLICY, World, at, story, told};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32]).unwrap()
}

/// A device whose key is `key(1)`.
fn world() -> World {
    let mut world = World::new(POLICY);
    world.case.device.public_key = key(1).public().clone();
    world
}

fn request(device: &DeviceId, old: &PublicKey, new: &SigningKey) -> RotateRequest {
    let proof = RotationProof::make(new, device, old).unwrap();
    RotateRequest { schema: SCHEMA, public_key: new.public().clone(), proof }
}

fn asked(
    world: &mut World,
    minute: i64,
    signed_with: &SigningKey,
    request: &RotateRequest,
) -> Result<Option<Decision>, Refusal> {
    world.decide(minute, |case, context, ids| rotate(case, signed_with.public(), request, context, ids))
}

#[test]
fn the_old_key_signs_for_the_new_one_and_is_remembered_as_replaced() {
    let mut world = world();
    let device = world.case.device.id.clone();
    assert_eq!(world.case.device.key_since(), at(0), "the enrolment");
    let rotation = request(&device, key(1).public(), &key(2));
    assert!(asked(&mut world, 5, &key(1), &rotation).unwrap().is_some());
    assert_eq!(world.case.device.public_key, *key(2).public());
    let replaced = ReplacedKey { public_key: key(1).public().clone(), at: at(5) };
    assert_eq!(world.case.device.replaced_key, Some(replaced));
    assert_eq!((world.case.device.key_since(), world.case.device.last_seen), (at(5), at(5)));
}

#[test]
fn a_repetition_with_the_new_key_changes_nothing_and_one_with_the_old_key_is_refused() {
    let mut world = world();
    let device = world.case.device.id.clone();
    let rotation = request(&device, key(1).public(), &key(2));
    asked(&mut world, 5, &key(1), &rotation).unwrap();
    assert_eq!(asked(&mut world, 6, &key(2), &rotation), Ok(None));
    // Two such requests that were verified at the same time, one after the other.
    assert_eq!(asked(&mut world, 7, &key(1), &rotation), Err(Refusal::KeyReplaced(at(5))));
    assert_eq!(world.case.device.key_since(), at(5));
}

#[test]
fn a_replaced_key_does_not_come_back() {
    let mut world = world();
    let device = world.case.device.id.clone();
    asked(&mut world, 5, &key(1), &request(&device, key(1).public(), &key(2))).unwrap();
    let back = request(&device, key(2).public(), &key(1));
    assert_eq!(asked(&mut world, 6, &key(2), &back), Err(Refusal::KeyTaken));
}

#[test]
fn a_key_that_nobody_proves_to_have_is_refused() {
    let mut world = world();
    let device = world.case.device.id.clone();
    let other = DeviceId::from_random([8; 16]);
    let good = request(&device, key(1).public(), &key(2));
    for wrong in [
        RotateRequest { public_key: key(3).public().clone(), ..good.clone() },
        request(&other, key(1).public(), &key(2)),
        request(&device, key(4).public(), &key(2)),
    ] {
        assert_eq!(asked(&mut world, 5, &key(1), &wrong), Err(Refusal::KeyUnproven));
    }
    assert_eq!(world.case.device.public_key, *key(1).public());
}

#[test]
fn a_retired_device_replaces_nothing() {
    let mut world = world();
    let device = world.case.device.id.clone();
    world.decide(4, |case, context, ids| ingest::retire(case, context, ids)).unwrap();
    let rotation = request(&device, key(1).public(), &key(2));
    assert_eq!(asked(&mut world, 5, &key(1), &rotation), Err(Refusal::Retired(at(4))));
}

/// A device whose key was replaced at minute 5, by `key(2)`.
fn replaced() -> World {
    let mut world = world();
    let rotation = request(&world.case.device.id, key(1).public(), &key(2));
    asked(&mut world, 5, &key(1), &rotation).unwrap();
    world
}

fn used(minute: i64, offer: Option<RotateRequest>) -> ReplacedKeyUse {
    ReplacedKeyUse { key: key(1).public().clone(), signed_at: at(minute), heard_at: None, offer }
}

fn takes(world: &mut World, minute: i64, used: &ReplacedKeyUse) -> Option<Decision> {
    world.decide(minute, |case, context, ids| replaced_key_used(case, used, context, ids)).unwrap()
}

#[test]
fn a_replaced_key_that_is_used_after_the_new_one_gives_a_copy_away_once() {
    let mut world = replaced();
    world.report(6, &["telegram"]);
    let decision = takes(&mut world, 7, &used(7, None)).unwrap();
    assert_eq!(story(&decision, &world), [told(Opened, "device-cloned", 7)]);
    let note = decision.deliveries[0].notification.note.clone().unwrap();
    assert!(note.contains("the key that was replaced at"), "{note}");
    assert_eq!(decision.device.last_seen, at(6), "it is no sign of life of the device");
    assert_eq!(takes(&mut world, 8, &used(8, None)), None, "it is told once");
    // The copy cannot report: what the device says is about the device.
    let decision = world.report(9, &[]);
    assert_eq!(story(&decision, &world), [told(Resolved, "telegram", 9)]);
}

#[test]
fn a_device_that_was_not_told_of_its_new_key_is_no_copy() {
    let mut world = replaced();
    // The answer was lost: it goes on with the old key, and offers the new one again.
    let again = request(&world.case.device.id, key(1).public(), &key(2));
    for offer in [None, Some(again.clone())] {
        assert_eq!(takes(&mut world, 6, &used(6, offer)), None);
    }
    // The collector's answer to that with the new key is lost too, or the agent is killed before it saves.
    assert_eq!(asked(&mut world, 7, &key(2), &again), Ok(None));
    assert_eq!(takes(&mut world, 8, &used(8, None)), None);
    // It knows, but its disk was full when it was killed: it has both keys, as its offer shows.
    world.report(9, &[]);
    assert_eq!(takes(&mut world, 10, &used(10, Some(again))), None);
}

#[test]
fn what_was_signed_before_the_replacement_gives_nobody_away() {
    let mut world = replaced();
    world.report(6, &[]);
    for signed in [4, 5] {
        assert_eq!(takes(&mut world, 7, &used(signed, None)), None, "minute {signed}");
    }
    let other = ReplacedKeyUse { key: key(4).public().clone(), ..used(7, None) };
    assert_eq!(takes(&mut world, 7, &other), None, "another rotation came between");
}

#[test]
fn that_the_new_key_was_used_counts_before_it_is_on_record() {
    let mut world = replaced();
    let just_now = ReplacedKeyUse { heard_at: Some(at(6)), ..used(7, None) };
    assert!(takes(&mut world, 7, &just_now).is_some());
}

#[test]
fn an_offer_that_proves_nothing_gives_a_copy_away_like_anything_else() {
    let mut world = replaced();
    world.report(6, &[]);
    let device = world.case.device.id.clone();
    let own = request(&device, key(1).public(), &key(3));
    let unproven = RotateRequest { public_key: key(2).public().clone(), ..own.clone() };
    for offer in [own, unproven] {
        let mut world = replaced();
        world.report(6, &[]);
        assert!(takes(&mut world, 7, &used(7, Some(offer))).is_some());
    }
}
