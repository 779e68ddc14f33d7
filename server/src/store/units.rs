//! The organisation, and where devices belong in it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::Label;

use super::{DeviceSummary, StoreError};
use crate::domain::placement::{Assigned, DeviceKey, PlacementError, Placing};
use crate::domain::sheet::BadRows;
use crate::domain::tree::{Organisation, Reorganised};
use crate::domain::unit::UnitError;

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// The organisation cannot be like that.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// That cannot be said of a device.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A file cannot be taken in.
    #[error(transparent)]
    Rows(#[from] BadRows),
}

/// What becomes of the organisation.
type Change = dyn Fn(&Organisation) -> Result<Reorganised, PlanRefused> + Send + Sync;
/// What is said of devices.
type Saying = dyn Fn(&Placing) -> Result<Vec<Assigned>, PlanRefused> + Send + Sync;

/// Decides how the organisation is to be. May be called more than once, as [`super::Decide`]; must not block.
#[derive(Clone)]
pub struct Reorganise(pub Arc<Change>);

impl fmt::Debug for Reorganise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reorganise(..)")
    }
}

/// Decides what is to be said of devices. May be called more than once, as [`super::Decide`]; must not block.
#[derive(Clone)]
pub struct Assign(pub Arc<Saying>);

impl fmt::Debug for Assign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assign(..)")
    }
}

/// Units, and where devices belong.
///
/// A device belongs to the unit that was said of it, else to its token's, else to the one that claims one of its labels
/// ([`crate::domain::placement::unit_of`]), after every change of any of these. Where that, or what is above the unit, comes out
/// another than before, the device is due at once and [`crate::domain::device::Device::placed_at`] says since when.
#[async_trait]
pub trait UnitStore: Send + Sync {
    /// The organisation, with what belongs to each unit at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn organisation(&self, now: Timestamp) -> Result<Organisation, StoreError>;

    /// Changes the organisation as `change` decides, together with everything that it moves; returns the organisation
    /// before. Devices and tokens of a unit that is gone go to its heir, those that a label brought there for good;
    /// without an heir they are of no unit, or of the one that is next in turn.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is written then, nor where `change` refuses.
    async fn reorganise(
        &self,
        change: Reorganise,
        now: Timestamp,
    ) -> Result<Result<Organisation, PlanRefused>, StoreError>;

    /// The devices that are named so, retired ones as well, and the units.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn placing(&self, devices: Vec<DeviceKey>) -> Result<Placing, StoreError>;

    /// Every label that a device, a token or a unit has.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn labels(&self) -> Result<BTreeSet<Label>, StoreError>;

    /// Writes what `decide` says of the devices that are named so, all of it or nothing; returns how things were before.
    ///
    /// # Errors
    /// [`StoreError`], [`StoreError::NotFound`] for a unit or a device that is not there; nothing is written then, nor
    /// where `decide` refuses.
    async fn assign(
        &self,
        devices: Vec<DeviceKey>,
        decide: Assign,
        now: Timestamp,
    ) -> Result<Result<Placing, PlanRefused>, StoreError>;

    /// Devices of a unit and of those below it, sorted by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn devices_in(
        &self,
        unit: &UnitId,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceSummary>, StoreError>;
}
