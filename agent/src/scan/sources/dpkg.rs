//! Debian packages, from dpkg's own database.
//!
//! Nothing else of `/var/lib/dpkg` is read: its `info` folder holds thousands of files and says no
//! more about what is installed.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::lines::Lines;
use crate::scan::formats::stanzas::{Longer, for_each_stanza};
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Largest database that is read; one with all 60,000 packages of Debian has about 60 MB.
const STATUS_MAX: u64 = 128 * 1024 * 1024;

/// Largest description of one package, in bytes.
const STANZA_MAX: usize = 1024 * 1024;

/// Most files in `status.d`.
const STATUS_D_MAX: usize = 4096;

/// Debian packages.
#[derive(Debug)]
pub struct Dpkg;

impl Source for Dpkg {
    fn id(&self) -> &'static str {
        "dpkg"
    }

    fn about(&self) -> &'static str {
        "Debian packages (/var/lib/dpkg/status, and status.d of small container images)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        vec![host.path("/var/lib/dpkg")]
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let status = look.system("/var/lib/dpkg/status");
        read_packages(look, &status, None, found);
        // Images without dpkg itself keep one file per package, without a status: it is installed.
        let dir = look.system("/var/lib/dpkg/status.d");
        for entry in look.list(&dir, STATUS_D_MAX) {
            if !entry.name.ends_with(".md5sums") {
                read_packages(look, &dir.join(&entry.name), Some(Grade::Installed), found);
            }
        }
    }
}

fn read_packages(
    look: &mut Look<'_>,
    path: &std::path::Path,
    unless_said: Option<Grade>,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let Some(mut file) = look.open(path, STATUS_MAX) else { return };
    let mut malformed = false;
    let result =
        for_each_stanza(&mut file, STANZA_MAX, Longer::IsAnError, |stanza| match Package::read(stanza) {
            Some(package) => {
                let grade = if package.status.is_empty() {
                    unless_said
                } else {
                    grade(package.status, || was_configured(stanza))
                };
                let Some(grade) = grade else { return };
                found(&Artefact {
                    version: package.version,
                    publisher: package.maintainer,
                    ..Artefact::new(Namespace::Dpkg, package.name, &Scope::System, grade)
                });
            }
            None => malformed = true,
        });
    if let Err(error) = result {
        look.trouble(Trouble::of(&error));
    }
    if malformed {
        look.trouble(Trouble::Malformed);
    }
}

/// What the third word of a status means (dpkg(1), "Package states").
///
/// A package whose triggers are outstanding is configured and works. One that is unpacked or half done
/// is being installed, upgraded or removed: it counts if an earlier version of it was `configured`
/// (`Config-Version`), so that an upgrade is no removal, and not before that otherwise.
fn grade(status: &[u8], configured: impl FnOnce() -> bool) -> Option<Grade> {
    match status.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).nth(2)? {
        b"installed" | b"triggers-awaited" | b"triggers-pending" => Some(Grade::Installed),
        b"unpacked" | b"half-configured" | b"half-installed" => configured().then_some(Grade::Installed),
        b"config-files" => Some(Grade::Residual),
        _ => None,
    }
}

/// The fields of a package that matter here; all of them stand on one line (deb822(5)).
#[derive(Debug, PartialEq, Eq)]
struct Package<'a> {
    name: &'a str,
    status: &'a [u8],
    version: Option<&'a str>,
    maintainer: Option<&'a str>,
}

impl<'a> Package<'a> {
    /// `None` if the text names no package.
    ///
    /// The spelling is always this one: a single program writes the database. A continued line starts with a space, so
    /// no text of a field is taken for one. What is wanted stands in the first ten lines of some thirty.
    fn read(stanza: &'a [u8]) -> Option<Self> {
        let (mut name, mut status, mut version, mut maintainer) = (None, None, None, None);
        for line in Lines(stanza) {
            let (field, key): (_, &[u8]) = match line.first() {
                Some(b'P') => (&mut name, b"Package:"),
                Some(b'S') => (&mut status, b"Status:"),
                Some(b'V') => (&mut version, b"Version:"),
                Some(b'M') => (&mut maintainer, b"Maintainer:"),
                _ => continue,
            };
            if field.is_none() {
                *field = line.strip_prefix(key).map(<[u8]>::trim_ascii);
                if name.is_some() && status.is_some() && version.is_some() && maintainer.is_some() {
                    break;
                }
            }
        }
        Some(Self {
            name: text(name?)?,
            status: status.unwrap_or_default(),
            version: version.and_then(text),
            maintainer: maintainer.and_then(text),
        })
    }
}

