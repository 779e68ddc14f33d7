//! Replacing keys: against lost requests, answers and power, a fleet's clocks, copies and collectors that were put back.

use std::time::Duration;

use offchannel_shared::inventory::Health;
use offchannel_shared::wire::{CHECK_IN_PATH, REPORT_PATH, ROTATE_PATH, codes};
use proptest::prelude::*;

use super::events::Notes;
use super::simulation::{Network, World, identity, moment};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A device that asks for a new key every day, give or take a tenth.
fn daily() -> World {
    asking_every(DAY)
}

fn asking_every(every: Duration) -> World {
    let mut world = World::new();
    world.settings.rotate_every = Some(every);
    world.restart();
    world.pass(10 * MINUTE, u32::MAX);
    assert!(world.disk.is_acknowledged() && world.agrees());
    world.collector.requests.clear();
    world
}

fn rotations(world: &World) -> usize {
    world.collector.requests.iter().filter(|path| **path == ROTATE_PATH).count()
}

#[test]
fn a_key_is_replaced_when_its_time_has_come_and_not_before() {
    let mut world = daily();
    world.pass(21 * HOUR, u32::MAX);
    assert_eq!((rotations(&world), world.collector.keys.len()), (0, 1));
    world.pass(7 * HOUR, u32::MAX);
    assert_eq!((rotations(&world), world.collector.keys.len()), (1, 2));
    assert!(world.agrees());
    assert_eq!(world.collector.wrongly_signed, 0);
    world.pass(10 * DAY, u32::MAX);
    assert!((11..=13).contains(&world.collector.keys.len()), "{} keys", world.collector.keys.len());
    assert_eq!(world.collector.wrongly_signed, 0, "every request was signed with the key in force");
}

#[test]
fn restarts_neither_bring_it_forward_nor_put_it_off() {
    let mut world = daily();
    for _ in 0..28 {
        world.restart();
        world.pass(HOUR, u32::MAX);
    }
    assert_eq!(world.collector.keys.len(), 2);
}

#[test]
fn never_means_never() {
    let mut world = daily();
    world.settings.rotate_every = None;
    world.restart();
    world.pass(40 * DAY, u32::MAX);
    assert_eq!(rotations(&world), 0);
}

#[test]
fn a_copy_of_a_device_replaces_no_key() {
    let mut world = daily();
    world.settings.copied = true;
    world.settings.notes = Notes { identity: Some("made elsewhere".to_owned()), key: None };
    world.restart();
    world.pass(3 * DAY, u32::MAX);
    assert_eq!(rotations(&world), 0, "it would lock out the original");
    let report = world.collector.current.as_ref().unwrap();
    let health = report.inventory.sources.iter().find(|s| s.source == "identity").map(|s| s.health.clone());
    assert_eq!(health, Some(Health::Partial("made elsewhere".to_owned())));
}

#[test]
fn a_lost_answer_is_made_up_for_with_the_new_key() {
    let mut world = daily();
    world.pass(20 * HOUR, u32::MAX);
    while world.collector.keys.len() == 1 {
        world.network = Network::LosesAnswers;
        world.pass(MINUTE, u32::MAX);
    }
    assert!(!world.agrees(), "the device does not know yet");
    world.network = Network::Works;
    world.pass(HOUR, u32::MAX);
    assert!(world.agrees());
    assert_eq!(world.collector.keys.len(), 2, "it is the key that was offered first");
    world.toggle(0);
    world.pass(MINUTE, u32::MAX);
    assert!(world.is_known());
}

#[test]
fn a_collector_that_cannot_replace_keys_is_asked_once_a_day_and_served_as_before() {
    let mut world = daily();
    world.collector.without_rotation = true;
    world.pass(10 * DAY, u32::MAX);
    assert!((7..=12).contains(&rotations(&world)), "{}", rotations(&world));
    assert!(world.collector.requests.iter().filter(|path| **path == CHECK_IN_PATH).count() > 2_000);
    assert_eq!(world.collector.wrongly_signed, 0);
    assert!(world.disk.trouble.is_none(), "{:?}", world.disk.trouble);
    world.collector.without_rotation = false;
    world.pass(2 * DAY, u32::MAX);
    assert!(world.collector.keys.len() >= 2 && world.agrees());
}

