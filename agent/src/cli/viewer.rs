//! Who looks, and what of other people they may see (ADR 0016).

use std::collections::BTreeSet;
use std::path::Path;

use offchannel_shared::inventory::{Health, Inventory, Scope, SourceHealth};
use offchannel_shared::wire::ReportRequest;

use crate::config::Session;
use crate::platform::{files, processes};
use crate::scan::host::Host;

/// What a reference to a user begins with.
const REFERENCE: &str = "user:u-";

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
        self.narrow_health(&mut inventory.sources);
        before - inventory.sightings.len() - inventory.unlisted.len()
    }

    /// Says `another user` for those whose places could not be read.
    pub fn narrow_health(&self, sources: &mut [SourceHealth]) {
        for source in sources {
            if let Health::Partial(why) | Health::Failed(why) = &mut source.health {
                *why = self.narrow_words(why);
            }
        }
    }

    fn narrow_words(&self, words: &str) -> String {
        let mut told = String::with_capacity(words.len());
        let mut rest = words;
        while let Some(at) = rest.find(REFERENCE) {
            let (before, from) = rest.split_at(at);
            let after = from.get(REFERENCE.len()..).unwrap_or_default();
            let length = after.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(after.len());
            let (reference, after) = from.split_at(REFERENCE.len() + length);
            let own = Scope::try_from(reference.to_owned()).is_ok_and(|scope| self.sees(&scope));
            told.push_str(before);
            told.push_str(if own { reference } else { "another user" });
            rest = after;
        }
        told.push_str(rest);
        told
    }

    /// The same for a whole report.
    pub fn narrow_report(&self, report: &mut ReportRequest) -> usize {
        let before = report.transitions.len();
        report.transitions.retain(|transition| self.sees(&transition.sighting.scope));
        before - report.transitions.len() + self.narrow(&mut report.inventory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_told_of_places_of_others_and_not_whose_they_are() {
        let own = Scope::User("u-00000000000000aa".to_owned());
        let user = Viewer::User(BTreeSet::from([own]));
        let why = "/opt: too many entries; 3 home folders (user:u-00000000000000aa, user:u-00000000000000bb, \
                   user:u-00000000000000cc): permission denied";
        let narrowed = "/opt: too many entries; 3 home folders (user:u-00000000000000aa, another user, \
                        another user): permission denied";
        assert_eq!(user.narrow_words(why), narrowed);
        assert_eq!(Viewer::Keeper.narrow_words(why), why);
        for cut in ["x user:u-", "user:u-00", "user:u-é"] {
            assert!(user.narrow_words(cut).contains("another user"), "{cut}");
        }
    }
}
