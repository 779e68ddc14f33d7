//! Programs unpacked by hand under `/opt`, `/usr/local` and in home folders.
//!
//! A program file counts only with a second sign in its folder that it was unpacked there as a whole
//! (`program_folder`). A name alone accuses nobody; a lone file in `~/bin` is no sign.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Scope};

use super::budget::Budget;
use super::program_folder::{INNER_MAX, Place, subfolders};
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::user_dirs;

/// Most entries of a place that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Most folders of one user, or of the system, that are looked into.
const FOLDERS_MAX: usize = 4096;

/// Most entries of these together.
const ALL_MAX: usize = 262_144;

/// Most entries of a folder in a home that is only around what was unpacked, as `tsetup.5.9.0` is around
/// `Telegram`.
const AROUND_MAX: usize = 16;

/// Folders of all users, and how deep the programs lie in them: vendors have a folder in `/opt`.
const SYSTEM: [(&str, usize); 4] =
    [("/opt", 2), ("/usr/local", 1), ("/usr/local/lib", 1), ("/usr/local/share", 1)];

/// Folders of one user, and those that stand for them in other languages; the first is the home folder itself.
const HOME: [&str; 12] = [
    "",
    "Applications",
    "Apps",
    "Desktop",
    "Downloads",
    ".local",
    ".local/bin",
    ".local/lib",
    ".local/opt",
    ".local/share",
    "bin",
    "opt",
];

/// Programs unpacked by hand.
#[derive(Debug)]
pub struct Unpacked;

impl Source for Unpacked {
    fn id(&self) -> &'static str {
        "unpacked"
    }

    fn about(&self) -> &'static str {
        "programs unpacked by hand under /opt, /usr/local and in home folders"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let mut look = Look::new(host, &users);
        let mut dirs: Vec<PathBuf> = SYSTEM.iter().map(|(folder, _)| host.path(folder)).collect();
        for user in &users {
            dirs.extend(user_dirs::localised(&mut look, user, &HOME).iter().map(|f| user.folder(f)));
        }
        dirs
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut budget = Budget::of(FOLDERS_MAX, ALL_MAX);
        let places = SYSTEM.map(|(folder, _)| look.host().lexical(folder));
        for (folder, depth) in SYSTEM {
            let dir = look.system(folder);
            let mut place = Place::new(&Scope::System, found);
            let entries = budget.list(look, &dir, ENTRIES_MAX);
            for product in subfolders(look, &dir, &entries) {
                if !places.contains(&product) {
                    let most = if depth > 1 { INNER_MAX } else { 0 };
                    read_product(look, &mut budget, &mut place, &product, most);
                }
            }
        }
        for user in look.users() {
            let mut budget = Budget::of(FOLDERS_MAX, ALL_MAX);
            let mut place = Place::new(&user.scope, found);
            let folders = user_dirs::localised(look, user, &HOME);
            let places: Vec<PathBuf> = folders.iter().map(|folder| user.folder(folder)).collect();
            for folder in &folders {
                let dir = look.home(user, folder);
                let entries = budget.list(look, &dir, ENTRIES_MAX);
                place.read(look, &dir, &entries);
                let most = if folder.is_empty() || folder.starts_with('.') { 0 } else { AROUND_MAX };
                for inner in subfolders(look, &dir, &entries) {
                    if !places.contains(&inner) {
                        read_product(look, &mut budget, &mut place, &inner, most);
                    }
                }
            }
        }
    }
}

/// Reads a folder of a place, and the folders in it if it has at most so many entries.
fn read_product(look: &mut Look<'_>, budget: &mut Budget, place: &mut Place<'_>, dir: &Path, most: usize) {
    let entries = budget.list_some(look, dir, INNER_MAX);
    place.read(look, dir, &entries);
    let inner = if entries.len() <= most { subfolders(look, dir, &entries) } else { Vec::new() };
    for product in inner {
        let entries = budget.list_some(look, &product, INNER_MAX);
        place.read(look, &product, &entries);
    }
}
