//! The jobs that are one call of the service each.

use std::time::Duration;

use async_trait::async_trait;

use super::runner::{Failure, Job, Next};
use crate::service::Service;

/// How often devices are looked for that are due; a grace period or a silence ends with this
/// precision, and a policy takes force with it.
const EVALUATE_EVERY: Duration = Duration::from_secs(1);
/// Most devices that are judged before others get their turn.
const EVALUATE_BATCH: u32 = 500;
/// How often the ledger is looked at without anything having changed here: another collector may write to it.
const FOLLOW_EVERY: Duration = Duration::from_secs(5);
/// How often it is written when devices were heard of: what a crash may lose of it.
const FLUSH_EVERY: Duration = Duration::from_secs(15);
/// How often it is looked whether another process changed something.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// Judges devices that are due.
#[derive(Debug)]
pub(super) struct Evaluate(pub(super) Service);

/// Puts policies in force whose time has come.
#[derive(Debug)]
pub(super) struct TakeForce(pub(super) Service);

/// Takes the steps that the policy has for repetition.
#[derive(Debug)]
pub(super) struct FollowLedger(pub(super) Service);

/// Opens and resolves alerts about units and exceptions.
#[derive(Debug)]
pub(super) struct JudgeSubjects(pub(super) Service);

/// Writes when devices were heard of.
#[derive(Debug)]
pub(super) struct FlushSeen(pub(super) Service);

/// Takes in what another process has changed.
#[derive(Debug)]
pub(super) struct Refresh(pub(super) Service);

#[async_trait]
impl Job for Evaluate {
    fn name(&self) -> String {
        "evaluate".to_owned()
    }

    fn wakes_on_change(&self) -> bool {
        true
    }

    async fn run(&self) -> Result<Next, Failure> {
        let judged = self.0.evaluate_due(EVALUATE_BATCH).await?;
        Ok(if judged > 0 { Next::Now } else { Next::After(EVALUATE_EVERY) })
    }
}

#[async_trait]
impl Job for TakeForce {
    fn name(&self) -> String {
        "take-force".to_owned()
    }

    fn wakes_on_change(&self) -> bool {
        false
    }

    async fn run(&self) -> Result<Next, Failure> {
        self.0.take_force().await?;
        Ok(Next::After(EVALUATE_EVERY))
    }
}

#[async_trait]
impl Job for FollowLedger {
    fn name(&self) -> String {
        "follow-ledger".to_owned()
    }

    fn wakes_on_change(&self) -> bool {
        true
    }

    async fn run(&self) -> Result<Next, Failure> {
        let more = self.0.follow_ledger().await?;
        Ok(if more { Next::Now } else { Next::After(FOLLOW_EVERY) })
    }
}

#[async_trait]
impl Job for JudgeSubjects {
    fn name(&self) -> String {
        "judge-subjects".to_owned()
    }

    fn wakes_on_change(&self) -> bool {
        true
    }

    async fn run(&self) -> Result<Next, Failure> {
        self.0.judge_subjects().await?;
        Ok(Next::After(FOLLOW_EVERY))
    }
}

#[async_trait]
impl Job for FlushSeen {
    fn name(&self) -> String {
        "flush-seen".to_owned()
    }

    fn wakes_on_change(&self) -> bool {
        false
    }

    async fn run(&self) -> Result<Next, Failure> {
        self.0.flush_seen().await?;
        Ok(Next::After(FLUSH_EVERY))
    }

    async fn finish(&self) -> Result<(), Failure> {
        Ok(self.0.flush_seen().await?)
    }
}

#[async_trait]
impl Job for Refresh {
    fn name(&self) -> String {
        "refresh".to_owned()
    }

    fn wakes_on_change(&self) -> bool {
        false
    }

    async fn run(&self) -> Result<Next, Failure> {
        self.0.refresh().await?;
        Ok(Next::After(REFRESH_EVERY))
    }
}