#[test]
fn a_collector_that_was_put_back_to_before_the_rotation_is_led_to_the_key_in_use() {
    let mut world = daily();
    world.pass(28 * HOUR, u32::MAX);
    assert_eq!(world.collector.keys.len(), 2);
    // Its database was restored from a backup of yesterday.
    world.collector.keys.truncate(1);
    world.toggle(0);
    world.pass(3 * HOUR, u32::MAX);
    assert!(world.is_known() && world.agrees());
    assert!(world.disk.trouble.is_none());
}

#[test]
fn a_collector_that_was_put_back_while_the_next_key_is_offered_is_led_to_it_too() {
    let mut world = daily();
    world.pass(28 * HOUR, u32::MAX);
    world.collector.keys.truncate(1);
    // The next key is on disk, and whether it was offered is not known any more.
    world.identity.next = Some(crate::identity::Seed::from_random([55; 32]));
    world.restart();
    world.pass(3 * HOUR, u32::MAX);
    assert!(world.agrees());
    assert_eq!(world.collector.keys.len(), 3);
    assert!(world.disk.trouble.is_none());
}

#[test]
fn a_device_whose_key_somebody_else_replaced_says_so_and_asks_once_an_hour() {
    let mut world = daily();
    // A copy was faster.
    world.collector.keys.push(super::simulation::key(77).public().clone());
    world.toggle(0);
    world.pass(DAY, u32::MAX);
    assert!((20..=60).contains(&world.collector.requests.len()), "{}", world.collector.requests.len());
    let trouble = world.disk.trouble.clone().unwrap();
    assert!(trouble.what.contains("put a new token"), "{trouble:?}");
    assert!(world.core.poll_enrol().is_some(), "a token would help");
    assert!(world.core.poll_enrol().is_none(), "once after each refusal");
}

#[test]
fn an_exposed_key_is_replaced_at_the_first_chance_and_then_all_is_well() {
    let mut world = daily();
    world.identity.key_since = Some(jiff::Timestamp::UNIX_EPOCH);
    world.settings.notes.key = Some("exposed".to_owned());
    world.restart();
    world.pass(10 * MINUTE, u32::MAX);
    assert_eq!(world.collector.keys.len(), 2);
    assert!(world.agrees());
    let report = world.collector.current.as_ref().unwrap();
    let health = report.inventory.sources.iter().find(|s| s.source == "identity").map(|s| s.health.clone());
    assert_eq!(health, Some(Health::Ok));
}

#[test]
fn what_is_altered_on_the_way_is_not_taken_for_a_lost_key_and_not_hammered() {
    for path in [REPORT_PATH, CHECK_IN_PATH] {
        let mut world = daily();
        world.pass(28 * HOUR, u32::MAX);
        assert_eq!(world.collector.keys.len(), 2, "there is a key before");
        world.collector.altered = Some(path);
        world.collector.requests.clear();
        world.toggle(0);
        world.pass(6 * HOUR, u32::MAX);
        let most = if path == REPORT_PATH { 200 } else { 250 };
        assert!(world.collector.requests.len() < most, "{path}: {}", world.collector.requests.len());
        world.collector.altered = None;
        world.pass(2 * HOUR, u32::MAX);
        assert!(world.is_known() && world.agrees() && world.disk.trouble.is_none(), "{path}");
        assert_eq!(world.collector.keys.len(), 2);
    }
}

#[test]
fn a_collector_that_fails_at_the_rotation_alone_does_not_silence_the_device() {
    let mut world = daily();
    world.collector.refuse = Some(codes::KEY_UNPROVEN);
    world.pass(3 * DAY, u32::MAX);
    world.collector.refuse = None;
    world.collector.requests.clear();
    world.pass(30 * MINUTE, u32::MAX);
    assert!(world.collector.requests.contains(&CHECK_IN_PATH));
    world.pass(2 * DAY, u32::MAX);
    assert!(world.agrees());
}

