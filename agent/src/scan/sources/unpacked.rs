//! Programs unpacked by hand under `/opt`, `/usr/local` and in home folders.
//!
//! A program file counts only with a second sign in its folder that it was unpacked there as a whole
//! (`program_folder`). A name alone accuses nobody; a lone file in `~/bin` is no sign.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::program_folder::{ELECTRON_MAX, Signs};
use crate::scan::host::Host;
use crate::scan::look::{Entry, Kind, Look};
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;
use crate::scan::user_dirs;

/// Most entries of a place that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Most entries of a folder in it. Larger ones hold no unpacked program, and people have folders with a
/// hundred thousand pictures: that something is beyond is not worth telling.
const INNER_MAX: usize = 1024;

/// Most folders below one place that are looked into.
const FOLDERS_MAX: usize = 256;

/// Most programs of one folder that are told of; large suites have a few dozen.
const PROGRAMS_MAX: usize = 256;

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

/// Folders of all users, and how deep the programs lie in them: vendors have a folder in `/opt`.
const SYSTEM: [(&str, usize); 3] = [("/opt", 2), ("/usr/local/lib", 1), ("/usr/local/share", 1)];

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
            let mut left = ELECTRON_MAX;
            let entries = look.list(&dir, ENTRIES_MAX);
            for product in subfolders(look, &dir, &entries) {
                let entries = look.list_some(&product, INNER_MAX);
                read_folder(look, &product, &entries, &Scope::System, &mut left, found);
                let inner = if depth > 1 { subfolders(look, &product, &entries) } else { Vec::new() };
                for product in inner {
                    let entries = look.list_some(&product, INNER_MAX);
                    read_folder(look, &product, &entries, &Scope::System, &mut left, found);
                }
            }
        }
        for user in look.users() {
            let mut left = ELECTRON_MAX;
            for folder in user_dirs::localised(look, user, &HOME) {
                let dir = look.home(user, &folder);
                let entries = look.list(&dir, ENTRIES_MAX);
                read_folder(look, &dir, &entries, &user.scope, &mut left, found);
                for inner in subfolders(look, &dir, &entries) {
                    let entries = look.list_some(&inner, INNER_MAX);
                    read_folder(look, &inner, &entries, &user.scope, &mut left, found);
                }
            }
        }
    }
}

/// The folders in a folder, hidden ones and links left out.
fn subfolders(look: &mut Look<'_>, dir: &Path, entries: &[Entry]) -> Vec<PathBuf> {
    let folders = entries.iter().filter(|entry| entry.kind == Kind::Dir && !entry.name.starts_with('.'));
    let mut folders: Vec<PathBuf> = folders.map(|entry| dir.join(&entry.name)).collect();
    if folders.len() > FOLDERS_MAX {
        folders.truncate(FOLDERS_MAX);
        look.trouble(Trouble::TooMany);
    }
    folders
}

fn read_folder(
    look: &mut Look<'_>,
    dir: &Path,
    entries: &[Entry],
    scope: &Scope,
    electron_left: &mut usize,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let signs = Signs::read(look, dir, entries, electron_left);
    if !signs.is_any() {
        return;
    }
    let mut programs = 0;
    for entry in entries.iter().filter(|entry| may_be_program(entry) && signs.speak_for(&entry.name)) {
        let Some(head) = look.program_head(&dir.join(&entry.name), 11) else { continue };
        // AppImages are the source appimage's.
        if head.get(8..10) == Some(b"AI") {
            continue;
        }
        programs += 1;
        if programs > PROGRAMS_MAX {
            return look.trouble(Trouble::TooMany);
        }
        let artefact = Artefact::new(Namespace::Executable, &entry.name, scope, Grade::Installed);
        found(&Artefact { version: signs.version(), ..artefact });
    }
}

fn may_be_program(entry: &Entry) -> bool {
    entry.kind == Kind::File && !entry.name.ends_with(".so") && !entry.name.contains(".so.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_no_programs() {
        let file = |name: &str| Entry { name: name.to_owned(), kind: Kind::File };
        assert!(may_be_program(&file("Telegram")));
        assert!(!may_be_program(&file("libffmpeg.so")));
        assert!(!may_be_program(&file("libQt6Core.so.6")));
    }
}
