//! The organisation: units, who answers for them, and files that describe them.

use std::sync::{Arc, PoisonError};

use offchannel_shared::ids::UnitId;
use offchannel_shared::label::Label;

use super::{Service, ServiceError, sheet};
use crate::domain::sheet::BadRows;
use crate::domain::tree::{Organisation, Reorganised, Tree};
use crate::domain::unit::{Owner, Unit};
use crate::domain::unit_import::{self, ChangeKind, UnitChange, UnitPlan};
use crate::store::{PlanRefused, Reorganise};

/// What is to be different about a unit; what is not given stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitEdit {
    /// Its name.
    pub name: Option<String>,
    /// What it is part of; `Some(None)` for the top.
    pub parent: Option<Option<UnitId>>,
    /// Who answers for it; `Some(None)` for the same as above it.
    pub owner: Option<Option<Owner>>,
    /// The label by which it claims devices; `Some(None)` for none.
    pub label: Option<Option<Label>>,
}

/// What a file of units came to, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitsImported {
    /// What is different, as far as rows are good.
    pub changes: Vec<UnitChange>,
    /// What is wrong; then nothing was changed.
    pub bad: BadRows,
    /// Whether it was done.
    pub applied: bool,
}

impl Service {
    /// The units.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn units(&self) -> Result<Tree, ServiceError> {
        Ok(self.0.store.placing(Vec::new()).await?.tree)
    }

    /// The units with what belongs to each.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn organisation(&self) -> Result<Organisation, ServiceError> {
        Ok(self.0.store.organisation(self.now()).await?)
    }

    /// Adds a unit. `by` is who wants it, for the log, here and in what follows.
    ///
    /// # Errors
    /// [`ServiceError::Plan`], [`ServiceError::Store`].
    pub async fn add_unit(&self, unit: Unit, by: &str) -> Result<Vec<UnitChange>, ServiceError> {
        let add = move |now: &Organisation| {
            let mut tree = now.tree.clone();
            tree.add(unit.clone())?;
            Ok(Reorganised { tree, ..Reorganised::default() })
        };
        self.reorganise(add, by).await
    }

    /// Changes a unit, or moves it and everything below it.
    ///
    /// # Errors
    /// [`ServiceError::Plan`], [`ServiceError::Store`].
    pub async fn change_unit(
        &self,
        id: &UnitId,
        edit: UnitEdit,
        by: &str,
    ) -> Result<Vec<UnitChange>, ServiceError> {
        let id = id.clone();
        let change = move |now: &Organisation| {
            let mut tree = now.tree.clone();
            let mut unit = tree.find(&id)?.clone();
            let UnitEdit { name, parent, owner, label } = edit.clone();
            unit.name = name.unwrap_or(unit.name);
            unit.parent = parent.unwrap_or(unit.parent);
            unit.owner = owner.unwrap_or(unit.owner);
            unit.label = label.unwrap_or(unit.label);
            tree.put(unit)?;
            Ok(Reorganised { tree, ..Reorganised::default() })
        };
        self.reorganise(change, by).await
    }

    /// Removes a unit. What belongs to it goes to `heir`, a unit or nowhere (`Some(None)`).
    ///
    /// # Errors
    /// [`ServiceError::Plan`], also if something belongs to it and no heir is given, [`ServiceError::Store`].
    pub async fn remove_unit(
        &self,
        id: &UnitId,
        heir: Option<Option<UnitId>>,
        by: &str,
    ) -> Result<Vec<UnitChange>, ServiceError> {
        let id = id.clone();
        let remove = move |now: &Organisation| Ok(now.without(&id, heir.as_ref().map(|heir| heir.as_ref()))?);
        self.reorganise(remove, by).await
    }

    /// Takes in a file of units, whole or not at all; with `dry_run` it only says what that would change.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; what is wrong with the file is an outcome, not an error.
    pub async fn import_units(
        &self,
        file: &[u8],
        prune: bool,
        dry_run: bool,
        by: &str,
    ) -> Result<UnitsImported, ServiceError> {
        let sheet = Arc::new(sheet::read(file, &unit_import::COLUMNS, &["id"]));
        let now = self.organisation().await?;
        let UnitPlan { after, bad } = unit_import::plan(&now, &sheet, prune);
        let changes = unit_import::changes(&now.tree, &after.tree);
        if dry_run || !bad.0.is_empty() {
            return Ok(UnitsImported { changes, bad, applied: false });
        }
        // Once more, with what is there by then.
        let import = move |now: &Organisation| {
            let UnitPlan { after, bad } = unit_import::plan(now, &sheet, prune);
            bad.refuse()?;
            Ok(after)
        };
        match self.reorganise(import, by).await {
            Ok(changes) => Ok(UnitsImported { changes, bad: BadRows::default(), applied: true }),
            Err(ServiceError::Plan(PlanRefused::Rows(bad))) => {
                Ok(UnitsImported { changes, bad, applied: false })
            }
            Err(error) => Err(error),
        }
    }

    async fn reorganise(
        &self,
        change: impl Fn(&Organisation) -> Result<Reorganised, PlanRefused> + Send + Sync + 'static,
        by: &str,
    ) -> Result<Vec<UnitChange>, ServiceError> {
        let change = Arc::new(change);
        let before = self.0.store.reorganise(Reorganise(change.clone()), self.now()).await?;
        let before = before.map_err(ServiceError::Plan)?;
        let after = change(&before).map_err(ServiceError::Plan)?;
        self.load_tree().await?;
        self.moved();
        let changes = unit_import::changes(&before.tree, &after.tree);
        let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
        tracing::info!(
            by,
            added = count(ChangeKind::Added),
            changed = count(ChangeKind::Changed),
            moved = count(ChangeKind::Moved),
            gone = count(ChangeKind::Gone),
            "the units were changed"
        );
        Ok(changes)
    }

    /// The units as they were last read, for what is told of alerts.
    pub(super) fn tree(&self) -> Arc<Tree> {
        Arc::clone(&self.0.units.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn load_tree(&self) -> Result<(), ServiceError> {
        let read = Arc::new(self.units().await?);
        *self.0.units.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Devices may belong elsewhere from now on, and some of them are due.
    pub(super) fn moved(&self) {
        self.0.devices.clear();
        self.nudge();
    }
}
