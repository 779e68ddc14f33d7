//! Notices that files change. The only user of `notify`.
//!
//! A hint, never the truth: the safety scan stands behind it. Folders are watched one by one, never
//! recursively, and always before they are scanned, so that a change in between is not lost.

mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::inventory::Health;
use tokio::sync::Notify;

use plan::Plan;
pub use plan::{Hint, Sources};

use crate::platform::filesystem::{folder_identity, is_remote};

/// Most folders that are watched; the kernel keeps about 1 kB for each. What is beyond is polled.
const FOLDERS_MAX: usize = 1024;
/// How often the plan is made anew when folders come while it is being made.
const REPLANS_MAX: usize = 3;

/// What watching does not cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Sources with folders that must be polled.
    pub polled: Sources,
    /// For the source health `watch`. Names no folder: home folders carry users' names.
    pub health: Health,
}

/// Sets up what is watched.
#[derive(Debug)]
pub struct Watcher {
    inner: Option<RecommendedWatcher>,
    shared: Arc<Shared>,
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

/// Hears what was noticed.
#[derive(Debug, Clone)]
pub struct Hints(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    noticed: Notify,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    /// What was noticed and not heard yet. At most every source once, whatever happens on disk.
    pending: Hint,
}

impl Hints {
    /// Waits until something was noticed. Nothing is lost if this is dropped while it waits.
    pub async fn next(&self) -> Hint {
        loop {
            let pending = std::mem::take(&mut self.0.lock().pending);
            if !pending.is_empty() {
                return pending;
            }
            self.0.noticed.notified().await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, event: notify::Result<Event>) {
        let mut state = self.lock();
        let hint = match event {
            Ok(event) if event.need_rescan() => Hint::everything(),
            Ok(event) if !is_change(event.kind) => return,
            Ok(event) if event.paths.is_empty() => Hint::everything(),
            Ok(event) => {
                let mut hint = Hint::default();
                for path in &event.paths {
                    hint.add(state.plan.hint(path));
                }
                hint
            }
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "watching reported an error; everything is looked at");
                Hint::everything()
            }
        };
        if !hint.is_empty() {
            state.pending.add(hint);
            self.noticed.notify_one();
        }
    }
}

/// Whether an event says that content or names changed. Reading is none; a scan would cause the next.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

impl Watcher {
    /// Watches nothing yet.
    pub fn new() -> (Self, Hints) {
        let shared = Arc::new(Shared::default());
        (Self { inner: None, shared: Arc::clone(&shared), watched: BTreeMap::new() }, Hints(shared))
    }

    /// Watches these folders and no others, none above `root`. Call it before every scan of everything.
    /// `homes` is where the users' folders are.
    pub fn update(&mut self, wanted: &BTreeMap<PathBuf, Sources>, root: &Path, homes: &Path) -> Coverage {
        let exists = |path: &Path| folder_identity(path).is_some();
        let mut coverage = self.apply(Plan::new(wanted, root, homes, exists));
        for _ in 1..REPLANS_MAX {
            if !self.shared.lock().plan.is_outdated(exists) {
                break;
            }
            coverage = self.apply(Plan::new(wanted, root, homes, exists));
        }
        coverage
    }

