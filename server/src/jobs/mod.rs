//! What happens without a request: deliveries go out, time passes, other processes change things.
//!
//! A job finds its work in the state of things and nowhere else, so that one that is cut off is simply done
//! again. It runs when it is told that something changed, and by its timer in any case.

mod background;
mod deliver;
mod pace;
mod runner;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::channels::Channel;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::random::{self, RandomError};
use crate::service::Service;

/// How long what is in flight may take once the jobs are to stop: one attempt of the slowest channel fits.
const GRACE: Duration = Duration::from_secs(25);

/// The jobs at work. Dropping it cuts them off.
#[derive(Debug)]
pub struct JobsHandle {
    stop: watch::Sender<bool>,
    jobs: JoinSet<()>,
}

/// Starts all jobs; one that delivers for each channel, so that a slow receiver holds up nobody else.
///
/// # Errors
/// [`RandomError`]: no name for this worker could be made.
pub fn spawn(
    service: Service,
    channels: Vec<Arc<dyn Channel>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
) -> Result<JobsHandle, RandomError> {
    let (stop, stopped) = watch::channel(false);
    let mut jobs = JoinSet::new();
    for channel in channels {
        let (store, clock) = (Arc::clone(service.store()), Arc::clone(&clock));
        let job = deliver::Deliver::new(store, channel, clock, metrics.clone(), worker_name()?);
        jobs.spawn(runner::run(job, service.changed(), stopped.clone()));
    }
    jobs.spawn(runner::run(background::Evaluate(service.clone()), service.changed(), stopped.clone()));
    jobs.spawn(runner::run(background::TakeForce(service.clone()), service.changed(), stopped.clone()));
    jobs.spawn(runner::run(background::FollowLedger(service.clone()), service.changed(), stopped.clone()));
    jobs.spawn(runner::run(background::JudgeSubjects(service.clone()), service.changed(), stopped.clone()));
    jobs.spawn(runner::run(background::FlushSeen(service.clone()), service.changed(), stopped.clone()));
    jobs.spawn(runner::run(background::Refresh(service.clone()), service.changed(), stopped));
    Ok(JobsHandle { stop, jobs })
}

impl JobsHandle {
    /// Stops the jobs: what is in flight is finished, what is left to write is written.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async {
            while let Some(ended) = self.jobs.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a job ended badly");
                }
            }
        };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!(
                jobs = self.jobs.len(),
                "jobs were cut off; what they had leased is tried again later"
            );
            self.jobs.shutdown().await;
        }
    }
}

/// A name under which deliveries are leased; no two workers have the same.
fn worker_name() -> Result<String, RandomError> {
    Ok(format!("worker-{:032x}", u128::from_be_bytes(random::bytes::<16>()?)))
}
