//! What is accepted for a time: how findings, alerts and the status of a device follow.

use offchannel_server::domain::alert::AlertAction::{Opened, Reopened, Resolved};
use offchannel_server::domain::alert::Cause;
use offchannel_server::domain::device::Status;
use offchannel_server::domain::exception::{Covers, Exception, ExceptionError, Request, Standing};
use offchannel_server::domain::in_force_exceptions::{Holder, InForceExceptions};
use offchannel_server::domain::placement::PersonRef;
use offchannel_shared::device::{Ownership, Placement};
use offchannel_shared::ids::{AppId, DeviceId, ExceptionId, RuleId, UnitId};
use offchannel_shared::label::Label;
use offchannel_shared::policy;
use offchannel_shared::span::Span;
use proptest::prelude::*;

use crate::world::{POLICY, World, at, story, told};

const LONGEST: Span = Span::minutes(10_000);

fn request(start: i64, end: i64) -> Request {
    Request {
        covers: Covers::Device(DeviceId::from_random([1; 16])),
        rule: None,
        app: Some(AppId::new("telegram").unwrap()),
        reason: "the press desk".to_owned(),
        start: at(start),
        end: at(end),
    }
}

fn asked(request: Request, minute: i64) -> Result<Exception, ExceptionError> {
    let id = ExceptionId::from_random([5; 16]);
    Exception::requested(id, request, "ada", LONGEST, at(minute)).map(|(exception, _)| exception)
}

fn in_force(exception: &Exception) -> InForceExceptions {
    let judged = exception.judged().map(|judged| (exception.request.covers.clone(), judged));
    InForceExceptions::new(1, judged)
}

#[test]
fn a_finding_is_accepted_from_approval_to_end_and_then_counts_again_by_itself() {
    let mut world = World::new(&POLICY.replace("1h", "7d"));
    world.report(1, &["telegram", "signal"]);
    let mut exception = asked(request(0, 100), 5).unwrap();
    exception.approve("grace", "", LONGEST, at(10)).unwrap();
    world.exceptions = in_force(&exception);
    let decision = world.evaluate(10);
    assert_eq!(story(&decision, &world), [told(Resolved, "telegram", 10)]);
    let alert = world.case.alerts.iter().find(|alert| alert.app == exception.request.app).unwrap();
    assert_eq!(alert.cause, Some(Cause::Exception));
    assert_eq!(world.status(10), Status::Breach, "the other app is not accepted");
    assert_eq!(world.case.device.evaluate_at, Some(at(100)), "somebody looks when it ends");
    world.report(20, &["telegram"]);
    assert_eq!(world.status(20), Status::Exempt);
    let decision = world.evaluate(100);
    assert_eq!(story(&decision, &world), [told(Reopened, "telegram", 100)]);
    assert_eq!(world.status(100), Status::Breach);
}

#[test]
fn an_exception_that_is_ended_early_accepts_nothing_from_then_on() {
    let mut world = World::new(&POLICY.replace("1h", "7d"));
    let mut exception = asked(request(0, 100), 0).unwrap();
    exception.approve("grace", "", LONGEST, at(1)).unwrap();
    world.exceptions = in_force(&exception);
    assert!(world.report(2, &["telegram"]).events.is_empty(), "accepted before it was there");
    exception.revoke("grace", "no longer needed", at(50)).unwrap();
    world.exceptions = in_force(&exception);
    assert_eq!(story(&world.evaluate(50), &world), [told(Opened, "telegram", 50)]);
}

#[test]
fn an_exception_is_for_whom_it_says_and_for_nothing_else() {
    let mut world = World::new(&POLICY.replace("1h", "7d"));
    world.case.device.placement.units = vec![UnitId::new("press").unwrap(), UnitId::new("company").unwrap()];
    world.case.device.placement.labels = [Label::new("site=north").unwrap()].into();
    world.case.device.person = Some(PersonRef::new("4711").unwrap());
    let for_person = |person: &str| Covers::Person(PersonRef::new(person).unwrap());
    let for_label = |label: &str| Covers::Label(Label::new(label).unwrap());
    let for_unit = |unit: &str| Covers::Unit(UnitId::new(unit).unwrap());
    let rule = |id: &str| Some(RuleId::new(id).unwrap());
    let other = Covers::Device(DeviceId::from_random([2; 16]));
    let mut expected = Vec::new();
    for (covers, rule, app, accepted) in [
        (for_unit("company"), None, "telegram", true),
        (for_unit("press"), rule("no-consumer"), "telegram", true),
        (for_unit("sales"), None, "telegram", false),
        (for_unit("press"), None, "signal", false),
        (for_unit("press"), rule("other"), "telegram", false),
        (other, None, "telegram", false),
        (for_person("4711"), None, "telegram", true),
        (for_person("471"), None, "telegram", false),
        (for_label("site=north"), None, "telegram", true),
        (for_label("site"), None, "telegram", false),
    ] {
        let app = Some(AppId::new(app).unwrap());
        let mut exception = asked(Request { covers, rule, app, ..request(0, 100) }, 0).unwrap();
        exception.approve("grace", "", LONGEST, at(1)).unwrap();
        world.exceptions = in_force(&exception);
        world.report(2, &["telegram"]);
        expected.push((accepted, world.status(2)));
    }
    let wrong: Vec<_> =
        expected.iter().filter(|(accepted, status)| *accepted != (*status == Status::Exempt)).collect();
    assert!(wrong.is_empty(), "{expected:?}");
}

