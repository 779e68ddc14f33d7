//! Digests from the queue to the receiver, over the clock: once each, together, in the order of what happened.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "the behaviours run in store_conformance")]
mod conformance;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_server::channels::Channel;
use offchannel_server::clock::{Clock, SettableClock};
use offchannel_server::domain::case::Decision;
use offchannel_server::domain::delivery::{Attempt, Delivery, DeliveryState};
use offchannel_server::domain::digest::{Digest, InDigest};
use offchannel_server::domain::published::Publication;
use offchannel_server::domain::route::Routes;
use offchannel_server::jobs;
use offchannel_server::metrics::Metrics;
use offchannel_server::service::Service;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_server::store::{DeliveryFilter, Store};
use offchannel_shared::ids::{ChannelName, DeliveryId};
use offchannel_shared::signing::SigningKey;
use tokio::sync::mpsc;

use self::conformance::fixtures::{alert, alerted, at, channel, commit, delivery, id, nothing};

/// What a receiver heard: the id of a message, and what was in it.
type Heard = (DeliveryId, Vec<DeliveryId>);

/// Answers as it is told, one answer after the other, and then takes everything.
#[derive(Debug)]
struct Receiver {
    name: ChannelName,
    answers: Mutex<Vec<Attempt>>,
    heard: mpsc::UnboundedSender<Heard>,
}

impl Receiver {
    fn take(&self, message: &DeliveryId, parts: Vec<DeliveryId>) -> Attempt {
        self.heard.send((message.clone(), parts)).unwrap();
        self.answers.lock().unwrap().pop().unwrap_or(Attempt::Delivered)
    }
}

#[async_trait]
impl Channel for Receiver {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    async fn send(&self, delivery: &Delivery, _: Timestamp) -> Attempt {
        self.take(&delivery.id, Vec::new())
    }

    async fn send_digest(&self, digest: &Digest<'_>, _: Timestamp) -> Attempt {
        self.take(digest.id, digest.parts.iter().map(|part| part.id.clone()).collect())
    }
}

/// Queues a delivery of an alert of its own: number, due, whether in a digest.
async fn queue(store: &Arc<dyn Store>, number: u64, due: i64, digest: bool) {
    alerted(store, number, &[]).await;
    commit(store, &id(number), move |case| {
        let mut one = delivery(&alert(&case.device.id, number, "telegram"), 100 + number, "mail", due);
        one.digest = digest.then(|| InDigest { group: "daily".to_owned(), message: None });
        Decision { deliveries: vec![one], ..nothing(case.device) }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_digest_comes_once_when_its_time_has_come_and_as_it_was_however_often_it_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { create: true, migrate: true, announce: false, now: at(0) };
    let store: Arc<dyn Store> = SqliteStore::open(&folder.path().join("offchannel.db"), &options).unwrap();
    for number in [3, 1, 2] {
        queue(&store, number, 3_600, true).await;
    }
    queue(&store, 4, 10, false).await;
    let clock = Arc::new(SettableClock::at(at(100)));
    let key = SigningKey::from_seed(&[7; 32]).unwrap();
    let routes = Routes::new(&[channel("mail")], Vec::new());
    let service = Service::start(
        Arc::clone(&store),
        Arc::clone(&clock) as Arc<dyn Clock>,
        key,
        routes,
        Publication::Alone,
    )
    .await
    .unwrap();
    let (heard, mut messages) = mpsc::unbounded_channel();
    let busy = || Attempt::Retry { error: "503".to_owned(), after: None };
    // From the last to the first: the digest is taken at the third attempt.
    let answers = Mutex::new(vec![busy(), Attempt::Delivered, busy(), Attempt::Delivered]);
    let receiver = Arc::new(Receiver { name: channel("mail"), answers, heard });
    let jobs = jobs::spawn(service, vec![receiver], Arc::clone(&clock) as Arc<dyn Clock>, Metrics::default())
        .unwrap();
    assert_eq!(messages.recv().await.unwrap(), (id(104), vec![]));

    let digest = (id(103), vec![id(103), id(101), id(102)]);
    clock.set(at(3_700));
    assert_eq!(messages.recv().await.unwrap(), digest);
    // What comes before it is tried again is another message.
    queue(&store, 5, 3_700, true).await;
    assert_eq!(messages.recv().await.unwrap(), (id(105), vec![id(105)]));
    clock.set(at(3_760));
    assert_eq!(messages.recv().await.unwrap(), digest);
    clock.set(at(4_360));
    assert_eq!(messages.recv().await.unwrap(), digest);
    let mut states = Vec::new();
    for _ in 0..1_000 {
        let all = store.deliveries(DeliveryFilter::default()).await.unwrap();
        states = all.iter().map(|one| (one.state, one.attempts)).collect();
        if states.iter().all(|(state, _)| *state == DeliveryState::Delivered) {
            break;
        }
        // No time passes: it is the runtime's, which is paused.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    states.sort_unstable();
    let once = (DeliveryState::Delivered, 1);
    let at_last = (DeliveryState::Delivered, 3);
    assert_eq!(states, [once, once, at_last, at_last, at_last]);
    assert!(messages.try_recv().is_err(), "once it is taken it is not sent again");
    jobs.stop().await;
}
