//! Hives: the files of the Windows registry, `regf` by their first four bytes.
//!
//! Written from Maxim Suhanov's "Windows registry file format specification"
//! (github.com/msuhanov/regf), which gives names and meaning of all fields here. A hive is read page by page
//! where a key or value asks for it: that of a machine has a hundred megabytes, and a scan needs some hundred
//! kilobytes of them.
//!
//! A hive of a running or crashed machine is behind its log files (`.LOG1`, `.LOG2`). What they hold is laid
//! over the pages in memory, as Windows does when it loads the hive: see `log`.

mod key;
mod log;
mod marvin;
mod pages;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{self, Read, Seek};

pub use key::{Key, Subkey};
use log::Recovery;
use pages::Pages;

/// How long the base block is; offsets of cells count from its end.
const BASE: u64 = 4096;

/// How much of the base block has a checksum, with the checksum itself; a log begins with a copy of this.
const HEAD: usize = 512;

/// How much of a hive is read in all, in bytes of pages from the file and of cells, each cell counted with
/// [`CELL`] bytes more: a user's hive may send its reader in circles, and a second of work is too much. A
/// machine's needs a fifth of it.
const WORK_MAX: usize = 128 * 1024 * 1024;

/// What the reading of a cell costs beside its bytes.
const CELL: usize = 64;

/// How far the changes of a hive were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All of them, at least as far as the hive itself tells.
    Clean,
    /// The rest of them was in the logs.
    Recovered,
    /// Some are missing, and no log has them.
    Dirty,
}

/// A hive that is read piece by piece.
#[derive(Debug)]
pub struct Hive<R> {
    pages: RefCell<Pages<R>>,
    root: u32,
    state: State,
}

impl<R: Read + Seek> Hive<R> {
    /// Opens a hive. `logs` gives the content of its log files; it is asked only if the hive needs them.
    ///
    /// # Errors
    /// `InvalidData` if this is no hive, or one that is damaged beyond use; else what the reader says.
    pub fn open(mut file: R, logs: impl FnOnce() -> Vec<Vec<u8>>) -> io::Result<Self> {
        let mut head = [0; HEAD];
        file.rewind()?;
        file.read_exact(&mut head).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => malformed(),
            _ => error,
        })?;
        let is_sound = is_checked(&head);
        let (mut base, mut state, mut recovery) = (Base::of(&head), State::Clean, Recovery::default());
        if !is_sound || base.sequences.0 != base.sequences.1 {
            let first = pages::first_timestamp(&mut file);
            recovery = Recovery::of(logs(), &base, is_sound, first);
            state = if recovery.is_empty() { State::Dirty } else { State::Recovered };
            match recovery.base.take() {
                Some(saved) => base = saved,
                None if !head.starts_with(b"regf") => return Err(malformed()),
                None => {}
            }
        }
        // Versions before 1.3 are those of Windows NT 3 and have other cells.
        if base.version.0 != 1 || !(3..=6).contains(&base.version.1) {
            return Err(malformed());
        }
        let size = recovery.size.unwrap_or(base.size);
        let pages = RefCell::new(Pages::new(file, size, recovery));
        Ok(Self { pages, root: base.root, state })
    }

    /// How far its changes were written.
    pub fn state(&self) -> State {
        self.state
    }

    /// The key that holds all others.
    ///
    /// # Errors
    /// `InvalidData` if there is none; else what the reader says.
    pub fn root(&self) -> io::Result<Key<'_, R>> {
        Key::at(self, self.root)
    }

    /// The first `limit` bytes of an allocated cell, fewer if it is smaller.
    fn cell(&self, offset: u32, limit: usize) -> io::Result<Vec<u8>> {
        let mut pages = self.pages.borrow_mut();
        let mut size = [0; 4];
        pages.read(offset, &mut size)?;
        // The size is negative in cells that are in use, and counts its own four bytes.
        let size = i32::from_le_bytes(size);
        let length = if size < 0 { size.unsigned_abs().checked_sub(4) } else { None };
        let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(malformed)?;
        let length = length.min(limit);
        pages.spend(CELL + length)?;
        let mut data = vec![0; length];
        pages.read(offset.checked_add(4).ok_or_else(malformed)?, &mut data)?;
        Ok(data)
    }
}

/// What is needed of a base block.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Base {
    sequences: (u32, u32),
    written: u64,
    version: (u32, u32),
    file_type: u32,
    root: u32,
    size: u32,
}

impl Base {
    fn of(head: &[u8; HEAD]) -> Self {
        let word = |at| u32_at(head, at).unwrap_or_default();
        Self {
            sequences: (word(4), word(8)),
            written: u64::from(word(12)) | u64::from(word(16)) << 32,
            version: (word(20), word(24)),
            file_type: word(28),
            root: word(36),
            size: word(40),
        }
    }
}

/// Whether a base block is one and is undamaged: XOR of all words before the checksum.
fn is_checked(head: &[u8; HEAD]) -> bool {
    let (words, _) = head.as_chunks();
    let (Some((checksum, words)), true) = (words.split_last(), head.starts_with(b"regf")) else {
        return false;
    };
    let sum = words.iter().fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
    let expected = match sum {
        u32::MAX => u32::MAX - 1,
        0 => 1,
        sum => sum,
    };
    u32::from_le_bytes(*checksum) == expected
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
