//! Programs as the desktop's menus know them.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::desktop_file::{DesktopFile, FILE_MAX, program_exists};
use crate::scan::host::{Host, User};
use crate::scan::look::{Kind, Look};
use crate::scan::source::Source;

/// Most entries of one folder that are looked at.
const ENTRIES_MAX: usize = 4096;

/// The folders of all users.
const SYSTEM: [&str; 6] = [
    "/usr/share/applications",
    "/usr/local/share/applications",
    "/var/lib/flatpak/exports/share/applications",
    "/var/lib/snapd/desktop/applications",
    "/run/current-system/sw/share/applications",
    "/nix/var/nix/profiles/default/share/applications",
];

/// The folders of one user.
const HOME: [&str; 3] = [
    ".local/share/applications",
    ".local/share/flatpak/exports/share/applications",
    ".nix-profile/share/applications",
];

/// Entries of the desktop's menus.
#[derive(Debug)]
pub struct DesktopEntry;

impl Source for DesktopEntry {
    fn id(&self) -> &'static str {
        "desktop-entry"
    }

    fn about(&self) -> &'static str {
        "menu entries of all users (applications folders of the system, homes, flatpak and snap)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let system = SYSTEM.iter().map(|folder| host.path(folder));
        let users = host.users();
        let home = users.iter().flat_map(|user| HOME.iter().map(|folder| user.home.join(folder)));
        system.chain(home).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for folder in SYSTEM {
            let dir = look.system(folder);
            read_folder(look, &dir, None, found);
        }
        for user in look.users() {
            for folder in HOME {
                let dir = look.home(user, folder);
                read_folder(look, &dir, Some(user), found);
            }
            // What the configuration of a NixOS system gives to this user.
            let dir = look.system(&format!("/etc/profiles/per-user/{}/share/applications", user.name));
            read_folder(look, &dir, Some(user), found);
        }
    }
}

/// Reads a folder and the folders in it; deeper ones are not used by anybody.
fn read_folder(look: &mut Look<'_>, dir: &Path, user: Option<&User>, found: &mut dyn FnMut(&Artefact<'_>)) {
    for entry in look.list(dir, ENTRIES_MAX) {
        let path = dir.join(&entry.name);
        if entry.name.ends_with(".desktop") {
            read_entry(look, dir, &entry.name, &entry.name, user, found);
        } else if entry.kind == Kind::Dir {
            for inner in look.list(&path, ENTRIES_MAX) {
                if inner.name.ends_with(".desktop") {
                    // The id of `kde/konsole.desktop` is `kde-konsole.desktop`.
                    let id = format!("{}-{}", entry.name, inner.name);
                    read_entry(look, &path, &inner.name, &id, user, found);
                }
            }
        }
    }
}

fn read_entry(
    look: &mut Look<'_>,
    dir: &Path,
    name: &str,
    id: &str,
    user: Option<&User>,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let Some(bytes) = look.read(&dir.join(name), FILE_MAX) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let Some(file) = DesktopFile::parse(&text) else { return };
    let installed = program_exists(look, user, dir, &file);
    let scope = user.map_or(&Scope::System, |user| &user.scope);
    let artefact = |namespace, identifier, grade, categories| Artefact {
        name: file.name,
        categories,
        ..Artefact::new(namespace, identifier, scope, if installed { grade } else { Grade::Residual })
    };
    match file.web_app() {
        None => found(&artefact(Namespace::DesktopEntry, id, Grade::Installed, file.categories)),
        // Those in homes are the source web-app's, which reads them there.
        Some(web_app) if user.is_none() => found(&artefact(Namespace::WebApp, &web_app, Grade::WebApp, "")),
        Some(_) => {}
    }
}
