//! Signs that a whole program was unpacked into a folder, whatever the operating system.
//!
//! A name alone accuses nobody. A program made with Electron says what it is: then its file must carry
//! that name, and the signs that all such programs share count for nothing.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;

use super::desktop_file::{DesktopFile, FILE_MAX};
use crate::scan::formats::asar;
use crate::scan::formats::electron::Package;
use crate::scan::look::{Entry, Kind, Look};
use crate::scan::trouble::Trouble;

/// Most entries of a folder in a place. Larger ones hold no unpacked program, and people have folders with a
/// hundred thousand pictures: that something is beyond is not worth telling.
pub(super) const INNER_MAX: usize = 1024;

/// Most folders below one place that are looked into.
const FOLDERS_MAX: usize = 256;

/// Most programs of one folder that are told of; large suites have a few dozen.
const PROGRAMS_MAX: usize = 256;

/// Largest archive that is looked into; of a large one only a small part is read.
const ARCHIVE_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// Largest `package.json` that is read; in an archive it is cut down to a few hundred bytes.
const PACKAGE_MAX: u64 = 64 * 1024;

/// Most menu entries beside a program that are read; there is one.
const ENTRIES_MAX: usize = 8;

/// Most programs made with Electron in one place of which it is asked what they are. Archives have headers of
/// megabytes, and folders are copied with a click.
const ELECTRON_MAX: usize = 32;

/// Files of Chromium's runtime that lie beside the program.
const CHROMIUM: [&str; 5] =
    ["chrome-sandbox", "chrome_100_percent.pak", "icudtl.dat", "resources.pak", "v8_context_snapshot.bin"];

/// A place of one user, or of all, with folders of programs.
pub(super) struct Place<'f> {
    scope: &'f Scope,
    electron_left: usize,
    found: &'f mut dyn FnMut(&Artefact<'_>),
}

impl<'f> Place<'f> {
    /// A place whose programs are told to `found`.
    pub(super) fn new(scope: &'f Scope, found: &'f mut dyn FnMut(&Artefact<'_>)) -> Self {
        Self { scope, electron_left: ELECTRON_MAX, found }
    }

    /// Tells of the programs in a folder that has these entries.
    pub(super) fn read(&mut self, look: &mut Look<'_>, dir: &Path, entries: &[Entry]) {
        self.read_installed(look, dir, entries, None);
    }

    /// The same for a folder of which an installer has made known what it holds: a grade and a version, empty if
    /// that is not known.
    pub(super) fn read_installed(
        &mut self,
        look: &mut Look<'_>,
        dir: &Path,
        entries: &[Entry],
        installed: Option<(Grade, &str)>,
    ) {
        let mut signs = Signs::read(look, dir, entries, &mut self.electron_left);
        signs.is_whole |= installed.is_some();
        if !signs.is_any() {
            return;
        }
        let (grade, version) = match installed {
            Some((grade, version)) => (grade, Some(version).filter(|version| !version.is_empty())),
            None => (Grade::Installed, None),
        };
        let is_windows = look.host().platform() == Platform::Windows;
        let mut programs = 0;
        for entry in entries.iter().filter(|entry| may_be_program(entry, is_windows)) {
            if !signs.speak_for(&entry.name) {
                continue;
            }
            let Some(head) = look.program_head(&dir.join(&entry.name), 11) else { continue };
            // AppImages are the source appimage's.
            if head.starts_with(b"\x7fELF") && head.get(8..10) == Some(b"AI") {
                continue;
            }
            programs += 1;
            if programs > PROGRAMS_MAX {
                return look.trouble(Trouble::TooMany);
            }
            let artefact = Artefact::new(Namespace::Executable, &entry.name, self.scope, grade);
            (self.found)(&Artefact { version: signs.version().or(version), ..artefact });
        }
    }
}

/// The folders in a folder, hidden ones and links left out.
pub(super) fn subfolders(look: &mut Look<'_>, dir: &Path, entries: &[Entry]) -> Vec<PathBuf> {
    let folders = entries.iter().filter(|entry| entry.kind == Kind::Dir && !entry.name.starts_with('.'));
    let mut folders: Vec<PathBuf> = folders.map(|entry| dir.join(&entry.name)).collect();
    if folders.len() > FOLDERS_MAX {
        folders.truncate(FOLDERS_MAX);
        look.trouble(Trouble::TooMany);
    }
    folders
}

fn may_be_program(entry: &Entry, is_windows: bool) -> bool {
    let is_library = entry.name.ends_with(".so") || entry.name.contains(".so.");
    let fits = if is_windows { stem(&entry.name) != entry.name } else { !is_library };
    entry.kind == Kind::File && fits
}

/// The name of a program file without `.exe`.
fn stem(program: &str) -> &str {
    match program.rsplit_once('.') {
        Some((stem, end)) if end.eq_ignore_ascii_case("exe") => stem,
        _ => program,
    }
}

/// What a folder says of the programs in it.
#[derive(Debug, Default)]
struct Signs {
    /// What a program made with Electron says of itself.
    package: Option<Package>,
    /// It holds what only a whole program has.
    is_whole: bool,
    /// The programs that menu entries beside them start, and those that uninstallers are named after.
    started: Vec<String>,
}

impl Signs {
    /// Reads the signs in a folder that has these entries. `electron_left`: how many programs of that kind may
    /// still be asked what they are.
    fn read(look: &mut Look<'_>, dir: &Path, entries: &[Entry], electron_left: &mut usize) -> Self {
        let has = |name: &str, kind| entries.iter().any(|entry| entry.kind == kind && entry.name == name);
        let file = |name| has(name, Kind::File);
        let package = match has("resources", Kind::Dir) {
            true => electron(look, &dir.join("resources"), electron_left),
            false => None,
        };
        let qt = || entries.iter().any(|entry| is_qt(&entry.name));
        let is_whole = CHROMIUM.iter().any(|name| file(name))
            // Where a Qt program says that its libraries are; some people keep such a file elsewhere.
            || (file("qt.conf") && qt())
            // Telegram's own updater.
            || ["Updater", "Updater.exe"]
                .iter()
                .any(|name| file(name) && look.program_head(&dir.join(name), 4).is_some())
            // What Inno Setup leaves to undo its work with.
            || (file("unins000.exe") && file("unins000.dat"))
            || (has("data", Kind::Dir) && look.has(&dir.join("data"), "flutter_assets"));
        let mut started = Vec::new();
        for entry in entries.iter().filter(|entry| is_menu_entry(entry)).take(ENTRIES_MAX) {
            let Some(bytes) = look.read(&dir.join(&entry.name), FILE_MAX) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let Some(file) = DesktopFile::parse(&text) else { continue };
            let command = file.command();
            let program = file.program(&command);
            started.extend(program.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned));
        }
        // electron-builder's installer: `Uninstall Signal.exe` beside `Signal.exe`.
        let undone = entries.iter().filter_map(|entry| entry.name.strip_prefix("Uninstall "));
        started.extend(undone.map(str::to_owned));
        Self { package, is_whole, started }
    }

