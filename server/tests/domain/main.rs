//! What reports, goodbyes and time mean for findings and alerts; pure, with instants given.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

mod attempts;
mod copies;
mod exceptions;
mod imports;
mod people;
mod rotation;
mod routes;
mod stopped;
mod tally;
mod terms;
mod units;
mod world;

use std::collections::BTreeMap;

use offchannel_server::domain::alert::AlertAction::{Opened, Reopened, Resolved};
use offchannel_server::domain::alert::{AlertKind, AlertState, Cause};
use offchannel_server::domain::case::{Case, NewIds};
use offchannel_server::domain::device::Status;
use offchannel_server::domain::ingest::{self, Context, Refusal};
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{AppId, Epoch};
use offchannel_shared::inventory::{Change, Grade, Health, Scope, SourceHealth, Unlisted};
use offchannel_shared::namespace::Namespace;
use offchannel_shared::policy::Severity;
use offchannel_shared::wire::{GoodbyeReason, ReportRequest};
use proptest::prelude::*;
use world::{POLICY, World, at, inventory, story, told, transition};

#[test]
fn an_app_that_comes_goes_and_comes_back_is_one_alert_that_counts() {
    let mut world = World::new(POLICY);
    assert_eq!(world.status(0), Status::Unknown);
    let decision = world.report(1, &["telegram"]);
    assert_eq!(story(&decision, &world), [told(Opened, "telegram", 1)]);
    assert_eq!(world.status(1), Status::Breach);
    let notification = &decision.deliveries[0].notification;
    assert_eq!((notification.evidence.len(), notification.action), (1, Opened));
    let decision = world.report(2, &[]);
    assert_eq!(story(&decision, &world), [told(Resolved, "telegram", 2)]);
    assert_eq!(world.case.alerts[0].cause, Some(Cause::Removed));
    assert_eq!(world.status(2), Status::Compliant);
    let decision = world.report(3, &["telegram"]);
    assert_eq!(story(&decision, &world), [told(Reopened, "telegram", 3)]);
    assert_eq!((world.case.alerts.len(), world.case.alerts[0].reopened), (1, 1));
}

#[test]
fn what_came_and_went_while_the_collector_was_away_is_not_lost() {
    let mut world = World::new(POLICY);
    world.report(1, &[]);
    let transitions =
        vec![transition(5, Change::Appeared, "signal"), transition(8, Change::Disappeared, "signal")];
    let decision = world.report_with(10, &[], transitions);
    assert_eq!(story(&decision, &world), [told(Opened, "signal", 5), told(Resolved, "signal", 8)]);
    let finding = &decision.findings[0];
    assert_eq!((finding.started_at, finding.ended_at), (at(5), Some(at(8))));
    let intervals: Vec<_> = decision.sightings.iter().map(|s| (s.at, s.ended)).collect();
    assert_eq!(intervals, [(at(5), false), (at(8), true)]);
    assert_eq!(decision.deliveries.len(), 2);
}

#[test]
fn a_device_clock_that_is_off_moves_nothing_out_of_the_time_between_two_reports() {
    let mut world = World::new(POLICY);
    world.report(10, &[]);
    let transitions =
        vec![transition(-900, Change::Appeared, "signal"), transition(900, Change::Disappeared, "signal")];
    let decision = world.report_with(20, &[], transitions);
    assert_eq!(story(&decision, &world), [told(Opened, "signal", 10), told(Resolved, "signal", 20)]);
}

#[test]
fn a_repeated_report_changes_nothing() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    let request = world.request(&inventory(&["telegram"]), Vec::new(), at(1));
    let again = world.decide(2, |case, context, ids| ingest::report(case, &request, context, ids));
    assert_eq!(again, Ok(None));
}

#[test]
fn transitions_that_are_on_record_are_not_judged_twice() {
    let mut world = World::new(POLICY);
    world.report(1, &[]);
    let owed = |revision| {
        let mut both =
            [transition(5, Change::Appeared, "signal"), transition(6, Change::Disappeared, "signal")];
        for (transition, revision) in both.iter_mut().zip(revision..) {
            transition.revision = revision;
        }
        both.to_vec()
    };
    world.revision = 2;
    let decision = world.report_with(10, &[], owed(2));
    assert_eq!(decision.events.len(), 2);
    // The answer was lost: the next revision carries them once more.
    let decision = world.report_with(11, &["telegram"], owed(2));
    assert_eq!(story(&decision, &world), [told(Opened, "telegram", 11)]);
    assert_eq!(decision.sightings.len(), 1);
}

