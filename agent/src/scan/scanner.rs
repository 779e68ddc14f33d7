//! Runs the sources and remembers what each found, so that an unchanged place is not read again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use offchannel_shared::catalogue::{Catalogue, Recognised};
use offchannel_shared::inventory::{Health, Inventory, Sighting, SourceHealth, Unlisted};

use super::host::Host;
use super::kept::Kept;
use super::look::Look;
use super::seen::Seen;
use super::source::Source;
use super::sources::SOURCES;
use super::trouble::Trouble;
use super::users::{Survey, survey};
use crate::clock::Clock;
use crate::platform::processes::Known;

/// Scans one device, again and again.
#[derive(Debug)]
pub struct Scanner {
    host: Host,
    users: Survey,
    users_at: Option<i64>,
    kept: BTreeMap<&'static str, Last>,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Everything that was found, leftovers too, in the order of digests.
    pub inventory: Inventory,
    /// How each source fared, sorted by source.
    pub runs: Vec<SourceRun>,
}

/// How one source fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRun {
    /// The source.
    pub source: &'static str,
    /// Whether it could look.
    pub health: Health,
    /// How many artefacts it found, of whatever apps.
    pub artefacts: u64,
    /// How long this scan took over it, in microseconds; next to nothing if its places were unchanged.
    pub micros: u64,
}

/// What a source found last.
#[derive(Debug)]
struct Last {
    seen: Seen,
    at: i64,
    sightings: Vec<Sighting>,
    unlisted: Vec<Unlisted>,
    health: Health,
    artefacts: u64,
    /// What it knew of the processes; of sources that do not ask about them nothing.
    processes: Known,
}

impl Scanner {
    /// A scanner of this device that knows nothing yet.
    pub fn new(host: Host) -> Self {
        Self { host, users: Survey::default(), users_at: None, kept: BTreeMap::new() }
    }

    /// The device.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Folders to watch, not recursively, each with the ids of the sources that care. Existing or not.
    pub fn watch_dirs(&self) -> BTreeMap<PathBuf, BTreeSet<&'static str>> {
        let mut dirs: BTreeMap<PathBuf, BTreeSet<&'static str>> = BTreeMap::new();
        for source in self.sources() {
            for dir in source.watch(&self.host) {
                dirs.entry(dir).or_default().insert(source.id());
            }
        }
        dirs
    }

    /// Scans with all sources (`None`) or with some; the others keep what they found last. A source
    /// that has never looked does so now.
    pub fn scan(
        &mut self,
        catalogue: &Catalogue,
        only: Option<&BTreeSet<&'static str>>,
        clock: &Clock,
    ) -> Scan {
        self.look_for_users(clock);
        let mut scan = Scan { inventory: Inventory::default(), runs: Vec::new() };
        for source in self.sources() {
            let id = source.id();
            let start = clock.elapsed();
            let asked = only.is_none_or(|only| only.contains(id));
            let fresh = self.kept.get(id).is_some_and(|kept| !asked || kept.seen.is_unchanged(kept.at));
            if !fresh {
                let processes = self.kept.get_mut(id).map(|last| std::mem::take(&mut last.processes));
                let kept = self.run(source, catalogue, processes.unwrap_or_default(), clock);
                self.kept.insert(id, kept);
            }
            let Some(kept) = self.kept.get(id) else { continue };
            scan.inventory.sightings.extend(kept.sightings.iter().cloned());
            scan.inventory.unlisted.extend(kept.unlisted.iter().cloned());
            scan.inventory.sources.push(SourceHealth { source: id.to_owned(), health: kept.health.clone() });
            scan.runs.push(SourceRun {
                source: id,
                health: kept.health.clone(),
                artefacts: kept.artefacts,
                micros: u64::try_from(clock.elapsed().saturating_sub(start).as_micros()).unwrap_or(u64::MAX),
            });
        }
        scan.inventory.normalise();
        scan
    }

    /// Forgets what was found: the catalogue is another one now.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    fn sources(&self) -> impl Iterator<Item = &'static dyn Source> + use<> {
        let platform = self.host.platform();
        SOURCES.iter().copied().filter(move |source| source.platforms().contains(&platform))
    }

    fn look_for_users(&mut self, clock: &Clock) {
        if self.users_at.is_some_and(|at| self.users.seen.is_unchanged(at)) {
            return;
        }
        let at = clock.now().as_microsecond();
        let users = survey(&self.host);
        if users.users != self.users.users || users.troubles != self.users.troubles {
            self.kept.clear();
        }
        self.users = users;
        self.users_at = Some(at);
    }

    fn run(&self, source: &dyn Source, catalogue: &Catalogue, processes: Known, clock: &Clock) -> Last {
        let at = clock.now().as_microsecond();
        let mut look = Look::new(&self.host, &self.users.users)
            .with_user_troubles(&self.users.troubles)
            .with_apps(catalogue, processes);
        let (mut sightings, mut unlisted, mut artefacts) = (Kept::default(), Kept::default(), 0);
        source.collect(&mut look, &mut |artefact| {
            artefacts += 1;
            match catalogue.recognise(source.id(), artefact) {
                Recognised::Listed(sighting) => sightings.keep(sighting),
                Recognised::Unlisted(messenger) => unlisted.keep(messenger),
                Recognised::Nothing => {}
            }
        });
        if sightings.is_cut() || unlisted.is_cut() {
            look.elsewhere("messaging apps");
            look.trouble(Trouble::TooMany);
        }
        artefacts += look.passed_over();
        let (health, processes) = (look.health(), look.take_processes());
        let (seen, _) = look.into_parts();
        let (sightings, unlisted) = (sightings.into_all(), unlisted.into_all());
        Last { seen, at, sightings, unlisted, health, artefacts, processes }
    }
}
