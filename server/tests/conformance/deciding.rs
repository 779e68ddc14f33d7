//! Decisions: all or nothing, one after the other.

use std::sync::Arc;

use offchannel_server::domain::alert::{Alert, AlertKind};
use offchannel_server::domain::case::{Case, Decision};
use offchannel_server::domain::ingest::Refusal;
use offchannel_server::store::{
    AlertFilter, DecideOutcome, DeliveryFilter, SightingInterval, Store, StoreError,
};
use tokio::task::JoinSet;

use super::fixtures::{
    alert, alerted, at, change, commit, deciding, delivery, enrolled, finding, id, nothing, opened, report,
    sighting,
};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("a decision is written whole", whole),
        behaviour("a decision that cannot be written leaves nothing behind", nothing_behind),
        behaviour("a decision that fails does not harm those beside it", beside),
        behaviour("a refusal and the decision to do nothing write nothing", no_write),
        behaviour("decisions about one device follow one another", in_turn),
        behaviour("a device that is not there is not decided about", missing),
        behaviour("there is one alert for each device, kind, rule and app", one_alert),
        behaviour("there is one open finding for each rule and app", one_finding),
        behaviour("sightings keep their intervals", intervals),
        behaviour("findings that ended stay in the history", ended_findings),
    ]
}

async fn whole(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let decide = |mut case: Case| {
        assert!(case.findings.is_empty() && case.alerts.is_empty());
        case.device.report = Some(report(1, &["telegram"]));
        case.device.last_seen = at(60);
        let alert = alert(&case.device.id, 1, "telegram");
        Decision {
            findings: vec![finding(&case.device.id, 1, "telegram"), finding(&case.device.id, 2, "signal")],
            events: vec![opened(&alert)],
            deliveries: vec![delivery(&alert, 1, "siem", 60), delivery(&alert, 2, "mail", 60)],
            alerts: vec![alert],
            sightings: vec![change("telegram", 60, false)],
            ..nothing(case.device)
        }
    };
    let decision = commit(&store, &device.id, decide).await;
    let mut case = store.case(&device.id).await.unwrap().unwrap();
    case.findings.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(case.device, decision.device);
    assert_eq!(case.findings, decision.findings);
    assert_eq!(case.alerts, decision.alerts);
    let (record, events) = store.alert(&id(1)).await.unwrap().unwrap();
    assert_eq!((record.hostname.as_deref(), &record.alert), (Some("host-1"), &decision.alerts[0]));
    assert_eq!(events, decision.events);
    for queued in decision.deliveries {
        assert_eq!(store.delivery(&queued.id).await.unwrap(), Some(queued));
    }
    let history = store.history(&device.id).await.unwrap();
    assert_eq!(history.sightings.len(), 1);
    let seen = commit(&store, &device.id, |case| {
        assert_eq!((case.findings.len(), case.alerts.len()), (2, 1), "the next decision sees it all");
        nothing(case.device)
    });
    seen.await;
}

/// A decision that changes everything, and queues a delivery that there is already.
fn impossible(case: Case) -> Decision {
    let mut device = case.device;
    device.report = Some(report(9, &["signal"]));
    device.last_seen = at(999);
    let alert = alert(&device.id, 55, "signal");
    Decision {
        findings: vec![finding(&device.id, 55, "signal")],
        events: vec![opened(&alert)],
        deliveries: vec![delivery(&alert, 1, "siem", 60)],
        alerts: vec![alert],
        sightings: vec![change("signal", 60, false)],
        ..nothing(device)
    }
}

async fn nothing_behind(store: Arc<dyn Store>) {
    alerted(&store, 1, &[(1, "siem", 60)]).await;
    let device = enrolled(&store, 2).await;
    let error = store.decide(&device.id, deciding(|case| Ok(Some(impossible(case))))).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
    let case = store.case(&device.id).await.unwrap().unwrap();
    assert_eq!(case, Case { device: device.clone(), findings: Vec::new(), alerts: Vec::new() });
    assert_eq!(store.events(0, 10).await.unwrap().len(), 1);
    assert_eq!(store.deliveries(DeliveryFilter::default()).await.unwrap().len(), 1);
    assert!(store.history(&device.id).await.unwrap().sightings.is_empty());
}

async fn beside(store: Arc<dyn Store>) {
    alerted(&store, 1, &[(1, "siem", 60)]).await;
    for number in 2..=41 {
        enrolled(&store, number).await;
    }
    let mut tasks = JoinSet::new();
    for number in 2..=41 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let decide = deciding(move |mut case| {
                if number % 2 == 0 {
                    return Ok(Some(impossible(case)));
                }
                case.device.report = Some(report(number, &[]));
                let event = opened(&alert(&id(1), 1, "telegram"));
                Ok(Some(Decision { events: vec![event], ..nothing(case.device) }))
            });
            (number, store.decide(&id(number), decide).await.is_ok())
        });
    }
    for (number, committed) in tasks.join_all().await {
        assert_eq!(committed, number % 2 == 1, "decision {number}");
        let report = store.device(&id(number)).await.unwrap().unwrap().report;
        assert_eq!(report.map(|report| report.revision), committed.then_some(number));
    }
    assert_eq!(store.events(0, 100).await.unwrap().len(), 21);
}