#[test]
fn texts_that_no_device_has_are_refused() {
    let mut world = World::new(POLICY);
    world.revision = 1;
    let mut request = world.request(&inventory(&[]), Vec::new(), at(1));
    request.facts.hostname = "x".repeat(256);
    let refused = world.decide(1, |case, context, ids| ingest::report(case, &request, context, ids));
    let expected = Refusal::TooMany { what: "bytes in the host name", found: 256, most: 255 };
    assert_eq!(refused, Err(expected));
    let mut long = inventory(&["telegram"]);
    long.sightings[0].identifier = "x".repeat(1_025);
    let request = world.request(&long, Vec::new(), at(1));
    let refused = world.decide(1, |case, context, ids| ingest::report(case, &request, context, ids));
    assert!(matches!(refused, Err(Refusal::TooMany { found: 1_025, .. })), "{refused:?}");
}

#[test]
fn what_is_told_of_the_past_says_nothing_of_the_device_itself() {
    let mut world = World::new(POLICY);
    world.report(1, &[]);
    world.evaluate(61);
    let transitions =
        vec![transition(5, Change::Appeared, "signal"), transition(90, Change::Disappeared, "signal")];
    let decision = world.report_with(100, &[], transitions);
    let expected =
        [told(Opened, "signal", 5), told(Resolved, "signal", 90), told(Resolved, "device-silent", 100)];
    assert_eq!(story(&decision, &world), expected);
}

#[test]
fn nobody_is_silent_while_the_collector_does_not_listen() {
    let mut world = World::new(POLICY);
    world.report(1, &[]);
    world.serving_since = at(200);
    let decision = world.evaluate(201);
    assert_eq!((story(&decision, &world), decision.device.evaluate_at), (vec![], Some(at(260))));
    let decision = world.evaluate(260);
    assert_eq!(story(&decision, &world), [told(Opened, "device-silent", 260)]);
}

#[test]
fn an_app_that_no_entry_lists_is_told_with_its_place() {
    let mut world = World::new("schema = 1\nname = \"x\"\nunreviewed = \"report\"\n");
    world.revision = 1;
    let mut found = inventory(&[]);
    found.unlisted.push(Unlisted {
        app: AppId::new("unlisted-acme").unwrap(),
        source: "desktop-entry".to_owned(),
        namespace: Namespace::DesktopEntry,
        identifier: "acme.desktop".to_owned(),
        scope: Scope::System,
        grade: Grade::Installed,
        name: Some("Acme Chat".to_owned()),
        version: None,
        categories: vec!["Chat".to_owned()],
    });
    let request = world.request(&found, Vec::new(), at(1));
    let decision =
        world.decide(1, |case, context, ids| ingest::report(case, &request, context, ids)).unwrap().unwrap();
    let notification = &decision.deliveries[0].notification;
    assert_eq!(notification.app.as_ref().unwrap().name, "Acme Chat");
    assert_eq!(notification.evidence[0].identifier, "acme.desktop");
}

#[test]
fn a_device_without_a_name_is_called_by_its_id() {
    for nameless in ["", " \u{200b}\t"] {
        let mut world = World::new(POLICY);
        world.case.device.facts.hostname = nameless.to_owned();
        let request = ReportRequest {
            facts: world.case.device.facts.clone(),
            ..world.request(&inventory(&["telegram"]), Vec::new(), at(1))
        };
        let report =
            |case, context: &Context<'_>, ids: &mut dyn NewIds| ingest::report(case, &request, context, ids);
        let decision = world.decide(1, report).unwrap().unwrap();
        // PagerDuty refuses an incident without a source, and a title would end in "on".
        let device = decision.deliveries[0].notification.device.clone().unwrap();
        assert_eq!(device.hostname, device.id, "{nameless:?}");
    }
}

#[test]
fn a_wrong_digest_and_an_older_revision_are_refused() {
    let mut world = World::new(POLICY);
    world.report(1, &[]);
    world.report(2, &["telegram"]);
    let report = |request: ReportRequest| {
        move |case: Case, context: &Context<'_>, ids: &mut dyn NewIds| {
            ingest::report(case, &request, context, ids)
        }
    };
    let mut request = world.request(&inventory(&["telegram"]), Vec::new(), at(3));
    request.revision = 3;
    request.digest = Digest::of(&inventory(&[]));
    assert!(matches!(world.decide(3, report(request.clone())), Err(Refusal::DigestMismatch { .. })));
    request = world.request(&inventory(&[]), Vec::new(), at(3));
    request.revision = 1;
    let stale = Refusal::RevisionStale { offered: 1, current: 2 };
    assert_eq!(world.decide(3, report(request.clone())), Err(stale));
    // The same revision with other content: two machines count up from one state file.
    request.revision = 2;
    assert!(matches!(world.decide(3, report(request)), Err(Refusal::RevisionStale { .. })));
}

