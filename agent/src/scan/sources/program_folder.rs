//! Signs that a whole program was unpacked into a folder, whatever the operating system.
//!
//! A name alone accuses nobody. A program made with Electron says what it is: then its file must carry
//! that name, and the signs that all such programs share count for nothing.

use std::path::Path;

use super::desktop_file::{DesktopFile, FILE_MAX};
use crate::scan::formats::asar;
use crate::scan::formats::electron::Package;
use crate::scan::look::{Entry, Kind, Look};
use crate::scan::trouble::Trouble;

/// Largest `package.json` that is read; in an archive it is cut down to a few hundred bytes.
const PACKAGE_MAX: u64 = 64 * 1024;

/// Largest archive that is looked into: those of large programs have 500 MB, of which the header and one
/// small file are read.
const ARCHIVE_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Most menu entries beside a program that are read; there is one.
const ENTRIES_MAX: usize = 8;

/// Most programs made with Electron in one place of which it is asked what they are. Archives have headers of
/// megabytes, and folders are copied with a click.
pub(super) const ELECTRON_MAX: usize = 32;

/// Files of Chromium's runtime that lie beside the program.
const CHROMIUM: [&str; 5] =
    ["chrome-sandbox", "chrome_100_percent.pak", "icudtl.dat", "resources.pak", "v8_context_snapshot.bin"];

/// What a folder says of the programs in it.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// What a program made with Electron says of itself.
    package: Option<Package>,
    /// It holds what only a whole program has.
    pub(super) is_whole: bool,
    /// The programs that the menu entries beside them start.
    started: Vec<String>,
}

impl Signs {
    /// Reads the signs in a folder that has these entries. `electron_left`: how many programs of that kind may
    /// still be asked what they are.
    pub(super) fn read(
        look: &mut Look<'_>,
        dir: &Path,
        entries: &[Entry],
        electron_left: &mut usize,
    ) -> Self {
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
            || (file("Updater") && look.program_head(&dir.join("Updater"), 4).is_some())
            || (has("data", Kind::Dir) && look.has(&dir.join("data"), "flutter_assets"));
        let mut started = Vec::new();
        for entry in entries.iter().filter(|entry| is_menu_entry(entry)).take(ENTRIES_MAX) {
            let Some(bytes) = look.read(&dir.join(&entry.name), FILE_MAX) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let program = DesktopFile::parse(&text).map(|file| file.program()).unwrap_or_default();
            started.extend(program.rsplit('/').next().map(str::to_owned));
        }
        Self { package, is_whole, started }
    }

    /// Whether there is any sign at all.
    pub(super) fn is_any(&self) -> bool {
        self.package.is_some() || self.is_whole || !self.started.is_empty()
    }

    /// Whether a program of this name is what was unpacked here.
    pub(super) fn speak_for(&self, program: &str) -> bool {
        let stem = match program.rsplit_once('.') {
            Some((stem, end)) if end.eq_ignore_ascii_case("exe") => stem,
            _ => program,
        };
        match &self.package {
            Some(package) => package.is_of(stem),
            None => self.is_whole || self.started.iter().any(|started| started == program),
        }
    }

    /// The version that the program says it is of.
    pub(super) fn version(&self) -> Option<&str> {
        self.package.as_ref()?.version.as_deref()
    }
}

/// What the program says of itself whose `resources` these are: in an archive, or in a folder.
fn electron(look: &mut Look<'_>, resources: &Path, left: &mut usize) -> Option<Package> {
    let json = if look.has(resources, "app.asar") {
        let Some(less) = left.checked_sub(1) else {
            look.trouble(Trouble::TooMany);
            return None;
        };
        *left = less;
        let mut archive = look.open_seekable(&resources.join("app.asar"), ARCHIVE_MAX)?;
        match asar::read_file(&mut archive, "package.json", PACKAGE_MAX) {
            Ok(json) => json?,
            Err(error) => {
                look.trouble(Trouble::of(&error));
                return None;
            }
        }
    } else {
        look.read(&resources.join("app/package.json"), PACKAGE_MAX)?
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
    fn a_menu_entry_speaks_for_the_program_that_it_starts() {
        let signs = Signs { started: vec!["nheko".to_owned()], ..Signs::default() };
        assert!(signs.is_any() && signs.speak_for("nheko") && !signs.speak_for("gajim"));
        assert!(!Signs::default().is_any());
    }
}
