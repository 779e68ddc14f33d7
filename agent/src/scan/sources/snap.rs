//! Snaps, and the folders that removed ones leave in homes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::desktop_file::{DesktopFile, FILE_MAX};
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;

/// Most snaps, in several revisions, that are looked at.
const SNAPS_MAX: usize = 4096;

/// Most files for the desktop of one snap that are looked at: entries and icons.
const ENTRIES_MAX: usize = 64;

/// Largest description of a snap.
const YAML_MAX: u64 = 256 * 1024;

/// Where the packages lie.
const PACKAGES: &str = "/var/lib/snapd/snaps";

/// Where they are mounted; the second one on Fedora and its relatives.
const MOUNTS: [&str; 2] = ["/snap", "/var/lib/snapd/snap"];

/// Snaps.
#[derive(Debug)]
pub struct Snap;

impl Source for Snap {
    fn id(&self) -> &'static str {
        "snap"
    }

    fn about(&self) -> &'static str {
        "snaps (/var/lib/snapd/snaps, /snap) and what they leave in homes"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        // A mounted snap changes nothing in the folder of mounts; its programs are linked in `bin`.
        let folders = [PACKAGES, "/snap/bin", "/var/lib/snapd/snap/bin"].into_iter().chain(MOUNTS);
        folders.map(|folder| host.path(folder)).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let (mut installed, mut instances) = (BTreeSet::new(), BTreeSet::new());
        for mount in MOUNTS {
            let dir = look.system(mount);
            for instance in look.folders(&dir, SNAPS_MAX) {
                let current = dir.join(&instance).join("current");
                if instance == "bin" || instances.contains(&instance) || !look.is_dir(&current) {
                    continue;
                }
                let yaml = look.read(&current.join("meta/snap.yaml"), YAML_MAX);
                let value = |key| yaml.as_deref().and_then(|yaml| value(yaml, key));
                let categories = categories(look, &current.join("meta/gui"));
                found(&Artefact {
                    name: value("title:"),
                    categories: &categories,
                    ..artefact(snap(&instance), value("version:"), &Scope::System, Grade::Installed)
                });
                installed.insert(snap(&instance).to_owned());
                instances.insert(instance);
            }
        }
        // A package without a current revision is a disabled snap, or one on its way.
        for name in packages(look).difference(&installed) {
            found(&artefact(name, None, &Scope::System, Grade::Residual));
        }
        for user in look.users() {
            let dir = look.home(user, "snap");
            for instance in look.folders(&dir, SNAPS_MAX) {
                if !installed.contains(snap(&instance)) {
                    found(&artefact(snap(&instance), None, &user.scope, Grade::Residual));
                }
            }
        }
    }
}

fn artefact<'a>(name: &'a str, version: Option<&'a str>, scope: &'a Scope, grade: Grade) -> Artefact<'a> {
    Artefact { version, ..Artefact::new(Namespace::Snap, name, scope, grade) }
}

/// The snap of which this is an instance: parallel ones are `name_key`, and no name has an underscore.
fn snap(instance: &str) -> &str {
    instance.split_once('_').map_or(instance, |(name, _)| name)
}

/// The names of all snaps of which a package is kept.
fn packages(look: &mut Look<'_>) -> BTreeSet<String> {
    let dir = look.system(PACKAGES);
    let entries = look.list(&dir, SNAPS_MAX);
    entries.iter().filter_map(|entry| package(&entry.name)).map(str::to_owned).collect()
}

/// `signal-desktop_712.snap`: an instance of a snap and a revision (`x1` if it is local).
fn package(file: &str) -> Option<&str> {
    let (instance, revision) = file.strip_suffix(".snap")?.rsplit_once('_')?;
    let name = Some(snap(instance)).filter(|name| !name.is_empty())?;
    (!revision.is_empty()).then_some(name)
}

/// The categories of all menu entries that a snap brings. It is mounted read-only.
fn categories(look: &mut Look<'_>, gui: &Path) -> String {
    let mut all = String::new();
    for entry in look.list_some(gui, ENTRIES_MAX) {
        if entry.name.ends_with(".desktop") {
            let bytes = look.peek(&gui.join(&entry.name), FILE_MAX).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let categories = DesktopFile::parse(&text).unwrap_or_default().categories.to_owned();
            all.extend(categories.split(';').filter(|word| !word.is_empty()).flat_map(|word| [word, ";"]));
        }
    }
    all
}

/// A value in a snap.yaml: a top-level scalar, as `snap pack` writes it.
fn value<'a>(yaml: &'a [u8], key: &str) -> Option<&'a str> {
    let line = yaml.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(key.as_bytes()))?;
    let value = std::str::from_utf8(line).ok()?;
    let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_package_is_a_name_and_a_revision() {
        assert_eq!(package("signal-desktop_712.snap"), Some("signal-desktop"));
        assert_eq!(package("slack_work_x1.snap"), Some("slack"));
        for other in ["core.snap", "_1.snap", "slack_1.snap.partial", "slack_.snap", ".snap", ""] {
            assert_eq!(package(other), None, "{other}");
        }
    }

    #[test]
    fn the_version_is_the_one_of_the_snap() {
        let yaml = b"name: x\nversion: '7.1.0' # pinned\napps:\n  x:\n    version: 9\n";
        assert_eq!(value(yaml, "version:"), Some("7.1.0"));
        assert_eq!(value(b"name: x\napps:\n  version: 9\n", "version:"), None);
        assert_eq!(value(b"version:\n", "version:"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, name: String) {
            let _ = (value(&bytes, "version:"), package(&name), package(&format!("{name}.snap")));
        }

        #[test]
        fn names_and_versions_are_read_back(name in "[a-z0-9-]{1,20}", revision in 1_u32.., v in "[0-9][0-9a-z.+-]{0,20}") {
            let file = format!("{name}_{revision}.snap");
            prop_assert_eq!(package(&file), Some(name.as_str()));
            let yaml = format!("name: {name}\nversion: {v}\n");
            prop_assert_eq!(value(yaml.as_bytes(), "version:"), Some(v.as_str()));
        }
    }
}
