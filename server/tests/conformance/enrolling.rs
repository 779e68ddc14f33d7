//! Enrolment.

use std::sync::Arc;

use offchannel_server::domain::device::Device;
use offchannel_server::domain::token::{Presented, TokenError};
use offchannel_server::store::{Enrolled, Store};
use tokio::task::JoinSet;

use super::fixtures::{at, commit, device, enrolled, id, nothing, presented, report, token};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("a device is enrolled where its token places it", placed),
        behaviour("a token that may not be used registers nothing", refused),
        behaviour("a token enrols as many devices as it may, also at once", limited),
        behaviour("a device whose answer was lost gets its registration back", lost_answer),
        behaviour("a wrong secret is told nothing about a key that is known", wrong_secret),
        behaviour("a known key with another token is placed anew and keeps its history", again),
        behaviour("the key of a retired device stays refused", retired),
    ]
}

async fn enrol(store: &Arc<dyn Store>, presented: Presented, device: Device, now: i64) -> Enrolled {
    store.enrol(presented, device, at(now)).await.unwrap()
}

async fn uses(store: &Arc<dyn Store>) -> Vec<u32> {
    store.tokens().await.unwrap().into_iter().rev().map(|token| token.uses).collect()
}

async fn placed(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    assert_eq!((device.placement.ownership, &device.token), (token(1).ownership, &token(1).id));
    assert_eq!(store.device(&device.id).await.unwrap(), Some(device));
    assert_eq!(uses(&store).await, [1]);
}

async fn refused(store: Arc<dyn Store>) {
    let mut spent = token(1);
    (spent.max_uses, spent.uses) = (2, 2);
    let mut expired = token(2);
    expired.expires_at = at(10);
    let good = token(3);
    for token in [&spent, &expired, &good, &token(4)] {
        store.create_token(token.clone()).await.unwrap();
    }
    store.revoke_token(&id(4), at(5)).await.unwrap();
    let wrong = Presented { secret_hash: "0".repeat(64), ..presented(&good) };
    let cases = [
        (presented(&spent), TokenError::Spent(2)),
        (presented(&expired), TokenError::Expired(at(10))),
        (presented(&token(4)), TokenError::Revoked(at(5))),
        (presented(&token(9)), TokenError::Unknown),
        (wrong, TokenError::Unknown),
    ];
    for (presented, expected) in cases {
        assert_eq!(enrol(&store, presented, device(1), 10).await, Enrolled::Refused(expected));
    }
    assert!(store.devices(None, 10).await.unwrap().is_empty());
    assert_eq!(uses(&store).await, [2, 0, 0, 0]);
}

async fn limited(store: Arc<dyn Store>) {
    let mut token = token(1);
    token.max_uses = 7;
    store.create_token(token.clone()).await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let (store, presented) = (Arc::clone(&store), presented(&token));
        tasks.spawn(async move { enrol(&store, presented, device(number), 1).await });
    }
    let outcomes = tasks.join_all().await;
    let registered = outcomes.iter().filter(|outcome| matches!(outcome, Enrolled::Registered(_))).count();
    let spent =
        outcomes.iter().filter(|outcome| **outcome == Enrolled::Refused(TokenError::Spent(7))).count();
    assert_eq!((registered, spent), (7, 33));
    assert_eq!(store.devices(None, 100).await.unwrap().len(), 7);
    assert_eq!(uses(&store).await, [7]);
}

async fn lost_answer(store: Arc<dyn Store>) {
    let mut token = token(1);
    (token.max_uses, token.expires_at) = (1, at(100));
    store.create_token(token.clone()).await.unwrap();
    let first = enrol(&store, presented(&token), device(1), 1).await;
    assert!(matches!(first, Enrolled::Registered(_)), "{first:?}");
    // The agent asks again; its proposed id is a new one each time.
    let mut repeated = device(1);
    repeated.id = id(77);
    assert_eq!(enrol(&store, presented(&token), repeated.clone(), 2).await, first, "the token is used up");
    assert_eq!(enrol(&store, presented(&token), repeated.clone(), 200).await, first, "the token has expired");
    store.revoke_token(&token.id, at(201)).await.unwrap();
    assert_eq!(enrol(&store, presented(&token), repeated, 202).await, first, "the token is revoked");
    assert_eq!(store.devices(None, 10).await.unwrap().len(), 1);
    assert_eq!(uses(&store).await, [1]);
}

async fn wrong_secret(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    let wrong = Presented { secret_hash: "0".repeat(64), ..presented(&token(1)) };
    assert_eq!(enrol(&store, wrong, device, 1).await, Enrolled::Refused(TokenError::Unknown));
}

async fn again(store: Arc<dyn Store>) {
    let first = enrolled(&store, 1).await;
    let reported = commit(&store, &first.id, |mut case| {
        case.device.report = Some(report(4, &["telegram"]));
        case.device.evaluate_at = Some(at(5_000));
        nothing(case.device)
    })
    .await;
    store.create_token(token(2)).await.unwrap();
    let mut offered = device(1);
    offered.id = id(77);
    offered.facts.hostname = "renamed".to_owned();
    offered.agent_version = "0.2.0".to_owned();
    let outcome = enrol(&store, presented(&token(2)), offered, 300).await;
    let mut expected = reported.device;
    expected.token = id(2);
    expected.facts.hostname = "renamed".to_owned();
    expected.agent_version = "0.2.0".to_owned();
    expected.last_seen = at(300);
    expected.evaluate_at = Some(at(300));
    assert_eq!(outcome, Enrolled::Registered(Box::new(expected.clone())));
    assert_eq!(store.device(&first.id).await.unwrap(), Some(expected));
    assert_eq!(store.device(&id(77)).await.unwrap(), None);
    assert_eq!(uses(&store).await, [1, 1]);
}

async fn retired(store: Arc<dyn Store>) {
    let device = enrolled(&store, 1).await;
    commit(&store, &device.id, |mut case| {
        case.device.retired_at = Some(at(50));
        nothing(case.device)
    })
    .await;
    store.create_token(token(2)).await.unwrap();
    let refused = Enrolled::Refused(TokenError::KeyRetired(at(50)));
    for number in [1, 2] {
        assert_eq!(enrol(&store, presented(&token(number)), device.clone(), 60).await, refused);
    }
    assert_eq!(uses(&store).await, [1, 0]);
    assert_eq!(store.devices(None, 10).await.unwrap().len(), 1);
}
