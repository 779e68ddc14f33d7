//! Where the hives are, and how they are opened. The running system has its own open already, with those of
//! all users who are logged in.

use std::path::Path;

use super::{Key, Notes, live};
use crate::platform::registry;
use crate::scan::formats::regf::{Hive, State};
use crate::scan::host::User;
use crate::scan::look::Look;
use crate::scan::trouble::Trouble;

/// Largest files of a hive that are read.
#[derive(Debug, Clone, Copy)]
struct Limits {
    hive: u64,
    log: u64,
}

/// Those of a machine: the hive of Windows 11 with much installed has 150 MB, and the pages that are needed are
/// read, not the file. Its logs are read whole if the hive needs them; Windows writes the hive and starts them
/// anew long before.
const MACHINE: Limits = Limits { hive: 1024 * 1024 * 1024, log: 64 * 1024 * 1024 };

/// Those of a user: usual ones have 2 to 20 MB, and logs of a few.
const USER: Limits = Limits { hive: 256 * 1024 * 1024, log: 16 * 1024 * 1024 };

/// The folder of the machine's hives.
const CONFIG: &str = "/Windows/System32/config";

/// What is shown to a source.
type Then<'t> = &'t mut dyn FnMut(&mut Look<'_>, &Key<'_>);

/// Shows one of the machine's hives: `SOFTWARE` or `SYSTEM`, each the root of its own keys.
pub(in crate::scan) fn machine(look: &mut Look<'_>, name: &str, then: Then<'_>) {
    let dir = look.system(CONFIG);
    // Said with the hive's own name.
    look.system(&format!("{CONFIG}/{name}"));
    if !open_live(look, registry::Hive::LocalMachine, name, then) {
        open(look, &dir, name, MACHINE, then);
    }
}

/// Shows a user's own hive, what such a user sees as `HKEY_CURRENT_USER`.
pub(in crate::scan) fn of_user(look: &mut Look<'_>, user: &User, then: Then<'_>) {
    let dir = look.home(user, "");
    if !open_live_user(look, user, "", then) {
        open(look, &dir, "NTUSER.DAT", USER, then);
    }
}

/// Shows the hive that a user sees as `HKEY_CURRENT_USER\Software\Classes`.
pub(in crate::scan) fn user_classes(look: &mut Look<'_>, user: &User, then: Then<'_>) {
    let dir = look.home(user, "AppData/Local/Microsoft/Windows");
    if !open_live_user(look, user, r"\Software\Classes", then) {
        open(look, &dir, "UsrClass.dat", USER, then);
    }
}

/// Shows a hive of a user who is logged in; answers whether there was one.
fn open_live_user(look: &mut Look<'_>, user: &User, end: &str, then: Then<'_>) -> bool {
    let Some(sid) = &user.sid else { return false };
    open_live(look, registry::Hive::Users, &format!("{sid}{end}"), then)
}

fn open_live(look: &mut Look<'_>, hive: registry::Hive, path: &str, then: Then<'_>) -> bool {
    if !look.host().is_live() {
        return false;
    }
    let key = match live::open(hive, path) {
        Ok(Some(key)) => key,
        Ok(None) => return false,
        Err(error) => {
            look.trouble(Trouble::of(&error));
            return true;
        }
    };
    // No file says when it changes.
    look.is_fleeting();
    look.is_present();
    let notes = Notes::default();
    then(look, &Key { raw: &key, notes: &notes });
    notes.tell(look);
    true
}

fn open(look: &mut Look<'_>, dir: &Path, name: &str, limits: Limits, then: Then<'_>) {
    let Some(mut file) = look.open_seekable(&dir.join(name), limits.hive) else { return };
    let notes = Notes::default();
    let mut logs = || {
        let log = |end| look.read_aside(&dir.join(format!("{name}{end}")), limits.log);
        // The last is of Windows XP and before.
        [".LOG1", ".LOG2", ".LOG"].into_iter().filter_map(log).collect()
    };
    match Hive::open(&mut file, &mut logs) {
        Ok(hive) => {
            if hive.state() == State::Dirty {
                notes.add(Trouble::Unfinished);
            }
            match hive.root() {
                Ok(root) => then(look, &Key { raw: &root, notes: &notes }),
                Err(error) => notes.add(Trouble::of(&error)),
            }
        }
        Err(error) => notes.add(Trouble::of(&error)),
    }
    if !file.is_unchanged() {
        // Parts of two states do not belong together.
        notes.add(Trouble::Unfinished);
    }
    notes.tell(look);
}
