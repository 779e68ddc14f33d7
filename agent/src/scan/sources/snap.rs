//! Snaps, and the folders that removed ones leave in homes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;

/// Most snaps, in several revisions, that are looked at.
const SNAPS_MAX: usize = 4096;

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
        std::iter::once(PACKAGES).chain(MOUNTS).map(|folder| host.path(folder)).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut installed = BTreeSet::new();
        for mount in MOUNTS {
            let dir = look.system(mount);
            for name in look.folders(&dir, SNAPS_MAX) {
                let current = dir.join(&name).join("current");
                if name == "bin" || installed.contains(&name) || !look.is_dir(&current) {
                    continue;
                }
                let yaml = look.read(&current.join("meta/snap.yaml"), YAML_MAX);
                let version = yaml.as_deref().and_then(version);
                found(&artefact(&name, version, &Scope::System, Grade::Installed));
                installed.insert(name);
            }
        }
        // A package without a current revision is a disabled snap, or one on its way.
        for name in packages(look).into_keys().filter(|name| !installed.contains(name)) {
            found(&artefact(&name, None, &Scope::System, Grade::Residual));
        }
        for user in look.users() {
            let dir = look.home(user, "snap");
            for name in look.folders(&dir, SNAPS_MAX) {
                if !installed.contains(&name) {
                    found(&artefact(&name, None, &user.scope, Grade::Residual));
                }
            }
        }
    }
}

fn artefact<'a>(name: &'a str, version: Option<&'a str>, scope: &'a Scope, grade: Grade) -> Artefact<'a> {
    Artefact {
        namespace: Namespace::Snap,
        identifier: name,
        name: None,
        version,
        publisher: None,
        scope,
        grade,
        categories: "",
    }
}

/// The names of all packages, each with how many revisions are kept.
fn packages(look: &mut Look<'_>) -> BTreeMap<String, usize> {
    let dir = look.system(PACKAGES);
    let mut names = BTreeMap::new();
    for entry in look.list(&dir, SNAPS_MAX) {
        if let Some((name, _)) = package(&entry.name) {
            *names.entry(name.to_owned()).or_default() += 1;
        }
    }
    names
}

/// `signal-desktop_712.snap`: a name, which has no underscore, and a revision (`x1` if it is local).
/// Parallel installs are `name_key_1.snap`.
fn package(file: &str) -> Option<(&str, &str)> {
    let stem = Path::new(file).extension().filter(|end| *end == "snap").and(file.strip_suffix(".snap"))?;
    let (name, revision) = stem.rsplit_once('_')?;
    let name = name.split('_').next().filter(|name| !name.is_empty())?;
    (!revision.is_empty()).then_some((name, revision))
}

/// The version in a snap.yaml: a top-level scalar, as `snap pack` writes it.
fn version(yaml: &[u8]) -> Option<&str> {
    let line = yaml.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"version:"))?;
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
        assert_eq!(package("signal-desktop_712.snap"), Some(("signal-desktop", "712")));
        assert_eq!(package("slack_work_x1.snap"), Some(("slack", "x1")));
        for other in ["core.snap", "_1.snap", "slack_1.snap.partial", "slack_.snap", ".snap", ""] {
            assert_eq!(package(other), None, "{other}");
        }
    }

    #[test]
    fn the_version_is_the_one_of_the_snap() {
        let yaml = b"name: x\nversion: '7.1.0' # pinned\napps:\n  x:\n    version: 9\n";
        assert_eq!(version(yaml), Some("7.1.0"));
        assert_eq!(version(b"name: x\napps:\n  version: 9\n"), None);
        assert_eq!(version(b"version:\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, name: String) {
            let _ = (version(&bytes), package(&name), package(&format!("{name}.snap")));
        }

        #[test]
        fn names_and_versions_are_read_back(name in "[a-z0-9-]{1,20}", revision in 1_u32.., v in "[0-9][0-9a-z.+-]{0,20}") {
            let revision = revision.to_string();
            let file = format!("{name}_{revision}.snap");
            prop_assert_eq!(package(&file), Some((name.as_str(), revision.as_str())));
            let yaml = format!("name: {name}\nversion: {v}\n");
            prop_assert_eq!(version(yaml.as_bytes()), Some(v.as_str()));
        }
    }
}
