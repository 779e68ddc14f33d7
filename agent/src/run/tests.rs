//! What the core does in each case that has a rule of its own.

use std::time::Duration;

use offchannel_shared::ids::Epoch;
use offchannel_shared::inventory::{Change, Health};
use offchannel_shared::wire::{CHECK_IN_PATH, REPORT_PATH, codes};

use super::simulation::{Network, World, app, bundle, key, moment};
use crate::state::Record;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A device that has reported an empty inventory.
fn settled() -> World {
    let mut world = World::new();
    world.pass(10 * MINUTE, u32::MAX);
    assert!(world.disk.is_acknowledged(), "{:?}", world.disk);
    world.collector.requests.clear();
    world
}

fn health(world: &World, source: &str) -> Health {
    let report = world.collector.current.as_ref().unwrap();
    report.inventory.sources.iter().find(|s| s.source == source).unwrap().health.clone()
}

#[test]
fn a_change_is_reported_within_the_debounce_and_nothing_waits_for_the_timer() {
    let mut world = settled();
    world.toggle(0);
    world.pass(Duration::from_millis(150), u32::MAX);
    assert!(world.is_known());
    assert_eq!(world.collector.requests, [REPORT_PATH]);
}

#[test]
fn when_nothing_changes_check_ins_go_on_and_the_disk_rests() {
    let mut world = settled();
    let writes = world.writes;
    world.pass(24 * HOUR, u32::MAX);
    assert_eq!(world.writes, writes);
    let check_ins = world.collector.requests.len();
    assert!((260..=320).contains(&check_ins), "{check_ins} requests in 288 intervals");
    assert!(world.collector.requests.iter().all(|path| *path == CHECK_IN_PATH));
}

#[test]
fn a_collector_that_is_away_for_a_day_costs_little_and_learns_what_came_and_went() {
    let mut world = settled();
    world.network = Network::Cut;
    let writes = world.writes;
    for _ in 0..2 {
        world.toggle(0);
        world.pass(12 * HOUR, u32::MAX);
    }
    assert!(world.writes - writes < 10, "{} writes", world.writes - writes);
    world.network = Network::Works;
    world.pass(HOUR, u32::MAX);
    let changes: Vec<_> = world.collector.transitions.iter().map(|t| t.change).collect();
    assert_eq!(changes, [Change::Appeared, Change::Disappeared]);
    assert!(world.disk.trouble.is_none());
}

#[test]
fn a_disk_that_is_full_holds_back_reports_but_not_check_ins() {
    let mut world = settled();
    world.disk_full = true;
    world.toggle(0);
    world.pass(HOUR, u32::MAX);
    assert!(!world.is_known());
    assert!(world.collector.requests.iter().all(|path| *path == CHECK_IN_PATH));
    assert!(world.collector.requests.len() > 8, "{}", world.collector.requests.len());
    world.disk_full = false;
    world.pass(15 * MINUTE, u32::MAX);
    assert!(world.is_known());
}

#[test]
fn retry_after_is_obeyed() {
    let mut world = settled();
    world.network = Network::Busy;
    world.toggle(0);
    world.pass(Duration::from_secs(1), u32::MAX);
    world.network = Network::Works;
    world.pass(Duration::from_secs(28), u32::MAX);
    assert_eq!(world.collector.requests, Vec::<&str>::new(), "asked for 30 s");
    world.pass(Duration::from_secs(5), u32::MAX);
    assert!(world.is_known());
}

#[test]
fn a_device_that_the_collector_does_not_know_asks_about_once_an_hour() {
    let mut world = settled();
    world.collector.refuse = Some(codes::DEVICE_UNKNOWN);
    world.toggle(0);
    world.pass(24 * HOUR, u32::MAX);
    assert!((20..=28).contains(&world.collector.requests.len()), "{}", world.collector.requests.len());
    let trouble = world.disk.trouble.clone().unwrap();
    assert!(trouble.what.contains("enrol it again"), "{trouble:?}");
    world.collector.refuse = None;
    world.pass(2 * HOUR, u32::MAX);
    assert!(world.is_known() && world.disk.trouble.is_none());
}