async fn no_write(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let refusal = Refusal::Retired(at(1));
    let refused = refusal.clone();
    let outcome = store.decide(&device.id, deciding(move |_| Err(refused.clone()))).await.unwrap();
    assert_eq!(outcome, DecideOutcome::Refused(refusal));
    let outcome = store.decide(&device.id, deciding(|_| Ok(None))).await.unwrap();
    assert_eq!(outcome, DecideOutcome::Committed(None));
    assert_eq!(store.device(&device.id).await.unwrap(), Some(device));
}

async fn in_turn(store: Arc<dyn Store>) {
    for number in [1, 2] {
        enrolled(&store, number).await;
    }
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            commit(&store, &id(1 + number % 2), |mut case| {
                let last = case.device.report.as_ref().map_or(0, |report| report.revision);
                case.device.report = Some(report(last + 1, &[]));
                nothing(case.device)
            })
            .await
            .device
        });
    }
    let mut revisions: Vec<(String, u64)> = tasks
        .join_all()
        .await
        .into_iter()
        .map(|device| (device.id.to_string(), device.report.unwrap().revision))
        .collect();
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), 200, "no two decisions saw the same state");
    for number in [1, 2] {
        assert_eq!(store.device(&id(number)).await.unwrap().unwrap().report.unwrap().revision, 100);
    }
}

async fn missing(store: Arc<dyn Store>) {
    let decide = deciding(|_| panic!("there is nothing to decide about"));
    let error = store.decide(&id(1), decide).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "device", .. }), "{error:?}");
}

async fn put_alert(store: &Arc<dyn Store>, alert: Alert) -> Result<(), StoreError> {
    let device = alert.about.device().unwrap().clone();
    let put =
        deciding(move |case| Ok(Some(Decision { alerts: vec![alert.clone()], ..nothing(case.device) })));
    store.decide(&device, put).await.map(drop)
}

async fn one_alert(store: Arc<dyn Store>) {
    for number in [1, 2] {
        enrolled(&store, number).await;
    }
    let silent = |device, number| {
        let mut alert = alert(&id(device), number, "telegram");
        (alert.kind, alert.rule, alert.app) = (AlertKind::DeviceSilent, None, None);
        alert
    };
    put_alert(&store, alert(&id(1), 1, "telegram")).await.unwrap();
    put_alert(&store, silent(1, 2)).await.unwrap();
    put_alert(&store, alert(&id(1), 1, "telegram")).await.unwrap();
    for second in [alert(&id(1), 3, "telegram"), silent(1, 4)] {
        assert!(put_alert(&store, second.clone()).await.is_err(), "{second:?}");
    }
    let mut cloned = silent(1, 5);
    cloned.kind = AlertKind::DeviceCloned;
    for other in [alert(&id(1), 6, "signal"), alert(&id(2), 7, "telegram"), silent(2, 8), cloned] {
        put_alert(&store, other).await.unwrap();
    }
    assert_eq!(store.alerts(AlertFilter::default()).await.unwrap().len(), 6);
}

async fn one_finding(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let put = |numbers: &'static [(u64, Option<i64>)]| {
        deciding(move |case| {
            let one = |(number, ended): &(u64, Option<i64>)| {
                let mut finding = finding(&case.device.id, *number, "telegram");
                finding.ended_at = ended.map(at);
                finding
            };
            let findings = numbers.iter().map(one).collect();
            Ok(Some(Decision { findings, ..nothing(case.device) }))
        })
    };
    store.decide(&device.id, put(&[(1, None)])).await.unwrap();
    assert!(store.decide(&device.id, put(&[(2, None)])).await.is_err());
    // In whatever order the decision names them.
    store.decide(&device.id, put(&[(2, None), (1, Some(80))])).await.unwrap();
    let open = store.case(&device.id).await.unwrap().unwrap().findings;
    assert_eq!(open, [finding(&device.id, 2, "telegram")]);
}

async fn intervals(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let steps = [
        vec![change("telegram", 10, false), change("signal", 10, false)],
        vec![change("telegram", 20, true)],
        // Gone and back at one instant is not gone.
        vec![change("telegram", 30, false), change("telegram", 30, true), change("telegram", 30, false)],
        vec![change("signal", 40, true)],
    ];
    for step in steps {
        commit(&store, &device.id, move |case| Decision { sightings: step.clone(), ..nothing(case.device) })
            .await;
    }
    let interval = |name, started, ended: Option<i64>| SightingInterval {
        sighting: sighting(name),
        started_at: at(started),
        ended_at: ended.map(at),
    };
    assert_eq!(
        store.history(&device.id).await.unwrap().sightings,
        [
            interval("signal", 10, Some(40)),
            interval("telegram", 10, Some(20)),
            interval("telegram", 30, None)
        ]
    );
}

async fn ended_findings(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    for ended in [None, Some(at(70))] {
        commit(&store, &device.id, move |case| {
            let mut finding = finding(&case.device.id, 1, "telegram");
            finding.ended_at = ended;
            Decision { findings: vec![finding], ..nothing(case.device) }
        })
        .await;
    }
    assert!(store.case(&device.id).await.unwrap().unwrap().findings.is_empty());
    let history = store.history(&device.id).await.unwrap().findings;
    assert_eq!(history.iter().map(|finding| finding.ended_at).collect::<Vec<_>>(), [Some(at(70))]);
}
