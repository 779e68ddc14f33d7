//! The write-ahead log beside an SQLite database: pages that are newer than those of the file
//! (<https://sqlite.org/fileformat2.html>, "The Write-Ahead Log"). All its numbers have the highest byte first.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::pages::{be32, read_at};

/// The magic number; one more if checksums are made of numbers with the highest byte first.
const MAGIC: u32 = 0x377f_0682;

/// The only version of the format.
const VERSION: u32 = 3_007_000;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The committed pages of a log.
#[derive(Debug)]
pub struct Wal<F> {
    file: F,
    page_size: usize,
    /// Where the newest content of each page stands.
    newest: BTreeMap<u32, u64>,
    /// How many pages the database has after the last commit.
    pages: u32,
}

/// The running checksum of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checksum {
    big: bool,
    sums: (u32, u32),
}

impl Checksum {
    /// Takes pairs of numbers; a rest of less than eight bytes does not occur.
    fn add(&mut self, bytes: &[u8]) {
        let number = if self.big { u32::from_be_bytes } else { u32::from_le_bytes };
        let (mut first, mut second) = self.sums;
        for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
            let [a, b] = pair.map(number);
            first = first.wrapping_add(a).wrapping_add(second);
            second = second.wrapping_add(b).wrapping_add(first);
        }
        self.sums = (first, second);
    }

    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        matches!((be32(bytes, at), be32(bytes, at + 4)), (Ok(a), Ok(b)) if (a, b) == self.sums)
    }
}

impl<F: Read + Seek> Wal<F> {
    /// Reads a log up to its last commit. `None` if there is nothing of use in it: an empty log stays after
    /// every use of a database, and what follows the last commit, or is of an earlier round, does not count.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(mut file: F) -> io::Result<Option<Self>> {
        let size = file.seek(SeekFrom::End(0))?;
        let mut header = [0; HEADER];
        if size < HEADER as u64 {
            return Ok(None);
        }
        read_at(&mut file, 0, &mut header)?;
        let Some((page_size, mut checksum)) = start(&header) else { return Ok(None) };
        let mut wal = Self { file, page_size, newest: BTreeMap::new(), pages: 0 };
        let mut frame = vec![0; FRAME_HEADER + page_size];
        let (mut pending, mut at) = (Vec::new(), HEADER as u64);
        while size.saturating_sub(at) >= frame.len() as u64 {
            read_at(&mut wal.file, at, &mut frame)?;
            let (head, content) = frame.split_at(FRAME_HEADER);
            let (page, pages) = (be32(head, 0)?, be32(head, 4)?);
            checksum.add(head.get(..8).unwrap_or_default());
            checksum.add(content);
            // The salts are those of this round of the log.
            if page == 0 || head.get(8..16) != header.get(16..24) || !checksum.is_at(head, 16) {
                break;
            }
            pending.push((page, at + FRAME_HEADER as u64));
            if pages != 0 {
                wal.pages = pages;
                wal.newest.extend(pending.drain(..));
            }
            at += frame.len() as u64;
        }
        Ok((wal.pages != 0).then_some(wal))
    }

    /// How large pages are.
    pub fn page_size(&self) -> usize {
        self.page_size
    }

    /// How many pages the database has.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// How many of them are in the log.
    pub fn count(&self) -> usize {
        self.newest.len()
    }

    /// Reads a page if it is in the log.
    ///
    /// # Errors
    /// What the system says.
    pub fn page(&mut self, number: u32, into: &mut [u8]) -> io::Result<bool> {
        match self.newest.get(&number) {
            Some(at) => read_at(&mut self.file, *at, into).map(|()| true),
            None => Ok(false),
        }
    }
}

/// The page size, and the checksum with which the frames go on. `None` if this starts no log.
fn start(header: &[u8]) -> Option<(usize, Checksum)> {
    let (magic, version, page_size) =
        (be32(header, 0).ok()?, be32(header, 4).ok()?, be32(header, 8).ok()? as usize);
    let mut checksum = Checksum { big: magic == MAGIC + 1, sums: (0, 0) };
    checksum.add(header.get(..24)?);
    let right = (magic == MAGIC || magic == MAGIC + 1) && version == VERSION && checksum.is_at(header, 24);
    let size = page_size.is_power_of_two() && (512..=65_536).contains(&page_size);
    (right && size).then_some((page_size, checksum))
}
