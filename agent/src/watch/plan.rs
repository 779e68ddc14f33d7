//! Which folders to watch so that a change in the places that sources name is noticed. Pure.
//!
//! A folder that does not exist yet is awaited at its nearest existing ancestor.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Ids of sources.
pub type Sources = BTreeSet<&'static str>;

/// Why a folder is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interest {
    /// The one entry whose coming is awaited; all entries if not given.
    awaited: Option<OsString>,
    /// Who cares.
    sources: Sources,
    /// Whether a change may concern every source, as a new user does.
    everything: bool,
}

/// What to watch, and what an event there means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    folders: BTreeMap<PathBuf, Vec<Interest>>,
}

/// What an event means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    /// Look at everything, whatever `sources` says.
    pub everything: bool,
    /// Sources to look at.
    pub sources: Sources,
    /// Folders came or went: plan anew before looking.
    pub replan: bool,
}

impl Hint {
    /// Look at everything, and plan anew: what was noticed may be only a part.
    pub fn everything() -> Self {
        Self { everything: true, sources: Sources::new(), replan: true }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.sources.is_empty() && !self.replan
    }

    fn want(&mut self, interest: &Interest) {
        self.sources.extend(&interest.sources);
        self.everything |= interest.everything;
        self.replan |= interest.everything;
    }

    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.everything |= other.everything;
        self.replan |= other.replan;
        self.sources.extend(other.sources);
    }
}

impl Plan {
    /// Plans for these folders, none of which is looked for above `root`. A change directly in
    /// `homes`, where the users' folders are, concerns everything.
    pub fn new(
        wanted: &BTreeMap<PathBuf, Sources>,
        root: &Path,
        homes: &Path,
        exists: impl Fn(&Path) -> bool,
    ) -> Self {
        let mut plan = Self::default();
        let nobody = Sources::new();
        let wanted = wanted.iter().map(|(folder, sources)| (folder.as_path(), sources, false));
        for (folder, sources, everything) in wanted.chain([(homes, &nobody, true)]) {
            let mut awaited = None;
            let mut place = folder;
            while !exists(place) {
                let Some(parent) = place.parent().filter(|parent| parent.starts_with(root)) else { break };
                awaited = place.file_name();
                place = parent;
            }
            if exists(place) {
                plan.want(place, awaited, sources, everything);
            }
        }
        plan
    }

    fn want(&mut self, folder: &Path, awaited: Option<&OsStr>, sources: &Sources, everything: bool) {
        let interests = self.folders.entry(folder.to_path_buf()).or_default();
        match interests.iter_mut().find(|interest| interest.awaited.as_deref() == awaited) {
            Some(interest) => {
                interest.sources.extend(sources);
                interest.everything |= everything;
            }
            None => {
                let awaited = awaited.map(OsStr::to_owned);
                interests.push(Interest { awaited, sources: sources.clone(), everything });
            }
        }
    }

    /// The folders to watch, and who cares about each.
    pub fn folders(&self) -> impl Iterator<Item = (&Path, Sources)> {
        self.folders.iter().map(|(folder, interests)| {
            (
                folder.as_path(),
                interests.iter().flat_map(|interest| interest.sources.iter().copied()).collect(),
            )
        })
    }

    /// Whether a folder is part of the plan.
    pub fn contains(&self, folder: &Path) -> bool {
        self.folders.contains_key(folder)
    }

    /// Whether something that was awaited is there already.
    pub fn is_outdated(&self, exists: impl Fn(&Path) -> bool) -> bool {
        self.folders.iter().any(|(folder, interests)| {
            interests.iter().any(|interest| {
                interest.awaited.as_ref().is_some_and(|awaited| exists(&folder.join(awaited)))
            })
        })
    }

    /// What a change at a path means.
    pub fn hint(&self, path: &Path) -> Hint {
        let mut hint = Hint::default();
        if let Some(interests) = self.folders.get(path) {
            // A watched folder itself was changed, moved or removed.
            hint.replan = true;
            for interest in interests {
                hint.want(interest);
            }
        }
        let interests = path.parent().and_then(|folder| self.folders.get(folder));
        for interest in interests.into_iter().flatten() {
            match &interest.awaited {
                None => hint.want(interest),
                Some(awaited) if path.file_name().is_some_and(|name| is_same(awaited, name)) => {
                    hint.replan = true;
                    hint.want(interest);
                }
                Some(_) => {}
            }
        }
        hint
    }
}