#[test]
fn nobody_approves_what_they_asked_for_and_nothing_is_decided_twice() {
    let mut exception = asked(request(0, 100), 0).unwrap();
    for own in ["ada", "ADA", "Ada"] {
        assert_eq!(
            exception.approve(own, "", LONGEST, at(1)),
            Err(ExceptionError::OwnRequest("ada".to_owned()))
        );
    }
    assert_eq!(exception.refuse("grace", " ", at(1)), Err(ExceptionError::Reason), "a refusal has a reason");
    exception.approve("grace", "", LONGEST, at(1)).unwrap();
    for error in [exception.approve("eve", "", LONGEST, at(2)), exception.refuse("eve", "no", at(2))] {
        assert_eq!(error, Err(ExceptionError::NotWaiting(Standing::Active)));
    }
    exception.revoke("ada", "done", at(3)).unwrap();
    assert_eq!(exception.revoke("ada", "done", at(3)), Err(ExceptionError::Over(Standing::Revoked)));
}

#[test]
fn what_the_policy_allows_no_longer_is_not_approved() {
    let mut exception = asked(request(0, 100), 0).unwrap();
    let shorter = Span::minutes(50);
    let before = exception.clone();
    assert_eq!(exception.approve("grace", "", shorter, at(10)), Err(ExceptionError::Long(shorter)));
    assert_eq!(exception, before);
    exception.approve("grace", "", shorter, at(50)).unwrap();
}

#[test]
fn what_makes_no_sense_is_not_taken() {
    let refused = |request| asked(request, 10).unwrap_err();
    assert_eq!(refused(Request { app: None, ..request(20, 30) }), ExceptionError::Everything);
    assert_eq!(refused(Request { reason: " ".to_owned(), ..request(20, 30) }), ExceptionError::Reason);
    assert_eq!(refused(request(30, 30)), ExceptionError::End);
    assert_eq!(refused(request(0, 10)), ExceptionError::End, "over already");
    assert_eq!(refused(request(20, 10_021)), ExceptionError::Long(LONGEST));
    assert!(asked(request(-5_000, 10_010), 10).is_ok(), "what is past does not count");
    let late = asked(request(20, 30), 10).unwrap();
    assert_eq!(
        late.clone().approve("grace", "", LONGEST, at(30)),
        Err(ExceptionError::NotWaiting(Standing::Lapsed))
    );
}

proptest! {
    /// Whatever is done in whatever order: it accepts something only within what was asked for, only after its approval,
    /// never after it was ended, and its standing says the same.
    #[test]
    fn an_exception_accepts_only_what_it_says(
        start in 0_i64..100, length in 1_i64..100, steps in prop::collection::vec((0_u8..3, 0_i64..40), 0..6),
    ) {
        let mut exception = asked(request(start, start + length), 0).unwrap();
        let (mut minute, mut approved, mut ended) = (0, None, None);
        for (what, wait) in steps {
            minute += wait;
            let before = exception.clone();
            let done = match what {
                0 => exception.approve("grace", "", LONGEST, at(minute)).map(|_| approved = Some(minute)),
                1 => exception.refuse("grace", "no", at(minute)).map(|_| ended = Some(minute)),
                _ => exception.revoke("grace", "no", at(minute)).map(|_| ended = Some(minute)),
            };
            prop_assert!(done.is_ok() || exception == before);
        }
        let judged = exception.judged();
        for now in 0..220 {
            let naive = approved.is_some_and(|approved| now >= approved)
                && (start..start + length).contains(&now)
                && ended.is_none_or(|ended| now < ended);
            let accepts = judged.as_ref().is_some_and(|judged| judged.start <= at(now) && at(now) < judged.end);
            prop_assert_eq!(accepts, naive, "minute {} of {:?}", now, exception);
            if now >= minute {
                prop_assert_eq!(exception.standing(at(now)) == Standing::Active, accepts, "minute {}", now);
            }
        }
    }
}

/// Whom an exception is for, out of few names, so that devices and exceptions often meet.
fn anybody() -> impl Strategy<Value = Covers> {
    (0_u8..4, 0_u8..4).prop_map(|(kind, which)| match kind {
        0 => Covers::Device(DeviceId::from_random([which; 16])),
        1 => Covers::Unit(UnitId::new(format!("u{which}")).unwrap()),
        2 => Covers::Person(PersonRef::new(format!("p{which}")).unwrap()),
        _ => Covers::Label(Label::new(format!("l{which}=x")).unwrap()),
    })
}

