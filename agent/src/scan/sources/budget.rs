//! How much may still be looked at for one owner: a user, or the system for all.
//!
//! Every folder and file has a limit of its own; this one is for all of them together. People can make as many
//! folders as they like, and one large file with many names.

use std::path::Path;

use crate::scan::look::{Entry, Look};
use crate::scan::trouble::Trouble;

/// Most bytes of all files together; 1,000 menu entries have 10 MB.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    entries: usize,
    folders: usize,
    bytes: u64,
}

impl Budget {
    /// All of it: at most so many folders, and so many entries of them together.
    pub(super) const fn of(folders: usize, entries: usize) -> Self {
        Self { entries, folders, bytes: BYTES_MAX }
    }

    /// Whether no further folder may be listed, which is trouble.
    pub(super) fn is_spent(&self, look: &mut Look<'_>) -> bool {
        let is_spent = self.folders == 0 || self.entries == 0;
        if is_spent {
            look.trouble(Trouble::TooMany);
        }
        is_spent
    }

    /// The entries of a folder as [`Look::list`] answers them; what is beyond the budget is trouble.
    pub(super) fn list(&mut self, look: &mut Look<'_>, dir: &Path, limit: usize) -> Vec<Entry> {
        let limit = if self.folders == 0 { 0 } else { limit.min(self.entries) };
        let entries = look.list(dir, limit);
        self.took(entries.len());
        entries
    }

    /// At most so many entries of a folder, as [`Look::list_some`]; only what is beyond the budget is trouble.
    pub(super) fn list_some(&mut self, look: &mut Look<'_>, dir: &Path, limit: usize) -> Vec<Entry> {
        if self.folders == 0 || self.entries < limit {
            look.trouble(Trouble::TooMany);
            return Vec::new();
        }
        let entries = look.list_some(dir, limit);
        self.took(entries.len());
        entries
    }

    fn took(&mut self, entries: usize) {
        self.entries = self.entries.saturating_sub(entries);
        self.folders = self.folders.saturating_sub(usize::from(entries > 0));
    }

    /// A whole file as [`Look::read`] answers it.
    pub(super) fn read(&mut self, look: &mut Look<'_>, path: &Path, limit: u64) -> Option<Vec<u8>> {
        self.spend(look, |look| look.read(path, limit))
    }

    /// The beginning of a file as [`Look::peek`] answers it.
    pub(super) fn peek(&mut self, look: &mut Look<'_>, path: &Path, limit: u64) -> Option<Vec<u8>> {
        self.spend(look, |look| look.peek(path, limit))
    }

    fn spend<'a>(
        &mut self,
        look: &mut Look<'a>,
        read: impl FnOnce(&mut Look<'a>) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        if self.bytes == 0 {
            look.trouble(Trouble::TooMany);
            return None;
        }
        let bytes = read(look)?;
        self.bytes = self.bytes.saturating_sub(bytes.len() as u64);
        Some(bytes)
    }
}
