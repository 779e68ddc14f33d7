//! A file that is read at any place of it, and that tells whether it changed meanwhile.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};

use crate::platform::files::Stamp;

/// A file of which at most so many bytes are read, from whatever place.
#[derive(Debug)]
pub struct Seekable {
    file: File,
    opened: Stamp,
    at: u64,
    limit: u64,
}

impl Seekable {
    pub(super) fn new(file: File, meta: &Metadata, limit: u64) -> Self {
        Self { file, opened: Stamp::of(meta), at: 0, limit }
    }

    /// Whether nobody has written to the file since it was opened: what was read belongs together.
    pub fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| Stamp::of(&meta) == self.opened)
    }
}

impl Read for Seekable {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.limit.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = into.len().min(left);
        let count = self.file.read(into.get_mut(..count).unwrap_or_default())?;
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }
}

impl Seek for Seekable {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // Half of all reads go on where the last one ended.
        if to != SeekFrom::Start(self.at) {
            self.at = self.file.seek(to)?;
        }
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_beyond_the_limit_is_read_and_a_write_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
        let meta = file.metadata().unwrap();
        let mut file = Seekable::new(file, &meta, 6);
        let mut text = String::new();
        file.seek(SeekFrom::Start(4)).unwrap();
        file.read_to_string(&mut text).unwrap();
        file.seek(SeekFrom::Start(8)).unwrap();
        file.read_to_string(&mut text).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "45012345");
        assert!(file.is_unchanged());
        std::fs::write(&path, "0123456789x").unwrap();
        assert!(!file.is_unchanged());
    }
}
