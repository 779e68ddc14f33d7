//! What people do to alerts, and how that meets what the facts do.

use offchannel_server::domain::alert::AlertAction::{
    Acknowledged, Assigned, Ceased, Escalated, Noted, Opened, Recorded, Reopened, Resolved, Snoozed, Woke,
};
use offchannel_server::domain::alert::{
    Act, ActError, Alert, AlertAction, AlertEvent, AlertKind, AlertState, Cause, Records,
};
use offchannel_server::domain::case::Decision;
use offchannel_server::domain::ingest::{self, Refusal};
use offchannel_shared::ids::{AlertId, Epoch};
use proptest::prelude::*;

use crate::world::{POLICY, World, at, story, told};

const WITH_RECORDS: &str = r#"
schema = 1
name = "x"
stale_after = "7d"
[[rule]]
id = "no-consumer"
verdict = "prohibited"
kinds = ["consumer"]
severity = "high"
records_step = true
"#;

impl World {
    fn act(&mut self, minute: i64, act: &Act, text: Option<&str>) -> Result<Option<Decision>, ActError> {
        let id = self.case.alerts.first().map_or(AlertId::from_random([0; 16]), |alert| alert.id.clone());
        self.act_on(minute, &id, act, text)
    }

    fn act_on(
        &mut self,
        minute: i64,
        id: &AlertId,
        act: &Act,
        text: Option<&str>,
    ) -> Result<Option<Decision>, ActError> {
        let decided =
            self.decide(minute, |case, context, ids| ingest::act(case, id, act, ("ada", text), context, ids));
        decided.map_err(|refusal| match refusal {
            Refusal::Act(error) => error,
            other => panic!("refused: {other}"),
        })
    }

    /// What is done must be possible.
    fn does(&mut self, minute: i64, act: &Act, text: Option<&str>) -> Vec<AlertAction> {
        let decision = self.act(minute, act, text).unwrap();
        decision.map_or(Vec::new(), |decision| decision.events.iter().map(|event| event.action).collect())
    }
}

fn false_positive(records: Option<Records>) -> Act {
    Act::Resolve { cause: Cause::FalsePositive, records }
}

#[test]
fn what_is_put_off_opens_again_by_itself_and_only_then() {
    let mut world = World::new(WITH_RECORDS);
    world.report(1, &["telegram"]);
    let until = at(61);
    assert_eq!(world.does(2, &Act::Snooze { until }, Some("on leave")), [Snoozed]);
    let alert = world.case.alerts[0].clone();
    assert_eq!((alert.state, alert.snoozed_until), (AlertState::Snoozed, Some(until)));
    assert_eq!(world.case.device.evaluate_at, Some(until), "nobody looks when the time is over");
    assert_eq!(world.does(3, &Act::Snooze { until }, None), [], "put off to where it is put off already");
    assert!(world.evaluate(60).events.is_empty());
    let decision = world.evaluate(61);
    assert_eq!(story(&decision, &world), [told(Woke, "telegram", 61)]);
    assert_eq!(world.case.alerts[0].state, AlertState::Open);
    for until in [at(61), at(61 + 90 * 24 * 60 + 1)] {
        assert!(matches!(world.act(61, &Act::Snooze { until }, None), Err(ActError::Until(_))));
    }
}

#[test]
fn what_a_person_calls_wrong_stays_closed_until_it_was_gone_and_is_back() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    assert_eq!(world.act(2, &false_positive(None), None), Err(ActError::Text), "a reason is wanted");
    assert_eq!(world.does(2, &false_positive(None), Some("a package of the same name")), [Resolved]);
    assert!(world.report(3, &["telegram", "signal"]).events.iter().all(|event| event.action == Opened));
    assert_eq!(world.case.alerts.iter().filter(|alert| alert.is_active()).count(), 1);
    assert_eq!(world.does(4, &Act::Reopen, None), [Reopened], "whoever closed it may be mistaken");
    assert_eq!(world.does(5, &false_positive(None), Some("no, it is wrong")), [Resolved]);
    world.report(6, &[]);
    let alert = |world: &World| world.case.alerts[0].clone();
    assert_eq!(alert(&world).cause, Some(Cause::FalsePositive), "what was said is not unsaid");
    assert_eq!(world.act(6, &Act::Reopen, None), Err(ActError::Over));
    let decision = world.report(7, &["telegram"]);
    assert_eq!(story(&decision, &world), [told(Reopened, "telegram", 7)]);
    assert_eq!(alert(&world).reopened, 2);
}

