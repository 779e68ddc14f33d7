//! The job that delivers keeps to the pace of its channel.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first thing that fails")]

#[expect(dead_code, reason = "the behaviours run in store_conformance")]
mod conformance;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_server::channels::Channel;
use offchannel_server::clock::{Clock, SettableClock};
use offchannel_server::domain::delivery::{Attempt, Delivery};
use offchannel_server::domain::published::Publication;
use offchannel_server::domain::route::Routes;
use offchannel_server::jobs;
use offchannel_server::metrics::Metrics;
use offchannel_server::service::Service;
use offchannel_server::store::Store;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_shared::ids::ChannelName;
use offchannel_shared::signing::SigningKey;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::conformance::fixtures::{at, channel, queued};

const PER_SECOND: u32 = 2;
const DELIVERIES: u64 = 9;

/// Takes everything and says when.
#[derive(Debug)]
struct Noted {
    name: ChannelName,
    heard: mpsc::UnboundedSender<Instant>,
}

#[async_trait]
impl Channel for Noted {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    async fn send(&self, _: &Delivery, _: Timestamp) -> Attempt {
        self.heard.send(Instant::now()).unwrap();
        Attempt::Delivered
    }

    fn per_second(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(PER_SECOND)
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_told_no_more_a_second_than_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { create: true, migrate: true, announce: false, now: at(0) };
    let store: Arc<dyn Store> = SqliteStore::open(&folder.path().join("offchannel.db"), &options).unwrap();
    let many: Vec<(u64, &str, i64)> = (1..=DELIVERIES).map(|number| (number, "chat", 10)).collect();
    queued(&store, &many).await;
    let clock: Arc<dyn Clock> = Arc::new(SettableClock::at(at(100)));
    let key = SigningKey::from_seed(&[7; 32]).unwrap();
    let routes = Routes::new(&[channel("chat")], Vec::new());
    let service = Service::start(store, Arc::clone(&clock), key, routes, Publication::Alone).await.unwrap();
    let (heard, mut times) = mpsc::unbounded_channel();
    let noted = Arc::new(Noted { name: channel("chat"), heard });
    let jobs = jobs::spawn(service, vec![noted], clock, Metrics::default()).unwrap();
    let mut all = Vec::new();
    for _ in 0..DELIVERIES {
        all.push(times.recv().await.unwrap());
    }
    jobs.stop().await;
    let too_many = all
        .windows(PER_SECOND as usize + 1)
        .find(|times| times[PER_SECOND as usize].duration_since(times[0]) < Duration::from_secs(1));
    assert_eq!(too_many, None, "of {all:?}");
}
