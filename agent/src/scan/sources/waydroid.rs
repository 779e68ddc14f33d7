//! Android apps that run on Linux in Waydroid or Anbox.
//!
//! The list of packages is read, and of the folder of their data only whether each has one there: Android
//! gives one to each app that its user has, and takes it away with the app. What came with the image and was
//! removed by the user stays in the list.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::scan::formats::android_packages::names;
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Largest list that is read; usual ones have 30 kB.
const LIST_MAX: u64 = 4 * 1024 * 1024;

/// The `/data` of Android where all users share it: of older versions of Waydroid, of Anbox, and of Anbox
/// in a snap.
const SYSTEM: [&str; 3] = ["/var/lib/waydroid/data", "/var/lib/anbox/data", "/var/snap/anbox/common/data"];

/// The same where each user has one of their own.
const HOME: &str = ".local/share/waydroid/data";

/// Android apps.
#[derive(Debug)]
pub struct Waydroid;

impl Source for Waydroid {
    fn id(&self) -> &'static str {
        "waydroid"
    }

    fn about(&self) -> &'static str {
        "Android apps in Waydroid and Anbox"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let system = SYSTEM.iter().map(|data| host.path(data));
        let home = users.iter().map(|user| user.home.join(HOME));
        system.chain(home).map(|data| data.join("system")).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for data in SYSTEM {
            let data = look.system(data);
            read_packages(look, &data, &Scope::System, found);
        }
        for user in look.users() {
            let data = look.home(user, HOME);
            read_packages(look, &data, &user.scope, found);
        }
    }
}

fn read_packages(look: &mut Look<'_>, data: &Path, scope: &Scope, found: &mut dyn FnMut(&Artefact<'_>)) {
    let Some(list) = look.read(&data.join("system/packages.list"), LIST_MAX) else { return };
    let folders = data.join("data");
    let can_tell = look.is_dir(&folders);
    let mut is_malformed = false;
    for name in names(&list) {
        let Some(name) = name else {
            is_malformed = true;
            continue;
        };
        let is_there = !can_tell || look.has(&folders, name);
        let grade = if is_there { Grade::Installed } else { Grade::Residual };
        found(&Artefact::new(Namespace::Android, name, scope, grade));
    }
    if is_malformed {
        look.trouble(Trouble::Malformed);
    }
}
