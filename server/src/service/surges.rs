//! Surges: the alerts about units, and which units have one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use offchannel_shared::ids::{AlertId, UnitId};
use offchannel_shared::span::Span;

use super::background::DerivedIds;
use super::{Service, ServiceError};
use crate::domain::alert::{Act, AlertEvent};
use crate::domain::ingest::Refusal;
use crate::domain::surge::{self, UnitCase, UnitDecision};
use crate::random;
use crate::store::DecideUnit;

impl Service {
    /// Opens an alert for each unit that has a surge, and resolves it when that is over; does what time alone does to
    /// alerts about units.
    ///
    /// # Errors
    /// The first [`ServiceError`]; what could not be done is done at the next call.
    pub async fn judge_surges(&self) -> Result<(), ServiceError> {
        let Ok(in_force) = self.in_force() else { return Ok(()) };
        let (mut found, mut within) = (BTreeMap::new(), Span::ZERO);
        if let Some(surge) = &in_force.policy.unit_surge {
            let groups = self.0.store.breach_groups(surge.within.before(self.now())).await?;
            (found, within) = (surge::surging(&groups, surge), surge.within);
        }
        let known = self.0.store.unit_alerts().await?;
        let open = known.iter().filter(|alert| alert.is_active() || alert.holds);
        let units: BTreeSet<UnitId> =
            open.filter_map(|alert| alert.about.unit().cloned()).chain(found.keys().cloned()).collect();
        // What is told of them is not to be told of each device as well, from now on.
        self.set_surging(found.keys().cloned().collect());
        for unit in units {
            let breaches = found.get(&unit).copied();
            let judge = move |case, terms: &super::agents::Terms, ids: &mut DerivedIds| {
                Ok(surge::judge(case, breaches, within, &terms.context(), ids))
            };
            self.decide_unit(&unit, judge).await?;
        }
        Ok(())
    }

    /// Takes in what a person does to an alert about a unit.
    pub(super) async fn act_on_unit(
        &self,
        unit: &UnitId,
        id: &AlertId,
        act: Act,
        by: &str,
        text: Option<&str>,
    ) -> Result<Vec<AlertEvent>, ServiceError> {
        let (id, by, text) = (id.clone(), by.to_owned(), text.map(str::to_owned));
        let judge = move |case, terms: &super::agents::Terms, ids: &mut DerivedIds| {
            Ok(surge::act(case, &id, &act, (&by, text.as_deref()), &terms.context(), ids)?)
        };
        Ok(self.decide_unit(unit, judge).await?.map(|decision| decision.events).unwrap_or_default())
    }

    async fn decide_unit(
        &self,
        unit: &UnitId,
        judge: impl Fn(UnitCase, &super::agents::Terms, &mut DerivedIds) -> Result<Option<UnitDecision>, Refusal>
        + Send
        + Sync
        + 'static,
    ) -> Result<Option<UnitDecision>, ServiceError> {
        let (terms, seed) = (self.terms()?, random::bytes::<32>()?);
        let decide = DecideUnit(Arc::new(move |case| judge(case, &terms, &mut DerivedIds::new(seed))));
        let decided = self.0.store.decide_unit(unit, decide).await?.map_err(ServiceError::Refused)?;
        if let Some(decision) = decided.as_ref().filter(|decision| !decision.events.is_empty()) {
            self.0.stats.happened(&decision.events);
            self.nudge();
        }
        Ok(decided)
    }

    /// The units that have a surge, as far as that is known.
    pub(super) fn surging(&self) -> Arc<BTreeSet<UnitId>> {
        Arc::clone(&self.0.surging.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// After a start those have a surge that had one before.
    pub(super) async fn load_surges(&self) -> Result<(), ServiceError> {
        let alerts = self.0.store.unit_alerts().await?;
        let surging =
            alerts.iter().filter(|alert| alert.holds).filter_map(|alert| alert.about.unit().cloned());
        self.set_surging(surging.collect());
        Ok(())
    }

    fn set_surging(&self, units: BTreeSet<UnitId>) {
        let known = self.surging();
        if *known != units {
            *self.0.surging.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(units);
        }
    }
}
