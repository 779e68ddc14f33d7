//! Deliveries that are told together, and the order of those that are not.

use std::sync::Arc;

use offchannel_server::domain::case::Decision;
use offchannel_server::domain::delivery::{Attempt, Delivery, DeliveryState};
use offchannel_server::domain::digest::{CHANGES_MAX, Digest, InDigest};
use offchannel_server::store::Store;
use offchannel_shared::ids::DeliveryId;

use super::fixtures::{alert, alerted, at, channel, commit, delivery, enrolled, id, nothing};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("what is due of a digest is one message, which stays what it is", together),
        behaviour("digests of other groups and channels are other messages", apart),
        behaviour("one message has an end, and the rest is the next", bounded),
        behaviour("a digest that is given up can be sent again as it was", retried),
        behaviour("a digest holds up nothing, and nothing holds it up", beside),
        behaviour("what waits for a time of day goes with what is urgent, in its order", urgent),
    ]
}

/// Queues one more delivery of an alert: number, channel, due, group.
async fn queue(
    store: &Arc<dyn Store>,
    of: u64,
    number: u64,
    to: &'static str,
    due: i64,
    group: Option<&'static str>,
) {
    commit(store, &id(of), move |case| {
        let mut one = delivery(&alert(&case.device.id, of, "telegram"), number, to, due);
        one.digest = group.map(|group| InDigest { group: group.to_owned(), message: None });
        Decision { deliveries: vec![one], ..nothing(case.device) }
    })
    .await;
}

async fn claim_digest(store: &Arc<dyn Store>, now: i64, until: i64) -> Vec<Delivery> {
    store.claim_digest(&[channel("mail")], "a", at(now), at(until)).await.unwrap()
}

async fn claim(store: &Arc<dyn Store>, now: i64) -> Vec<DeliveryId> {
    let claimed = store.claim_deliveries(&[channel("mail")], "a", at(now), at(now + 5), 10).await.unwrap();
    claimed.into_iter().map(|one| one.id).collect()
}

fn ids(parts: &[Delivery]) -> Vec<DeliveryId> {
    parts.iter().map(|part| part.id.clone()).collect()
}

async fn together(store: Arc<dyn Store>) {
    for number in 1..=3 {
        alerted(&store, number, &[]).await;
    }
    // Ids say nothing of the order.
    queue(&store, 1, 33, "mail", 100, Some("daily")).await;
    queue(&store, 2, 31, "mail", 100, Some("daily")).await;
    queue(&store, 1, 32, "mail", 100, Some("daily")).await;
    assert_eq!(claim_digest(&store, 99, 200).await, []);
    let mut parts = claim_digest(&store, 100, 200).await;
    assert_eq!(ids(&parts), [id(33), id(31), id(32)]);
    let message = Digest::of(&parts).unwrap().id.clone();
    assert_eq!(message, id(33));
    assert_eq!(claim_digest(&store, 150, 200).await, [], "it is leased");
    // What comes later is not in it, also where it is due before the message is tried again.
    queue(&store, 3, 30, "mail", 105, Some("daily")).await;
    for part in &mut parts {
        part.attempted(Attempt::Retry { error: "503".to_owned(), after: None }, at(110), 0.0);
    }
    assert!(store.finish_deliveries(parts, "a").await.unwrap());
    assert_eq!(ids(&claim_digest(&store, 300, 400).await), [id(30)]);
    let mut again = claim_digest(&store, 300, 400).await;
    assert_eq!((Digest::of(&again).unwrap().id, ids(&again)), (&message, vec![id(33), id(31), id(32)]));
    assert!(again.iter().all(|part| part.attempts == 1));
    for part in &mut again {
        part.attempted(Attempt::Delivered, at(310), 0.0);
    }
    assert!(store.finish_deliveries(again.clone(), "a").await.unwrap());
    assert!(!store.finish_deliveries(again, "a").await.unwrap(), "the lease is over");
    assert_eq!(store.delivery(&id(31)).await.unwrap().unwrap().state, DeliveryState::Delivered);
}

