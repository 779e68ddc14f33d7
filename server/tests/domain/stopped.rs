//! When an agent that was stopped counts as switched off.

use offchannel_server::domain::alert::AlertAction::{Opened, Resolved};
use offchannel_server::domain::alert::AlertKind;
use offchannel_shared::policy::Severity;
use offchannel_shared::wire::GoodbyeReason;

use crate::world::{POLICY, World, at, story, told};

/// Silence shall not come in between.
fn world() -> World {
    World::new(&POLICY.replace("\"1h\"", "\"7d\""))
}

#[test]
fn an_agent_that_is_stopped_on_a_device_that_stays_up_is_an_alert_after_an_hour() {
    let mut world = world();
    world.report(1, &[]);
    let decision = world.goodbye(2, GoodbyeReason::Stop, true);
    assert_eq!(story(&decision, &world), []);
    assert_eq!(decision.device.evaluate_at, Some(at(62)));
    assert_eq!(story(&world.evaluate(61), &world), []);
    let decision = world.evaluate(62);
    assert_eq!(story(&decision, &world), [told(Opened, "agent-stopped", 62)]);
    let alert = &world.case.alerts[0];
    assert_eq!((alert.kind, alert.severity), (AlertKind::AgentStopped, Severity::High));
    // Its silence is no second case.
    assert_eq!(story(&world.evaluate(60 * 24 * 30), &world), []);
    let decision = world.heard(60 * 24 * 31);
    assert_eq!(story(&decision, &world), [told(Resolved, "agent-stopped", 60 * 24 * 31)]);
}

#[test]
fn an_agent_that_comes_back_within_the_hour_is_none() {
    let mut world = world();
    world.report(1, &[]);
    world.goodbye(2, GoodbyeReason::Stop, true);
    assert_eq!(story(&world.heard(3), &world), []);
    assert_eq!(story(&world.evaluate(70), &world), []);
    world.goodbye(100, GoodbyeReason::Stop, true);
    assert_eq!(story(&world.report(159, &[]), &world), []);
    assert_eq!(story(&world.evaluate(170), &world), []);
}

#[test]
fn what_is_not_known_accuses_nobody() {
    for (reason, stays_up) in
        [(GoodbyeReason::Stop, false), (GoodbyeReason::Shutdown, false), (GoodbyeReason::Shutdown, true)]
    {
        let mut world = world();
        world.report(1, &[]);
        world.goodbye(2, reason, stays_up);
        assert_eq!(story(&world.evaluate(1_000), &world), [], "{reason:?}, {stays_up}");
    }
}

#[test]
fn nobody_is_switched_off_who_could_not_be_heard() {
    let mut world = world();
    world.report(1, &[]);
    world.goodbye(2, GoodbyeReason::Stop, true);
    // The collector was away meanwhile, and has been back for half an hour.
    world.serving_since = at(90);
    let decision = world.evaluate(120);
    assert_eq!(story(&decision, &world), []);
    assert_eq!(decision.device.evaluate_at, Some(at(150)));
    assert_eq!(story(&world.evaluate(150), &world), [told(Opened, "agent-stopped", 150)]);
}