#[test]
fn a_refused_report_is_not_hammered_and_the_device_does_not_fall_silent() {
    let mut world = settled();
    world.collector.refuse = Some(codes::TOO_LARGE);
    world.toggle(0);
    world.pass(HOUR, u32::MAX);
    let (reports, others): (Vec<&str>, Vec<&str>) =
        world.collector.requests.iter().copied().partition(|path| *path == REPORT_PATH);
    assert!((5..=13).contains(&reports.len()), "{} reports", reports.len());
    assert!(others.len() >= 4, "{} check-ins", others.len());
}

#[test]
fn a_clock_that_is_off_is_told_and_worked_around() {
    let mut world = settled();
    world.collector.clock_ahead = 3600;
    world.collector.refuse = Some(codes::CLOCK_SKEW);
    world.toggle(0);
    world.pass(Duration::from_millis(200), u32::MAX);
    let wall = moment(world.now).wall;
    assert_eq!(world.core.time(wall).as_second() - wall.as_second(), 3600);
    world.collector.refuse = None;
    world.pass(15 * MINUTE, u32::MAX);
    assert!(world.is_known());
    assert!(matches!(health(&world, "clock"), Health::Partial(why) if why.contains("behind")));
    world.collector.clock_ahead = 100;
    world.pass(HOUR, u32::MAX);
    assert_eq!(health(&world, "clock"), Health::Ok);
}

#[test]
fn a_clock_that_is_put_right_at_once_is_not_told() {
    let mut world = settled();
    world.collector.clock_ahead = 3600;
    world.toggle(0);
    world.pass(Duration::from_secs(1), u32::MAX);
    let wall = moment(world.now).wall;
    assert_eq!(world.core.time(wall).as_second() - wall.as_second(), 3600);
    world.collector.clock_ahead = 0;
    world.pass(HOUR, u32::MAX);
    assert_eq!(world.collector.requests.iter().filter(|path| **path == REPORT_PATH).count(), 1);
    assert_eq!(health(&world, "clock"), Health::Ok);
}

#[test]
fn a_restored_state_starts_a_new_epoch_and_says_so_until_the_next_start() {
    let mut world = settled();
    let image = world.disk.clone();
    world.toggle(0);
    world.pass(MINUTE, u32::MAX);
    world.toggle(1);
    world.pass(MINUTE, u32::MAX);
    let epoch = world.disk.epoch.clone();
    world.disk = image;
    world.collector.restored = true;
    world.restart();
    world.pass(HOUR, u32::MAX);
    assert!(world.is_known());
    assert_ne!(world.disk.epoch, epoch);
    assert_eq!(world.disk.revision, 1);
    assert!(
        matches!(health(&world, "state"), Health::Partial(why) if why.contains("a new epoch was started"))
    );
}

#[test]
fn a_new_policy_is_stored_applied_and_reported() {
    let mut world = settled();
    world.toggle(0);
    world.pass(MINUTE, u32::MAX);
    world.collector.requests.clear();
    world.collector.bundle = Some(bundle(2, "", &key(1)));
    world.pass(6 * MINUTE, u32::MAX);
    assert_eq!(world.disk.policy_version, 2);
    assert_eq!(world.collector.current.as_ref().unwrap().policy_version, 2);
    let writes = world.writes;
    world.pass(HOUR, u32::MAX);
    assert_eq!(world.writes, writes, "the same bundle again is no news");
}

#[test]
fn new_catalogue_entries_are_looked_for_before_anything_is_reported() {
    let mut world = settled();
    let entry = "[[app]]\nid = \"acme-chat\"\nname = \"Acme Chat\"\nvendor = \"Acme\"\nkind = \"consumer\"\n\
                 networks = [\"acme\"]\nofficial = true\nhomepage = \"https://acme.example\"\n\
                 [app.match]\ndpkg = [\"acme-chat\"]\n";
    world.collector.bundle = Some(bundle(2, entry, &key(1)));
    world.pass(6 * MINUTE, u32::MAX);
    assert_eq!(world.forgets, 1, "what was recognised by the old catalogue must be looked at anew");
    assert_eq!(world.collector.current.as_ref().unwrap().policy_version, 2);
    world.pass(HOUR, u32::MAX);
    assert_eq!(world.forgets, 1);
}

