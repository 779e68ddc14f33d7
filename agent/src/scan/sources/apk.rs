//! Alpine packages, from apk's own database.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::scan::formats::apk_installed::Package;
use crate::scan::formats::stanzas::{Longer, for_each_stanza};
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Largest database that is read. It lists every file: a desktop has some megabytes.
const INSTALLED_MAX: u64 = 256 * 1024 * 1024;

/// How much of a package is read: what describes it stands before the list of its files, which is endless
/// for some.
const PACKAGE_MAX: usize = 64 * 1024;

/// The folders of the database: apk's own, the same where `/lib` is not a link to `/usr/lib`, and that of
/// the first versions (`apk_db_layer_name` in `src/database.c`, the second in distributions with a merged
/// `/usr`).
const DATABASES: [&str; 3] = ["/lib/apk/db", "/usr/lib/apk/db", "/var/lib/apk"];

/// Alpine packages.
#[derive(Debug)]
pub struct Apk;

impl Source for Apk {
    fn id(&self) -> &'static str {
        "apk"
    }

    fn about(&self) -> &'static str {
        "Alpine packages (/lib/apk/db/installed)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        DATABASES.iter().map(|database| host.path(database)).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for database in DATABASES {
            let path = look.system(database).join("installed");
            let Some(mut file) = look.open(&path, INSTALLED_MAX) else { continue };
            let mut malformed = false;
            let read =
                for_each_stanza(&mut file, PACKAGE_MAX, Longer::IsCut, |block| match Package::parse(block) {
                    Some(package) => found(&Artefact {
                        version: package.version,
                        publisher: package.maintainer,
                        ..Artefact::new(Namespace::Apk, package.name, &Scope::System, Grade::Installed)
                    }),
                    None => malformed = true,
                });
            if let Err(error) = read {
                look.trouble(Trouble::of(&error));
            }
            if malformed {
                look.trouble(Trouble::Malformed);
            }
            // Where one folder is a link to the other, the same would be read twice.
            return;
        }
    }
}
