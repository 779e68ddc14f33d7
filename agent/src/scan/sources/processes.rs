//! Programs that run now: which program file and whose, and nothing that it was told.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use crate::platform::processes::running;
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Programs that run programs: the kernel's name of the process tells which. A version may follow.
const INTERPRETERS: [&str; 15] = [
    "bash",
    "bun",
    "dash",
    "deno",
    "electron",
    "gjs",
    "gjs-console",
    "guile",
    "java",
    "lua",
    "node",
    "perl",
    "python",
    "ruby",
    "sh",
];

/// What the kernel's link to a program file ends with once that file is replaced or removed.
const DELETED: &str = " (deleted)";

/// Running programs.
#[derive(Debug)]
pub struct Processes;

impl Source for Processes {
    fn id(&self) -> &'static str {
        "processes"
    }

    fn about(&self) -> &'static str {
        "running programs, by the names of their files (never command lines or environments)"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux, Platform::Macos, Platform::Windows]
    }

    fn watch(&self, _host: &Host) -> Vec<PathBuf> {
        Vec::new()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        if !look.host().is_live() {
            return;
        }
        look.is_fleeting();
        look.elsewhere("the list of processes");
        let Ok(processes) = running() else { return look.trouble(Trouble::Unreadable) };
        look.is_present();
        // For the numbers of the users.
        look.users();
        let mut closed = false;
        for process in &processes {
            let Some(program) = process.program.as_deref() else {
                closed = true;
                continue;
            };
            let Some(file) = program.file_name().and_then(|name| name.to_str()) else { continue };
            let scope = match (&process.user, process.uid) {
                (Some(sid), _) => look.scope_of_sid(sid),
                (None, Some(uid)) => look.scope_of(uid),
                (None, None) => Scope::System,
            };
            found(&Artefact::new(Namespace::Executable, name(file, &process.name), &scope, Grade::Running));
        }
        if closed {
            look.elsewhere("programs of other users");
            look.trouble(Trouble::Denied);
        }
    }
}

/// The name of a running program: that of its file, or, if the file is an interpreter, the one that
/// the kernel knows the process by, which is that of the script unless it calls itself otherwise.
fn name<'a>(file: &'a str, comm: &'a str) -> &'a str {
    let file = file.strip_suffix(DELETED).unwrap_or(file);
    let bare = file.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if INTERPRETERS.binary_search(&bare).is_ok() && !comm.is_empty() { comm } else { file }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scripts_go_by_their_own_name() {
        assert!(INTERPRETERS.is_sorted());
        for (file, comm, expected) in [
            ("telegram-desktop", "telegram-deskto", "telegram-desktop"),
            ("telegram-desktop (deleted)", "telegram-deskto", "telegram-desktop"),
            ("python3.11", "gajim", "gajim"),
            ("gjs-console", "polari", "polari"),
            ("python3.11", "", "python3.11"),
            ("pythonista", "gajim", "pythonista"),
        ] {
            assert_eq!(name(file, comm), expected);
        }
    }

    proptest! {
        #[test]
        fn any_name_is_taken_without_panic(file: String, comm: String) {
            let _ = name(&file, &comm);
        }
    }
}