#[test]
fn nobody_closes_as_removed_what_is_still_there_or_as_what_only_facts_can_be() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    let resolve = |cause| Act::Resolve { cause, records: None };
    assert_eq!(world.act(2, &resolve(Cause::Removed), Some("gone")), Err(ActError::StillHolds));
    for cause in [Cause::Exception, Cause::DeviceRetired] {
        assert_eq!(world.act(2, &resolve(cause), Some("x")), Err(ActError::NotForPeople(cause.as_str())));
    }
    assert_eq!(world.act(2, &Act::Record(Records::None), None), Err(ActError::NoRecordsStep));
    assert_eq!(world.act(2, &Act::Note, Some("  ")), Err(ActError::Text));
    assert_eq!(world.act(2, &Act::Note, Some(&"x".repeat(4_001))), Err(ActError::Text));
    assert_eq!(world.act(2, &Act::Assign { to: Some("a\nb".to_owned()) }, None), Err(ActError::Name));
    let other = AlertId::from_random([77; 16]);
    assert_eq!(world.act_on(2, &other, &Act::Acknowledge, None), Err(ActError::Unknown));
    let nobody = world.decide(2, |case, context, ids| {
        let id = case.alerts[0].id.clone();
        ingest::act(case, &id, &Act::Acknowledge, ("collector", None), context, ids)
    });
    assert_eq!(nobody, Err(Refusal::Act(ActError::Name)), "nobody passes for the collector");
}

#[test]
fn an_alert_with_a_records_step_closes_only_with_a_statement() {
    let mut world = World::new(WITH_RECORDS);
    world.report(1, &["telegram"]);
    assert_eq!(world.act(2, &false_positive(None), Some("x")), Err(ActError::RecordsMissing));
    let decision = world.report(3, &[]);
    assert_eq!(story(&decision, &world), [told(Ceased, "telegram", 3)]);
    assert!(world.case.alerts[0].awaits_records());
    assert_eq!(decision.deliveries.len(), 1, "whoever has to see to the records hears of it");
    assert!(world.report(4, &[]).events.is_empty(), "once is enough");
    assert_eq!(world.does(5, &Act::Record(Records::Copied), Some("file 17")), [Recorded, Resolved]);
    let alert = world.case.alerts[0].clone();
    assert_eq!(
        (alert.state, alert.cause, alert.records),
        (AlertState::Resolved, Some(Cause::Removed), Some(Records::Copied))
    );
    // The statement is about one time; another time wants another.
    world.report(6, &["telegram"]);
    assert_eq!(world.case.alerts[0].records, None);
    assert_eq!(world.does(7, &Act::Record(Records::None), None), [Recorded]);
    assert!(world.case.alerts[0].is_active(), "the app is still there");
    let decision = world.report(8, &[]);
    assert_eq!(story(&decision, &world), [told(Resolved, "telegram", 8)]);
}

#[test]
fn an_app_that_is_back_before_its_records_were_seen_to_is_the_same_breach() {
    let mut world = World::new(WITH_RECORDS);
    world.report(1, &["telegram"]);
    world.report(2, &[]);
    assert!(world.report(3, &["telegram"]).events.is_empty());
    let alert = &world.case.alerts[0];
    assert_eq!((alert.holds, alert.cause, alert.reopened), (true, None, 0));
    assert_eq!(world.does(4, &Act::Record(Records::Copied), None), [Recorded]);
    assert!(world.case.alerts[0].is_active());
}

#[test]
fn the_alerts_of_a_retired_device_can_still_be_dealt_with() {
    let mut world = World::new(WITH_RECORDS);
    world.report(1, &["telegram"]);
    world.does(2, &Act::Snooze { until: at(500) }, None);
    let decision = world.decide(3, |case, context, ids| ingest::retire(case, context, ids)).unwrap().unwrap();
    assert_eq!(story(&decision, &world), [told(Woke, "telegram", 3), told(Ceased, "telegram", 3)]);
    assert_eq!(world.does(4, &Act::Record(Records::Copied), None), [Recorded, Resolved]);
    assert_eq!(world.case.alerts[0].cause, Some(Cause::DeviceRetired));
    assert_eq!(world.case.device.evaluate_at, None);
}

