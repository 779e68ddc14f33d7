//! What is installed in Nix profiles: of the system, of NixOS and home-manager, and of each user.
//!
//! A profile is a link to a store object. Its manifest names the packages that were asked for; where there is
//! none, as on NixOS, they are told by where the programs and menu entries of the profile lead to. The
//! rest of the store is never listed: it holds what other packages need, and what nobody uses any more.
//! Store objects never change, so only the links that lead into the store are noted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;
use serde::Deserialize;

use super::json_stream::each;
use crate::platform::files::owner;
use crate::scan::formats::nix::{for_each_name, name_and_version, object};
use crate::scan::host::Host;
use crate::scan::look::{Kind, Look};
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Most entries of a folder of profiles, which keeps their generations, or of users.
const PROFILES_MAX: usize = 4096;

/// Most profiles of one user that are read; hardly anybody has more than two.
const OWN_MAX: usize = 16;

/// Most programs of one profile that are looked at; a desktop has 2,000.
const ENTRIES_MAX: usize = 16_384;

/// Most programs of all profiles of one user, or of the system.
const ALL_MAX: usize = 32_768;

/// Largest manifest that is read; one with a hundred packages has 100 kB.
const MANIFEST_MAX: u64 = 4 * 1024 * 1024;

/// Most links that are followed from a profile, or from a program of it: an environment in an environment
/// is one, a wrapper around a program another.
const LINKS_MAX: usize = 8;

/// Most folders in a path of the store that is followed; `/nix/store/x/share/applications/kde/y.desktop` has 8.
const DEPTH_MAX: usize = 16;

/// The profiles of the system, and the folder of those of users.
const SYSTEM: &str = "/nix/var/nix/profiles";

/// The system that runs; absent from images, which have it among the profiles of the system.
const RUNNING: &str = "/run/current-system";

/// On NixOS, a profile for each user in which the system's configuration put packages.
const CONFIGURED: &str = "/etc/profiles/per-user";

/// The folder of profiles in a home; `~/.nix-profile` leads to one of some folder or other.
const HOME: &str = ".local/state/nix/profiles";

/// In which folders of a profile there are programs and menu entries.
const FOLDERS: [&str; 2] = ["bin", "share/applications"];

/// Packages in Nix profiles.
#[derive(Debug)]
pub struct Nix;

/// One of `elements` in the manifest of `nix profile` (`src/nix/profile.cc`; versions 1 to 3).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    store_paths: Vec<String>,
}

const fn yes() -> bool {
    true
}

impl Source for Nix {
    fn id(&self) -> &'static str {
        "nix"
    }

    fn about(&self) -> &'static str {
        "packages in Nix profiles of the system, of NixOS, home-manager and all users"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux, Platform::Macos]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let per_user = users
            .iter()
            .flat_map(|user| [host.path(&format!("{SYSTEM}/per-user/{}", user.name)), user.home.join(HOME)]);
        std::iter::once(host.path(SYSTEM)).chain(per_user).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut profiles = Profiles { done: BTreeSet::new(), entries: BTreeMap::new(), found };
        let dir = look.system(SYSTEM);
        profiles.read_folder(look, &dir, &Scope::System);
        for user in look.folders(&dir.join("per-user"), PROFILES_MAX) {
            let dir = dir.join("per-user").join(&user);
            let scope = scope_of_folder(look, &dir, &user);
            profiles.read_folder(look, &dir, &scope);
        }
        let running = look.system(RUNNING);
        profiles.read(look, &running, &Scope::System);
        let dir = look.system(CONFIGURED);
        for entry in look.list(&dir, PROFILES_MAX) {
            let scope = scope_of(look, &entry.name);
            profiles.read(look, &dir.join(&entry.name), &scope);
        }
        for user in look.users() {
            let dir = look.home(user, HOME);
            profiles.read_folder(look, &dir, &user.scope);
            let own = look.home(user, ".nix-profile");
            profiles.read(look, &own, &user.scope);
        }
    }
}

/// The scope of a user by name.
fn scope_of(look: &mut Look<'_>, name: &str) -> Scope {
    let user = look.users().iter().find(|user| user.name == name);
    user.map_or_else(|| look.host().scope_of(name.as_bytes()), |user| user.scope.clone())
}

/// The scope of the user with a folder among those of users: whoever it is named after, if that user owns it or
/// root. On older systems anybody may make a folder there; then it is its owner's. In an image that was
/// copied the owner may be nobody of that system.
fn scope_of_folder(look: &mut Look<'_>, dir: &Path, name: &str) -> Scope {
    let uid = look.stat(dir).and_then(|meta| owner(&meta)).filter(|uid| *uid != 0);
    let users = look.users();
    let other = uid.filter(|uid| {
        let theirs = users.iter().find(|user| user.uid == Some(*uid));
        theirs.map_or_else(|| look.host().is_live(), |user| user.name != name)
    });
    match other {
        Some(uid) => look.scope_of(uid),
        None => scope_of(look, name),
    }
}

