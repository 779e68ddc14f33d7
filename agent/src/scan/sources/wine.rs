//! Windows programs that users of Linux have installed with Wine: the registry of each prefix.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::Artefact;

use super::drive::Drive;
use super::uninstall::read_entries;
use crate::scan::formats::wine_reg::Tree;
use crate::scan::host::{Host, User};
use crate::scan::look::Look;
use crate::scan::registry;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Prefixes in a home folder: Wine's own, and that of its flatpak.
const PREFIXES: [&str; 2] = [".wine", ".var/app/org.winehq.Wine/data/wine"];

/// Folders that hold prefixes: what `winetricks`, Bottles, CrossOver, PlayOnLinux, Lutris and Heroic make.
const FOLDERS: [&str; 8] = [
    ".local/share/wineprefixes",
    ".local/share/bottles/bottles",
    ".var/app/com.usebottles.bottles/data/bottles/bottles",
    ".cxoffice",
    ".PlayOnLinux/wineprefix",
    "Games",
    "Games/Heroic/Prefixes",
    "Games/Heroic/Prefixes/default",
];

/// Steam's own folders, of which some are links to another.
const STEAM: [(&str, &str); 4] = [
    (".local/share", "Steam"),
    (".steam", "debian-installation"),
    (".steam", "steam"),
    (".var/app/com.valvesoftware.Steam/.local/share", "Steam"),
];

/// In Steam's folder: a folder for each game, with a prefix in it.
const PROTON: &str = "steamapps/compatdata";

/// Most prefixes in one folder.
const PREFIXES_MAX: usize = 512;

/// Most prefixes of one user, of those in folders, that are watched; the others are read with the next full scan.
const WATCHED_MAX: usize = 64;

/// Largest registry file; a new prefix has 2 to 4 MB.
const REGISTRY_MAX: u64 = 64 * 1024 * 1024;

/// How much of one user's registry files is read in all; forty prefixes of Proton have 200 MB.
const USER_MAX: u64 = 512 * 1024 * 1024;

/// What is kept of one.
const WANTED: [&str; 2] = [
    r"Software\Microsoft\Windows\CurrentVersion\Uninstall",
    r"Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];

/// Programs in Wine prefixes.
#[derive(Debug)]
pub struct Wine;

/// What may still be done for one user.
#[derive(Debug)]
struct Left {
    bytes: u64,
}

impl Source for Wine {
    fn id(&self) -> &'static str {
        "wine"
    }

    fn about(&self) -> &'static str {
        "Windows programs that users installed with Wine, Bottles, CrossOver, Lutris or Proton"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let mut look = Look::new(host, &users);
        let mut dirs = Vec::new();
        // Wine writes a prefix's registry anew when its last program ends.
        for user in &users {
            dirs.extend(PREFIXES.iter().chain(&FOLDERS).map(|folder| user.folder(folder)));
            let folders = FOLDERS.iter().map(|folder| user.folder(folder));
            let prefixes = folders.flat_map(|folder| {
                look.folders(&folder, PREFIXES_MAX).into_iter().map(move |name| folder.join(name))
            });
            dirs.extend(prefixes.take(WATCHED_MAX));
        }
        dirs
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for user in look.users() {
            let mut left = Left { bytes: USER_MAX };
            for prefix in PREFIXES {
                let prefix = look.home(user, prefix);
                read_prefix(look, user, &prefix, &mut left, found);
            }
            for folder in FOLDERS {
                let folder = look.home(user, folder);
                for name in look.folders(&folder, PREFIXES_MAX) {
                    read_prefix(look, user, &folder.join(name), &mut left, found);
                }
            }
            for (parent, name) in STEAM {
                let parent = look.home(user, parent);
                if !is_own(look, &parent, name) {
                    continue;
                }
                let games = parent.join(name).join(PROTON);
                for game in look.folders(&games, PREFIXES_MAX) {
                    read_prefix(look, user, &games.join(game).join("pfx"), &mut left, found);
                }
            }
        }
    }
}

/// Whether a folder is there itself and not as a link to another of them.
fn is_own(look: &mut Look<'_>, parent: &Path, name: &str) -> bool {
    let folder = parent.join(name);
    look.is_dir(&folder) && look.read_link(&folder).is_none()
}

fn read_prefix(
    look: &mut Look<'_>,
    user: &User,
    prefix: &Path,
    left: &mut Left,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    // Most of the places hold nothing: one question then, not one for each file.
    if !look.is_dir(prefix) {
        return;
    }
    let drive = Drive::of_wine(prefix.join("drive_c"));
    for file in ["system.reg", "user.reg"] {
        let path = prefix.join(file);
        let Some(meta) = look.stat(&path) else { continue };
        match left.bytes.checked_sub(meta.len()) {
            Some(rest) => left.bytes = rest,
            None => {
                look.trouble(Trouble::TooMany);
                continue;
            }
        }
        let Some(file) = look.open(&path, REGISTRY_MAX) else { continue };
        match Tree::read(file, &WANTED) {
            Ok(tree) => registry::wine(look, &tree, &mut |look, root| {
                root.with("Software", &mut |software| {
                    read_entries(look, software, &drive, &user.scope, found);
                });
            }),
            Err(error) => look.trouble(Trouble::of(&error)),
        }
    }
}