#[test]
fn that_a_device_is_copied_is_over_when_a_person_says_so_and_comes_back_with_the_next_copy() {
    let mut world = World::new(POLICY);
    let (first, second) = (Epoch::from_random([9; 16]), Epoch::from_random([10; 16]));
    world.report(1, &[]);
    for (minute, epoch) in [(2, &second), (3, &first)] {
        world.epoch = epoch.clone();
        world.report(minute, &[]);
    }
    let cloned =
        |world: &World| world.case.alerts.iter().find(|a| a.kind == AlertKind::DeviceCloned).cloned();
    let alert = cloned(&world).unwrap();
    assert!(alert.is_active());
    let removed = Act::Resolve { cause: Cause::Removed, records: None };
    world.act_on(4, &alert.id, &removed, Some("the copy was wiped")).unwrap().unwrap();
    world.report(5, &[]);
    assert!(!cloned(&world).unwrap().is_active(), "a report of the original proves nothing");
    world.epoch = second;
    world.report(6, &[]);
    let alert = cloned(&world).unwrap();
    assert_eq!((alert.is_active(), alert.reopened), (true, 1));
}

const STEPS: &str = r#"
schema = 1
name = "x"
stale_after = "7d"
[[rule]]
id = "no-consumer"
verdict = "prohibited"
kinds = ["consumer"]
severity = "high"
[[escalation]]
id = "analyst"
after = "1h"
to = "analyst"
only_open = true
[[escalation]]
id = "owner"
after = "3h"
to = "owner"
rules = ["no-consumer"]
[[escalation]]
id = "critical"
after = "1m"
to = "leadership"
severity = "critical"
"#;

#[test]
fn an_alert_that_gets_old_is_carried_step_by_step_once_each() {
    let mut world = World::new(STEPS);
    world.report(1, &["telegram"]);
    assert_eq!(world.case.device.evaluate_at, Some(at(61)), "the first step");
    assert!(world.evaluate(60).events.is_empty());
    let decision = world.evaluate(61);
    assert_eq!(story(&decision, &world), [told(Escalated, "telegram", 61)]);
    let notification = &decision.deliveries[0].notification;
    let escalation = notification.escalation.as_ref().unwrap();
    assert_eq!((escalation.step.as_str(), escalation.to.as_str()), ("analyst", "analyst"));
    assert_eq!(notification.note.as_deref(), Some("still there 1h after it opened"));
    assert!(world.evaluate(62).events.is_empty(), "once");
    assert_eq!(world.case.device.evaluate_at, Some(at(181)));
    assert_eq!(story(&world.evaluate(500), &world), [told(Escalated, "telegram", 500)]);
    // Back after it was gone: its age counts anew, and so do the steps.
    world.report(600, &[]);
    world.report(700, &["telegram"]);
    world.does(701, &Act::Acknowledge, None);
    assert!(world.evaluate(760).events.is_empty(), "somebody has taken it up");
    assert_eq!(story(&world.evaluate(880), &world), [told(Escalated, "telegram", 880)]);
    let escalated: Vec<&str> = world.case.alerts[0].escalated.iter().map(|step| step.as_str()).collect();
    assert_eq!(escalated, ["owner"]);
}

#[test]
fn what_is_said_is_told_with_who_said_it() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    let told =
        world.act(2, &Act::Assign { to: Some("grace".to_owned()) }, Some("she knows")).unwrap().unwrap();
    let event = &told.events[0];
    assert_eq!((event.action, event.actor.as_str()), (Assigned, "ada"));
    assert_eq!(event.text.as_deref(), Some("grace: she knows"));
    assert_eq!(world.does(3, &Act::Acknowledge, None), [Acknowledged]);
    assert_eq!(world.does(4, &Act::Acknowledge, None), []);
    assert_eq!(world.does(5, &Act::Note, Some("called")), [Noted]);
}

