//! Arch packages, from the database of pacman: a folder for each package, with its description.
//!
//! pacman writes a folder anew when it installs or upgrades, so the folder of all packages tells of every
//! change. Only the beginning of each description is read; the lists of files beside it never are.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::scan::formats::pacman_desc::Package;
use crate::scan::host::Host;
use crate::scan::look::{Kind, Look};
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Most packages that are looked at; all of Arch has 15,000.
const PACKAGES_MAX: usize = 32_768;

/// How much of a description is read. Name and version stand first, the packager after the short description
/// and the address; what follows are lists of dependencies.
const DESC_MAX: u64 = 1024;

/// Where the database is: pacman's default (`DBPath` of pacman.conf(5)), and SteamOS's.
const DATABASES: [&str; 2] = ["/var/lib/pacman/local", "/usr/lib/holo/pacmandb/local"];

/// Arch packages.
#[derive(Debug)]
pub struct Pacman;

impl Source for Pacman {
    fn id(&self) -> &'static str {
        "pacman"
    }

    fn about(&self) -> &'static str {
        "Arch packages (/var/lib/pacman/local)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        DATABASES.iter().map(|database| host.path(database)).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for database in DATABASES {
            let dir = look.system(database);
            for entry in look.list(&dir, PACKAGES_MAX) {
                // A file beside them holds the version of the format.
                if !matches!(entry.kind, Kind::Dir | Kind::Link) {
                    continue;
                }
                let folder = dir.join(&entry.name);
                let path = folder.join("desc");
                let mut desc = look.peek(&path, DESC_MAX).unwrap_or_default();
                if Package::parse(&desc).is_none() {
                    // Just being written, perhaps: noted, to be looked at again when it has changed.
                    let Some(again) = look.read_head(&path, DESC_MAX) else {
                        // Said already if it is closed to us; the whole folder may be gone meanwhile.
                        if look.is_dir(&folder) && !look.has(&folder, "desc") {
                            look.trouble(Trouble::Malformed);
                        }
                        continue;
                    };
                    desc = again;
                }
                let Some(package) = Package::parse(&desc) else {
                    look.trouble(Trouble::Malformed);
                    continue;
                };
                found(&Artefact {
                    version: package.version,
                    publisher: package.packager,
                    ..Artefact::new(Namespace::Pacman, package.name, &Scope::System, Grade::Installed)
                });
            }
        }
    }
}