#[test]
fn an_older_or_foreign_policy_is_refused_told_and_forgotten_once_the_right_one_comes() {
    for wrong in [bundle(0, "", &key(1)), bundle(9, "", &key(2))] {
        let mut world = settled();
        world.collector.bundle = Some(wrong);
        world.pass(6 * MINUTE, u32::MAX);
        assert!(
            matches!(health(&world, "policy"), Health::Failed(why) if why.contains("a policy was refused"))
        );
        assert_eq!(world.disk.policy_version, 1);
        let revision = world.disk.revision;
        world.pass(HOUR, u32::MAX);
        assert_eq!(world.disk.revision, revision, "the same refusal again is no news");
        world.collector.bundle = None;
        world.pass(10 * MINUTE, u32::MAX);
        assert_eq!(health(&world, "policy"), Health::Ok);
    }
}

#[test]
fn an_expired_policy_stays_in_force_and_says_so() {
    let mut world = settled();
    world.toggle(0);
    world.pass(31 * 24 * HOUR, u32::MAX);
    assert!(world.is_known());
    assert!(matches!(health(&world, "policy"), Health::Partial(why) if why.contains("expired")));
}

#[test]
fn a_rule_that_comes_into_force_is_reported_at_that_instant() {
    let mut world = settled();
    // 2027-01-15T08:00:00Z is the start of the simulation; the rule follows two hours later.
    let later = "effective_from = \"2027-01-15T10:00:00Z\"\n";
    world.collector.bundle = Some(bundle(2, later, &key(1)));
    world.toggle(0);
    world.pass(6 * MINUTE, u32::MAX);
    world.pass(Duration::from_secs(7199) - world.now, u32::MAX);
    assert!(!world.is_known(), "nothing is asked about yet");
    world.pass(Duration::from_secs(2), u32::MAX);
    assert!(world.is_known());
}

#[test]
fn an_older_policy_stays_out_when_the_state_is_lost() {
    let mut world = settled();
    world.collector.bundle = Some(bundle(6, "", &key(1)));
    world.pass(6 * MINUTE, u32::MAX);
    assert_eq!(world.disk.policy_version, 6);
    // What a damaged state.json leaves; policy.json is whole.
    world.disk = Record::new(Epoch::from_random([9; 16]));
    world.collector.bundle = Some(bundle(3, "", &key(1)));
    world.restart();
    world.pass(HOUR, u32::MAX);
    assert_eq!(world.disk.policy_version, 6);
    assert_eq!(world.collector.current.as_ref().unwrap().policy_version, 6);
    assert!(matches!(health(&world, "policy"), Health::Failed(why) if why.contains("a policy was refused")));
}

#[test]
fn a_kill_between_the_policy_and_the_record_brings_no_older_policy_back() {
    let mut world = settled();
    world.collector.bundle = Some(bundle(6, "", &key(1)));
    // As many steps as it takes to store the policy, and then none.
    while world.core.poll_policy().is_none() {
        world.pass(MINUTE, 2);
    }
    world.pass(Duration::ZERO, 1);
    assert_eq!(world.disk.policy_version, 1, "the record is older than the policy");
    world.collector.bundle = Some(bundle(3, "", &key(1)));
    world.restart();
    assert!(world.core.is_unsaved());
    world.pass(HOUR, u32::MAX);
    assert_eq!(world.disk.policy_version, 6);
    assert_eq!(world.collector.current.as_ref().unwrap().policy_version, 6);
}

#[test]
fn what_a_new_policy_does_not_ask_about_is_not_told_any_more_and_did_not_disappear() {
    let mut world = settled();
    world.toggle(0);
    world.pass(MINUTE, u32::MAX);
    assert!(world.is_known());
    world.collector.transitions.clear();
    // A change that is still owed when the new policy comes with the answer to a check-in.
    world.collector.refuse = Some(codes::TOO_LARGE);
    world.toggle(1);
    world.pass(Duration::from_secs(2), u32::MAX);
    assert_eq!(world.disk.transitions.len(), 1);
    world.collector.refuse = None;
    world.network = Network::Cut;
    // It asks about nothing yet.
    world.collector.bundle = Some(bundle(2, "effective_from = \"2028-01-01\"\n", &key(1)));
    world.restart();
    let answer = world.collector.bundle.clone();
    world.core.offered(answer, moment(world.now));
    world.network = Network::Works;
    world.pass(HOUR, u32::MAX);
    let report = world.collector.current.as_ref().unwrap();
    assert_eq!((report.policy_version, report.inventory.sightings.len()), (2, 0));
    assert_eq!(world.collector.transitions, [], "of {} and {}", app(0), app(1));
    assert_eq!((world.disk.transitions.len(), world.disk.transitions_lost), (0, 0));
}