/// Something that happens, one minute after the other.
#[derive(Debug, Clone)]
enum Step {
    /// The device reports, with the app or without.
    Report(bool),
    /// Only time passes.
    Wait(i64),
    /// Somebody does something.
    Person(Act),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        Just(Act::Acknowledge),
        Just(Act::Note),
        Just(Act::Reopen),
        Just(Act::Assign { to: Some("grace".to_owned()) }),
        Just(Act::Record(Records::None)),
        (1_i64..400).prop_map(|minute| Act::Snooze { until: at(minute) }),
        prop::option::of(Just(Records::Copied)).prop_map(false_positive),
        prop::option::of(Just(Records::Copied))
            .prop_map(|records| Act::Resolve { cause: Cause::Removed, records }),
    ];
    let step = prop_oneof![
        3 => any::<bool>().prop_map(Step::Report),
        2 => (1_i64..60).prop_map(Step::Wait),
        5 => act.prop_map(Step::Person),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a reader of the history would believe.
#[derive(Debug, Default, PartialEq)]
struct Believed {
    active: bool,
    taken: bool,
    until: Option<jiff::Timestamp>,
    assignee: Option<String>,
    records: Option<Records>,
    reopened: u32,
}

impl Believed {
    fn hear(&mut self, event: &AlertEvent) {
        match event.action {
            Opened => self.active = true,
            Reopened => {
                assert!(!self.active, "reopened although it was open: {event:?}");
                let (assignee, reopened) = (self.assignee.take(), self.reopened + 1);
                *self = Self { active: true, assignee, reopened, ..Self::default() };
            }
            Resolved => {
                assert!(self.active && event.cause.is_some(), "{event:?}");
                (self.active, self.taken, self.until) = (false, false, None);
            }
            Acknowledged => (self.taken, self.until) = (true, None),
            Snoozed => (self.taken, self.until) = (false, event.until),
            Woke => self.until = None,
            Assigned => {
                self.assignee = event.text.as_ref().and_then(|text| text.split(':').next()).map(str::to_owned)
            }
            Recorded => self.records = event.records,
            Ceased | Escalated => assert!(self.active, "{event:?}"),
            Noted => {}
        }
    }

    fn of(alert: &Alert) -> Self {
        Self {
            active: alert.is_active(),
            taken: alert.state == AlertState::Acknowledged,
            until: alert.snoozed_until,
            assignee: alert.assignee.clone(),
            records: alert.records,
            reopened: alert.reopened,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// A naive model: whether the app is there, whether somebody closed the alert since it came, whether records were
    /// spoken of since the alert opened. And the history tells the whole story.
    #[test]
    fn facts_and_people_together_leave_what_a_naive_model_says(steps in steps(), with_records: bool) {
        let mut world = World::new(if with_records { WITH_RECORDS } else { POLICY.replace("1h", "7d").leak() });
        let (mut there, mut waved_through, mut stated) = (false, false, false);
        let mut believed = Believed::default();
        let mut minute = 0;
        for step in steps {
            minute += if let Step::Wait(minutes) = step { minutes } else { 1 };
            let before = world.case.alerts.first().cloned();
            let was_active = before.as_ref().is_some_and(Alert::is_active);
            let decision = match &step {
                Step::Report(present) => {
                    if *present && !there {
                        waved_through = false;
                        stated &= was_active;
                    }
                    there = *present;
                    Some(world.report(minute, if there { &["telegram"] } else { &[] }))
                }
                Step::Wait(_) => world.case.device.report.is_some().then(|| world.evaluate(minute)),
                Step::Person(act) => {
                    let done = world.act(minute, act, Some("said"));
                    if let Ok(Some(_)) = &done {
                        match act {
                            Act::Record(_) => stated = true,
                            Act::Resolve { records, .. } => {
                                waved_through = true;
                                stated |= records.is_some();
                            }
                            Act::Reopen => (waved_through, stated) = (false, false),
                            Act::Acknowledge | Act::Snooze { .. } | Act::Assign { .. } | Act::Note => {}
                        }
                    } else if let Err(error) = &done {
                        prop_assert_eq!(world.case.alerts.first(), before.as_ref(), "{} changed it", error);
                    }
                    done.ok().flatten()
                }
            };
            for event in decision.iter().flat_map(|decision| &decision.events) {
                believed.hear(event);
            }
            let Some(alert) = world.case.alerts.first() else { continue };
            prop_assert_eq!(Believed::of(alert), Believed { ..std::mem::take(&mut believed) }, "{:?}", alert);
            believed = Believed::of(alert);
            let seen_to = !with_records || stated;
            let expected = if there { !waved_through } else { !seen_to && !waved_through };
            prop_assert_eq!(alert.is_active(), expected, "after {:?} at {}: {:?}", step, minute, alert);
            if let Some(until) = alert.snoozed_until {
                prop_assert!(until > at(minute) || matches!(step, Step::Person(_)), "{:?} at {}", alert, minute);
                prop_assert!(world.case.device.evaluate_at.is_some_and(|due| due <= until));
            }
        }
    }
}