struct Profiles<'f> {
    /// Which store objects were read for whom: many names lead to one profile.
    done: BTreeSet<(Scope, String)>,
    /// How many programs of each were looked at.
    entries: BTreeMap<Scope, usize>,
    found: &'f mut dyn FnMut(&Artefact<'_>),
}

impl Profiles<'_> {
    /// Reads all profiles in a folder. Beside each are its generations, `profile-7-link`.
    fn read_folder(&mut self, look: &mut Look<'_>, dir: &Path, scope: &Scope) {
        let entries = look.list(dir, PROFILES_MAX).into_iter();
        let profiles = entries.filter(|entry| entry.kind == Kind::Link && !entry.name.ends_with("-link"));
        for (count, entry) in profiles.enumerate() {
            if count >= OWN_MAX {
                return look.trouble(Trouble::TooMany);
            }
            self.read(look, &dir.join(&entry.name), scope);
        }
    }

    fn read(&mut self, look: &mut Look<'_>, profile: &Path, scope: &Scope) {
        let Some(path) = store_path(look, profile) else { return };
        let Some((path, name)) = object(&path) else { return };
        // The root user's own profile is that of all users, not one of root's.
        let twice = self.done.contains(&(Scope::System, path.to_owned()));
        if twice || !self.done.insert((scope.clone(), path.to_owned())) {
            return;
        }
        let root = look.host().lexical(path);
        if !look.is_dir(&root) {
            // It was asked for by somebody, and now it cannot be seen: `/nix` of an image may be a volume of
            // its own.
            return look.trouble(Trouble::Unreadable);
        }
        // A NixOS system and a generation of home-manager are more than their packages.
        for inner in ["sw", "home-path"] {
            if look.peek_link(&root.join(inner)).is_some() {
                return self.read(look, &root.join(inner), scope);
            }
        }
        // A profile may be set to a package alone.
        let mut packages = BTreeSet::from([name.to_owned()]);
        read_manifest(look, &root, &mut packages);
        for folder in FOLDERS {
            let mut dir = PathBuf::from(path).join(folder);
            // With a single package in it the folder is that of the package.
            follow(look, &mut dir, &mut packages);
            let dir = look.host().lexical(&dir.to_string_lossy());
            let entries = self.entries.entry(scope.clone()).or_default();
            let listed = look.list(&dir, ENTRIES_MAX.min(ALL_MAX.saturating_sub(*entries)));
            *entries += listed.len();
            for entry in listed {
                if entry.kind == Kind::Link {
                    let real = dir.strip_prefix(look.host().root()).unwrap_or(&dir);
                    follow(look, &mut Path::new("/").join(real).join(&entry.name), &mut packages);
                }
            }
        }
        for package in &packages {
            let (name, version) = name_and_version(package);
            (self.found)(&Artefact {
                version,
                ..Artefact::new(Namespace::Nix, name, scope, Grade::Installed)
            });
        }
    }
}

/// Where in the store a chain of links ends.
fn store_path(look: &mut Look<'_>, link: &Path) -> Option<String> {
    let mut place = link.to_owned();
    for _ in 0..LINKS_MAX {
        let target = look.read_link(&place)?;
        if let Some(path) = target.to_str().filter(|path| object(path).is_some()) {
            return Some(path.to_owned());
        }
        place = if target.is_absolute() {
            look.host().lexical(target.to_str()?)
        } else {
            place.parent()?.join(target)
        };
    }
    None
}

/// Follows the links in a path of the store and names all objects that it leads to.
fn follow(look: &mut Look<'_>, path: &mut PathBuf, packages: &mut BTreeSet<String>) {
    for _ in 0..LINKS_MAX {
        // `/`, `nix`, `store` and the object are no links.
        let steps: Vec<&Path> = path.ancestors().take(DEPTH_MAX + 1).collect();
        if steps.len() > DEPTH_MAX {
            return;
        }
        let inner = steps.iter().rev().skip(4);
        let hop = inner.into_iter().find_map(|step| {
            let target = look.peek_link(&look.host().lexical(step.to_str()?))?;
            let target = if target.is_absolute() { target } else { step.parent()?.join(target) };
            let rest = path.strip_prefix(step).ok()?;
            Some(if rest.as_os_str().is_empty() { target } else { target.join(rest) })
        });
        let Some(hop) = hop else { return };
        let Some((_, name)) = hop.to_str().and_then(object) else { return };
        packages.insert(name.to_owned());
        *path = hop;
    }
}

fn read_manifest(look: &mut Look<'_>, profile: &Path, packages: &mut BTreeSet<String>) {
    let is_malformed = if let Some(file) = look.open(&profile.join("manifest.json"), MANIFEST_MAX) {
        let read = each(file, "elements", &mut |element: Element| {
            let paths = element.store_paths.iter().filter(|_| element.active);
            packages.extend(paths.filter_map(|path| Some(object(path)?.1.to_owned())));
        });
        read.is_err()
    } else if let Some(text) = look.read(&profile.join("manifest.nix"), MANIFEST_MAX) {
        !for_each_name(&text, |name| packages.extend([name.to_owned()]))
    } else {
        false
    };
    if is_malformed {
        look.trouble(Trouble::Malformed);
    }
}