#[test]
fn a_state_file_made_anew_is_accepted_and_one_that_comes_back_is_a_clone() {
    let mut world = World::new(POLICY);
    world.report(1, &[]);
    let original = world.epoch.clone();
    world.epoch = Epoch::from_random([8; 16]);
    world.revision = 0;
    let decision = world.report(2, &[]);
    assert_eq!(story(&decision, &world), []);
    world.epoch = original;
    world.revision = 1;
    let decision = world.report(3, &[]);
    assert_eq!(story(&decision, &world), [told(Opened, "device-cloned", 3)]);
    // It stays open until somebody resolves it: the next report proves nothing.
    let decision = world.report(4, &[]);
    assert_eq!(story(&decision, &world), []);
}

#[test]
fn silence_opens_an_alert_and_a_sign_of_life_resolves_it() {
    let mut world = World::new(POLICY);
    let decision = world.report(1, &[]);
    assert_eq!(decision.device.evaluate_at, Some(at(61)));
    assert_eq!(world.status(61), Status::Stale);
    let decision = world.evaluate(61);
    assert_eq!(story(&decision, &world), [told(Opened, "device-silent", 61)]);
    assert_eq!(decision.device.evaluate_at, None, "nothing more can happen by itself");
    let decision = world.decide(70, |case, context, ids| ingest::heard(case, context, ids)).unwrap().unwrap();
    assert_eq!(story(&decision, &world), [told(Resolved, "device-silent", 70)]);
}

#[test]
fn an_uninstalled_agent_is_an_alert_and_a_stopped_one_is_not() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    let decision = world.goodbye(2, GoodbyeReason::Stop, false);
    assert_eq!(story(&decision, &world), []);
    let decision = world.goodbye(3, GoodbyeReason::Uninstall, false);
    assert_eq!(story(&decision, &world), [told(Opened, "agent-uninstalled", 3)]);
    let decision = world.report(4, &["telegram"]);
    assert_eq!(story(&decision, &world), [told(Resolved, "agent-uninstalled", 4)]);
}

#[test]
fn grace_runs_before_a_finding_is_a_breach() {
    let mut world = World::new(&format!("{POLICY}grace = \"30m\"\n"));
    let decision = world.report(1, &["telegram"]);
    assert_eq!(story(&decision, &world), []);
    assert_eq!((world.status(1), decision.device.evaluate_at), (Status::Grace, Some(at(31))));
    let decision = world.evaluate(31);
    assert_eq!(story(&decision, &world), [told(Opened, "telegram", 31)]);
}

#[test]
fn what_came_and_went_within_grace_is_a_finding_without_an_alert() {
    let mut world = World::new(&format!("{POLICY}grace = \"30m\"\n"));
    world.report(1, &[]);
    let transitions =
        vec![transition(5, Change::Appeared, "signal"), transition(8, Change::Disappeared, "signal")];
    let decision = world.report_with(10, &[], transitions);
    assert_eq!((story(&decision, &world), decision.findings.len()), (vec![], 1));
}

#[test]
fn the_agents_own_troubles_are_alerts() {
    let mut world = World::new(POLICY);
    let health = |source: &str, why: &str| SourceHealth {
        source: source.to_owned(),
        health: Health::Failed(why.to_owned()),
    };
    world.revision = 1;
    let mut troubled = inventory(&[]);
    troubled.sources = vec![health("policy", "older"), health("state", "torn"), health("snap", "denied")];
    troubled.normalise();
    let request = world.request(&troubled, Vec::new(), at(1));
    let decision =
        world.decide(1, |case, context, ids| ingest::report(case, &request, context, ids)).unwrap().unwrap();
    let mut kinds: Vec<AlertKind> = decision.alerts.iter().map(|alert| alert.kind).collect();
    kinds.sort();
    assert_eq!(kinds, [AlertKind::AgentTampered, AlertKind::PolicyRefused, AlertKind::SourceUnreadable]);
    for (kind, source, why) in [
        (AlertKind::AgentTampered, "state", "torn"),
        (AlertKind::PolicyRefused, "policy", "older"),
        (AlertKind::SourceUnreadable, "snap", "denied"),
    ] {
        let mut notifications = decision.deliveries.iter().map(|delivery| &delivery.notification);
        let told = &notifications.find(|told| told.alert.kind == kind).unwrap().troubles;
        assert_eq!(
            told.iter().map(|t| (t.source.as_str(), t.health.as_str(), t.why.as_str())).collect::<Vec<_>>(),
            [(source, "failed", why)]
        );
    }
}

