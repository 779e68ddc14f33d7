//! AppImages: programs in one file, where people put them.
//!
//! Recognised by their magic bytes, named by their file. The name that the program gives itself is in
//! a compressed file system behind the ELF part; reading that needs three decompressors, which is
//! more than this source is worth. A renamed AppImage is therefore missed here, though the menu entry
//! that most of them write, and the running program, are not. One that nobody has made executable yet
//! is a download, not an installation.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::budget::Budget;
use super::program_folder::subfolders;
use crate::scan::host::Host;
use crate::scan::look::{Entry, Kind, Look};
use crate::scan::source::Source;
use crate::scan::user_dirs;

/// Most entries of one folder that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Most entries of a folder in one of these places: what holds an AppImage of its own holds little else, as
/// AppMan's `/opt/signal` does, and every file in it is opened.
const INNER_MAX: usize = 32;

/// Most such folders of one user, or of the system.
const FOLDERS_MAX: usize = 512;

/// In which places there are such folders.
const WITH_FOLDERS: [&str; 4] = ["/opt", "Applications", "AppImages", "Downloads"];

/// Folders of all users.
const SYSTEM: [&str; 2] = ["/opt", "/usr/local/bin"];

/// Folders of one user, and those that stand for them in other languages; the first is the home folder
/// itself.
const HOME: [&str; 7] = ["", "Applications", "AppImages", "Desktop", "Downloads", ".local/bin", "bin"];

/// What follows the name in the names of files: architectures and the like.
const SUFFIXES: [&str; 15] = [
    "32bit", "64", "64bit", "aarch64", "amd64", "anylinux", "appimage", "arm64", "armhf", "i386", "i686",
    "linux64", "stable", "x64", "x86",
];

/// AppImages.
#[derive(Debug)]
pub struct Appimage;

impl Source for Appimage {
    fn id(&self) -> &'static str {
        "appimage"
    }

    fn about(&self) -> &'static str {
        "AppImages in /opt, /usr/local/bin and the folders of all users where people put them"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let system = SYSTEM.iter().map(|folder| host.path(folder));
        let users = host.users();
        let mut look = Look::new(host, &users);
        let mut dirs: Vec<PathBuf> = system.collect();
        for user in &users {
            dirs.extend(user_dirs::localised(&mut look, user, &HOME).iter().map(|f| user.folder(f)));
        }
        dirs
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut budget = Budget::of(FOLDERS_MAX, ENTRIES_MAX);
        for folder in SYSTEM {
            let dir = look.system(folder);
            let is_deep = WITH_FOLDERS.contains(&folder);
            read_place(look, &dir, is_deep.then_some(&mut budget), &Scope::System, found);
        }
        for user in look.users() {
            let mut budget = Budget::of(FOLDERS_MAX, ENTRIES_MAX);
            for (n, folder) in user_dirs::localised(look, user, &HOME).iter().enumerate() {
                let dir = look.home(user, folder);
                // What follows are the desktop and downloads under other names.
                let is_deep = n >= HOME.len() || WITH_FOLDERS.contains(&folder.as_str());
                read_place(look, &dir, is_deep.then_some(&mut budget), &user.scope, found);
            }
        }
    }
}

/// Reads a place, and with a budget the folders in it too.
fn read_place(
    look: &mut Look<'_>,
    dir: &Path,
    budget: Option<&mut Budget>,
    scope: &Scope,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let entries = look.list(dir, ENTRIES_MAX);
    read_files(look, dir, &entries, scope, found);
    let Some(budget) = budget else { return };
    for inner in subfolders(look, dir, &entries) {
        let entries = budget.list_some(look, &inner, INNER_MAX + 1);
        if entries.len() <= INNER_MAX {
            read_files(look, &inner, &entries, scope, found);
        }
    }
}

fn read_files(
    look: &mut Look<'_>,
    dir: &Path,
    entries: &[Entry],
    scope: &Scope,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    for entry in entries {
        if matches!(entry.kind, Kind::Dir | Kind::Other) {
            continue;
        }
        let Some(head) = look.program_head(&dir.join(&entry.name), 11) else { continue };
        if !is_appimage(&head) {
            continue;
        }
        let (name, version) = name_and_version(&entry.name);
        found(&Artefact { version, ..Artefact::new(Namespace::Appimage, name, scope, Grade::Installed) });
    }
}

/// An ELF file with `AI` and the type, 1 or 2, in the padding of its header (AppImage
/// specification, "Type 1 image format" and "Type 2 image format").
fn is_appimage(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF") && matches!(head.get(8..11), Some(b"AI\x01" | b"AI\x02"))
}

