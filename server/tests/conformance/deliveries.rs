//! Deliveries and their leases.

use std::sync::Arc;

use offchannel_server::domain::delivery::{Attempt, Delivery, DeliveryState};
use offchannel_server::store::{DeliveryFilter, Store, StoreError};
use offchannel_shared::ids::{ChannelName, DeliveryId};
use tokio::task::JoinSet;

use super::fixtures::{alerted, at, channel, id, queued};
use super::{Behaviour, behaviour};

pub fn all() -> Vec<Behaviour> {
    vec![
        behaviour("what is due is leased, the longest due first", due),
        behaviour("only deliveries of the worker's channels are leased", channels),
        behaviour("many workers never hold one delivery at a time", exclusion),
        behaviour("a lease that ran out passes to the next, and the first is told so", expiry),
        behaviour("leases can be ended for workers that are dead", released),
        behaviour("an attempt ends the lease and is written", finish),
        behaviour("one alert's deliveries to a channel go out in the order in which they were queued", order),
        behaviour("what is dead holds up no other, and what is retried goes first", dead_in_order),
        behaviour("all dead deliveries are retried on request, or those of one channel", retry_all),
        behaviour("a dead delivery is retried on request, no other is", retry),
        behaviour("deliveries are listed newest first, filtered and limited", listed),
    ]
}

async fn claim(store: &Arc<dyn Store>, worker: &str, now: i64, until: i64, limit: u32) -> Vec<Delivery> {
    store.claim_deliveries(&[channel("siem")], worker, at(now), at(until), limit).await.unwrap()
}

fn ids(deliveries: &[Delivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.id.clone()).collect()
}

async fn due(store: Arc<dyn Store>) {
    queued(&store, &[(1, "siem", 30), (2, "siem", 10), (3, "siem", 20), (4, "siem", 99)]).await;
    assert_eq!(ids(&claim(&store, "a", 9, 100, 10).await), []);
    assert_eq!(ids(&claim(&store, "a", 50, 100, 2).await), [id(2), id(3)]);
    assert_eq!(ids(&claim(&store, "a", 50, 100, 2).await), [id(1)], "what is leased is not due");
    assert_eq!(ids(&claim(&store, "a", 50, 100, 0).await), []);
}

async fn channels(store: Arc<dyn Store>) {
    alerted(&store, 1, &[(1, "siem", 10), (2, "mail", 11), (3, "chat", 12)]).await;
    let claim = async |names: &[&str]| {
        let names: Vec<ChannelName> = names.iter().map(|name| channel(name)).collect();
        ids(&store.claim_deliveries(&names, "a", at(50), at(90), 10).await.unwrap())
    };
    assert_eq!(claim(&[]).await, []);
    assert_eq!(claim(&["other"]).await, []);
    assert_eq!(claim(&["chat", "siem", "other"]).await, [id(1), id(3)]);
    assert_eq!(claim(&["mail"]).await, [id(2)]);
}

async fn exclusion(store: Arc<dyn Store>) {
    let many: Vec<(u64, &str, i64)> = (1..=120).map(|number| (number, "siem", 10)).collect();
    queued(&store, &many).await;
    let mut tasks = JoinSet::new();
    for worker in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = claim(&store, &format!("worker-{worker}"), 20, 1_000, 5).await;
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(ids(&claimed));
            }
        });
    }
    let mut all: Vec<DeliveryId> = tasks.join_all().await.concat();
    all.sort();
    let expected: Vec<DeliveryId> = (1..=120).map(id).collect();
    assert_eq!(all, expected, "each once");
}

async fn expiry(store: Arc<dyn Store>) {
    alerted(&store, 1, &[(1, "siem", 10)]).await;
    let mut slow = claim(&store, "slow", 20, 50, 1).await.remove(0);
    assert_eq!(ids(&claim(&store, "next", 49, 80, 1).await), []);
    let mut next = claim(&store, "next", 50, 80, 1).await.remove(0);
    slow.attempted(Attempt::GiveUp { error: "too slow".to_owned() }, at(60), 0.0);
    assert!(!store.finish_delivery(slow.clone(), "slow").await.unwrap());
    assert_eq!(store.delivery(&id(1)).await.unwrap(), Some(next.clone()), "nothing was written");
    next.attempted(Attempt::Delivered, at(60), 0.0);
    assert!(store.finish_delivery(next.clone(), "next").await.unwrap());
    assert!(!store.finish_delivery(next.clone(), "next").await.unwrap(), "the lease is over");
    assert_eq!(store.delivery(&id(1)).await.unwrap(), Some(next));
    assert_eq!(ids(&claim(&store, "next", 9_000, 9_900, 1).await), []);
}

