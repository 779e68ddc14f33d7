//! What the running agent may still reach: the places of its sources, its own folder, and nothing else.
//!
//! The service is confined by systemd already. This holds wherever the agent runs, and it is the kernel's word for what
//! `explain` says: a fault in a parser, or a link that somebody made, leads nowhere that is not named here. Folders
//! that come later than the start cannot be added, so an agent that has outgrown its places ends and is started
//! anew by its supervisor (ADR 0018).

use std::path::{Path, PathBuf};

use crate::platform::confine::{Allowed, ConfineError, Confined, confine};
use crate::platform::processes;
use crate::scan::scanner::Scanner;

/// Where software, its records and people's homes are on Linux, under the root that is scanned.
const SCANNED: [&str; 13] = [
    "/etc",
    "/home",
    "/lib",
    "/nix",
    "/opt",
    "/root",
    "/run/current-system",
    "/snap",
    "/usr",
    "/var/lib",
    "/var/snap",
    "/bin",
    "/gnu",
];

/// What every program needs of this system: names and addresses of hosts and users (nsswitch.conf(5)), the libraries
/// that look them up, and `/proc`.
const OF_THE_SYSTEM: [&str; 9] =
    ["/etc", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/proc", "/run", "/var/lib/sss", "/nix/store"];

/// Why the agent cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    /// The kernel refuses, although it can.
    #[error(transparent)]
    Kernel(#[from] ConfineError),
    /// There is no thread to look at processes on.
    #[error("cannot start the thread that looks at processes")]
    Thread(#[source] std::io::Error),
}

/// The places that were there when the agent was confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement(Vec<PathBuf>);

impl Confinement {
    /// Confines this thread and all that it starts. The agent writes in its state folder alone, and removes the token
    /// from the other one. `None` where the system has no such thing.
    ///
    /// # Errors
    /// [`ConfinementError`].
    pub fn enter(
        scanner: &Scanner,
        state: PathBuf,
        token: Option<PathBuf>,
    ) -> Result<Option<Self>, ConfinementError> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let places = places(scanner);
        processes::apart().map_err(ConfinementError::Thread)?;
        let read = places.iter().cloned().chain(OF_THE_SYSTEM.map(PathBuf::from)).collect();
        let allowed = Allowed { read, write: vec![state], remove: token.into_iter().collect() };
        match confine(&allowed)? {
            Confined::Fully => tracing::debug!("confined by Landlock"),
            Confined::Partly => tracing::debug!("confined by Landlock, as far as this kernel knows it"),
            Confined::Not => {
                tracing::debug!("this kernel has no Landlock; the agent is confined by its service alone");
                return Ok(None);
            }
        }
        Ok(Some(Self(places)))
    }

    /// A folder that a source wants to look into and that is there now, but was not when the agent was confined.
    pub fn outgrown<'a>(&self, mut wanted: impl Iterator<Item = &'a Path>) -> Option<&'a Path> {
        wanted.find(|folder| !covers(&self.0, folder) && folder.exists())
    }
}

/// The places of the sources of this device that are there.
fn places(scanner: &Scanner) -> Vec<PathBuf> {
    let host = scanner.host();
    // An image, or a tree of a test, is one place.
    if !host.is_live() {
        return vec![host.root().to_path_buf()];
    }
    let mut places: Vec<PathBuf> = SCANNED.iter().map(PathBuf::from).filter(|place| place.exists()).collect();
    let homes = host.users().into_iter().map(|user| user.home);
    for folder in homes.chain(scanner.watch_dirs().into_keys()) {
        if !covers(&places, &folder) && folder.exists() && folder != host.root() {
            places.push(folder);
        }
    }
    places
}

fn covers(places: &[PathBuf], folder: &Path) -> bool {
    places.iter().any(|place| folder.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source whose places are not on the list would see nothing on a machine where they come later.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_places_of_all_sources_are_on_the_list() {
        let scanner = Scanner::new(crate::scan::host::Host::live());
        let mut listed: Vec<PathBuf> = SCANNED.iter().map(PathBuf::from).collect();
        listed.extend(scanner.host().users().into_iter().map(|user| user.home));
        let watched = scanner.watch_dirs();
        let unlisted: Vec<&PathBuf> = watched.keys().filter(|folder| !covers(&listed, folder)).collect();
        assert_eq!(unlisted, Vec::<&PathBuf>::new());
    }

    #[test]
    fn a_folder_that_came_later_is_seen_and_one_that_is_not_there_is_awaited() {
        let root = tempfile::tempdir().unwrap();
        let [known, later] = ["known", "later"].map(|name| root.path().join(name));
        std::fs::create_dir(&known).unwrap();
        let confinement = Confinement(vec![known.clone()]);
        let wanted = [known.join("inner"), later.clone()];
        let outgrown = || confinement.outgrown(wanted.iter().map(PathBuf::as_path));
        assert_eq!(outgrown(), None);
        std::fs::create_dir(&later).unwrap();
        assert_eq!(outgrown(), Some(later.as_path()));
    }
}
