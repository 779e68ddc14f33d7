//! Replacing a device's key.

use offchannel_server::domain::case::Decision;
use offchannel_server::domain::device::ReplacedKey;
use offchannel_server::domain::ingest::{self, Refusal};
use offchannel_server::domain::rotation::rotate;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::signing::{PublicKey, RotationProof, SigningKey};
use offchannel_shared::wire::{RotateRequest, SCHEMA};

use crate::world::{POLICY, World, at};

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