    /// Whether there is any sign at all.
    fn is_any(&self) -> bool {
        self.package.is_some() || self.is_whole || !self.started.is_empty()
    }

    /// Whether a program of this name is what was unpacked here.
    fn speak_for(&self, program: &str) -> bool {
        match &self.package {
            Some(package) => package.is_of(stem(program)),
            None => self.is_whole || self.started.iter().any(|started| started == program),
        }
    }

    /// The version that the program says it is of.
    fn version(&self) -> Option<&str> {
        self.package.as_ref()?.version.as_deref()
    }
}

/// What the program says of itself whose `resources` these are: in an archive, or in a folder.
fn electron(look: &mut Look<'_>, resources: &Path, left: &mut usize) -> Option<Package> {
    let archive = resources.join("app.asar");
    // Some people unpack the archive under its own name.
    let is_archive = look.has(resources, "app.asar") && !look.is_dir(&archive);
    let json = if is_archive {
        let Some(less) = left.checked_sub(1) else {
            look.trouble(Trouble::TooMany);
            return None;
        };
        *left = less;
        let mut archive = look.open_seekable(&archive, ARCHIVE_MAX)?;
        match asar::read_file(&mut archive, "package.json", PACKAGE_MAX) {
            Ok(json) => json?,
            Err(error) => {
                look.trouble(Trouble::of(&error));
                return None;
            }
        }
    } else {
        let unpacked = ["app/package.json", "app.asar/package.json"];
        unpacked.iter().find_map(|path| look.read(&resources.join(path), PACKAGE_MAX))?
    };
    Package::parse(&json)
}

fn is_qt(name: &str) -> bool {
    let library = name.starts_with("libQt") || (name.starts_with("Qt") && name.ends_with(".dll"));
    library || matches!(name, "platforms" | "plugins")
}

fn is_menu_entry(entry: &Entry) -> bool {
    entry.kind == Kind::File && entry.name.ends_with(".desktop")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_of_itself_outweighs_what_all_of_its_kind_have() {
        let package = Package::parse(br#"{"name":"code","version":"1.2"}"#);
        let signs = Signs { package, is_whole: true, started: vec!["signal-desktop".to_owned()] };
        assert!(signs.speak_for("code") && signs.speak_for("Code.exe"));
        assert!(!signs.speak_for("signal-desktop"));
        assert_eq!(signs.version(), Some("1.2"));
    }

    #[test]
    fn libraries_are_no_programs() {
        let file = |name: &str| Entry { name: name.to_owned(), kind: Kind::File };
        assert!(may_be_program(&file("Telegram"), false));
        assert!(!may_be_program(&file("libffmpeg.so"), false));
        assert!(!may_be_program(&file("libQt6Core.so.6"), false));
        assert!(may_be_program(&file("Telegram.EXE"), true) && !may_be_program(&file("ffmpeg.dll"), true));
    }

    #[test]
    fn a_menu_entry_speaks_for_the_program_that_it_starts() {
        let signs = Signs { started: vec!["nheko".to_owned()], ..Signs::default() };
        assert!(signs.is_any() && signs.speak_for("nheko") && !signs.speak_for("gajim"));
        assert!(!Signs::default().is_any());
    }
}
