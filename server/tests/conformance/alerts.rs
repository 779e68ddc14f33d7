//! Alerts and their history.

use std::sync::Arc;

use offchannel_server::domain::alert::AlertState::{self, Acknowledged, Open, Resolved, Snoozed};
use offchannel_server::domain::alert::{Act, Alert, AlertEvent, AlertKind, Cause, Records};
use offchannel_server::domain::case::Decision;
use offchannel_server::domain::token::Token;
use offchannel_server::store::{AlertFilter, RecordedEvent, Store};
use offchannel_shared::ids::{AlertId, AppId, AudienceId, RuleId, StepId};
use offchannel_shared::policy::{Severity, Step, When};
use offchannel_shared::span::Span;
use tokio::task::JoinSet;

use super::fixtures::{
    alert, alerted, at, commit, enrolled, enrolled_with, id, nothing, opened, terms, token, unit, unit_id,
};
use super::units::put;
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("alerts are listed the last changed first, filtered and limited", listed),
        behaviour("alerts are filtered by kind, app, rule and who works on them", filtered),
        behaviour("alerts are found by the unit that their device is in, or a unit above it", by_unit),
        behaviour("an alert is read with its history", history),
        behaviour("the history has one order that only grows", sequence),
        behaviour("what is not there is not found", missing),
    ]
}

async fn listed(store: Arc<dyn Store>) {
    for (device, apps) in [(1, ["telegram", "signal"]), (2, ["telegram", "viber"])] {
        enrolled(&store, device).await;
        commit(&store, &id(device), move |case| {
            let alerts = apps.iter().zip(0_u8..).map(|(app, place)| {
                let number = device * 10 + u64::from(place);
                let mut alert = alert(&case.device.id, number, app);
                alert.changed_at = at(i64::try_from(100 - number).unwrap());
                alert.state = AlertState::ALL[usize::try_from(device).unwrap() * 2 - 2 + usize::from(place)];
                alert.cause = (alert.state == Resolved).then_some(Cause::Removed);
                alert.snoozed_until = (alert.state == Snoozed).then(|| at(500));
                alert
            });
            Decision { alerts: alerts.collect(), ..nothing(case.device) }
        })
        .await;
    }
    let list = async |states: &[AlertState], device: Option<u64>, limit| {
        let filter =
            AlertFilter { states: states.to_vec(), device: device.map(id), limit, ..AlertFilter::default() };
        let found = store.alerts(filter).await.unwrap();
        found.into_iter().map(|record| record.alert.id).collect::<Vec<AlertId>>()
    };
    assert_eq!(list(&[], None, 0).await, [id(10), id(11), id(20), id(21)]);
    assert_eq!(list(&[], None, 3).await, [id(10), id(11), id(20)]);
    assert_eq!(list(&[Open, Acknowledged, Snoozed], None, 0).await, [id(10), id(11), id(20)]);
    assert_eq!(list(&[Snoozed, Resolved], None, 0).await, [id(20), id(21)]);
    assert_eq!(list(&[Snoozed, Resolved], None, 1).await, [id(20)]);
    assert_eq!(list(&[], Some(2), 0).await, [id(20), id(21)]);
    assert_eq!(list(&[Open, Resolved], Some(1), 0).await, [id(10)]);
    assert_eq!(list(&[], Some(9), 0).await, []);
    let resolved = store.alert(&id(21)).await.unwrap().unwrap().0;
    assert_eq!((resolved.alert.cause, resolved.hostname.as_deref()), (Some(Cause::Removed), Some("host-2")));
}

async fn history(store: Arc<dyn Store>) {
    let mut expected = alerted(&store, 1, &[]).await;
    alerted(&store, 2, &[]).await;
    let mut events = vec![opened(&expected)];
    for step in 0..4 {
        let decision = commit(&store, &id(1), move |mut case| {
            let alert = &mut case.alerts[0];
            let event = match step % 2 {
                0 => alert.cease(Cause::Exception, at(100 + step)),
                _ => alert.hold(terms(alert), at(100 + step)),
            };
            let mut events: Vec<_> = event.into_iter().collect();
            if step == 3 {
                alert.records_needed = true;
                events.extend(done_by_people(alert));
            }
            Decision { events, alerts: case.alerts, ..nothing(case.device) }
        })
        .await;
        events.extend(decision.events);
        expected = decision.alerts[0].clone();
    }
    let (record, found) = store.alert(&id(1)).await.unwrap().unwrap();
    assert_eq!((record.alert, found), (expected, events));
}

