//! Flatpak applications of the system and of each user.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::budget::Budget;
use super::desktop_file::{DesktopFile, FILE_MAX};
use crate::scan::formats::appstream::Component;
use crate::scan::host::{Host, User};
use crate::scan::look::Look;
use crate::scan::source::Source;

/// Most applications of one installation that are looked at.
const APPS_MAX: usize = 4096;

/// How much of an application's AppStream file is read: the releases stand near its end, after the
/// translations of the description, or not far from its beginning.
const METAINFO_MAX: u64 = 512 * 1024;

/// Largest configuration file of an installation.
const CONF_MAX: u64 = 64 * 1024;

/// The installation of all users.
const SYSTEM: &str = "/var/lib/flatpak";

/// Further ones, one configuration file or more.
const INSTALLATIONS: &str = "/etc/flatpak/installations.d";

/// The installation of one user.
const HOME: &str = ".local/share/flatpak";

/// Flatpak applications; runtimes are none.
#[derive(Debug)]
pub struct Flatpak;

impl Source for Flatpak {
    fn id(&self) -> &'static str {
        "flatpak"
    }

    fn about(&self) -> &'static str {
        "Flatpak applications of the system and of all users"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        // After every change flatpak touches `.changed` in the folder of the installation.
        let mut installations = vec![host.path(SYSTEM)];
        installations.extend(users.iter().map(|user| user.home.join(HOME)));
        let further = further_installations(&mut Look::new(host, &users));
        installations.extend(further.iter().map(|base| host.path(base)));
        let app = installations.iter().map(|base| base.join("app")).collect::<Vec<_>>();
        installations.into_iter().chain(app).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut installed = BTreeSet::new();
        let app = look.system(SYSTEM).join("app");
        read_installation(look, &app, &Scope::System, &mut installed, found);
        for base in further_installations(look) {
            let app = look.system(&base).join("app");
            read_installation(look, &app, &Scope::System, &mut installed, found);
        }
        for user in look.users() {
            let mut own = installed.clone();
            let app = look.home(user, HOME).join("app");
            read_installation(look, &app, &user.scope, &mut own, found);
            read_leftovers(look, user, &own, found);
        }
    }
}

/// Reads `app/<id>/current/active`: a folder without an active deployment is no installation.
fn read_installation(
    look: &mut Look<'_>,
    app: &Path,
    scope: &Scope,
    installed: &mut BTreeSet<String>,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    // Of this only the bytes count: one large file may have many names.
    let mut budget = Budget::of(APPS_MAX, APPS_MAX);
    for id in look.folders(app, APPS_MAX) {
        let active = app.join(&id).join("current/active");
        if !look.is_dir(&active) {
            continue;
        }
        // A deployment never changes: `active` leads to another one then.
        let paths = [
            format!("export/share/metainfo/{id}.metainfo.xml"),
            format!("export/share/metainfo/{id}.appdata.xml"),
            format!("files/share/metainfo/{id}.metainfo.xml"),
            format!("files/share/appdata/{id}.appdata.xml"),
        ];
        let xml = paths.iter().find_map(|path| budget.peek(look, &active.join(path), METAINFO_MAX));
        let xml = xml.unwrap_or_default();
        let component = Component::parse(&xml);
        let path = active.join(format!("export/share/applications/{id}.desktop"));
        let bytes = budget.peek(look, &path, FILE_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let entry = DesktopFile::parse(&text).unwrap_or_default();
        // The entry says what the desktop's menus go by; a program without one says it here.
        let categories =
            if entry.categories.is_empty() { component.categories.as_str() } else { entry.categories };
        found(&Artefact {
            name: component.name.or(entry.name),
            categories,
            ..artefact(&id, component.version, scope, Grade::Installed)
        });
        installed.insert(id);
    }
}

/// The data of applications that are not installed any more.
fn read_leftovers(
    look: &mut Look<'_>,
    user: &User,
    installed: &BTreeSet<String>,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let data = look.home(user, ".var/app");
    for id in look.folders(&data, APPS_MAX) {
        if !installed.contains(&id) {
            found(&artefact(&id, None, &user.scope, Grade::Residual));
        }
    }
}

fn artefact<'a>(id: &'a str, version: Option<&'a str>, scope: &'a Scope, grade: Grade) -> Artefact<'a> {
    Artefact { version, ..Artefact::new(Namespace::Flatpak, id, scope, grade) }
}

fn further_installations(look: &mut Look<'_>) -> Vec<String> {
    let dir = look.system(INSTALLATIONS);
    let mut paths = Vec::new();
    for entry in look.list(&dir, 64) {
        if entry.name.ends_with(".conf") {
            let bytes = look.read(&dir.join(&entry.name), CONF_MAX).unwrap_or_default();
            paths.extend(installation_paths(&bytes).map(str::to_owned));
        }
    }
    paths
}

/// `Path` of every installation in a file of flatpak-installation(5).
fn installation_paths(conf: &[u8]) -> impl Iterator<Item = &str> {
    let text = conf.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    text.filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "Path").then(|| value.trim()).filter(|path| path.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn further_installations_are_absolute_paths() {
        let conf = b"[Installation \"extra\"]\nPath=/srv/flatpak\nDisplayName=Extra\nPath = relative\n";
        assert_eq!(installation_paths(conf).collect::<Vec<_>>(), ["/srv/flatpak"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = installation_paths(&bytes).count();
        }
    }
}
