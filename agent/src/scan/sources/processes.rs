//! Programs that run now: which program file and whose, and nothing that it was told; on macOS also which
//! application the file is the main program of.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::bundles::identifier;
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Programs that run programs: the kernel's name of the process tells which. A version may follow. Shells are none
/// of them: a script that is called `slack` is no Slack, and what it starts has a name of its own.
const INTERPRETERS: [&str; 12] = [
    "bun",
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
        let names = look.names();
        // Elsewhere a program may go by the application that it belongs to.
        let by_name = look.host().platform() == Platform::Linux;
        let wanted = |program: &Path| {
            let Some(file) = file_name(program) else { return false };
            !by_name || is_interpreter(file) || names.has(Namespace::Executable, file)
        };
        let Ok(running) = look.running(wanted) else { return look.trouble(Trouble::Unreadable) };
        look.is_present();
        // For the numbers of the users.
        look.users();
        let mut closed = false;
        for process in &running {
            let Some(program) = process.program.as_deref() else {
                closed = true;
                continue;
            };
            let Some(file) = file_name(program) else { continue };
            let scope = match (&process.user, process.uid) {
                (Some(sid), _) => look.scope_of_sid(sid),
                (None, Some(uid)) => look.scope_of(uid),
                (None, None) => Scope::System,
            };
            found(&Artefact::new(Namespace::Executable, name(file, &process.name), &scope, Grade::Running));
            if look.host().platform() == Platform::Macos {
                tell_bundle(look, program, &scope, found);
            }
        }
        if closed {
            look.elsewhere("programs of other users");
            look.trouble(Trouble::Denied);
        }
    }
}

/// Tells of the application that a program of macOS is the main program of. Its name says little there.
fn tell_bundle(look: &mut Look<'_>, program: &Path, scope: &Scope, found: &mut dyn FnMut(&Artefact<'_>)) {
    let Some((list, namespace)) = bundle(program) else { return };
    let Some(identifier) = identifier(look, &list) else { return };
    found(&Artefact::new(namespace, &identifier, scope, Grade::Running));
}

/// The property list of the bundle that this is the main program of: on macOS `X.app/Contents/MacOS/X`, for iOS
/// `X.app/Wrapper/X.app/X`. Programs deeper in a bundle are its helpers.
fn bundle(program: &Path) -> Option<(PathBuf, Namespace)> {
    let dir = program.parent()?;
    let is_bundle = |dir: &Path| dir.extension().is_some_and(|end| end.eq_ignore_ascii_case("app"));
    let (outer, list, namespace) = if is_bundle(dir) {
        let wrapper = dir.parent()?;
        let outer = if wrapper.ends_with("Wrapper") { wrapper.parent()? } else { dir };
        (outer, dir.join("Info.plist"), Namespace::Ios)
    } else {
        let contents = dir.parent()?;
        let outer = contents.parent().filter(|outer| dir.ends_with("Contents/MacOS") && is_bundle(outer))?;
        (outer, contents.join("Info.plist"), Namespace::MacosBundle)
    };
    let is_inner = outer.ancestors().skip(1).any(is_bundle);
    (!is_inner).then_some((list, namespace))
}

/// The name of a program file, also of one that was replaced or removed since the program started.
fn file_name(program: &Path) -> Option<&str> {
    let file = program.file_name()?.to_str()?;
    // Nearly no name ends like this, and to compare its last character costs next to nothing.
    Some(if file.ends_with(')') { file.strip_suffix(DELETED).unwrap_or(file) } else { file })
}

/// The name of a running program: that of its file, or, if the file is an interpreter, the one that
/// the kernel knows the process by, which is that of the script unless it calls itself otherwise.
fn name<'a>(file: &'a str, comm: &'a str) -> &'a str {
    if is_interpreter(file) && !comm.is_empty() { comm } else { file }
}

fn is_interpreter(file: &str) -> bool {
    let bare = file.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.binary_search(&bare).is_ok()
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
            ("python3.11", "gajim", "gajim"),
            ("gjs-console", "polari", "polari"),
            ("python3.11", "", "python3.11"),
            ("bash", "slack", "bash"),
            ("pythonista", "gajim", "pythonista"),
        ] {
            assert_eq!(name(file, comm), expected);
        }
    }

    #[test]
    fn a_program_whose_file_was_replaced_goes_by_the_name_that_it_had() {
        for (program, expected) in [
            ("/usr/bin/telegram-desktop (deleted)", Some("telegram-desktop")),
            ("/usr/bin/telegram-desktop", Some("telegram-desktop")),
            ("/usr/bin/telegram (desktop)", Some("telegram (desktop)")),
            ("/", None),
        ] {
            assert_eq!(file_name(Path::new(program)), expected);
        }
    }

    // Its paths are those of macOS.
    #[cfg(unix)]
    #[test]
    fn the_main_program_of_a_bundle_is_told_from_its_helpers() {
        let list = |program: &str| bundle(Path::new(program)).map(|(list, _)| list.display().to_string());
        for (program, expected) in [
            (
                "/Applications/Slack.app/Contents/MacOS/Slack",
                Some("/Applications/Slack.app/Contents/Info.plist"),
            ),
            (
                "/Volumes/zoom/zoom.us.app/Contents/MacOS/zoom.us",
                Some("/Volumes/zoom/zoom.us.app/Contents/Info.plist"),
            ),
            ("/Applications/A.app/Wrapper/B.app/B", Some("/Applications/A.app/Wrapper/B.app/Info.plist")),
            (
                "/Applications/Slack.app/Contents/Frameworks/Slack Helper.app/Contents/MacOS/Slack Helper",
                None,
            ),
            ("/Applications/Slack.app/Contents/Resources/x", None),
            ("/usr/bin/ssh", None),
            ("x", None),
        ] {
            assert_eq!(list(program).as_deref(), expected, "{program}");
        }
    }

    #[test]
    fn a_running_application_goes_by_its_identifier() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/homes/macos-bundle");
        let host = Host::at(root.canonicalize().unwrap(), Platform::Macos);
        let mut look = Look::new(&host, &[]);
        let mut all = Vec::new();
        for program in ["Slack.app/Contents/MacOS/Slack", "Messenger.app/Wrapper/Messenger.app/Messenger"] {
            let program = host.path("/Applications").join(program);
            tell_bundle(&mut look, &program, &Scope::System, &mut |artefact| {
                all.push((artefact.namespace, artefact.identifier.to_owned()));
            });
        }
        let (slack, messenger) =
            ("com.tinyspeck.slackmacgap".to_owned(), "com.facebook.Messenger".to_owned());
        assert_eq!(all, [(Namespace::MacosBundle, slack), (Namespace::Ios, messenger)]);
    }

    proptest! {
        #[test]
        fn any_path_is_taken_without_panic(path: String) {
            let _ = bundle(Path::new(&path));
        }

        #[test]
        fn any_name_is_taken_without_panic(file: String, comm: String) {
            let _ = (name(&file, &comm), file_name(Path::new(&file)));
        }
    }
}