async fn apart(store: Arc<dyn Store>) {
    alerted(&store, 1, &[]).await;
    queue(&store, 1, 10, "mail", 100, Some("daily, for ada")).await;
    queue(&store, 1, 11, "mail", 100, Some("daily, for grace")).await;
    queue(&store, 1, 12, "chat", 100, Some("daily, for ada")).await;
    assert_eq!(ids(&claim_digest(&store, 100, 200).await), [id(10)]);
    assert_eq!(ids(&claim_digest(&store, 100, 200).await), [id(11)]);
    assert_eq!(ids(&claim_digest(&store, 100, 200).await), []);
}

async fn bounded(store: Arc<dyn Store>) {
    enrolled(&store, 1).await;
    let count = u64::from(CHANGES_MAX) + 3;
    commit(&store, &id(1), move |case| {
        let alert = alert(&case.device.id, 1, "telegram");
        let one = |number| {
            let mut one = delivery(&alert, number, "mail", 100);
            one.digest = Some(InDigest { group: "daily".to_owned(), message: None });
            one
        };
        let deliveries = (1..=count).map(one).collect();
        Decision { alerts: vec![alert], deliveries, ..nothing(case.device) }
    })
    .await;
    let first = claim_digest(&store, 100, 200).await;
    assert_eq!(first.len() as u64, u64::from(CHANGES_MAX));
    assert_eq!(ids(&claim_digest(&store, 100, 200).await), [id(count - 2), id(count - 1), id(count)]);
}

async fn retried(store: Arc<dyn Store>) {
    alerted(&store, 1, &[]).await;
    for number in [10, 11] {
        queue(&store, 1, number, "mail", 100, Some("daily")).await;
    }
    let mut parts = claim_digest(&store, 100, 200).await;
    for part in &mut parts {
        part.attempted(Attempt::GiveUp { error: "410".to_owned() }, at(110), 0.0);
    }
    assert!(store.finish_deliveries(parts, "a").await.unwrap());
    assert_eq!(claim_digest(&store, 900, 999).await, []);
    queue(&store, 1, 12, "mail", 150, Some("daily")).await;
    store.retry_delivery(&id(11), at(900)).await.unwrap();
    assert_eq!(ids(&claim_digest(&store, 900, 999).await), [id(12)], "another message");
    assert_eq!(ids(&claim_digest(&store, 900, 999).await), [id(10), id(11)]);
}

async fn beside(store: Arc<dyn Store>) {
    alerted(&store, 1, &[]).await;
    queue(&store, 1, 10, "mail", 9_000, Some("daily")).await;
    queue(&store, 1, 11, "mail", 100, None).await;
    assert_eq!(claim(&store, 100).await, [id(11)]);
    queue(&store, 1, 12, "mail", 101, Some("hourly")).await;
    assert_eq!(ids(&claim_digest(&store, 101, 200).await), [id(12)], "although 11 is under way");
}

async fn urgent(store: Arc<dyn Store>) {
    alerted(&store, 1, &[]).await;
    queue(&store, 1, 10, "mail", 9_000, None).await;
    queue(&store, 1, 11, "mail", 9_000, None).await;
    assert_eq!(claim(&store, 100).await, []);
    queue(&store, 1, 12, "mail", 100, None).await;
    for number in 10..=12 {
        assert_eq!(
            claim(&store, 100 + number).await,
            [id(number.unsigned_abs())],
            "in the order of what happened"
        );
        let mut one = store.delivery(&id(number.unsigned_abs())).await.unwrap().unwrap();
        one.attempted(Attempt::Delivered, at(100 + number), 0.0);
        assert!(store.finish_delivery(one, "a").await.unwrap());
    }
    // What is to be tried again waits as long as the receiver needs, whatever comes after it.
    queue(&store, 1, 20, "mail", 200, None).await;
    assert_eq!(claim(&store, 200).await, [id(20)]);
    let mut one = store.delivery(&id(20)).await.unwrap().unwrap();
    one.attempted(Attempt::Retry { error: "503".to_owned(), after: None }, at(200), 0.0);
    let due = one.due_at;
    assert!(store.finish_delivery(one, "a").await.unwrap());
    queue(&store, 1, 21, "mail", 201, None).await;
    assert_eq!(store.delivery(&id(20)).await.unwrap().unwrap().due_at, due);
    assert_eq!(claim(&store, 202).await, []);
}