/// Everything that leaves something in a column.
fn done_by_people(alert: &mut Alert) -> Vec<AlertEvent> {
    let step = Step {
        id: StepId::new("owner").unwrap(),
        when: When::Age { after: Span::seconds(60), only_open: false },
        to: AudienceId::new("owner").unwrap(),
        severity: Severity::Info,
        rules: Vec::new(),
    };
    let mut events: Vec<_> = alert.escalate(&step, "too many".to_owned(), at(110)).into_iter().collect();
    let acts = [
        (Act::Snooze { until: at(500) }, None),
        (Act::Assign { to: Some("ada".to_owned()) }, Some("she knows the team")),
        (Act::Note, Some("called; \u{202e}no answer\n'); --")),
        (Act::Record(Records::Copied), Some("case 17")),
    ];
    for (act, text) in acts {
        events.extend(alert.act(&act, "grace", text, at(111)).unwrap());
    }
    events
}

async fn filtered(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    commit(&store, &id(1), move |case| {
        let mut alerts = vec![alert(&case.device.id, 1, "telegram"), alert(&case.device.id, 2, "signal")];
        alerts[1].assignee = Some("ada".to_owned());
        let mut silent = alert(&case.device.id, 3, "viber");
        (silent.kind, silent.rule, silent.app) = (AlertKind::DeviceSilent, None, None);
        alerts.push(silent);
        Decision { alerts, ..nothing(case.device) }
    })
    .await;
    let list = async |filter: AlertFilter| {
        let found = store.alerts(filter).await.unwrap();
        found.into_iter().map(|record| record.alert.id).collect::<Vec<AlertId>>()
    };
    let any = AlertFilter::default();
    let silent = AlertFilter { kinds: vec![AlertKind::DeviceSilent], ..any.clone() };
    assert_eq!(list(silent.clone()).await, [id(3)]);
    let both = AlertFilter { kinds: vec![AlertKind::DeviceSilent, AlertKind::ProhibitedApp], ..any.clone() };
    assert_eq!(list(both).await, [id(1), id(2), id(3)]);
    let app = AlertFilter { app: Some(AppId::new("telegram").unwrap()), ..any.clone() };
    assert_eq!(list(app).await, [id(1)]);
    let rule = AlertFilter { rule: Some(RuleId::new("no-consumer-messaging").unwrap()), ..any.clone() };
    assert_eq!(list(rule).await, [id(1), id(2)]);
    let grave = |least| AlertFilter { severity: Some(least), ..AlertFilter::default() };
    assert_eq!(list(grave(Severity::High)).await, [id(1), id(2), id(3)]);
    assert_eq!(list(grave(Severity::Critical)).await, []);
    let assignee = AlertFilter { assignee: Some("ada".to_owned()), ..any };
    assert_eq!(list(assignee.clone()).await, [id(2)]);
    assert_eq!(list(AlertFilter { kinds: silent.kinds, limit: 5, ..assignee }).await, []);
}

async fn sequence(store: Arc<dyn Store>) {
    for number in 1..=20 {
        alerted(&store, number, &[]).await;
    }
    let mut tasks = JoinSet::new();
    for number in 1..=20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for step in 0..5 {
                commit(&store, &id(number), move |case| {
                    let mut event = opened(&case.alerts[0]);
                    event.at = at(step);
                    Decision { events: vec![event.clone(), event], ..nothing(case.device) }
                })
                .await;
            }
        });
    }
    tasks.join_all().await;
    let all = store.events(0, 1_000).await.unwrap();
    assert_eq!(all.len(), 220);
    assert!(all.is_sorted_by(|a, b| a.sequence < b.sequence), "every place is taken once");
    for number in 1..=20 {
        let own: Vec<_> =
            all.iter().filter(|one| one.event.alert == id(number)).skip(1).map(|one| one.event.at).collect();
        assert!(own.is_sorted(), "the order of commits: {own:?}");
    }
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map_or(0, |last: &RecordedEvent| last.sequence);
        let page = store.events(after, 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert!(store.events(u64::MAX, 7).await.unwrap().is_empty());
}

async fn missing(store: Arc<dyn Store>) {
    assert_eq!(store.alert(&id(1)).await.unwrap(), None);
    assert!(store.alerts(AlertFilter::default()).await.unwrap().is_empty());
}

async fn by_unit(store: Arc<dyn Store>) {
    put(&store, 1, unit("head-office", None)).await;
    put(&store, 2, unit("finance", Some("head-office"))).await;
    for (number, of) in [(1, Some("finance")), (2, Some("head-office")), (3, None)] {
        let token = Token { unit: of.map(unit_id), ..token(number) };
        let device = enrolled_with(&store, number, token).await;
        commit(&store, &device.id, move |case| {
            let alerts = vec![alert(&case.device.id, number, "telegram")];
            Decision { alerts, ..nothing(case.device) }
        })
        .await;
    }
    let list = async |unit: &str| {
        let filter = AlertFilter { unit: Some(unit_id(unit)), ..AlertFilter::default() };
        let found = store.alerts(filter).await.unwrap();
        found.into_iter().map(|record| record.alert.id).collect::<Vec<AlertId>>()
    };
    assert_eq!(list("head-office").await, [id(1), id(2)]);
    assert_eq!(list("finance").await, [id(1)]);
    assert_eq!(list("nowhere").await, []);
}
