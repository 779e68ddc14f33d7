//! What agents ask for: enrolment, check-in, report, rotation of their key, goodbye.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use offchannel_shared::device::Placement;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::signing::PublicKey;
use offchannel_shared::wire::{
    CheckInRequest, CheckInResponse, EnrolRequest, EnrolResponse, GoodbyeRequest, ReportRequest,
    ReportResponse, RotateRequest, RotateResponse, SCHEMA,
};

use super::cache::{DeviceKey, Known};
use super::stats::count;
use super::{Service, ServiceError};
use crate::domain::case::{Case, Decision};
use crate::domain::device::Device;
use crate::domain::in_force_exceptions::InForceExceptions;
use crate::domain::ingest::{self, Context, Refusal};
use crate::domain::published::InForce;
use crate::domain::rotation::{self, ReplacedKeyUse};
use crate::domain::route::Routes;
use crate::domain::token::Presented;
use crate::domain::tree::Tree;
use crate::random;
use crate::service::background::DerivedIds;
use crate::store::{Decide, DecideOutcome, Enrolled, Seen, StoreError};

/// By what is judged, owned: the store decides on a thread of its own.
pub(super) struct Terms {
    in_force: Arc<InForce>,
    units: Arc<Tree>,
    exceptions: Arc<InForceExceptions>,
    surging: Arc<BTreeSet<UnitId>>,
    routes: Arc<Routes>,
    now: Timestamp,
    serving_since: Timestamp,
}

impl Terms {
    pub(super) fn context(&self) -> Context<'_> {
        Context {
            in_force: &self.in_force,
            units: &self.units,
            exceptions: &self.exceptions,
            surging: &self.surging,
            routes: &self.routes,
            now: self.now,
            serving_since: self.serving_since,
        }
    }
}

