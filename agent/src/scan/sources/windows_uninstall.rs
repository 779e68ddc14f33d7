//! Programs that Windows lists for uninstallation, of the machine and of every user, logged in or not.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Scope};

use super::drive::Drive;
use super::uninstall::read_entries;
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::registry;
use crate::scan::source::Source;

/// Where programs are installed, for the registry itself cannot be watched by its files.
const PROGRAMS: [&str; 2] = ["/Program Files", "/Program Files (x86)"];

/// The same in a user's home.
const USER_PROGRAMS: [&str; 2] = ["AppData/Local", "AppData/Local/Programs"];

/// Programs that Windows lists for uninstallation.
#[derive(Debug)]
pub struct WindowsUninstall;

impl Source for WindowsUninstall {
    fn id(&self) -> &'static str {
        "windows-uninstall"
    }

    fn about(&self) -> &'static str {
        "programs that Windows lists for uninstallation, of the machine and of all users"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Windows]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let own = users.iter().flat_map(|user| USER_PROGRAMS.map(|folder| user.folder(folder)));
        PROGRAMS.iter().map(|folder| host.path(folder)).chain(own).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        registry::machine(look, "SOFTWARE", &mut |look, software| {
            let drive = Drive::of_system(look.host());
            read_entries(look, software, &drive, &Scope::System, found);
        });
        for user in look.users() {
            registry::of_user(look, user, &mut |look, key| {
                let drive = Drive::of_user(look.host(), user);
                key.with("Software", &mut |software| {
                    read_entries(look, software, &drive, &user.scope, found);
                });
            });
        }
    }
}
