//! Programs as the desktop's menus know them.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::budget::Budget;
use super::desktop_file::{DesktopFile, FILE_MAX};
use super::desktop_program::{opens_page, program_exists};
use crate::scan::host::{Host, User};
use crate::scan::look::{Kind, Look};
use crate::scan::source::Source;

/// Most entries of one folder that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Most entries of one user's folders together; a large desktop has 1,000.
const ALL_MAX: usize = 16_384;

/// Most folders of one user, or of the system: KDE and Wine have some of their own.
const FOLDERS_MAX: usize = 512;

/// The folders of all users.
const SYSTEM: [&str; 6] = [
    "/usr/share/applications",
    "/usr/local/share/applications",
    "/var/lib/flatpak/exports/share/applications",
    "/var/lib/snapd/desktop/applications",
    "/run/current-system/sw/share/applications",
    "/nix/var/nix/profiles/default/share/applications",
];

/// The folder in which browsers put the web apps of one user.
pub(super) const OF_WEB_APPS: &str = ".local/share/applications";

/// The folders of one user.
const HOME: [&str; 3] =
    [OF_WEB_APPS, ".local/share/flatpak/exports/share/applications", ".nix-profile/share/applications"];

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
        system.chain(home).chain(users.iter().map(|user| host.path(&configured(user)))).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut menu = Menu { user: None, budget: Budget::of(FOLDERS_MAX, ALL_MAX), found };
        for folder in SYSTEM {
            let dir = look.system(folder);
            menu.read_folder(look, &dir);
        }
        for user in look.users() {
            menu = Menu { user: Some(user), budget: Budget::of(FOLDERS_MAX, ALL_MAX), ..menu };
            for folder in HOME {
                let dir = look.home(user, folder);
                menu.read_folder(look, &dir);
            }
            // It counts as a place of the home: the path has the user's name.
            let dir = look.host().lexical(&configured(user)).join("share/applications");
            menu.read_folder(look, &dir);
        }
    }
}

/// What the configuration of a NixOS system gives to this user.
fn configured(user: &User) -> String {
    format!("/etc/profiles/per-user/{}", user.name)
}

/// The menu of one user, or what the system gives to all.
struct Menu<'u, 'f> {
    user: Option<&'u User>,
    budget: Budget,
    found: &'f mut dyn FnMut(&Artefact<'_>),
}

impl Menu<'_, '_> {
    /// Reads a folder and the folders in it; deeper ones are not used by anybody.
    fn read_folder(&mut self, look: &mut Look<'_>, dir: &Path) {
        for entry in self.budget.list(look, dir, ENTRIES_MAX) {
            if entry.name.ends_with(".desktop") {
                self.read_entry(look, dir, &entry.name, &entry.name);
            } else if entry.kind == Kind::Dir {
                let path = dir.join(&entry.name);
                for inner in self.budget.list(look, &path, ENTRIES_MAX) {
                    if inner.name.ends_with(".desktop") {
                        // The id of `kde/konsole.desktop` is `kde-konsole.desktop`.
                        let id = format!("{}-{}", entry.name, inner.name);
                        self.read_entry(look, &path, &inner.name, &id);
                    }
                }
            }
        }
    }

    fn read_entry(&mut self, look: &mut Look<'_>, dir: &Path, name: &str, id: &str) {
        let Some(bytes) = self.budget.read(look, &dir.join(name), FILE_MAX) else { return };
        let text = String::from_utf8_lossy(&bytes);
        let Some(file) = DesktopFile::parse(&text) else { return };
        let command = file.command();
        let web_app = file.web_app();
        // The source web-app reads those of this folder.
        let is_told = self.user.is_some_and(|user| user.folder(OF_WEB_APPS) == dir);
        if web_app.as_ref().map_or_else(|| opens_page(&command), |_| is_told) {
            return;
        }
        let installed = program_exists(look, self.user, dir, &file, &command);
        let scope = self.user.map_or(&Scope::System, |user| &user.scope);
        let artefact = |namespace, identifier, grade, categories| Artefact {
            name: file.name,
            categories,
            ..Artefact::new(namespace, identifier, scope, if installed { grade } else { Grade::Residual })
        };
        match web_app {
            None => (self.found)(&artefact(Namespace::DesktopEntry, id, Grade::Installed, file.categories)),
            Some(web_app) => (self.found)(&artefact(Namespace::WebApp, &web_app, Grade::WebApp, "")),
        }
    }
}