    fn apply(&mut self, plan: Plan) -> Coverage {
        if self.inner.is_none() {
            let shared = Arc::clone(&self.shared);
            match notify::recommended_watcher(move |event| shared.heard(event)) {
                Ok(watcher) => self.inner = Some(watcher),
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "cannot watch files; folders are polled")
                }
            }
        }
        let gone: Vec<PathBuf> =
            self.watched.keys().filter(|folder| !plan.contains(folder)).cloned().collect();
        for folder in gone {
            self.unwatch(&folder);
        }
        // Known before the first event of a new folder can come.
        self.shared.lock().plan = plan.clone();
        let mut polled = Sources::new();
        let (mut remote, mut refused) = (false, false);
        for (folder, sources) in plan.folders() {
            if is_remote(folder) {
                remote = true;
                self.unwatch(folder);
                polled.extend(sources);
            } else if !self.watch(folder) {
                refused = true;
                polled.extend(sources);
            }
        }
        Coverage { polled, health: health(remote, refused) }
    }

    /// Whether the folder is watched now. One that went meanwhile is for the next plan.
    fn watch(&mut self, folder: &Path) -> bool {
        let Some(identity) = folder_identity(folder) else { return true };
        if self.watched.get(folder) == Some(&identity) {
            return true;
        }
        self.unwatch(folder);
        let Some(inner) = self.inner.as_mut() else { return false };
        if self.watched.len() >= FOLDERS_MAX {
            return false;
        }
        match inner.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(folder.to_path_buf(), identity);
                true
            }
            Err(error) => {
                // Without the path: it may lie in somebody's home folder.
                tracing::debug!(kind = ?error.kind, "a folder cannot be watched; it is polled");
                false
            }
        }
    }

    fn unwatch(&mut self, folder: &Path) {
        if self.watched.remove(folder).is_some()
            && let Some(inner) = self.inner.as_mut()
        {
            // Fails where the folder is gone, and the watch with it.
            let _ = inner.unwatch(folder);
        }
    }
}

fn health(remote: bool, refused: bool) -> Health {
    let why = match (remote, refused) {
        (false, false) => return Health::Ok,
        (true, false) => "some folders are on a network file system",
        (false, true) => "some folders cannot be watched",
        (true, true) => "some folders are on a network file system, others cannot be watched",
    };
    Health::Partial(format!("{why}; they are looked at every minute"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use notify::event::{CreateKind, Flag};

    use super::*;

    async fn next(hints: &Hints) -> Hint {
        tokio::time::timeout(Duration::from_secs(10), hints.next())
            .await
            .expect("nothing was noticed in 10 s")
    }

    fn wanted(folder: &Path) -> BTreeMap<PathBuf, Sources> {
        [(folder.to_path_buf(), Sources::from(["s"]))].into()
    }

    #[tokio::test]
    async fn a_new_file_is_noticed_and_reading_is_not() {
        let root = tempfile::tempdir().unwrap();
        let (mut watcher, hints) = Watcher::new();
        std::fs::write(root.path().join("old"), "x").unwrap();
        let coverage = watcher.update(&wanted(root.path()), root.path(), &root.path().join("home"));
        assert_eq!(coverage, Coverage { polled: Sources::new(), health: Health::Ok });
        std::fs::read(root.path().join("old")).unwrap();
        std::fs::write(root.path().join("new"), "x").unwrap();
        // Events come in order: had reading been noticed, it would have been so before this.
        assert_eq!(next(&hints).await, Hint { sources: ["s"].into(), ..Hint::default() });
    }

    #[tokio::test]
    async fn a_folder_that_comes_later_is_noticed_and_then_watched() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let (mut watcher, hints) = Watcher::new();
        watcher.update(&wanted(&folder), root.path(), &root.path().join("home"));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(next(&hints).await.replan);
        watcher.update(&wanted(&folder), root.path(), &root.path().join("home"));
        std::fs::write(folder.join("new"), "x").unwrap();
        assert!(next(&hints).await.sources.contains("s"));
    }

    #[tokio::test]
    async fn a_folder_that_was_replaced_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        std::fs::create_dir(&folder).unwrap();
        let (mut watcher, hints) = Watcher::new();
        watcher.update(&wanted(&folder), root.path(), &root.path().join("home"));
        std::fs::rename(&folder, root.path().join("b")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert!(next(&hints).await.replan);
        watcher.update(&wanted(&folder), root.path(), &root.path().join("home"));
        // What was still to be heard of the old folder.
        let _ = std::mem::take(&mut hints.0.lock().pending);
        std::fs::write(folder.join("new"), "x").unwrap();
        assert!(next(&hints).await.sources.contains("s"));
    }

    #[tokio::test]
    async fn overflow_errors_and_events_without_path_mean_everything() {
        let (_watcher, hints) = Watcher::new();
        let events = [
            Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)),
            Ok(Event::new(EventKind::Create(CreateKind::Any))),
            Err(notify::Error::generic("x")),
        ];
        for event in events {
            hints.0.heard(event);
            assert_eq!(next(&hints).await, Hint::everything());
        }
    }
}