async fn released(store: Arc<dyn Store>) {
    queued(&store, &[(1, "siem", 10), (2, "siem", 11)]).await;
    let mut dead = claim(&store, "dead", 20, 500, 1).await.remove(0);
    assert_eq!(store.release_deliveries().await.unwrap(), 1);
    assert_eq!(store.release_deliveries().await.unwrap(), 0);
    assert_eq!(ids(&claim(&store, "next", 20, 500, 1).await), [id(1)]);
    dead.attempted(Attempt::Delivered, at(21), 0.0);
    assert!(!store.finish_delivery(dead, "dead").await.unwrap(), "it holds the delivery no longer");
}

async fn finish(store: Arc<dyn Store>) {
    alerted(&store, 1, &[(1, "siem", 10)]).await;
    let mut delivery = claim(&store, "a", 20, 50, 1).await.remove(0);
    let failed = Attempt::Retry { error: "503".to_owned(), after: None };
    delivery.attempted(failed, at(20), 0.0);
    assert!(store.finish_delivery(delivery.clone(), "a").await.unwrap());
    assert_eq!(store.delivery(&id(1)).await.unwrap(), Some(delivery.clone()));
    assert_eq!((delivery.attempts, delivery.due_at), (1, at(25)));
    assert_eq!(ids(&claim(&store, "b", 24, 50, 1).await), []);
    assert_eq!(
        ids(&claim(&store, "b", 25, 50, 1).await),
        [id(1)],
        "due again although the first lease ran on"
    );
}

/// Claims one and writes how it went.
async fn attempt(store: &Arc<dyn Store>, now: i64, how: Attempt) -> DeliveryId {
    let mut one = claim(store, "a", now, now + 50, 1).await.remove(0);
    one.attempted(how, at(now), 0.0);
    assert!(store.finish_delivery(one.clone(), "a").await.unwrap());
    one.id
}

async fn order(store: Arc<dyn Store>) {
    // The ids and the times at which they are due say nothing of the order.
    alerted(&store, 1, &[(3, "siem", 30), (1, "siem", 10), (2, "siem", 20), (4, "mail", 10)]).await;
    alerted(&store, 2, &[(5, "siem", 40)]).await;
    assert_eq!(ids(&claim(&store, "other", 9, 20, 9).await), [], "none is due yet");
    assert_eq!(ids(&claim(&store, "other", 20, 25, 9).await), [id(3)], "it goes with what is due before it");
    assert_eq!(ids(&claim(&store, "a", 50, 60, 9).await), [id(3), id(5)], "one of each alert");
    assert_eq!(ids(&claim(&store, "b", 55, 90, 9).await), [], "the first is under way");
    let both = [channel("siem"), channel("mail")];
    let mail = store.claim_deliveries(&both, "b", at(55), at(90), 9).await.unwrap();
    assert_eq!(ids(&mail), [id(4)], "another channel has an order of its own");
    let later = Attempt::Retry { error: "503".to_owned(), after: None };
    assert_eq!(attempt(&store, 60, later).await, id(3));
    assert_eq!(ids(&claim(&store, "b", 61, 63, 9).await), [id(5)], "the first is tried again later");
    assert_eq!(attempt(&store, 65, Attempt::Delivered).await, id(5), "the longest due first");
    assert_eq!(attempt(&store, 66, Attempt::Delivered).await, id(3));
    assert_eq!(attempt(&store, 67, Attempt::Accepted).await, id(1));
    assert_eq!(attempt(&store, 68, Attempt::Delivered).await, id(2));
}

