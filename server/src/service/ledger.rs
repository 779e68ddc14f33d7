//! The ledger: what it says, what is decided about it, and what follows from repetition.

use std::sync::PoisonError;

use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::AlertId;
use offchannel_shared::policy::{Party, Step, When};

use super::background::DerivedIds;
use super::{Service, ServiceError};
use crate::domain::ingest::{self, Context};
use crate::domain::ledger::{Entry, Measure, Ruling, Tally, Whose, why};
use crate::store::LedgerFilter;

/// Most entries that are looked at before others get their turn.
const FOLLOW_BATCH: u32 = 500;

/// How far the ledger was followed. It is kept in memory only: after a start all alerts that are not resolved are
/// looked at again, and remember themselves which steps were taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// By which version of the policy. Another one may have other steps.
    policy: u64,
    sequence: u64,
}

impl Service {
    /// Breaches, the last first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn ledger(&self, filter: LedgerFilter) -> Result<Vec<Entry>, ServiceError> {
        Ok(self.0.store.ledger(filter).await?)
    }

    /// How many breaches each had, the most first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn tally(&self, party: Party, filter: LedgerFilter) -> Result<Vec<Tally>, ServiceError> {
        Ok(self.0.store.tally(party, filter).await?)
    }

    /// What was decided, the last first: all, or about one.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn rulings(&self, about: Option<Whose>) -> Result<Vec<Ruling>, ServiceError> {
        Ok(self.0.store.rulings(about).await?)
    }

    /// Keeps what somebody who is accountable has decided.
    ///
    /// # Errors
    /// [`ServiceError::Ruling`] if it says too little, [`ServiceError::Store`], also if it is about something that is
    /// not there.
    pub async fn rule(
        &self,
        about: Whose,
        alerts: Vec<AlertId>,
        (measure, text): (Measure, &str),
        by: &str,
    ) -> Result<Ruling, ServiceError> {
        let ruling = Ruling::new(about, alerts, (measure, text), by, self.now())?;
        self.0.store.rule(ruling.clone()).await?;
        Ok(ruling)
    }

    /// Takes the steps that the policy has for repetition; returns whether there may be more to look at.
    ///
    /// # Errors
    /// The first [`ServiceError`]; what could not be done is done at the next call.
    pub async fn follow_ledger(&self) -> Result<bool, ServiceError> {
        let Ok(in_force) = self.in_force() else { return Ok(false) };
        let by_repetition = |step: &&Step| matches!(step.when, When::Repetition(_));
        let steps: Vec<&Step> = in_force.policy.escalation.iter().filter(by_repetition).collect();
        if steps.is_empty() {
            return Ok(false);
        }
        let mut place = *self.0.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if place.policy != in_force.version {
            place = Place { policy: in_force.version, sequence: 0 };
        }
        let followed = self.0.store.follow_ledger(place.sequence, FOLLOW_BATCH).await?;
        for entry in &followed.entries {
            for step in &steps {
                self.take_step(entry, step).await?;
            }
        }
        place.sequence = followed.through;
        *self.0.followed.lock().unwrap_or_else(PoisonError::into_inner) = place;
        Ok(followed.entries.len() as u64 >= u64::from(FOLLOW_BATCH))
    }

    async fn take_step(&self, entry: &Entry, step: &Step) -> Result<(), ServiceError> {
        let Some((counted, repetition)) = entry.counted(step) else { return Ok(()) };
        let whose = counted.whose.clone();
        let count = self.0.store.count_breaches(counted).await?;
        if count < u64::from(repetition.breaches) {
            return Ok(());
        }
        let (breach, id, why) =
            (entry.breach.clone(), step.id.clone(), why(count, &whose, repetition.within));
        let judge = move |case, context: &Context<'_>, ids: &mut DerivedIds| {
            ingest::repeated(case, &breach, (&id, &why), context, ids)
        };
        match self.decide(&entry.breach.device, judge).await {
            Ok(_) => Ok(()),
            // It would fail again, and hold up all others.
            Err(error @ (ServiceError::Refused(_) | ServiceError::DeviceUnknown)) => {
                tracing::error!(alert = %entry.breach.alert, error = %error_chain(&error), "an alert could not be escalated");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
