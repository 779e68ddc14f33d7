//! Homebrew's formulas and casks, on macOS and on Linux.
//!
//! A formula is installed in `Cellar/<formula>/<version>`, with a receipt that brew writes last
//! (`Library/Homebrew/tab.rb`); one that others needed counts as well as one that was asked for. A cask
//! is what its description in `Caskroom/<token>/.metadata/<version>` says (`installed_caskfile` in
//! `Library/Homebrew/cask/cask.rb`), and where brew moved an application out of
//! `Caskroom/<token>/<version>` it leaves a link to it (`post_move` in `cask/artifact/moved.rb`): one that leads
//! nowhere says that somebody threw the application away.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::budget::Budget;
use super::versions::numbers;
use crate::scan::host::Host;
use crate::scan::look::{Kind, Look};
use crate::scan::source::Source;

/// Most formulas or casks of one place that are looked at; brew has 8,000 of each.
const PACKAGES_MAX: usize = 16_384;

/// Most folders of one user, or of the system, that are looked into: one for each formula, two for each cask.
const FOLDERS_MAX: usize = 4096;

/// Most versions of one of them; brew keeps one or two.
const VERSIONS_MAX: usize = 256;

/// Where brew is for all users: on Linux, on Macs of Apple silicon, on Intel Macs.
const PREFIXES: [&str; 3] = ["/home/linuxbrew/.linuxbrew", "/opt/homebrew", "/usr/local"];

/// Where people without such rights put it.
const HOME: [&str; 2] = [".linuxbrew", "homebrew"];

/// What brew writes into a version's folder when it is complete.
const RECEIPT: &str = "INSTALL_RECEIPT.json";

/// Homebrew's formulas and casks.
#[derive(Debug)]
pub struct Homebrew;

impl Source for Homebrew {
    fn id(&self) -> &'static str {
        "homebrew"
    }

    fn about(&self) -> &'static str {
        "Homebrew formulas and casks (Cellar and Caskroom)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux, Platform::Macos]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let system = PREFIXES.iter().map(|prefix| host.path(prefix));
        let home = users.iter().flat_map(|user| HOME.iter().map(|folder| user.home.join(folder)));
        let folders = ["Cellar", "Caskroom", "opt"];
        system.chain(home).flat_map(|prefix| folders.map(|folder| prefix.join(folder))).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut prefixes = Vec::new();
        let mut budget = Budget::of(FOLDERS_MAX, PACKAGES_MAX);
        for prefix in PREFIXES {
            let dir = look.system(prefix);
            read_cellar(look, &mut budget, &dir, &Scope::System, found);
            read_caskroom(look, &mut budget, &dir, &Scope::System, found);
            prefixes.push(dir);
        }
        for user in look.users() {
            let mut budget = Budget::of(FOLDERS_MAX, PACKAGES_MAX);
            for folder in HOME {
                let dir = look.home(user, folder);
                // On Linux the first one is in the home of a user that exists for nothing else.
                if !prefixes.contains(&dir) {
                    read_cellar(look, &mut budget, &dir, &user.scope, found);
                    read_caskroom(look, &mut budget, &dir, &user.scope, found);
                }
            }
        }
    }
}

fn read_cellar(
    look: &mut Look<'_>,
    budget: &mut Budget,
    prefix: &Path,
    scope: &Scope,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let cellar = prefix.join("Cellar");
    for formula in folders(look, budget, &cellar, PACKAGES_MAX) {
        if budget.is_spent(look) {
            return;
        }
        let rack = cellar.join(&formula);
        let mut kegs = folders(look, budget, &rack, VERSIONS_MAX);
        if kegs.is_empty() {
            continue;
        }
        kegs.retain(|keg| is_complete(look, &rack.join(keg)));
        // The version that is in use, of several.
        let link = if kegs.len() > 1 { look.read_link(&prefix.join("opt").join(&formula)) } else { None };
        let linked = link.as_deref().and_then(Path::file_name);
        let version = kegs.iter().find(|keg| linked.is_some_and(|linked| linked == keg.as_str()));
        let version = version.or_else(|| newest(&kegs)).map(String::as_str);
        let grade = if version.is_some() { Grade::Installed } else { Grade::Residual };
        found(&Artefact { version, ..Artefact::new(Namespace::Homebrew, &formula, scope, grade) });
    }
}

/// Whether brew finished with a version. A receipt never goes without its folder, so only a missing one
/// is noted.
fn is_complete(look: &mut Look<'_>, keg: &Path) -> bool {
    let receipt = keg.join(RECEIPT);
    look.peek(&receipt, 1).is_some() || look.stat(&receipt).is_some()
}

fn read_caskroom(
    look: &mut Look<'_>,
    budget: &mut Budget,
    prefix: &Path,
    scope: &Scope,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let caskroom = prefix.join("Caskroom");
    for token in folders(look, budget, &caskroom, PACKAGES_MAX) {
        if budget.is_spent(look) {
            return;
        }
        let dir = caskroom.join(&token);
        let described = folders(look, budget, &dir.join(".metadata"), VERSIONS_MAX);
        let version = newest(&described).map(String::as_str);
        let works = version.is_some_and(|version| application_is_there(look, budget, &dir.join(version)));
        let grade = if works { Grade::Installed } else { Grade::Residual };
        found(&Artefact { version, ..Artefact::new(Namespace::HomebrewCask, &token, scope, grade) });
    }
}

/// Whether what a cask installed is still there, as far as the folder of its version can say.
fn application_is_there(look: &mut Look<'_>, budget: &mut Budget, version: &Path) -> bool {
    let entries = budget.list(look, version, VERSIONS_MAX);
    let apps: Vec<_> = entries.iter().filter(|entry| entry.name.ends_with(".app")).collect();
    // Installers and programs without a window have no application.
    let none_expected = apps.is_empty() && look.is_dir(version);
    none_expected || apps.iter().any(|app| look.has(version, &app.name))
}

/// The newest of several versions.
fn newest(versions: &[String]) -> Option<&String> {
    versions.iter().max_by_key(|version| (numbers(version), *version))
}

/// The names of the folders in a folder, links left out: they are former names.
fn folders(look: &mut Look<'_>, budget: &mut Budget, dir: &Path, limit: usize) -> Vec<String> {
    let entries = budget.list(look, dir, limit).into_iter();
    let folders = entries.filter(|entry| entry.kind == Kind::Dir && !entry.name.starts_with('.'));
    folders.map(|entry| entry.name).collect()
}
