//! Two machines with one key, which report turn by turn.

use offchannel_server::domain::alert::AlertAction::{Opened, Reopened, Resolved};
use offchannel_server::domain::alert::{AlertKind, AlertState};
use offchannel_server::domain::ingest;
use offchannel_shared::ids::Epoch;

use crate::world::{POLICY, World, at, story, told};

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
