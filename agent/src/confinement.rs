//! What the running agent may still reach: the places of its sources, its own folder, and what every program needs.
//!
//! The service is confined by systemd already. This holds wherever the agent runs: a fault in a parser, or a link that
//! somebody made, leads to no file outside of the places that are named here. Folders that come later than the start
//! cannot be added, so an agent that has outgrown its places ends and is started anew by its supervisor (ADR 0018).

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::platform::confine::{Allowed, ConfineError, Confined, confine};
use crate::platform::filesystem::{self, folder_identity};
use crate::platform::processes;
use crate::scan::host::Host;
use crate::scan::scanner::Scanner;

/// Where software, its records and people's homes are on Linux, under the root that is scanned.
const SCANNED: [&str; 11] = [
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
];

/// What every program needs of this system: names and addresses of hosts and users (nsswitch.conf(5)), the libraries
/// that look them up, and `/proc`.
const OF_THE_SYSTEM: [&str; 9] =
    ["/etc", "/lib", "/lib64", "/nix/store", "/proc", "/run/nscd", "/run/systemd", "/usr", "/var/lib/sss"];

/// Where addresses are asked for; often a link to a folder in which it is replaced again and again.
const RESOLVER: &str = "/etc/resolv.conf";

/// Longest wait for the homes of a device to answer. A network file system whose server is away does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the agent cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    /// The kernel refuses, although it can.
    #[error(transparent)]
    Kernel(#[from] ConfineError),
    /// There is no thread to look at processes on, or at homes.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// The places that were there when the agent was confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement(Vec<Place>);

/// A folder, by where it really is and by what it was: the rights to it are gone when something is mounted over it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    was: Option<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> Self {
        Self { path: path.to_path_buf(), was: folder_identity(path) }
    }
}

impl Confinement {
    /// Confines this thread and all that it starts. The agent writes in its state folder alone, and removes the token
    /// from the other one. `None` where the system has no such thing.
    ///
    /// # Errors
    /// [`ConfinementError`].
    pub fn enter(
        root: &Path,
        device: impl FnOnce() -> Host + Send + 'static,
        state: PathBuf,
        token: Option<PathBuf>,
    ) -> Result<Option<Self>, ConfinementError> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        let places = places(root == filesystem::root(), device)?;
        processes::apart().map_err(ConfinementError::Thread)?;
        let resolver = real(Path::new(RESOLVER)).parent().map(Path::to_path_buf);
        let of_the_system = OF_THE_SYSTEM.iter().map(|path| real(Path::new(path))).chain(resolver);
        // A token beside everything else would open everything.
        let remove = token.into_iter().filter(|folder| folder.parent().is_some()).collect();
        let read = places.iter().map(|place| place.path.clone()).chain(of_the_system).collect();
        match confine(&Allowed { read, write: vec![state], remove })? {
            Confined::Fully => tracing::debug!("confined by Landlock"),
            Confined::Partly => tracing::debug!("confined by Landlock, as far as this kernel knows it"),
            Confined::Not => {
                tracing::info!(
                    "not confined by Landlock: the kernel does not have it, or the service may not ask for it"
                );
                return Ok(None);
            }
        }
        Ok(Some(Self(places)))
    }

    /// Whether a source wants to look into a folder that is there and was not when the agent was confined.
    pub fn is_outgrown<'a>(&self, root: &Path, mut wanted: impl Iterator<Item = &'a Path>) -> bool {
        let mounted = |place: &Place| place.was.is_some() && folder_identity(&place.path) != place.was;
        let came = |folder: &Path| {
            let folder = real(folder);
            folder != root && !covers(&self.0, &folder) && folder.exists()
        };
        self.0.iter().any(mounted) || wanted.any(came)
    }
}

/// The places of the sources of this device that are there.
fn places(
    live: bool,
    device: impl FnOnce() -> Host + Send + 'static,
) -> Result<Vec<Place>, ConfinementError> {
    // Not on this thread, which has to tell the supervisor that it lives. Who looks at a place that does not answer is
    // left to himself; the place then counts as one that came later.
    let (send, found) = sync_channel(1);
    let look = move || {
        let scanner = Scanner::new(device());
        let root = scanner.host().root();
        let folders: Vec<PathBuf> = if live {
            let homes = scanner.host().users().into_iter().map(|user| user.home);
            let folders = homes.chain(scanner.watch_dirs().into_keys()).map(|folder| real(&folder));
            folders.filter(|folder| folder.exists() && folder != root).collect()
        } else {
            // An image, or a tree of a test, is one place.
            vec![real(root)]
        };
        // Who waited may have gone.
        let _ = send.send(folders);
    };
    std::thread::Builder::new().name("places".to_owned()).spawn(look).map_err(ConfinementError::Thread)?;
    let mut places = Vec::new();
    if live {
        let there = SCANNED.iter().map(|path| real(Path::new(path))).filter(|path| path.exists());
        places.extend(there.map(|path| Place::of(&path)));
    }
    let found = found.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        tracing::warn!(
            "some folder does not answer; what is in it cannot be read until the agent is started anew"
        );
        Vec::new()
    });
    for folder in found {
        if !covers(&places, &folder) {
            places.push(Place::of(&folder));
        }
    }
    Ok(places)
}

/// Where a path really is: the kernel counts where links lead to, not where they are.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn covers(places: &[Place], folder: &Path) -> bool {
    places.iter().any(|place| folder.starts_with(&place.path))
}

#[cfg(test)]
mod tests {
    use offchannel_shared::device::Platform;

    use super::*;

    /// A source whose places are not on the list would see nothing where they come later.
    #[test]
    fn the_places_of_all_sources_are_on_the_list() {
        let root = tempfile::tempdir().unwrap();
        let scanner = Scanner::new(Host::at(root.path().to_path_buf(), Platform::Linux));
        let watched: Vec<PathBuf> = scanner.watch_dirs().into_keys().collect();
        assert!(watched.len() > 20, "{watched:#?}");
        for folder in watched {
            let folder = Path::new("/").join(folder.strip_prefix(root.path()).unwrap());
            assert!(SCANNED.iter().any(|place| folder.starts_with(place)), "{}", folder.display());
        }
    }

    #[test]
    fn what_came_later_and_what_was_covered_up_is_outgrown() {
        let root = tempfile::tempdir().unwrap();
        let root = real(root.path());
        let [known, link, later] = ["known", "link", "later"].map(|name| root.join(name));
        std::fs::create_dir(&known).unwrap();
        let wanted = [known.join("inner"), link.clone(), later.clone(), root.clone()];
        let confinement = Confinement(vec![Place::of(&known)]);
        let outgrown = || confinement.is_outgrown(&root, wanted.iter().map(PathBuf::as_path));
        assert!(!outgrown(), "what is not there is awaited, and the root itself is nobody's place");
        std::fs::create_dir(&later).unwrap();
        assert!(outgrown());
        std::fs::remove_dir(&later).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&known, &link).unwrap();
            assert!(!outgrown(), "a link counts as what it leads to");
        }
        std::fs::rename(&known, root.join("old")).unwrap();
        std::fs::create_dir(&known).unwrap();
        assert!(outgrown(), "as after a mount, the folder is another one");
    }
}