#[test]
fn a_clock_that_is_off_is_an_alert_and_a_source_that_is_seen_in_part_is_none() {
    let mut world = World::new(POLICY);
    let partial =
        |source: &str| SourceHealth { source: source.to_owned(), health: Health::Partial("why".to_owned()) };
    world.revision = 1;
    let mut troubled = inventory(&[]);
    troubled.sources = ["clock", "inventory", "policy", "snap", "watch"].into_iter().map(partial).collect();
    troubled.normalise();
    let request = world.request(&troubled, Vec::new(), at(1));
    let decision =
        world.decide(1, |case, context, ids| ingest::report(case, &request, context, ids)).unwrap().unwrap();
    let alerts: Vec<_> = decision.alerts.iter().map(|alert| (alert.kind, alert.severity)).collect();
    assert_eq!(alerts, [(AlertKind::ClockOff, Severity::Low)]);
}

#[test]
fn a_retired_device_is_closed_and_refused() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    let decision = world.decide(2, |case, context, ids| ingest::retire(case, context, ids)).unwrap().unwrap();
    assert_eq!(story(&decision, &world), [told(Resolved, "telegram", 2)]);
    assert_eq!(world.case.alerts[0].cause, Some(Cause::DeviceRetired));
    assert_eq!((decision.device.evaluate_at, world.case.findings.len()), (None, 0));
    let request = world.request(&inventory(&[]), Vec::new(), at(3));
    let refused = world.decide(3, |case, context, ids| ingest::report(case, &request, context, ids));
    assert_eq!(refused, Err(Refusal::Retired(at(2))));
}

#[test]
fn another_policy_ends_what_it_does_not_mind() {
    let mut world = World::new(POLICY);
    world.report(1, &["telegram"]);
    world.in_force.policy.rules.clear();
    world.in_force.version = 2;
    let decision = world.evaluate(2);
    assert_eq!(story(&decision, &world), [told(Resolved, "telegram", 2)]);
}

/// Steps of a device's life: apps after each, whether reported at once or while offline.
fn life() -> impl Strategy<Value = Vec<(Vec<&'static str>, bool)>> {
    let apps = prop::sample::subsequence(vec!["signal", "telegram", "whatsapp"], 0..=3);
    prop::collection::vec((apps, any::<bool>()), 1..12)
}

proptest! {
    /// However reports and offline times fall, the alerts tell the same story of every app.
    #[test]
    fn going_offline_changes_no_story(life in life()) {
        let mut world = World::new(POLICY);
        world.report(0, &[]);
        let mut there: Vec<&str> = Vec::new();
        let mut owed = Vec::new();
        let mut arrivals: BTreeMap<&str, u32> = BTreeMap::new();
        let last = life.len() - 1;
        for (index, (apps, online)) in life.iter().enumerate() {
            let minute = index as i64 + 1;
            for app in ["signal", "telegram", "whatsapp"] {
                match (there.contains(&app), apps.contains(&app)) {
                    (false, true) => {
                        *arrivals.entry(app).or_default() += 1;
                        owed.push(transition(minute, Change::Appeared, app));
                    }
                    (true, false) => owed.push(transition(minute, Change::Disappeared, app)),
                    (true, true) | (false, false) => {}
                }
            }
            there.clone_from(apps);
            if *online || index == last {
                let transitions = std::mem::take(&mut owed);
                world.report_with(minute, apps, transitions);
            }
        }
        let alerts: BTreeMap<String, (bool, u32)> = world
            .case
            .alerts
            .iter()
            .map(|a| (a.app.as_ref().unwrap().to_string(), (a.state == AlertState::Open, a.reopened + 1)))
            .collect();
        let expected: BTreeMap<String, (bool, u32)> =
            arrivals.iter().map(|(app, count)| ((*app).to_owned(), (there.contains(app), *count))).collect();
        prop_assert_eq!(world.case.alerts.len(), alerts.len(), "one alert for each app");
        prop_assert_eq!(alerts, expected);
    }
}