async fn dead_in_order(store: Arc<dyn Store>) {
    alerted(&store, 1, &[(1, "siem", 10), (2, "siem", 11), (3, "siem", 12)]).await;
    let never = || Attempt::GiveUp { error: "410".to_owned() };
    assert_eq!(attempt(&store, 20, never()).await, id(1));
    assert_eq!(attempt(&store, 20, Attempt::Delivered).await, id(2));
    store.retry_delivery(&id(1), at(30)).await.unwrap();
    assert_eq!(attempt(&store, 30, Attempt::Delivered).await, id(1));
    assert_eq!(attempt(&store, 30, Attempt::Delivered).await, id(3));
}

async fn retry_all(store: Arc<dyn Store>) {
    queued(&store, &[(1, "siem", 10), (2, "siem", 11), (3, "siem", 12)]).await;
    alerted(&store, 4, &[(4, "mail", 10)]).await;
    let never = || Attempt::GiveUp { error: "410".to_owned() };
    for _ in 1..=2 {
        attempt(&store, 20, never()).await;
    }
    let mut mail =
        store.claim_deliveries(&[channel("mail")], "a", at(20), at(50), 1).await.unwrap().remove(0);
    mail.attempted(never(), at(20), 0.0);
    store.finish_delivery(mail, "a").await.unwrap();
    assert_eq!(store.retry_deliveries(Some(channel("other")), at(60)).await.unwrap(), 0);
    assert_eq!(store.retry_deliveries(Some(channel("siem")), at(60)).await.unwrap(), 2);
    let one = store.delivery(&id(1)).await.unwrap().unwrap();
    assert_eq!((one.state, one.due_at), (DeliveryState::Pending, at(60)));
    assert_eq!(store.delivery(&id(4)).await.unwrap().unwrap().state, DeliveryState::Dead);
    assert_eq!(store.retry_deliveries(None, at(70)).await.unwrap(), 1);
    assert_eq!(store.retry_deliveries(None, at(70)).await.unwrap(), 0);
}

async fn retry(store: Arc<dyn Store>) {
    queued(&store, &[(1, "siem", 10), (2, "siem", 10)]).await;
    let mut dead = claim(&store, "a", 20, 50, 1).await.remove(0);
    dead.attempted(Attempt::GiveUp { error: "410".to_owned() }, at(20), 0.0);
    assert!(store.finish_delivery(dead.clone(), "a").await.unwrap());
    let retried = store.retry_delivery(&id(1), at(70)).await.unwrap();
    let expected = Delivery { state: DeliveryState::Pending, due_at: at(70), ..dead };
    assert_eq!(retried, expected);
    assert_eq!(store.delivery(&id(1)).await.unwrap(), Some(expected));
    for other in [1, 2, 3] {
        let error = store.retry_delivery(&id(other), at(70)).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { what: "dead delivery", .. }), "{error:?}");
    }
    assert_eq!(ids(&claim(&store, "a", 70, 90, 9).await), [id(2), id(1)]);
}

async fn listed(store: Arc<dyn Store>) {
    queued(&store, &[(1, "siem", 30), (2, "mail", 10), (3, "siem", 20)]).await;
    let mut claimed = claim(&store, "a", 20, 50, 1).await.remove(0);
    claimed.attempted(Attempt::Delivered, at(21), 0.0);
    store.finish_delivery(claimed, "a").await.unwrap();
    let list = async |states: &[DeliveryState], limit| {
        ids(&store
            .deliveries(DeliveryFilter { states: states.to_vec(), limit, channel: None })
            .await
            .unwrap())
    };
    assert_eq!(list(&[], 0).await, [id(1), id(3), id(2)]);
    assert_eq!(list(&[], 2).await, [id(1), id(3)]);
    assert_eq!(list(&[DeliveryState::Pending, DeliveryState::Dead], 0).await, [id(1), id(2)]);
    assert_eq!(list(&[DeliveryState::Delivered], 0).await, [id(3)]);
    assert_eq!(list(&[DeliveryState::Dead], 0).await, []);
    let mail = DeliveryFilter { channel: Some(channel("mail")), ..DeliveryFilter::default() };
    assert_eq!(ids(&store.deliveries(mail).await.unwrap()), [id(2)]);
}
