//! Two machines with one key, which report turn by turn.

use offchannel_server::domain::alert::AlertAction::{Opened, Reopened, Resolved};
use offchannel_server::domain::alert::{AlertAction, AlertKind, AlertState};
use offchannel_server::domain::ingest;
use offchannel_shared::ids::Epoch;

use crate::world::{POLICY, World, at, inventory, story, told};

#[test]
fn copies_that_take_turns_are_one_alert_and_no_other_comes_and_goes_with_them() {
    let mut world = World::new(POLICY);
    let (original, copy) = (Epoch::from_random([1; 16]), Epoch::from_random([2; 16]));
    let mut stories = Vec::new();
    for turn in 0..6 {
        let (epoch, apps): (_, &[&str]) =
            if turn % 2 == 0 { (&original, &["telegram"]) } else { (&copy, &[]) };
        world.epoch = epoch.clone();
        let decision = world.report(turn, apps);
        stories.extend(story(&decision, &world));
    }
    // The second report, of another epoch, may as well be of the same machine whose state was lost.
    let resolved = told(Resolved, "telegram", 1);
    let reopened = told(Reopened, "telegram", 2);
    let expected = [told(Opened, "telegram", 0), resolved, told(Opened, "device-cloned", 2), reopened];
    assert_eq!(stories, expected);
    // Until the device is retired: its copies are enrolled under names of their own.
    world.decide(9, |case, context, ids| ingest::retire(case, context, ids)).unwrap();
    assert_eq!(world.case.alerts.len(), 2);
    for alert in &world.case.alerts {
        assert_eq!((alert.state, alert.changed_at), (AlertState::Resolved, at(9)), "{}", alert.kind);
    }
    assert!(world.case.alerts.iter().any(|alert| alert.kind == AlertKind::DeviceCloned));
}

/// Reports from a machine with this hash.
fn from(world: &mut World, minute: i64, machine: &str) -> Vec<(AlertAction, String, i64)> {
    world.revision += 1;
    let mut request = world.request(&inventory(&[]), Vec::new(), at(minute));
    request.facts.machine = machine.to_owned();
    let decided = world.decide(minute, |case, context, ids| ingest::report(case, &request, context, ids));
    let decision = decided.unwrap().unwrap();
    story(&decision, world)
}

#[test]
fn another_machine_is_told_as_what_it_is_and_as_no_copy() {
    let mut world = World::new(POLICY);
    assert_eq!(from(&mut world, 1, "m1"), [], "the first one is noted");
    assert_eq!(from(&mut world, 2, ""), [], "an id that cannot be read is no other machine");
    assert_eq!(from(&mut world, 3, "m1"), []);
    assert_eq!(from(&mut world, 4, ""), []);
    // Its state comes with it, and starts an epoch there.
    world.epoch = Epoch::from_random([8; 16]);
    assert_eq!(from(&mut world, 5, "m2"), [told(Opened, "machine-changed", 5)], "what it was stays known");
    assert_eq!(from(&mut world, 6, "m2"), []);
    assert_eq!(from(&mut world, 7, "m1"), [], "nothing proves that it is over");
    assert_eq!(world.case.alerts.len(), 1);
}

#[test]
fn two_machines_that_take_turns_are_copies() {
    let mut world = World::new(POLICY);
    let (original, copy) = (Epoch::from_random([1; 16]), Epoch::from_random([2; 16]));
    let mut stories = Vec::new();
    for turn in 0..4 {
        let (epoch, machine) = if turn % 2 == 0 { (&original, "m1") } else { (&copy, "m2") };
        world.epoch = epoch.clone();
        stories.extend(from(&mut world, turn, machine));
    }
    assert_eq!(stories, [told(Opened, "machine-changed", 1), told(Opened, "device-cloned", 2)]);
}

#[test]
fn a_repetition_from_a_machine_whose_id_cannot_be_read_changes_nothing() {
    let mut world = World::new(POLICY);
    from(&mut world, 1, "m1");
    let request = world.request(&inventory(&[]), Vec::new(), at(1));
    assert_eq!(request.facts.machine, "");
    let again = world.decide(2, |case, context, ids| ingest::report(case, &request, context, ids));
    assert_eq!(again, Ok(None));
}
