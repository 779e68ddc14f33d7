//! Programs in the folders of Windows' users: unpacked by hand, or put there by installers that need no rights.
//!
//! Most installers write uninstall keys too; these are signs for where the keys are gone or were never
//! written. As elsewhere a name alone accuses nobody (`program_folder`). Two installers are known by what they
//! leave: Squirrel by `Update.exe` beside folders `app-1.2.3`, of which one that holds `.dead` is a removed one
//! that could not be deleted (Squirrel.Windows, `src/Squirrel/UpdateManager.ApplyReleases.cs`), and Scoop by
//! `install.json` in the folder of each version (`lib/install.ps1`: `save_install_info`).

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};

use super::program_folder::{INNER_MAX, Place, subfolders};
use super::start_menu::one_drive_desktops;
use crate::scan::host::Host;
use crate::scan::look::{Entry, Kind, Look};
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Most entries of a place that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Most folders of one user that are looked into; a full `AppData` has some hundred.
const FOLDERS_MAX: usize = 2048;

/// Folders of one user, and how deep the programs lie in them: vendors have folders of their own, and so has what
/// Windows unpacks an archive to, in which there often is another.
const HOME: [(&str, usize); 4] =
    [("Desktop", 2), ("Downloads", 2), ("AppData/Roaming", 1), ("AppData/Local", 2)];

/// Folders in those that hold thousands of others and no program of anybody's.
const NO_PROGRAMS: [&str; 3] = ["CrashDumps", "Packages", "Temp"];

/// Where Scoop is, in a home and for all users. Everybody may make the second, so that it is the system's is a guess.
const SCOOP: &str = "scoop/apps";
const SCOOP_OF_ALL: &str = "/ProgramData/scoop/apps";

/// Programs in the folders of users.
#[derive(Debug)]
pub struct WindowsUnpacked;

impl Source for WindowsUnpacked {
    fn id(&self) -> &'static str {
        "windows-unpacked"
    }

    fn about(&self) -> &'static str {
        "programs in the folders of users (AppData, Desktop, Downloads, Scoop)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Windows]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let folders = ["AppData/Local/Programs", SCOOP];
        let home = users.iter().flat_map(|user| {
            HOME.iter().map(|(folder, _)| *folder).chain(folders).map(|folder| user.home.join(folder))
        });
        std::iter::once(host.path(SCOOP_OF_ALL)).chain(home).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let dir = look.system(SCOOP_OF_ALL);
        read_scoop(look, &dir, &mut Place::new(&Scope::System, found));
        for user in look.users() {
            let mut place = Place::new(&user.scope, found);
            let mut left = FOLDERS_MAX;
            for dir in one_drive_desktops(look, user) {
                read_folders(look, &dir, 2, &mut left, &mut place);
            }
            for (folder, depth) in HOME {
                let dir = look.home(user, folder);
                read_folders(look, &dir, depth, &mut left, &mut place);
            }
            let dir = look.home(user, SCOOP);
            read_scoop(look, &dir, &mut place);
        }
    }
}

/// Reads the folders in a folder, and those in them.
fn read_folders(look: &mut Look<'_>, dir: &Path, depth: usize, left: &mut usize, place: &mut Place<'_>) {
    let mut entries = look.list(dir, ENTRIES_MAX);
    entries.retain(|entry| !NO_PROGRAMS.contains(&entry.name.as_str()));
    for product in subfolders(look, dir, &entries) {
        let Some((entries, is_vendor)) = read_product(look, &product, left, place) else { return };
        let inner = if is_vendor && depth > 1 { subfolders(look, &product, &entries) } else { Vec::new() };
        for product in inner {
            if read_product(look, &product, left, place).is_none() {
                return;
            }
        }
    }
}

/// Reads a folder; answers what is in it and whether it may hold folders of products, `None` if too many were
/// read.
fn read_product(
    look: &mut Look<'_>,
    dir: &Path,
    left: &mut usize,
    place: &mut Place<'_>,
) -> Option<(Vec<Entry>, bool)> {
    let Some(less) = left.checked_sub(1) else {
        look.trouble(Trouble::TooMany);
        return None;
    };
    *left = less;
    let entries = look.list_some(dir, INNER_MAX);
    place.read(look, dir, &entries);
    let is_vendor = !read_squirrel(look, dir, &entries, place);
    Some((entries, is_vendor))
}

/// The versions of a program that Squirrel installed. It keeps the one before the newest; Teams has a folder
/// `current` instead. Answers whether this is such a program.
fn read_squirrel(look: &mut Look<'_>, dir: &Path, entries: &[Entry], place: &mut Place<'_>) -> bool {
    let has = |name: &str, kind| entries.iter().any(|entry| entry.kind == kind && entry.name == name);
    if !has("Update.exe", Kind::File) {
        return false;
    }
    let folders = entries.iter().filter(|entry| entry.kind == Kind::Dir).map(|entry| entry.name.as_str());
    let versions = folders.filter_map(|name| Some((name, name.strip_prefix("app-")?)));
    let newest = versions.max_by_key(|(_, version)| numbers(version));
    let current = has("current", Kind::Dir).then_some(("current", ""));
    for (name, version) in newest.into_iter().chain(current) {
        let folder = dir.join(name);
        let entries = look.list_some(&folder, INNER_MAX);
        let is_dead = entries.iter().any(|entry| entry.name == ".dead") || has(".dead", Kind::File);
        let grade = if is_dead { Grade::Residual } else { Grade::Installed };
        place.read_installed(look, &folder, &entries, Some((grade, version)));
    }
    true
}

/// The programs that Scoop installed: `apps/<name>/<version>`. Of several versions the newest counts, for
/// `current` leads to it and is no link that other systems can follow.
fn read_scoop(look: &mut Look<'_>, dir: &Path, place: &mut Place<'_>) {
    let entries = look.list(dir, ENTRIES_MAX);
    for app in subfolders(look, dir, &entries) {
        let entries = look.list_some(&app, INNER_MAX);
        let versions = entries.iter().filter(|entry| entry.kind == Kind::Dir && entry.name != "current");
        let Some(newest) = versions.map(|entry| entry.name.as_str()).max_by_key(|name| numbers(name)) else {
            continue;
        };
        let folder = app.join(newest);
        let entries = look.list_some(&folder, INNER_MAX);
        if entries.iter().any(|entry| entry.name == "install.json") {
            place.read_installed(look, &folder, &entries, Some((Grade::Installed, newest)));
        }
    }
}

/// A version as the numbers in it, to tell which one is newer.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("1.0.9035") > numbers("1.0.999"));
        assert!(numbers("10.0") > numbers("9.9.9-beta2"));
        assert_eq!(numbers("99999999999999999999999"), [u64::MAX]);
    }
}
