//! Alerts about no device: units that have a surge, exceptions that are about to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use offchannel_shared::ids::{AlertId, ExceptionId, UnitId};
use offchannel_shared::policy::Severity;
use offchannel_shared::span::Span;

use super::agents::Terms;
use super::background::DerivedIds;
use super::{Service, ServiceError};
use crate::domain::alert::{About, Act, Alert, AlertEvent, AlertKind};
use crate::domain::exception::{Covers, Exception};
use crate::domain::ingest::Refusal;
use crate::domain::subject::{self, Condition, SubjectCase, SubjectDecision};
use crate::domain::surge;
use crate::random;
use crate::store::DecideSubject;

impl Service {
    /// Opens an alert for each unit that has a surge and for each exception that is to be reviewed, and resolves it when that is
    /// over; does what time alone does to such alerts.
    ///
    /// # Errors
    /// The first [`ServiceError`]; what could not be done is done at the next call.
    pub async fn judge_subjects(&self) -> Result<(), ServiceError> {
        if self.in_force().is_err() {
            return Ok(());
        }
        let known = self.0.store.subject_alerts().await?;
        let open: Vec<&Alert> = known.iter().filter(|alert| alert.is_active() || alert.holds).collect();
        self.judge_units(&open).await?;
        self.judge_exceptions(&open).await
    }

    /// The part of [`Service::judge_subjects`] that is about units.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn judge_surges(&self) -> Result<(), ServiceError> {
        if self.in_force()?.policy.unit_surge.is_none() {
            return Ok(());
        }
        let known = self.0.store.subject_alerts().await?;
        let open: Vec<&Alert> = known.iter().filter(|alert| alert.is_active() || alert.holds).collect();
        self.judge_units(&open).await
    }

    async fn judge_units(&self, open: &[&Alert]) -> Result<(), ServiceError> {
        let in_force = self.in_force()?;
        let (mut found, mut within, mut severity) = (BTreeMap::new(), Span::ZERO, Severity::High);
        if let Some(surge) = &in_force.policy.unit_surge {
            let groups = self.0.store.breach_groups(surge.within.before(self.now())).await?;
            (found, within, severity) = (surge::surging(&groups, surge), surge.within, surge.severity);
        }
        let open = open.iter().filter_map(|alert| alert.about.unit().cloned());
        let units: BTreeSet<UnitId> = open.chain(found.keys().cloned()).collect();
        // What is told of them is not to be told of each device as well, from now on.
        self.set_surging(found.keys().cloned().collect());
        for unit in units {
            let condition = found.get(&unit).map(|breaches| Condition {
                kind: AlertKind::UnitSurge,
                severity,
                text: surge::said(*breaches, within),
            });
            self.judge_subject(About::Unit(unit), condition).await?;
        }
        Ok(())
    }

    async fn judge_exceptions(&self, open: &[&Alert]) -> Result<(), ServiceError> {
        let (within, now) = (self.in_force()?.policy.exceptions.review_before, self.now());
        let open: BTreeSet<ExceptionId> = open
            .iter()
            .filter_map(|alert| match &alert.about {
                About::Exception(id) => Some(id.clone()),
                About::Device(_) | About::Unit(_) => None,
            })
            .collect();
        // Few are near their end, of all that there ever were.
        let mut near = self.exceptions_in_force().ending(now, within.after(now));
        near.extend(open.iter().cloned());
        for id in near {
            let Some((exception, _)) = self.0.store.exception(&id).await? else { continue };
            let due = exception.is_to_be_reviewed(within, now);
            if due || open.contains(&exception.id) {
                let condition = due.then(|| Condition {
                    kind: AlertKind::ExceptionEnding,
                    severity: Severity::Low,
                    text: exception.review(),
                });
                self.judge_subject(About::Exception(exception.id), condition).await?;
            }
        }
        Ok(())
    }

    async fn judge_subject(&self, about: About, condition: Option<Condition>) -> Result<(), ServiceError> {
        let units = self.units_of(&about).await?;
        let judge = move |case, terms: &Terms, ids: &mut DerivedIds| {
            Ok(subject::judge(case, condition.as_ref(), &units, &terms.context(), ids))
        };
        self.decide_subject(&about, judge).await.map(drop)
    }

    /// Takes in what a person does to an alert about no device.
    pub(super) async fn act_on_subject(
        &self,
        about: &About,
        id: &AlertId,
        act: Act,
        by: &str,
        text: Option<&str>,
    ) -> Result<Vec<AlertEvent>, ServiceError> {
        let (id, by, text) = (id.clone(), by.to_owned(), text.map(str::to_owned));
        let units = self.units_of(about).await?;
        let judge = move |case, terms: &Terms, ids: &mut DerivedIds| {
            let said = (by.as_str(), text.as_deref());
            Ok(subject::act(case, &id, &act, said, &units, &terms.context(), ids)?)
        };
        Ok(self.decide_subject(about, judge).await?.map(|decision| decision.events).unwrap_or_default())
    }

    /// The unit that a subject belongs to, and those above it: its owner is told.
    async fn units_of(&self, about: &About) -> Result<Vec<UnitId>, ServiceError> {
        let id = match about {
            About::Unit(unit) => return Ok(self.tree().path(unit)),
            About::Device(id) => Some(id.clone()),
            About::Exception(id) => match self.0.store.exception(id).await? {
                Some((Exception { request, .. }, _)) => match request.covers {
                    Covers::Unit(unit) => return Ok(self.tree().path(&unit)),
                    Covers::Device(id) => Some(id),
                    Covers::Person(_) | Covers::Label(_) => None,
                },
                None => None,
            },
        };
        let device = match id {
            Some(id) => self.0.store.device(&id).await?,
            None => None,
        };
        Ok(device.map(|device| device.placement.units).unwrap_or_default())
    }

    async fn decide_subject(
        &self,
        about: &About,
        judge: impl Fn(SubjectCase, &Terms, &mut DerivedIds) -> Result<Option<SubjectDecision>, Refusal>
        + Send
        + Sync
        + 'static,
    ) -> Result<Option<SubjectDecision>, ServiceError> {
        let (terms, seed) = (self.terms()?, random::bytes::<32>()?);
        let decide = DecideSubject(Arc::new(move |case| judge(case, &terms, &mut DerivedIds::new(seed))));
        let decided = self.0.store.decide_subject(about, decide).await?.map_err(ServiceError::Refused)?;
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
        let alerts = self.0.store.subject_alerts().await?;
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
