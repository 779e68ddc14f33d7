//! What could not be read is not gone: no list is not an empty list.
//!
//! While a source cannot read everything, what it found when it last could is kept, or an alert would be
//! resolved although nobody has seen the app go. A process is no such thing: that it ran says nothing
//! about now. The price is that something that is really removed in the meantime is reported gone
//! only when the source can read again; until then its health says so. After a restart this holds for
//! whatever was last reported of a source in trouble, seen or kept: the words of a health do not say
//! whether two scans were kept from the same files.

use std::collections::BTreeMap;

use offchannel_shared::inventory::{Grade, Health, Inventory, Scope, Sighting};

use crate::scan::trouble::is_of_homes;

/// What every source found when it could last read the place of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastWhole(BTreeMap<String, Vec<Sighting>>);

impl LastWhole {
    /// What is known from an inventory alone, after a restart. It holds what was kept as well, so
    /// everything in it counts, however its source was.
    pub fn of(inventory: &Inventory) -> Self {
        let mut whole = Self::default();
        for sighting in inventory.sightings.iter().filter(|sighting| lasts(sighting)) {
            whole.0.entry(sighting.source.clone()).or_default().push(sighting.clone());
        }
        whole
    }

    /// Takes in what was just found, and puts back what could not be read this time.
    pub fn keep(&mut self, inventory: &mut Inventory) {
        let mut kept = Vec::new();
        for source in &inventory.sources {
            let unread = Unread::of(&source.health);
            let known = self.0.entry(source.source.clone()).or_default();
            known.retain(|old| unread.covers(&old.scope));
            kept.extend(known.iter().filter(|old| !sees(inventory, old)).cloned());
            let read = |s: &&Sighting| s.source == source.source && lasts(s) && !unread.covers(&s.scope);
            known.extend(inventory.sightings.iter().filter(read).cloned());
        }
        if !kept.is_empty() {
            inventory.sightings.extend(kept);
            inventory.normalise();
        }
    }
}

/// Where a source may have missed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    Nothing,
    /// Only in home folders, of whomever: health need not name all of them.
    Homes,
    /// Anywhere. Trouble with places of the system can hide what users have too: without the list of
    /// users, nobody's home folder is looked at.
    Anything,
}

impl Unread {
    fn of(health: &Health) -> Self {
        match health {
            Health::Ok | Health::Absent => Self::Nothing,
            Health::Partial(why) if why.split("; ").all(is_of_homes) => Self::Homes,
            Health::Partial(_) | Health::Failed(_) => Self::Anything,
        }
    }

    fn covers(self, scope: &Scope) -> bool {
        match self {
            Self::Nothing => false,
            Self::Homes => matches!(scope, Scope::User(_)),
            Self::Anything => true,
        }
    }
}

/// Whether it is there until it is removed: that a process ran says nothing about now.
fn lasts(sighting: &Sighting) -> bool {
    sighting.grade != Grade::Running
}

/// Whether the same thing is there, in whatever version and grade.
fn sees(inventory: &Inventory, old: &Sighting) -> bool {
    inventory.sightings.iter().any(|new| {
        (&new.source, new.namespace, &new.identifier, &new.scope)
            == (&old.source, old.namespace, &old.identifier, &old.scope)
    })
}

#[cfg(test)]
mod tests {
    use offchannel_shared::ids::AppId;
    use offchannel_shared::inventory::SourceHealth;
    use offchannel_shared::namespace::Namespace;

    use super::*;

    fn sighting(source: &str, app: &str, version: &str, grade: Grade) -> Sighting {
        Sighting {
            app: AppId::new(app).unwrap(),
            source: source.to_owned(),
            namespace: Namespace::Dpkg,
            identifier: app.to_owned(),
            scope: Scope::System,
            grade,
            version: Some(version.to_owned()),
        }
    }

