//! Where devices belong: their unit, labels, ownership, and who uses them.

use std::sync::Arc;

use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::Label;

use super::{Service, ServiceError, sheet};
use crate::domain::device_import::{self, DeviceChange, DevicePlan};
use crate::domain::placement::{Assigned, Assignment, DeviceKey, PersonRef, Placeable, Placing};
use crate::store::{Assign, PlanRefused};

/// What is to be said of a device; what is not given stays, `Some(None)` takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceEdit {
    /// Its unit.
    pub unit: Option<Option<UnitId>>,
    /// Who owns it.
    pub ownership: Option<Option<Ownership>>,
    /// Who uses it.
    pub person: Option<Option<PersonRef>>,
}

impl Service {
    /// Says where a device belongs. `by` is who says so, for the log, here and in what follows.
    ///
    /// # Errors
    /// [`ServiceError::Plan`], [`ServiceError::Store`].
    pub async fn assign_device(
        &self,
        id: &DeviceId,
        edit: DeviceEdit,
        by: &str,
    ) -> Result<DeviceChange, ServiceError> {
        let say = move |placing: &Placing, device: &Placeable| {
            let mut said = device.assignment.clone();
            let DeviceEdit { unit, ownership, person } = edit.clone();
            if let Some(Some(unit)) = &unit {
                placing.tree.find(unit)?;
            }
            said.unit = unit.unwrap_or(said.unit);
            said.ownership = ownership.unwrap_or(said.ownership);
            said.person = person.unwrap_or(said.person);
            Ok(said)
        };
        self.say(id, say, by).await
    }

    /// Gives a device labels, and takes others from it.
    ///
    /// # Errors
    /// [`ServiceError::Plan`], [`ServiceError::Store`].
    pub async fn label_device(
        &self,
        id: &DeviceId,
        add: Vec<Label>,
        remove: Vec<Label>,
        by: &str,
    ) -> Result<DeviceChange, ServiceError> {
        let say = move |_: &Placing, device: &Placeable| Ok(device.relabelled(&add, &remove)?);
        self.say(id, say, by).await
    }

    /// Takes in a file that says where devices belong, whole or not at all; with `dry_run` it only says what that would
    /// change. With `skip_unknown` rows about devices that are not enrolled are left out.
    ///
    /// Returns the plan, and whether it was carried out: not if anything is wrong with the file.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn import_devices(
        &self,
        file: &[u8],
        skip_unknown: bool,
        dry_run: bool,
        by: &str,
    ) -> Result<(DevicePlan, bool), ServiceError> {
        let sheet = Arc::new(sheet::read(file, &device_import::COLUMNS, &["id", "hostname"]));
        let keys = device_import::keys(&sheet);
        let plan = device_import::plan(&self.0.store.placing(keys.clone()).await?, &sheet, skip_unknown);
        if dry_run || !plan.bad.0.is_empty() {
            return Ok((plan, false));
        }
        // Once more, with what is there by then.
        let again = Arc::clone(&sheet);
        let decide = move |placing: &Placing| {
            let plan = device_import::plan(placing, &again, skip_unknown);
            plan.bad.refuse()?;
            Ok(plan.assigned)
        };
        let outcome = self.0.store.assign(keys, Assign(Arc::new(decide)), self.now()).await?;
        let before = match outcome {
            Ok(before) => before,
            Err(PlanRefused::Rows(bad)) => return Ok((DevicePlan { bad, ..plan }, false)),
            Err(refused) => return Err(ServiceError::Plan(refused)),
        };
        self.moved();
        let plan = device_import::plan(&before, &sheet, skip_unknown);
        tracing::info!(by, changed = plan.changes.len(), same = plan.same, "devices were placed by a file");
        Ok((plan, true))
    }

    async fn say(
        &self,
        id: &DeviceId,
        say: impl Fn(&Placing, &Placeable) -> Result<Assignment, PlanRefused> + Send + Sync + 'static,
        by: &str,
    ) -> Result<DeviceChange, ServiceError> {
        let say = Arc::new(say);
        let (device, decided) = (id.clone(), Arc::clone(&say));
        let decide = move |placing: &Placing| {
            let assignment = decided(placing, placing.active(&device)?)?;
            Ok(vec![Assigned { device: device.clone(), assignment }])
        };
        let keys = vec![DeviceKey::Id(id.clone())];
        let outcome = self.0.store.assign(keys, Assign(Arc::new(decide)), self.now()).await?;
        let before = outcome.map_err(ServiceError::Plan)?;
        self.moved();
        let refused = |error: PlanRefused| ServiceError::Plan(error);
        let device = before.active(id).map_err(|error| refused(error.into()))?;
        let said = say(&before, device).map_err(refused)?;
        let differences = device.differences(&before.tree, &said);
        tracing::info!(by, device = %id, changed = differences.len(), "a device was placed");
        Ok(DeviceChange { device: id.clone(), hostname: device.hostname.clone(), differences })
    }
}
