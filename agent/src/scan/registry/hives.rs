//! Where the hives are, and how they are opened.

use std::path::Path;

use super::{Key, Notes};
use crate::scan::formats::regf::log::LOG_MAX;
use crate::scan::formats::regf::{Hive, State};
use crate::scan::host::User;
use crate::scan::look::Look;
use crate::scan::trouble::Trouble;

/// Largest hive of a machine: that of Windows 11 with much installed has 150 MB, and the pages that are needed
/// are read, not the file.
const MACHINE_MAX: u64 = 1024 * 1024 * 1024;

/// Largest hive of a user; usual ones have 2 to 20 MB.
const USER_MAX: u64 = 256 * 1024 * 1024;

/// The folder of the machine's hives.
const CONFIG: &str = "/Windows/System32/config";

/// What is shown to a source.
type Then<'t> = &'t mut dyn FnMut(&mut Look<'_>, &Key<'_>);

/// Shows one of the machine's hives: `SOFTWARE` or `SYSTEM`, each the root of its own keys.
pub(in crate::scan) fn machine(look: &mut Look<'_>, name: &str, then: Then<'_>) {
    let dir = look.system(CONFIG);
    // Said with the hive's own name.
    look.system(&format!("{CONFIG}/{name}"));
    open(look, &dir, name, MACHINE_MAX, then);
}

/// Shows a user's own hive, what such a user sees as `HKEY_CURRENT_USER`.
pub(in crate::scan) fn of_user(look: &mut Look<'_>, user: &User, then: Then<'_>) {
    let dir = look.home(user, "");
    open(look, &dir, "NTUSER.DAT", USER_MAX, then);
}

/// Shows the hive that a user sees as `HKEY_CURRENT_USER\Software\Classes`.
pub(in crate::scan) fn user_classes(look: &mut Look<'_>, user: &User, then: Then<'_>) {
    let dir = look.home(user, "AppData/Local/Microsoft/Windows");
    open(look, &dir, "UsrClass.dat", USER_MAX, then);
}

fn open(look: &mut Look<'_>, dir: &Path, name: &str, limit: u64, then: Then<'_>) {
    let Some(file) = look.open_seekable(&dir.join(name), limit) else { return };
    let notes = Notes::default();
    let mut logs = || {
        let log = |end| look.read_aside(&dir.join(format!("{name}{end}")), LOG_MAX);
        // The last is of Windows XP and before.
        [".LOG1", ".LOG2", ".LOG"].into_iter().filter_map(log).collect()
    };
    match Hive::open(file, &mut logs) {
        Ok(hive) => {
            if hive.state() == State::Dirty {
                notes.add(Trouble::Malformed);
            }
            match hive.root() {
                Ok(root) => then(look, &Key { raw: &root, notes: &notes }),
                Err(error) => notes.add(Trouble::of(&error)),
            }
        }
        Err(error) => notes.add(Trouble::of(&error)),
    }
    notes.tell(look);
}