/// Whether an earlier version of this package was configured. Only packages between two states have the field.
fn was_configured(stanza: &[u8]) -> bool {
    Lines(stanza).any(|line| line.starts_with(b"Config-Version:"))
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_package_is_read_and_the_rest_is_skipped() {
        let stanza =
            b"Package: gajim\nStatus: hold ok installed\nPriority: optional\nMaintainer: Debian <d@d>\n\
            Version: 1.7.3-1\nDescription: chat\n Version: 9\n Package: other";
        let package = Package::read(stanza).unwrap();
        assert_eq!((package.name, package.version), ("gajim", Some("1.7.3-1")));
        assert_eq!(package.maintainer, Some("Debian <d@d>"));
        assert_eq!(grade(package.status, || false), Some(Grade::Installed));
    }

    #[test]
    fn the_first_of_two_fields_counts_and_a_missing_one_is_missing() {
        let package =
            Package::read(b"Package: gajim\r\nPackage: evil\r\nSection: net\r\nVersion: 1\r\n").unwrap();
        let expected = Package { name: "gajim", status: b"", version: Some("1"), maintainer: None };
        assert_eq!(package, expected);
        assert_eq!(Package::read(b"Status: install ok installed\nVersion: 1"), None);
    }

    #[test]
    fn only_configured_packages_are_installed() {
        let installed = Some(Grade::Installed);
        // State, then what it is with and without an earlier version that was configured.
        for (state, upgrade, fresh) in [
            ("install ok installed", installed, installed),
            ("install reinstreq installed", installed, installed),
            ("install ok triggers-pending", installed, installed),
            ("install ok triggers-awaited", installed, installed),
            ("deinstall ok config-files", Some(Grade::Residual), Some(Grade::Residual)),
            ("install ok unpacked", installed, None),
            ("install ok half-configured", installed, None),
            ("install reinstreq half-installed", installed, None),
            ("purge ok not-installed", None, None),
            ("", None, None),
        ] {
            assert_eq!(grade(state.as_bytes(), || true), upgrade, "upgrade: {state:?}");
            assert_eq!(grade(state.as_bytes(), || false), fresh, "fresh: {state:?}");
        }
    }

    #[test]
    fn an_upgrade_is_no_removal() {
        let half = "Package: gajim\nStatus: install ok unpacked\nVersion: 2\n";
        for (config, expected) in [("Config-Version: 1\n", Some(Grade::Installed)), ("", None)] {
            let stanza = format!("{half}{config}");
            let package = Package::read(stanza.as_bytes()).unwrap();
            let configured = || was_configured(stanza.as_bytes());
            assert_eq!(grade(package.status, configured), expected, "{stanza}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = for_each_stanza(&mut &*bytes, STANZA_MAX, Longer::IsAnError, |stanza| {
                let _ = Package::read(stanza);
            });
        }

        #[test]
        fn packages_are_read_back(names in prop::collection::vec("[a-z0-9][a-z0-9+.-]{1,20}", 0..50)) {
            let text: String = names.iter().map(|name| {
                format!("Package: {name}\nStatus: install ok installed\nVersion: 1:{name}\nDescription: x\n .\n y\n\n")
            }).collect();
            let mut read = Vec::new();
            for_each_stanza(&mut text.as_bytes(), STANZA_MAX, Longer::IsAnError, |stanza| {
                read.extend(Package::read(stanza).map(|package| package.name.to_owned()));
            }).unwrap();
            prop_assert_eq!(read, names);
        }
    }
}
