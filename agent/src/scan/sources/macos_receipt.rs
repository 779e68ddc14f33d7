//! Receipts that the installer of macOS keeps of packages.
//!
//! A receipt stays when its application is dragged to the trash, and its name is that of a package, which some
//! vendors and the App Store choose to be the application's identifier. So it is a leftover at best. Only
//! the names of the files are read: neither what a package held nor when it came matters here. The history
//! in `/Library/Receipts/InstallHistory.plist` is not read at all: it tells of everything that was ever
//! installed, nobody can clear an entry of it, and what is still there is found in its place.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;

/// Most files among the receipts, two of each package; a Mac with all of Apple's own has a thousand.
const ENTRIES_MAX: usize = 16_384;

/// Where receipts are since Mac OS X 10.6 (pkgutil(1)).
const RECEIPTS: &str = "/var/db/receipts";

/// Receipts of packages.
#[derive(Debug)]
pub struct MacosReceipt;

impl Source for MacosReceipt {
    fn id(&self) -> &'static str {
        "macos-receipt"
    }

    fn about(&self) -> &'static str {
        "receipts of installed packages, by their names (/var/db/receipts); leftovers at best"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Macos]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        vec![host.path(RECEIPTS)]
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let dir = look.system(RECEIPTS);
        for entry in look.list(&dir, ENTRIES_MAX) {
            if let Some(package) = entry.name.strip_suffix(".plist") {
                let system = &Scope::System;
                found(&Artefact::new(Namespace::MacosBundle, package, system, Grade::Residual));
            }
        }
    }
}