#[test]
fn keys_of_earlier_versions_are_replaced_spread_over_one_interval() {
    let (every, now) = (30 * DAY, moment(Duration::ZERO).wall);
    let mut births: Vec<_> = (0..300_u128)
        .map(|number| {
            let mut identity = identity();
            identity.enrolment.device_id =
                offchannel_shared::ids::DeviceId::from_random(number.to_be_bytes());
            super::assumed_birth(&identity, every, now)
        })
        .collect();
    births.sort();
    births.dedup();
    assert_eq!(births.len(), 300);
    let ages: Vec<i64> = births.iter().map(|birth| now.as_second() - birth.as_second()).collect();
    assert!(ages.iter().all(|age| (0..=30 * 86_400).contains(age)));
    let young = ages.iter().filter(|age| **age < 15 * 86_400).count();
    assert!((110..190).contains(&young), "{young}");
}

#[derive(Debug, Clone)]
enum Event {
    Toggle(usize),
    Network(Network),
    DiskFull(bool),
    Kill(u64, u32),
    Pass(u64),
    /// The collector's database is put back to before the last rotation.
    PutBack,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let network = prop_oneof![
        3 => Just(Network::Works),
        1 => Just(Network::Cut),
        3 => Just(Network::LosesAnswers),
        1 => Just(Network::Busy)
    ];
    let event = prop_oneof![
        2 => (0usize..3).prop_map(Event::Toggle),
        4 => network.prop_map(Event::Network),
        1 => any::<bool>().prop_map(Event::DiskFull),
        // Around the time of a rotation every single step is a place to die at.
        6 => (0u64..180, 0u32..60).prop_map(|(minutes, most)| Event::Kill(minutes, most)),
        3 => (0u64..30, 0u32..8).prop_map(|(minutes, most)| Event::Kill(minutes, most)),
        4 => (0u64..180).prop_map(Event::Pass),
        1 => Just(Event::PutBack),
    ];
    proptest::collection::vec(event, 0..30)
}

proptest! {
    #[test]
    fn whatever_happens_the_device_is_never_locked_out(events in events()) {
        let mut world = asking_every(2 * HOUR);
        for event in events {
            match event {
                Event::Toggle(number) => world.toggle(number),
                Event::Network(network) => world.network = network,
                Event::DiskFull(full) => world.disk_full = full,
                Event::Kill(minutes, most) => {
                    world.pass(Duration::from_secs(minutes * 60), most);
                    world.restart();
                }
                Event::Pass(minutes) => {
                    world.pass(Duration::from_secs(minutes * 60), u32::MAX);
                }
                Event::PutBack => {
                    // One rotation back, from a state that both sides know of.
                    if world.agrees() && world.collector.keys.len() > 1 {
                        world.collector.keys.pop();
                        world.network = Network::Works;
                        world.disk_full = false;
                        world.pass(3 * HOUR, u32::MAX);
                    }
                }
            }
        }
        world.network = Network::Works;
        world.disk_full = false;
        world.pass(3 * HOUR, u32::MAX);
        // One that is under way at this moment ends within minutes.
        for _ in 0..4 {
            if !world.agrees() {
                world.pass(10 * MINUTE, u32::MAX);
            }
        }
        prop_assert!(world.agrees(), "{:?}\n{:?}", world.core.identity(), world.collector.keys);
        prop_assert!(world.is_known() && world.disk.trouble.is_none(), "{:?}", world.disk.trouble);
        prop_assert!(world.disk.is_acknowledged() && world.disk.transitions.is_empty());
        let before = world.collector.wrongly_signed;
        world.pass(6 * HOUR, u32::MAX);
        prop_assert_eq!(world.collector.wrongly_signed, before, "and goes on without a wrong signature");
    }
}