/// Whether two names are of one entry: these systems keep the case of a name and find it by any, and events
/// tell the one that was kept.
fn is_same(one: &OsStr, other: &OsStr) -> bool {
    if cfg!(any(windows, target_os = "macos")) { one.eq_ignore_ascii_case(other) } else { one == other }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(all: &[(&str, &'static str)]) -> BTreeMap<PathBuf, Sources> {
        let mut wanted: BTreeMap<PathBuf, Sources> = BTreeMap::new();
        for (folder, source) in all {
            wanted.entry(PathBuf::from(folder)).or_default().insert(source);
        }
        wanted
    }

    fn among<'a>(existing: &'a [&'a str]) -> impl Fn(&Path) -> bool + Copy + 'a {
        move |path| existing.iter().any(|one| Path::new(one) == path)
    }

    #[test]
    fn what_is_missing_is_awaited_at_its_nearest_ancestor() {
        let existing = ["/", "/var", "/var/lib", "/var/lib/dpkg"];
        let wanted =
            wanted(&[("/var/lib/dpkg", "dpkg"), ("/var/lib/flatpak/app", "flatpak"), ("/opt", "exe")]);
        let plan = Plan::new(&wanted, Path::new("/"), Path::new("/home"), among(&existing));
        let folders: Vec<_> = plan.folders().map(|(folder, _)| folder.to_path_buf()).collect();
        assert_eq!(folders, ["/", "/var/lib", "/var/lib/dpkg"].map(PathBuf::from));

        assert_eq!(
            plan.hint(Path::new("/var/lib/dpkg/status")),
            Hint { sources: ["dpkg"].into(), ..Hint::default() }
        );
        assert!(plan.hint(Path::new("/var/lib/apt")).is_empty());
        let came = plan.hint(Path::new("/var/lib/flatpak"));
        assert_eq!(came, Hint { sources: ["flatpak"].into(), replan: true, everything: false });
        assert!(plan.hint(Path::new("/var/lib/dpkg")).replan, "the folder itself was replaced");
        assert!(!plan.is_outdated(among(&existing)));
        assert!(plan.is_outdated(among(&["/opt"])));
    }

    #[test]
    fn a_new_home_folder_concerns_everything() {
        let exists = among(&["/", "/home"]);
        let plan = Plan::new(&BTreeMap::new(), Path::new("/"), Path::new("/home"), exists);
        assert_eq!(plan.hint(Path::new("/home/new")), Hint::everything());
        let plan = Plan::new(&BTreeMap::new(), Path::new("/"), Path::new("/home"), among(&["/"]));
        assert_eq!(plan.hint(Path::new("/home")), Hint::everything());
        assert!(plan.hint(Path::new("/srv")).is_empty());
    }

    #[test]
    fn what_comes_in_another_case_counts_where_the_system_takes_it_for_the_same() {
        let plan = Plan::new(&wanted(&[("/opt", "exe")]), Path::new("/"), Path::new("/home"), among(&["/"]));
        assert_eq!(plan.hint(Path::new("/OPT")).replan, cfg!(any(windows, target_os = "macos")));
    }

    #[test]
    fn nothing_above_the_root_is_watched() {
        let wanted = wanted(&[("/image/opt", "exe")]);
        let plan =
            Plan::new(&wanted, Path::new("/image"), Path::new("/image/home"), among(&["/", "/elsewhere"]));
        assert_eq!(plan, Plan::default());
    }

    proptest! {
        #[test]
        fn every_wanted_folder_is_covered(
            wanted_folders in proptest::collection::btree_set("(/[ab]){1,4}", 1..6),
            existing in proptest::collection::btree_set("(/[ab]){1,3}", 0..8),
        ) {
            // A folder exists only with all of its ancestors.
            let exists = |path: &Path| {
                path.ancestors().all(|p| p == Path::new("/") || existing.iter().any(|e| Path::new(e) == p))
            };
            let all: Vec<(&str, &'static str)> = wanted_folders.iter().map(|f| (f.as_str(), "s")).collect();
            let plan = Plan::new(&wanted(&all), Path::new("/"), Path::new("/home"), exists);
            for folder in &wanted_folders {
                let folder = Path::new(folder);
                let first_missing = folder.ancestors().take_while(|path| !exists(path)).last();
                let event = first_missing.map_or_else(|| folder.join("x"), Path::to_path_buf);
                prop_assert!(plan.hint(&event).sources.contains("s"), "{:?} goes unnoticed", event);
                prop_assert!(first_missing.is_none() || plan.hint(&event).replan);
            }
        }
    }
}