/// `Caprine-2.61.0-x86_64.AppImage`: the name, without version and architecture, and the version.
fn name_and_version(file: &str) -> (&str, Option<&str>) {
    let mut rest = file;
    if let Some((stem, end)) = file.rsplit_once('.').filter(|(_, end)| end.eq_ignore_ascii_case("appimage")) {
        rest = stem.get(..file.len() - end.len() - 1).unwrap_or(stem);
    }
    let mut version = None;
    // `Signal (1)`: what browsers make of a second download.
    if let Some((before, _)) = rest.rsplit_once(" (").filter(|_| rest.ends_with(')')) {
        rest = before;
    }
    // `linux` before an architecture says what the file is for; elsewhere it is part of a name, as in
    // `teams-for-linux-1.3`.
    let mut after_arch = false;
    loop {
        // `x86_64` and `x86-64` have a separator of their own.
        let lower = rest.to_ascii_lowercase();
        let arch = ["x86_64", "x86-64"].iter().find(|arch| lower.ends_with(**arch));
        if let Some(before) = arch.and_then(|arch| rest.get(..rest.len() - arch.len())) {
            match before.strip_suffix(['-', '_', '.', ' ']) {
                Some(name) if !name.is_empty() => {
                    rest = name;
                    after_arch = true;
                    continue;
                }
                _ => break,
            }
        }
        let Some((before, last)) = rest.rsplit_once(['-', '_', ' ']).filter(|(name, _)| !name.is_empty())
        else {
            break;
        };
        let word = last.to_ascii_lowercase();
        if is_version(&word) {
            version = Some(last);
            after_arch = false;
        } else if SUFFIXES.contains(&word.as_str()) {
            after_arch = true;
        } else if !(word == "linux" && after_arch && !before.ends_with("for") || is_digest(&word)) {
            break;
        }
        rest = before;
    }
    (rest, version)
}

/// `2.61.0`, `v7`, `1.11.3beta2`.
fn is_version(word: &str) -> bool {
    let digits = word.strip_prefix('v').unwrap_or(word);
    let only = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~');
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(only)
        && (digits.contains('.') || digits.chars().all(|c| c.is_ascii_digit()))
        && !SUFFIXES.contains(&word)
}

/// AppImageLauncher adds 32 hexadecimal digits to the name of what it takes in.
fn is_digest(word: &str) -> bool {
    word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lose_version_and_architecture() {
        for (file, name, version) in [
            ("Caprine-2.61.0.AppImage", "Caprine", Some("2.61.0")),
            ("nheko-0.11.3-x86_64.AppImage", "nheko", Some("0.11.3")),
            ("session-desktop-linux-x86_64-1.11.0.AppImage", "session-desktop", Some("1.11.0")),
            ("teams-for-linux-1.3.appimage", "teams-for-linux", Some("1.3")),
            ("teams-for-linux-1.3-x86_64.AppImage", "teams-for-linux", Some("1.3")),
            ("Telegram_0123456789abcdef0123456789abcdef.AppImage", "Telegram", None),
            ("Beeper 3.1 (2).AppImage", "Beeper", Some("3.1")),
            ("Rambox-2.3.0-linux-x64.AppImage", "Rambox", Some("2.3.0")),
            ("signal", "signal", None),
            ("x86_64.AppImage", "x86_64", None),
            (".AppImage", "", None),
        ] {
            assert_eq!(name_and_version(file), (name, version), "{file}");
        }
    }

    #[test]
    fn only_the_magic_makes_an_appimage() {
        assert!(is_appimage(b"\x7fELF\x02\x01\x01\0AI\x02"));
        assert!(is_appimage(b"\x7fELF\x02\x01\x01\0AI\x01"));
        for other in
            [&b"\x7fELF\x02\x01\x01\0\0\0\0"[..], b"\x7fELF\x02\x01\x01\0AI\x03", b"#!/bin/sh AI\x02", b""]
        {
            assert!(!is_appimage(other));
        }
    }

    proptest! {
        #[test]
        fn any_name_is_taken_without_panic(file: String, head: Vec<u8>) {
            let _ = (name_and_version(&file), is_appimage(&head));
        }

        #[test]
        fn a_name_is_read_back(name in "[A-Z][a-z]{2,10}", version in "[0-9]{1,2}\\.[0-9]{1,3}\\.[0-9]") {
            let file = format!("{name}-{version}-x86_64.AppImage");
            prop_assert_eq!(name_and_version(&file), (name.as_str(), Some(version.as_str())));
        }
    }
}