/// A decision that the service has the store make.
type Judge = dyn Fn(Case, &Context<'_>, &mut DerivedIds) -> Result<Option<Decision>, Refusal> + Send + Sync;

impl Service {
    /// Exchanges an enrolment token for a registered key. The request's signature, which proves that
    /// the caller has the key, was checked before.
    ///
    /// # Errors
    /// [`ServiceError::Token`] if the token may not be used, and others.
    pub async fn enrol(&self, request: EnrolRequest) -> Result<EnrolResponse, ServiceError> {
        let in_force = self.in_force()?;
        ingest::check_facts(&request.facts).map_err(ServiceError::Refused)?;
        let presented = Presented::read(&request.token).map_err(ServiceError::Token)?;
        let now = self.now();
        let device = Device {
            id: random::id()?,
            public_key: request.public_key,
            replaced_key: None,
            facts: request.facts,
            // The store takes the token's.
            placement: Placement::default(),
            placed_by: None,
            placed_at: None,
            person: None,
            token: presented.id.clone(),
            enrolled_at: now,
            retired_at: None,
            agent_version: request.agent_version,
            policy_version: 0,
            last_seen: now,
            goodbye: None,
            report: None,
            past_epochs: Vec::new(),
            evaluate_at: Some(in_force.policy.stale_after.after(now)),
        };
        let device = match self.0.store.enrol(presented, device, now).await? {
            Enrolled::Registered(device) => device,
            Enrolled::Refused(error) => return Err(ServiceError::Token(error)),
        };
        count(&self.0.stats.enrolments);
        self.0.devices.forget(&device.id);
        Ok(EnrolResponse {
            schema: SCHEMA,
            device_id: device.id.clone(),
            signing_keys: vec![self.0.signing_key.public().clone()],
            bundle: self.bundle_for(&device.placement, device.placed_at, now)?,
            next_check_in: in_force.policy.check_in_every.as_seconds(),
            server_time: now,
        })
    }

    /// The key of a device, for authentication; `None` if it never enrolled.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn device_key(&self, id: &DeviceId) -> Result<Option<DeviceKey>, ServiceError> {
        self.keep_up().await?;
        match self.known(id).await {
            Ok(known) => Ok(Some(known.key.clone())),
            Err(ServiceError::DeviceUnknown) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Answers a check-in. Writes nothing unless the device had been missed.
    ///
    /// # Errors
    /// [`ServiceError::DeviceUnknown`], [`ServiceError::Refused`] and others.
    pub async fn check_in(
        &self,
        device: &DeviceId,
        request: CheckInRequest,
    ) -> Result<CheckInResponse, ServiceError> {
        let known = self.known(device).await?;
        if let Some(at) = known.key.retired_at {
            return Err(ServiceError::Refused(Refusal::Retired(at)));
        }
        let in_force = self.in_force()?;
        let now = self.now();
        self.0.seen.put(Seen {
            device: device.clone(),
            at: now,
            agent_version: request.agent_version,
            policy_version: request.policy_version,
        });
        if known.missed {
            self.decide(device, |case, context, ids| ingest::heard(case, context, ids)).await?;
        }
        count(&self.0.stats.check_ins);
        let on_record = known.on_record.as_ref().map(|(epoch, revision, digest)| (epoch, *revision, digest));
        let offered = request.digest.as_ref().map(|digest| (&request.epoch, request.revision, digest));
        Ok(CheckInResponse {
            schema: SCHEMA,
            next_check_in: in_force.policy.check_in_every.as_seconds(),
            bundle: self.bundle_if_needed(
                &known.placement,
                known.placed_at,
                request.policy_version,
                request.policy_expires_at,
                now,
            )?,
            accepted: known.news(device, &self.exceptions_in_force(), request.accepted.as_ref(), now),
            report_wanted: on_record != offered,
            server_time: now,
        })
    }

    /// Takes in a report; answers only when it is on disk.
    ///
    /// # Errors
    /// [`ServiceError::DeviceUnknown`], [`ServiceError::Refused`] and others.
    pub async fn report(
        &self,
        device: &DeviceId,
        request: ReportRequest,
    ) -> Result<ReportResponse, ServiceError> {
        if request.transitions_lost > 0 {
            let lost = request.transitions_lost;
            tracing::warn!(%device, lost, "more changed on a device than it could keep while it was not heard: so many changes are lost");
        }
        let request = Arc::new(request);
        let taken = Arc::clone(&request);
        let decided =
            self.decide(device, move |case, context, ids| ingest::report(case, &taken, context, ids)).await?;
        count(match decided {
            Some(_) => &self.0.stats.reports,
            None => &self.0.stats.reports_repeated,
        });
        let in_force = self.in_force()?;
        let known = self.known(device).await?;
        let now = self.now();
        Ok(ReportResponse {
            schema: SCHEMA,
            accepted_revision: request.revision,
            next_check_in: in_force.policy.check_in_every.as_seconds(),
            bundle: self.bundle_if_needed(
                &known.placement,
                known.placed_at,
                request.policy_version,
                None,
                now,
            )?,
            server_time: now,
        })
    }

    /// Replaces the device's key; answers only when that is on disk. `signed_with` is the key that the request
    /// was verified with.
    ///
    /// # Errors
    /// [`ServiceError::DeviceUnknown`], [`ServiceError::Refused`] and others.
    pub async fn rotate(
        &self,
        device: &DeviceId,
        signed_with: &PublicKey,
        request: RotateRequest,
    ) -> Result<RotateResponse, ServiceError> {
        let (old, new) = (signed_with.id(), request.public_key.id());
        let signed_with = signed_with.clone();
        let judge = move |case, context: &Context<'_>, ids: &mut DerivedIds| {
            rotation::rotate(case, &signed_with, &request, context, ids)
        };
        let decided = self.decide(device, judge).await?;
        if decided.is_some() {
            count(&self.0.stats.rotations);
            tracing::info!(%device, %old, %new, "the key of a device was replaced");
        }
        let known = self.known(device).await?;
        Ok(RotateResponse { schema: SCHEMA, key_since: known.key.since, server_time: self.now() })
    }

    /// Takes in that a request was signed at an instant, by the signer's clock, with the key before the device's present
    /// one; `offer` is what it asks, if that is to replace the key. That the request is new was seen before.
    ///
    /// # Errors
    /// [`ServiceError::DeviceUnknown`], [`ServiceError::Refused`] and others.
    pub async fn replaced_key_used(
        &self,
        device: &DeviceId,
        key: PublicKey,
        signed_at: Timestamp,
        offer: Option<RotateRequest>,
    ) -> Result<(), ServiceError> {
        // A copy asks again and again, and is told of once.
        if self.known(device).await?.cloned {
            return Ok(());
        }
        let used = ReplacedKeyUse { key, signed_at, heard_at: self.0.seen.at(device), offer };
        self.decide(device, move |case, context, ids| rotation::replaced_key_used(case, &used, context, ids))
            .await?;
        Ok(())
    }

    /// Takes in a goodbye.
    ///
    /// # Errors
    /// [`ServiceError::DeviceUnknown`], [`ServiceError::Refused`] and others.
    pub async fn goodbye(&self, device: &DeviceId, request: GoodbyeRequest) -> Result<(), ServiceError> {
        self.decide(device, move |case, context, ids| ingest::goodbye(case, &request, context, ids)).await?;
        Ok(())
    }

    /// What a check-in is compared with, from memory or from the store.
    async fn known(&self, id: &DeviceId) -> Result<Arc<Known>, ServiceError> {
        if let Some(known) = self.0.devices.get(id) {
            return Ok(known);
        }
        let as_of = self.0.devices.generation();
        let case = self.0.store.case(id).await?.ok_or(ServiceError::DeviceUnknown)?;
        let known = Arc::new(Known::of(&case));
        self.0.devices.put(id.clone(), Arc::clone(&known), as_of);
        Ok(known)
    }

    /// By what is judged now.
    pub(super) fn terms(&self) -> Result<Terms, ServiceError> {
        Ok(Terms {
            in_force: self.in_force()?,
            units: self.tree(),
            exceptions: self.exceptions_in_force(),
            surging: self.surging(),
            routes: Arc::clone(&self.0.routes),
            now: self.now(),
            serving_since: self.0.started_at,
        })
    }

    /// Has the store make a decision about a device, and tells those who wait for changes.
    pub(super) async fn decide(
        &self,
        id: &DeviceId,
        judge: impl Fn(Case, &Context<'_>, &mut DerivedIds) -> Result<Option<Decision>, Refusal>
        + Send
        + Sync
        + 'static,
    ) -> Result<Option<Box<Decision>>, ServiceError> {
        let terms = self.terms()?;
        let seed = random::bytes::<32>()?;
        let judge: Box<Judge> = Box::new(judge);
        let decide = Decide(Arc::new(move |case| judge(case, &terms.context(), &mut DerivedIds::new(seed))));
        let outcome = self.0.store.decide(id, decide).await;
        self.0.devices.forget(id);
        match outcome {
            Ok(DecideOutcome::Committed(decision)) => {
                if let Some(decision) = &decision {
                    self.0.stats.decided(decision);
                    if !decision.events.is_empty() {
                        self.nudge();
                    }
                }
                Ok(decision)
            }
            Ok(DecideOutcome::Refused(refusal)) => Err(ServiceError::Refused(refusal)),
            Err(StoreError::NotFound { .. }) => Err(ServiceError::DeviceUnknown),
            Err(error) => Err(error.into()),
        }
    }
}
