//! Who looks, and what of other people they may see (ADR 0016).

use std::collections::BTreeSet;
use std::path::Path;

use offchannel_shared::inventory::{Inventory, Scope};
use offchannel_shared::wire::ReportRequest;

use crate::config::Session;
use crate::platform::{files, processes};
use crate::scan::host::Host;

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// Root, or the account that the agent runs as.
    Keeper,
    /// A user of the device, by the references that stand for them; none for an account without a home of its own.
    User(BTreeSet<Scope>),
}

impl Viewer {
    /// Whoever runs this process.
    pub fn of(host: &Host, state_dir: &Path, session: &Session) -> Self {
        let own = processes::own_uid();
        let keeper = std::fs::metadata(state_dir).ok().and_then(|meta| files::owner(&meta));
        if processes::is_root() || (own.is_some() && own == keeper) {
            return Self::Keeper;
        }
        Self::user(host, session)
    }

    /// Whoever runs this process, as a user of the device and no more.
    pub fn user(host: &Host, session: &Session) -> Self {
        let own = processes::own_uid();
        let is_own = |uid: Option<u32>, home: &Path| match own {
            Some(own) => uid == Some(own),
            // Where users have no numbers they are told by their folders.
            None => session.home.as_deref() == Some(home),
        };
        Self::User(
            host.users()
                .into_iter()
                .filter(|user| is_own(user.uid, &user.home))
                .map(|user| user.scope)
                .collect(),
        )
    }

    /// Whether they may see what belongs to this user.
    pub fn sees(&self, scope: &Scope) -> bool {
        match (self, scope) {
            (Self::Keeper, _) | (_, Scope::System) => true,
            (Self::User(own), Scope::User(_)) => own.contains(scope),
        }
    }

    /// Takes out what they may not see. Returns how many entries that were.
    pub fn narrow(&self, inventory: &mut Inventory) -> usize {
        let before = inventory.sightings.len() + inventory.unlisted.len();
        inventory.sightings.retain(|sighting| self.sees(&sighting.scope));
        inventory.unlisted.retain(|unlisted| self.sees(&unlisted.scope));
        before - inventory.sightings.len() - inventory.unlisted.len()
    }

    /// The same for a whole report.
    pub fn narrow_report(&self, report: &mut ReportRequest) -> usize {
        let before = report.transitions.len();
        report.transitions.retain(|transition| self.sees(&transition.sighting.scope));
        before - report.transitions.len() + self.narrow(&mut report.inventory)
    }
}
