//! Looking at links themselves, and at files that need not be noted.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Look;
use crate::platform::files::open_regular;

impl Look<'_> {
    /// The first bytes of a regular file that is not noted: for files of which the folder that was listed, or
    /// the way to it, tells when they change. Says nothing of what cannot be read; [`Look::read_head`] does.
    pub fn peek(&mut self, path: &Path, count: u64) -> Option<Vec<u8>> {
        let real = self.real(path).ok()?;
        let mut bytes = Vec::new();
        open_regular(&real).ok()?.0.take(count).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Where a link leads to, as it is written; `None` if there is no link. The link is noted.
    pub fn read_link(&mut self, path: &Path) -> Option<PathBuf> {
        let (place, target) = self.link(path)?;
        self.links.insert(place);
        Some(target)
    }

    /// The same for a link that is not noted, because it lies where nothing ever changes.
    pub fn peek_link(&mut self, path: &Path) -> Option<PathBuf> {
        self.link(path).map(|(_, target)| target)
    }

    /// A link's true place, and what is written in it.
    fn link(&mut self, path: &Path) -> Option<(PathBuf, PathBuf)> {
        let place = self.real(path.parent()?).ok()?.join(path.file_name()?);
        let target = std::fs::read_link(&place).ok()?;
        Some((place, target))
    }
}
