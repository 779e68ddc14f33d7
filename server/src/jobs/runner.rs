//! Running one job until it is stopped.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use offchannel_shared::error_chain::error_chain;
use tokio::sync::watch;

/// Wait after the first failure; it doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(500);
/// Longest wait after a failure.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What a job says when it is done for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to do at once.
    Now,
    /// Nothing to do before this time is over, unless something changes.
    After(Duration),
}

/// Whatever a job could not do; it is tried again.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Something that is done again and again.
#[async_trait]
pub(super) trait Job: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> String;

    /// Whether it has work when something was committed, and not only when time has passed.
    fn wakes_on_change(&self) -> bool;

    /// Does what there is to do.
    async fn run(&self) -> Result<Next, Failure>;

    /// Does what must not be left undone when the process ends.
    async fn finish(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Runs a job until `stopped` is true or nobody is left to say so. A run that has begun is finished.
pub(super) async fn run(
    job: impl Job,
    mut changed: watch::Receiver<u64>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut failures = 0u32;
    while !*stopped.borrow() {
        changed.mark_unchanged();
        let wait = match job.run().await {
            Ok(next) => {
                if failures > 0 {
                    tracing::info!(job = job.name(), failures, "the job works again");
                }
                failures = 0;
                match next {
                    Next::Now => continue,
                    Next::After(wait) => wait,
                }
            }
            Err(error) => {
                // Once is enough: the end of the trouble is logged as well.
                if failures == 0 {
                    tracing::error!(job = job.name(), error = %error_chain(&*error), "the job failed; it is tried again");
                }
                let wait = backoff(failures);
                failures = failures.saturating_add(1);
                wait
            }
        };
        let mut timer = pin!(tokio::time::sleep(wait));
        let nudged = job.wakes_on_change() && failures == 0;
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = &mut timer => {}
            Ok(()) = changed.changed(), if nudged => {}
        }
    }
    if let Err(error) = job.finish().await {
        tracing::error!(job = job.name(), error = %error_chain(&*error), "the job could not finish its work");
    }
}

fn backoff(failures: u32) -> Duration {
    BACKOFF.saturating_mul(1 << failures.min(16)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    /// Notes when it ran; fails as often as it is told to.
    #[derive(Clone)]
    struct Noted {
        runs: Arc<Mutex<Vec<u64>>>,
        failures: usize,
        start: Instant,
        enough: Arc<tokio::sync::Semaphore>,
    }

    #[async_trait]
    impl Job for Noted {
        fn name(&self) -> String {
            "noted".to_owned()
        }
        fn wakes_on_change(&self) -> bool {
            true
        }
        async fn run(&self) -> Result<Next, Failure> {
            let mut runs = self.runs.lock().unwrap();
            runs.push(self.start.elapsed().as_millis() as u64);
            self.enough.add_permits(1);
            if runs.len() <= self.failures {
                Err("no".into())
            } else {
                Ok(Next::After(Duration::from_secs(60)))
            }
        }
        async fn finish(&self) -> Result<(), Failure> {
            self.runs.lock().unwrap().push(u64::MAX);
            Ok(())
        }
    }

    fn noted(failures: usize) -> Noted {
        let enough = Arc::new(tokio::sync::Semaphore::new(0));
        let start = Instant::now();
        Noted { runs: Arc::default(), failures, start, enough }
    }

    async fn after(job: &Noted, runs: u32) {
        job.enough.acquire_many(runs).await.unwrap().forget();
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_runs_by_its_timer_when_nudged_and_finishes_when_stopped() {
        let job = noted(0);
        let (changed, changes) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(run(job.clone(), changes, stopped));
        after(&job, 2).await;
        changed.send_modify(|count| *count += 1);
        after(&job, 1).await;
        stop.send_replace(true);
        running.await.unwrap();
        let runs = job.runs.lock().unwrap().clone();
        assert!(matches!(runs[..], [0, 60_000..60_100, 60_000..60_100, u64::MAX]), "{runs:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_fails_is_tried_again_with_longer_and_longer_waits() {
        let job = noted(3);
        let (_changed, changes) = watch::channel(0);
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(run(job.clone(), changes, stopped));
        after(&job, 5).await;
        let runs = job.runs.lock().unwrap().clone();
        assert!(matches!(runs[..], [0, 500..600, 1500..1700, 3500..3800, 63_500..64_000]), "{runs:?}");
    }

    #[test]
    fn waits_after_failures_have_an_end() {
        assert_eq!(backoff(0), BACKOFF);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
