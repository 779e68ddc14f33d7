//! Devices as the security team sees them.

use jiff::Timestamp;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::span::Span;

use super::{Service, ServiceError};
use crate::domain::alert::Alert;
use crate::domain::device::{Device, Status};
use crate::domain::finding::Finding;
use crate::domain::ingest;
use crate::domain::unit::Unit;
use crate::store::DeviceSummary;

/// A device with how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceView {
    /// The device.
    pub device: Device,
    /// How it stands at `as_of`.
    pub status: Status,
    /// Its findings that have not ended.
    pub findings: Vec<Finding>,
    /// Its alerts, also resolved ones; empty in lists.
    pub alerts: Vec<Alert>,
    /// Its unit and those above it, the nearest first; empty in lists.
    pub units: Vec<Unit>,
    /// The instant that `status` is true at.
    pub as_of: Timestamp,
}

impl DeviceView {
    /// How many of its findings are accepted by exceptions.
    pub fn accepted(&self) -> usize {
        self.findings.iter().filter(|finding| finding.exception.is_some()).count()
    }
}

impl Service {
    /// Devices sorted by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn devices(
        &self,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceView>, ServiceError> {
        let list = self.0.store.devices(after, limit).await?;
        Ok(self.listed(list))
    }

    /// Devices of a unit and of those below it, sorted by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`ServiceError::Plan`] if there is no such unit, [`ServiceError::Store`].
    pub async fn devices_in(
        &self,
        unit: &UnitId,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceView>, ServiceError> {
        self.units().await?.find(unit).map_err(|missing| ServiceError::Plan(missing.into()))?;
        let list = self.0.store.devices_in(unit, after, limit).await?;
        Ok(self.listed(list))
    }

    fn listed(&self, list: Vec<DeviceSummary>) -> Vec<DeviceView> {
        // Without a policy no device can have enrolled: the list is empty, and that is no error.
        let stale_after = self.in_force().map_or(Span::ZERO, |in_force| in_force.policy.stale_after);
        let as_of = self.now();
        let view = |summary: DeviceSummary| DeviceView {
            status: summary.device.status(&summary.findings, stale_after, as_of),
            device: summary.device,
            findings: summary.findings,
            alerts: Vec::new(),
            units: Vec::new(),
            as_of,
        };
        list.into_iter().map(view).collect()
    }

    /// One device.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none, [`ServiceError::NoPolicy`].
    pub async fn device(&self, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        let stale_after = self.in_force()?.policy.stale_after;
        let as_of = self.now();
        let case = self.0.store.case(id).await?.ok_or_else(|| Self::not_found(id))?;
        let tree = self.units().await?;
        let units = case.device.placement.units.iter().filter_map(|id| tree.get(id)).cloned().collect();
        Ok(DeviceView {
            status: case.device.status(&case.findings, stale_after, as_of),
            device: case.device,
            findings: case.findings,
            alerts: case.alerts,
            units,
            as_of,
        })
    }

    /// Retires a device: its requests are refused from now on, its history is kept.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if it is retired already, and others.
    pub async fn retire_device(&self, id: &DeviceId) -> Result<(), ServiceError> {
        let decided = self.decide(id, |case, context, ids| ingest::retire(case, context, ids)).await;
        match decided {
            Ok(_) => Ok(()),
            Err(ServiceError::DeviceUnknown) => Err(Self::not_found(id)),
            Err(error) => Err(error),
        }
    }
}