proptest! {
    /// A device is judged with, and told of, what looking at every exception finds; and the count is that of all.
    #[test]
    fn the_exceptions_of_a_device_are_those_that_are_for_it(
        all in prop::collection::vec((anybody(), 0_i64..20, 1_i64..20), 0..30),
        (id, person) in (0_u8..4, prop::option::of(0_u8..4)),
        units in prop::collection::btree_set(0_u8..4, 0..4),
        labels in prop::collection::btree_set(0_u8..4, 0..4),
        now in 0_i64..40,
    ) {
        let id = DeviceId::from_random([id; 16]);
        let person = person.map(|which| PersonRef::new(format!("p{which}")).unwrap());
        let placement = Placement {
            ownership: Ownership::Corporate,
            units: units.iter().map(|which| UnitId::new(format!("u{which}")).unwrap()).collect(),
            labels: labels.iter().map(|which| Label::new(format!("l{which}=x")).unwrap()).collect(),
        };
        let all: Vec<(Covers, policy::Exception)> = (1_u8..)
            .zip(all)
            .map(|(number, (covers, start, length))| {
                let exception = policy::Exception {
                    id: ExceptionId::from_random([number; 16]),
                    rule: None,
                    app: Some(AppId::new("telegram").unwrap()),
                    start: at(start),
                    end: at(start + length),
                };
                (covers, exception)
            })
            .collect();
        let meant = |covers: &Covers| match covers {
            Covers::Device(one) => *one == id,
            Covers::Unit(unit) => placement.units.contains(unit),
            Covers::Person(one) => person.as_ref() == Some(one),
            Covers::Label(label) => placement.labels.contains(label),
        };
        let own = || all.iter().filter(|(covers, _)| meant(covers)).map(|(_, exception)| exception);
        let in_force = InForceExceptions::new(7, all.clone());

        let mut device = World::new(POLICY).case.device;
        (device.id, device.placement, device.person) = (id.clone(), placement.clone(), person.clone());
        let mut judged = in_force.of(&device);
        judged.sort_by_key(|exception| exception.id.clone());
        let mut naive: Vec<policy::Exception> = own().cloned().collect();
        naive.sort_by_key(|exception| exception.id.clone());
        prop_assert_eq!(judged, naive);

        let told: Vec<ExceptionId> =
            in_force.told_to(Holder::from(&device), at(now)).into_iter().map(|told| told.id).collect();
        let mut naive: Vec<ExceptionId> =
            own().filter(|own| own.end > at(now)).map(|own| own.id.clone()).collect();
        naive.sort();
        prop_assert_eq!(told, naive);

        let ending = in_force.ending(at(now), at(now + 9));
        let naive = all.iter().filter(|(_, one)| at(now) < one.end && one.end <= at(now + 9));
        prop_assert_eq!(ending, naive.map(|(_, one)| one.id.clone()).collect());

        let active = |one: &policy::Exception| one.start <= at(now) && at(now) < one.end;
        prop_assert_eq!(in_force.count(at(now)), all.iter().filter(|(_, one)| active(one)).count());
    }
}

#[test]
fn a_device_is_told_of_its_own_exceptions_that_are_not_over_and_of_those_that_end_last_if_there_are_many() {
    let world = World::new(POLICY);
    let device = &world.case.device;
    let other = Covers::Device(DeviceId::from_random([2; 16]));
    let own = || Covers::Device(device.id.clone());
    let approved = |number: u8, covers: Covers, end: i64| {
        let id = ExceptionId::from_random([number; 16]);
        let (mut exception, _) =
            Exception::requested(id, Request { covers, ..request(0, end) }, "ada", LONGEST, at(0)).unwrap();
        exception.approve("grace", "", LONGEST, at(1)).unwrap();
        exception
    };
    let all = |exceptions: Vec<Exception>| {
        let judged = exceptions.iter().map(|one| (one.request.covers.clone(), one.judged().unwrap()));
        InForceExceptions::new(1, judged)
    };
    let told = |exceptions: Vec<Exception>, minute: i64| {
        all(exceptions)
            .told_to(device.into(), at(minute))
            .into_iter()
            .map(|told| (told.end, told.app))
            .collect::<Vec<_>>()
    };
    let telegram = Some(AppId::new("telegram").unwrap());
    let some = || vec![approved(1, own(), 100), approved(2, other.clone(), 300), approved(3, own(), 200)];
    assert_eq!(told(some(), 50), [(at(100), telegram.clone()), (at(200), telegram.clone())]);
    assert_eq!(told(some(), 100), [(at(200), telegram)], "what has ended accepts nothing");
    let many: Vec<Exception> =
        (1..=150).map(|number| approved(number, own(), 100 + i64::from(number))).collect();
    let told = told(many, 50);
    assert_eq!(told.len(), 100);
    assert_eq!(told.iter().map(|(end, _)| *end).min(), Some(at(151)));
}
