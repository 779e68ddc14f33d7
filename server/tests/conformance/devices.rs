//! Devices: reading them, when they are due, when they were heard of.

use std::sync::Arc;

use offchannel_server::domain::case::Decision;
use offchannel_server::domain::device::{Goodbye, ReplacedKey};
use offchannel_server::domain::ingest::Refusal;
use offchannel_server::store::{DecideOutcome, Seen, Store};
use offchannel_shared::ids::DeviceId;
use offchannel_shared::signing::PublicKey;
use offchannel_shared::wire::GoodbyeReason;

use super::fixtures::{
    at, commit, deciding, device, enrolled, finding, id, nothing, presented, report, token,
};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("a device reads back as it was written, with odd values too", round_trip),
        behaviour("no device gets a key that another one has", taken_key),
        behaviour("devices are listed by id in pages, with their open findings", pages),
        behaviour("the longest due device comes first", due),
        behaviour("every active device can be made due", evaluate_all),
        behaviour("the time of hearing never goes back", seen),
        behaviour("very many times of hearing are written", many_seen),
        behaviour("what is not there is not found", missing),
    ]
}

async fn round_trip(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let written = commit(&store, &device.id, |mut case| {
        let device = &mut case.device;
        device.facts.hostname = "\u{0}'; DROP TABLE devices; -- \u{1F600}".to_owned();
        let public_key =
            std::mem::replace(&mut device.public_key, PublicKey::from_bytes(&[0xff; 32]).unwrap());
        device.replaced_key = Some(ReplacedKey { public_key, at: at(3) });
        device.facts.machine = String::new();
        device.agent_version = "x".repeat(10_000);
        device.policy_version = u64::MAX;
        device.goodbye = Some(Goodbye { reason: GoodbyeReason::Stop, at: at(-1), stays_up: true });
        device.report = Some(report(u64::MAX, &["telegram", "whatsapp"]));
        device.past_epochs = vec![id(3), id(2)];
        device.evaluate_at = Some(at(-3_000_000_000));
        nothing(case.device)
    })
    .await;
    assert_eq!(store.device(&device.id).await.unwrap(), Some(written.device.clone()));
    let back = commit(&store, &device.id, |mut case| {
        case.device.goodbye = None;
        case.device.report = None;
        case.device.evaluate_at = None;
        nothing(case.device)
    })
    .await;
    assert_eq!(store.device(&device.id).await.unwrap(), Some(back.device));
}

async fn taken_key(store: Arc<dyn Store>) {
    let (first, second) = (enrolled(&store, 1).await, enrolled(&store, 2).await);
    let other = second.public_key.clone();
    let outcome = store
        .decide(
            &first.id,
            deciding(move |mut case| {
                case.device.public_key = other.clone();
                Ok(Some(nothing(case.device)))
            }),
        )
        .await
        .unwrap();
    assert_eq!(outcome, DecideOutcome::Refused(Refusal::KeyTaken));
    assert_eq!(store.device(&first.id).await.unwrap(), Some(first));
    assert_eq!(store.device(&second.id).await.unwrap(), Some(second));
}

async fn pages(store: Arc<dyn Store>) {
    for number in [5, 3, 1, 4, 2] {
        enrolled(&store, number).await;
    }
    let third = id(3);
    commit(&store, &third, |case| {
        let mut over = finding(&case.device.id, 1, "telegram");
        over.ended_at = Some(at(70));
        let open = finding(&case.device.id, 2, "whatsapp");
        Decision { findings: vec![over, open], ..nothing(case.device) }
    })
    .await;
    let mut found = Vec::new();
    let mut after: Option<DeviceId> = None;
    loop {
        let page = store.devices(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.device.id.clone());
        found.extend(page);
    }
    let ids: Vec<DeviceId> = found.iter().map(|summary| summary.device.id.clone()).collect();
    assert_eq!(ids, [id(1), id(2), id(3), id(4), id(5)]);
    for summary in found {
        let open: &[_] = if summary.device.id == third { &[finding(&third, 2, "whatsapp")] } else { &[] };
        assert_eq!(summary.findings, open);
        assert_eq!(store.device(&summary.device.id).await.unwrap(), Some(summary.device));
    }
}

async fn make_due(store: &Arc<dyn Store>, number: u64, due: Option<i64>, retired: bool) {
    let device = enrolled(store, number).await;
    commit(store, &device.id, move |mut case| {
        case.device.evaluate_at = due.map(at);
        case.device.retired_at = retired.then(|| at(1));
        nothing(case.device)
    })
    .await;
}

async fn due(store: Arc<dyn Store>) {
    for (number, due, retired) in [
        (1, Some(30), false),
        (2, Some(10), false),
        (3, Some(20), false),
        (4, None, false),
        (5, Some(5), true),
    ] {
        make_due(&store, number, due, retired).await;
    }
    assert_eq!(store.due(at(9), 10).await.unwrap(), []);
    assert_eq!(store.due(at(20), 10).await.unwrap(), [id(2), id(3)], "due at the instant itself is due");
    assert_eq!(store.due(at(99), 10).await.unwrap(), [id(2), id(3), id(1)]);
    assert_eq!(store.due(at(99), 1).await.unwrap(), [id(2)]);
}

async fn evaluate_all(store: Arc<dyn Store>) {
    for (number, due, retired) in
        [(1, Some(30), false), (2, Some(10), false), (3, None, false), (4, None, true)]
    {
        make_due(&store, number, due, retired).await;
    }
    store.evaluate_all(at(20)).await.unwrap();
    let mut found = Vec::new();
    for number in 1..=4 {
        found.push(store.device(&id(number)).await.unwrap().unwrap().evaluate_at);
    }
    assert_eq!(found, [Some(at(20)), Some(at(10)), Some(at(20)), None]);
}

fn heard(number: u64, seconds: i64) -> Seen {
    Seen { device: id(number), at: at(seconds), agent_version: format!("0.{seconds}"), policy_version: 3 }
}

async fn seen(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    let before = enrolled(&store, 2).await;
    // One of them is not there, which does not hold up the others.
    store.seen(vec![heard(9, 50), heard(1, 50), heard(1, 40)]).await.unwrap();
    store.seen(vec![heard(1, 45)]).await.unwrap();
    let device = store.device(&id(1)).await.unwrap().unwrap();
    assert_eq!((device.last_seen, device.agent_version.as_str()), (at(50), "0.50"));
    assert_eq!(device.policy_version, 3);
    assert_eq!(store.device(&id(2)).await.unwrap(), Some(before));
    store.seen(Vec::new()).await.unwrap();
}

async fn many_seen(store: Arc<dyn Store>) {
    let token = token(1);
    store.create_token(token.clone()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=1_300 {
        let (store, presented) = (Arc::clone(&store), presented(&token));
        tasks.spawn(async move { store.enrol(presented, device(number), at(0)).await.unwrap() });
    }
    tasks.join_all().await;
    store.seen((1..=1_300).rev().map(|number| heard(number, 77)).collect()).await.unwrap();
    let devices = store.devices(None, 2_000).await.unwrap();
    assert_eq!(devices.len(), 1_300);
    assert!(devices.iter().all(|summary| summary.device.last_seen == at(77)));
}

async fn missing(store: Arc<dyn Store>) {
    assert_eq!(store.device(&id(1)).await.unwrap(), None);
    assert_eq!(store.case(&id(1)).await.unwrap(), None);
    assert!(store.devices(None, 10).await.unwrap().is_empty());
    let history = store.history(&id(1)).await.unwrap();
    assert!(history.sightings.is_empty() && history.findings.is_empty());
}
