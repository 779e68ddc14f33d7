//! Programs unpacked by hand under `/opt`, `/usr/local` and in home folders.
//!
//! A program file counts only with a second sign in its folder that it was unpacked there as a whole
//! (`program_folder`). A name alone accuses nobody; a lone file in `~/bin` is no sign.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Scope};

use super::program_folder::{INNER_MAX, Place, subfolders};
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::user_dirs;

/// Most entries of a place that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Folders of all users, and how deep the programs lie in them: vendors have a folder in `/opt`.
const SYSTEM: [(&str, usize); 3] = [("/opt", 2), ("/usr/local/lib", 1), ("/usr/local/share", 1)];

/// Folders of one user, and those that stand for them in other languages; the first is the home folder itself.
const HOME: [&str; 10] = [
    "",
    "Applications",
    "Apps",
    "Downloads",
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
        for (folder, depth) in SYSTEM {
            let dir = look.system(folder);
            let mut place = Place::new(&Scope::System, found);
            let entries = look.list(&dir, ENTRIES_MAX);
            for product in subfolders(look, &dir, &entries) {
                let entries = look.list_some(&product, INNER_MAX);
                place.read(look, &product, &entries);
                let inner = if depth > 1 { subfolders(look, &product, &entries) } else { Vec::new() };
                for product in inner {
                    let entries = look.list_some(&product, INNER_MAX);
                    place.read(look, &product, &entries);
                }
            }
        }
        for user in look.users() {
            let mut place = Place::new(&user.scope, found);
            for folder in user_dirs::localised(look, user, &HOME) {
                let dir = look.home(user, &folder);
                let entries = look.list(&dir, ENTRIES_MAX);
                place.read(look, &dir, &entries);
                for inner in subfolders(look, &dir, &entries) {
                    let entries = look.list_some(&inner, INNER_MAX);
                    place.read(look, &inner, &entries);
                }
            }
        }
    }
}
