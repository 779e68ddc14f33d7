//! What could not be read is not gone: no list is not an empty list.
//!
//! While a source cannot read everything, what it found when it last could is kept, or an alert would be
//! resolved although nobody has seen the app go. A process is no such thing: that it ran says nothing
//! about now. The price is that something that is really removed in the meantime is reported gone
//! only when the source can read again; until then its health says so.

use std::collections::BTreeMap;

use offchannel_shared::inventory::{Grade, Health, Inventory, Sighting};

/// What every source found when it could last read everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LastWhole(BTreeMap<String, Vec<Sighting>>);

impl LastWhole {
    /// What is known from an inventory alone, after a restart.
    pub fn of(inventory: &Inventory) -> Self {
        let mut whole = Self::default();
        whole.learn(inventory);
        whole
    }

    /// Takes in what was just found, and puts back what could not be read this time.
    pub fn keep(&mut self, inventory: &mut Inventory) {
        self.learn(inventory);
        let mut kept = Vec::new();
        for source in &inventory.sources {
            match source.health {
                Health::Ok | Health::Absent => {}
                Health::Partial(_) | Health::Failed(_) => {
                    let known = self.0.get(&source.source).into_iter().flatten();
                    kept.extend(known.filter(|old| !sees(inventory, old)).cloned());
                }
            }
        }
        if !kept.is_empty() {
            inventory.sightings.extend(kept);
            inventory.normalise();
        }
    }

    fn learn(&mut self, inventory: &Inventory) {
        for source in &inventory.sources {
            match source.health {
                Health::Partial(_) | Health::Failed(_) => {}
                Health::Ok | Health::Absent => {
                    let of_source = |s: &&Sighting| s.source == source.source && s.grade != Grade::Running;
                    let found: Vec<Sighting> =
                        inventory.sightings.iter().filter(of_source).cloned().collect();
                    if found.is_empty() {
                        self.0.remove(&source.source);
                    } else {
                        self.0.insert(source.source.clone(), found);
                    }
                }
            }
        }
    }
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
    use offchannel_shared::inventory::{Scope, SourceHealth};
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
}
