//! What another policy or an exception makes of an alert that is there, and what people may open again.

use offchannel_server::domain::alert::AlertAction::{Reopened, Resolved};
use offchannel_server::domain::alert::{Act, ActError, AlertKind, Cause};
use offchannel_server::domain::exception::Covers;
use offchannel_server::domain::in_force_exceptions::InForceExceptions;
use offchannel_server::domain::ingest::{self, Refusal};
use offchannel_shared::ids::{AppId, DeviceId, Epoch, ExceptionId};
use offchannel_shared::policy::{self, Severity, parse};

use crate::world::{POLICY, World, at, story, told};

fn resolve(world: &mut World, minute: i64, cause: Cause) -> Result<(), ActError> {
    act(world, minute, 0, &Act::Resolve { cause, records: None })
}

fn act(world: &mut World, minute: i64, which: usize, act: &Act) -> Result<(), ActError> {
    let id = world.case.alerts[which].id.clone();
    let by = ("ada", Some("said"));
    let decided = world.decide(minute, |case, context, ids| ingest::act(case, &id, act, by, context, ids));
    decided.map(drop).map_err(|refusal| match refusal {
        Refusal::Act(error) => error,
        other => panic!("refused: {other}"),
    })
}

#[test]
fn an_alert_is_as_grave_and_closes_as_its_rule_says_now() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    let terms = |world: &World| (world.case.alerts[0].severity, world.case.alerts[0].records_needed);
    assert_eq!(terms(&world), (Severity::High, false));
    let stricter = POLICY.replace("\"high\"", "\"critical\"\nrecords_step = true");
    world.in_force.policy = parse(&stricter).unwrap().policy;
    world.evaluate(2);
    assert_eq!(terms(&world), (Severity::Critical, true));
    assert_eq!(resolve(&mut world, 3, Cause::FalsePositive), Err(ActError::RecordsMissing));
    world.in_force.policy = parse(POLICY).unwrap().policy;
    world.evaluate(4);
    assert_eq!(terms(&world), (Severity::High, false));
    assert_eq!(resolve(&mut world, 5, Cause::FalsePositive), Ok(()));
}

#[test]
fn an_exception_closes_an_alert_whose_records_were_not_seen_to() {
    let mut world = World::new(&POLICY.replace("\"high\"", "\"high\"\nrecords_step = true"));
    world.report(1, &["telegram"]);
    let accepted = policy::Exception {
        id: ExceptionId::from_random([5; 16]),
        rule: None,
        app: Some(AppId::new("telegram").unwrap()),
        start: at(2),
        end: at(30),
    };
    let device = Covers::Device(DeviceId::from_random([1; 16]));
    world.exceptions = InForceExceptions::new(1, [(device, accepted)]);
    let decision = world.evaluate(2);
    assert_eq!(story(&decision, &world), [told(Resolved, "telegram", 2)]);
    assert_eq!((world.case.alerts[0].cause, world.case.alerts[0].records), (Some(Cause::Exception), None));
    // Whoever is told that it counts again has the records to see to.
    let decision = world.evaluate(30);
    assert_eq!(story(&decision, &world), [told(Reopened, "telegram", 30)]);
    assert_eq!(resolve(&mut world, 31, Cause::FalsePositive), Err(ActError::RecordsMissing));
}

#[test]
fn what_happened_once_can_be_opened_again_by_people() {
    let mut world = World::new(POLICY);
    world.report(1, &[]);
    let first = world.epoch.clone();
    for (minute, epoch) in [(2, Epoch::from_random([10; 16])), (3, first)] {
        world.epoch = epoch;
        world.report(minute, &[]);
    }
    let cloned = |alert: &offchannel_server::domain::alert::Alert| alert.kind == AlertKind::DeviceCloned;
    let which = world.case.alerts.iter().position(cloned).unwrap();
    act(&mut world, 4, which, &Act::Resolve { cause: Cause::Removed, records: None }).unwrap();
    assert_eq!(act(&mut world, 5, which, &Act::Reopen), Ok(()));
    assert!(world.case.alerts[which].is_active());
}
