//! Looking at programs, at links themselves, and at files that need not be noted.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;

use super::Look;
use crate::platform::files::{Stamp, is_executable, open_regular};
use crate::scan::trouble::Trouble;

impl Look<'_> {
    /// The first bytes of a program that lies in a folder which was listed: a regular file in the format
    /// of that system's programs, on Unix with an execute bit. Without that bit it is not opened, for then it is
    /// somebody's document until the contrary is shown.
    ///
    /// Noted are those whose folder does not change when they become another thing: one that is named like an AppImage
    /// may be replaced or made executable, and so may one that is named as programs are and documents are not.
    pub fn program_head(&mut self, path: &Path, count: u64) -> Option<Vec<u8>> {
        let (real, there) = self.locate(path).ok()?;
        let Ok(meta) = there else {
            // A link that leads nowhere yet.
            self.asked.insert(real.into_os_string(), None);
            return None;
        };
        if !meta.is_file() {
            return None;
        }
        let (magic, executable): (&[u8], bool) = match self.host.platform() {
            Platform::Windows => (b"MZ", true),
            _ => (b"\x7fELF", is_executable(&meta)),
        };
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_appimage = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("appimage"));
        let may_become_one = is_appimage || (!executable && is_named_as_a_program(name));
        let mut head = Vec::new();
        let read = if executable {
            open_regular(&real).and_then(|(file, _)| file.take(count).read_to_end(&mut head))
        } else {
            Ok(0)
        };
        let is_program = executable && head.starts_with(magic);
        if is_program || may_become_one {
            self.asked.insert(real.into_os_string(), Some(Stamp::of(&meta)));
        }
        match read {
            // What a link leads to is in another place, which may be closed to us for good reasons.
            Err(_) if self.link_place(path).is_some_and(|place| place.is_symlink()) => None,
            Err(error) => {
                self.trouble(Trouble::of(&error));
                None
            }
            Ok(_) => is_program.then_some(head),
        }
    }

    /// The first bytes of a regular file that is not noted: for files of which the folder that was listed, or
    /// the way to it, tells when they change. Says nothing of what cannot be read; [`Look::read_head`] does.
    pub fn peek(&mut self, path: &Path, count: u64) -> Option<Vec<u8>> {
        let real = self.real(path).ok()?;
        let mut bytes = Vec::new();
        open_regular(&real).ok()?.0.take(count).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Where a link leads to, as it is written; `None` if there is no link. The place is noted, whether there is one
    /// or not.
    pub fn read_link(&mut self, path: &Path) -> Option<PathBuf> {
        let place = self.link_place(path)?;
        let target = std::fs::read_link(&place).ok();
        self.links.insert(place);
        target
    }

    /// The same for a link that is not noted, because it lies where nothing ever changes.
    pub fn peek_link(&mut self, path: &Path) -> Option<PathBuf> {
        std::fs::read_link(self.link_place(path)?).ok()
    }

    /// Where a link itself really is.
    fn link_place(&mut self, path: &Path) -> Option<PathBuf> {
        Some(self.real(path.parent()?).ok()?.join(path.file_name()?))
    }

    /// Says it if a folder has folders whose names are no text, among so many entries: [`Look::list`] leaves
    /// them out.
    pub(in crate::scan) fn say_nameless(&mut self, dir: &Path, limit: usize) {
        let listing = self.real(dir).and_then(std::fs::read_dir);
        let mut entries = listing.into_iter().flatten().take(limit).flatten();
        if entries.any(|entry| {
            entry.file_name().to_str().is_none() && entry.file_type().is_ok_and(|kind| kind.is_dir())
        }) {
            self.trouble(Trouble::Unreadable);
        }
    }
}

/// `telegram-desktop`, `Telegram-5.2.1`, `Signal-7.0-x86_64`, `setup.run`: no ending, or none that says what is in a file.
fn is_named_as_a_program(name: &str) -> bool {
    let Some((_, end)) = name.rsplit_once('.') else { return true };
    // `.profile`, and formats whose names begin with a number.
    let is_document = name.starts_with('.') || ["3g2", "3gp", "7z"].contains(&end);
    let is_architecture =
        ["aarch64", "amd64", "arm64", "i386", "i686", "x86"].iter().any(|arch| end.contains(arch));
    !is_document
        && (end.starts_with(|c: char| c.is_ascii_digit()) || is_architecture || end == "bin" || end == "run")
}

#[cfg(test)]
mod tests {
    use super::is_named_as_a_program;

    #[test]
    fn programs_are_told_from_documents_by_their_names() {
        for name in
            ["telegram-desktop", "Telegram-5.2.1", "Signal-7.0-x86_64", "foo.bin", "a.b.run", "x.amd64"]
        {
            assert!(is_named_as_a_program(name), "{name}");
        }
        for name in [".bash_history", "letter.txt", "film.mp4", "backup.7z", "call.3gp", "x.tar.gz", ".x.1"] {
            assert!(!is_named_as_a_program(name), "{name}");
        }
    }
}