    fn inventory(health: &[(&str, Health)], sightings: Vec<Sighting>) -> Inventory {
        let sources = health.iter().map(|(s, h)| SourceHealth { source: (*s).to_owned(), health: h.clone() });
        let mut inventory = Inventory { sightings, sources: sources.collect(), ..Inventory::default() };
        inventory.normalise();
        inventory
    }

    fn failed() -> Health {
        Health::Failed("x".to_owned())
    }

    #[test]
    fn what_cannot_be_read_stays_until_it_can_be_read_again() {
        let one = || sighting("dpkg", "telegram", "1", Grade::Installed);
        let mut whole = LastWhole::of(&inventory(&[("dpkg", Health::Ok)], vec![one()]));
        for _ in 0..2 {
            let mut unread = inventory(&[("dpkg", failed())], vec![]);
            whole.keep(&mut unread);
            assert_eq!(unread.sightings, [one()]);
        }
        let mut read = inventory(&[("dpkg", Health::Ok)], vec![]);
        whole.keep(&mut read);
        assert_eq!(read.sightings, []);
        let mut unread = inventory(&[("dpkg", failed())], vec![]);
        whole.keep(&mut unread);
        assert_eq!(unread.sightings, [], "it was seen to be gone");
    }

    #[test]
    fn another_source_a_process_and_a_newer_version_bring_nothing_back() {
        let before = vec![
            sighting("dpkg", "signal", "1", Grade::Installed),
            sighting("dpkg", "telegram", "1", Grade::Installed),
            sighting("processes", "pidgin", "1", Grade::Running),
        ];
        let health = [("dpkg", Health::Ok), ("processes", Health::Ok)];
        let mut whole = LastWhole::of(&inventory(&health, before));
        let newer = || sighting("dpkg", "telegram", "2", Grade::Installed);
        let health = [("dpkg", Health::Partial("x".to_owned())), ("processes", failed())];
        let mut now = inventory(&health, vec![newer()]);
        whole.keep(&mut now);
        assert_eq!(now.sightings, [sighting("dpkg", "signal", "1", Grade::Installed), newer()]);
    }

    #[test]
    fn a_restart_while_a_source_is_in_trouble_forgets_nothing() {
        let one = || sighting("dpkg", "telegram", "1", Grade::Installed);
        let ran = sighting("dpkg", "signal", "1", Grade::Running);
        let record = inventory(&[("dpkg", failed())], vec![one(), ran]);
        let mut unread = inventory(&[("dpkg", failed())], vec![]);
        LastWhole::of(&record).keep(&mut unread);
        assert_eq!(unread.sightings, [one()]);
    }

    #[test]
    fn trouble_with_home_folders_hides_nothing_of_the_system() {
        let mine = || Sighting {
            scope: Scope::User("u-1".to_owned()),
            ..sighting("flatpak", "telegram", "1", Grade::Installed)
        };
        let system = || sighting("flatpak", "telegram", "1", Grade::Installed);
        let whole = LastWhole::of(&inventory(&[("flatpak", Health::Ok)], vec![system(), mine()]));
        let homes = "1 home folder (user:u-1): permission denied; 2 home folders (user:u-1, user:u-2): too many entries";
        for (why, expected) in [
            (homes, vec![mine()]),
            ("/home: permission denied", vec![system(), mine()]),
            (
                "/var/lib/flatpak/app: permission denied; 1 home folder (user:u-1): permission denied",
                vec![system(), mine()],
            ),
            ("home folders: permission denied", vec![system(), mine()]),
        ] {
            let mut now = inventory(&[("flatpak", Health::Partial(why.to_owned()))], vec![]);
            whole.clone().keep(&mut now);
            assert_eq!(now.sightings, expected, "{why}");
        }
        let mut whole = LastWhole::default();
        let homes = Health::Partial(homes.to_owned());
        whole.keep(&mut inventory(&[("flatpak", homes)], vec![system()]));
        let mut now = inventory(&[("flatpak", failed())], vec![]);
        whole.keep(&mut now);
        assert_eq!(now.sightings, [system()], "what was read beside the trouble is known");
    }
}
