//! The blobs of rpm's database in the format of Berkeley DB, `Packages`: a hash table from the number of a
//! package to its header (`src/dbinc/db_page.h` of Berkeley DB, and `lib/backend/bdb_ro.cc` of rpm, which
//! reads it the same way). Numbers are in the order of the machine that wrote it; the magic number tells.

use std::io::{self, Read, Seek, SeekFrom};

use super::pages::{array, malformed, read_at};

/// `DB_HASHMAGIC`.
const MAGIC: u32 = 0x0006_1561;

/// Where the content of a page begins (`SIZEOF_PAGE`).
const START: usize = 26;

/// How much of the first page is described: `struct _hashmeta33`, as far as it is wanted.
const META: usize = 224;

/// Kinds of pages: a bucket, unsorted or sorted, and a piece of something large.
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;

/// Kinds of items: bytes, or a reference to a chain of pages.
const KEY_DATA: u8 = 1;
const OFF_PAGE: u8 = 3;

/// Pages of a database, in the order of the machine that wrote it.
struct Pages<F> {
    file: F,
    big: bool,
    size: usize,
    /// How many more pages may be read. In a sound database no page is read twice.
    left: u64,
}

impl<F: Read + Seek> Pages<F> {
    fn u32(&self, bytes: &[u8], at: usize) -> io::Result<u32> {
        array(bytes, at).map(if self.big { u32::from_be_bytes } else { u32::from_le_bytes })
    }

    fn u16(&self, bytes: &[u8], at: usize) -> io::Result<usize> {
        let number = if self.big { u16::from_be_bytes } else { u16::from_le_bytes };
        array(bytes, at).map(number).map(usize::from)
    }

    /// Reads a page, which says its own number, and answers of what kind it is.
    fn read(&mut self, number: u32, into: &mut [u8]) -> io::Result<u8> {
        self.left = self.left.checked_sub(1).ok_or_else(malformed)?;
        read_at(&mut self.file, u64::from(number) * self.size as u64, into)?;
        if number == 0 || self.u32(into, 8)? != number {
            return Err(malformed());
        }
        into.get(25).copied().ok_or_else(malformed)
    }
}

/// Calls `each` with the length and the bytes of every blob. The one of number 0 is none: rpm keeps the last
/// number that it gave there.
///
/// # Errors
/// `InvalidData` if the database is malformed; else what the system says. Blobs before that are told.
pub fn for_each_blob(mut file: impl Read + Seek, each: &mut dyn FnMut(u64, &mut dyn Read)) -> io::Result<()> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let mut meta = [0; META];
    read_at(&mut file, 0, &mut meta)?;
    let big = array(&meta, 12).map(u32::from_be_bytes)? == MAGIC;
    let mut pages = Pages { file, big, size: 0, left: 0 };
    let (magic, version) = (pages.u32(&meta, 12)?, pages.u32(&meta, 16)?);
    pages.size = pages.u32(&meta, 20)? as usize;
    let right = magic == MAGIC && (8..=10).contains(&version);
    if !right || !pages.size.is_power_of_two() || !(512..=65_536).contains(&pages.size) {
        return Err(malformed());
    }
    pages.left = bytes / pages.size as u64;
    let (mut page, mut spare) = (vec![0; pages.size], vec![0; pages.size]);
    for bucket in 0..=pages.u32(&meta, 72)? {
        // The table grows by doubling; where each doubling's pages begin is noted.
        let doubling = (u32::BITS - bucket.leading_zeros()) as usize;
        if doubling >= 32 {
            return Err(malformed());
        }
        let first = pages.u32(&meta, 96 + 4 * doubling)?;
        let mut number = bucket.checked_add(first).ok_or_else(malformed)?;
        while number != 0 {
            if !matches!(pages.read(number, &mut page)?, HASH_UNSORTED | HASH) {
                return Err(malformed());
            }
            tell(&mut pages, &page, &mut spare, each)?;
            number = pages.u32(&page, 16)?;
        }
    }
    Ok(())
}

/// Tells of all blobs of a page: keys and values in turn, from the page's end to its beginning.
fn tell<F: Read + Seek>(
    pages: &mut Pages<F>,
    page: &[u8],
    spare: &mut [u8],
    each: &mut dyn FnMut(u64, &mut dyn Read),
) -> io::Result<()> {
    let (count, mut end) = (pages.u16(page, 20)?, page.len());
    let mut is_package = false;
    for index in 0..count {
        let at = pages.u16(page, START + 2 * index)?;
        // Nothing overlaps, so there is no more work than there are bytes.
        let item = page.get(at..end).filter(|_| at >= START + 2 * count).ok_or_else(malformed)?;
        end = at;
        let (kind, content) = item.split_first().ok_or_else(malformed)?;
        match (index % 2, *kind) {
            (0, KEY_DATA) if content.len() == 4 => is_package = content != [0; 4],
            (1, KEY_DATA) if is_package => each(content.len() as u64, &mut &*content),
            (1, OFF_PAGE) if is_package && item.len() == 12 => {
                let (next, length) = (pages.u32(item, 4)?, pages.u32(item, 8)?);
                let mut chain = Chain { pages, page: spare, at: 0, end: 0, next, left: length as usize };
                each(u64::from(length), &mut chain);
            }
            (1, KEY_DATA | OFF_PAGE) if !is_package => {}
            _ => return Err(malformed()),
        }
    }
    Ok(())
}

/// Something large: a chain of pages, each with the number of the next one.
struct Chain<'a, F> {
    pages: &'a mut Pages<F>,
    page: &'a mut [u8],
    at: usize,
    end: usize,
    next: u32,
    left: usize,
}

impl<F: Read + Seek> Read for Chain<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end && self.left > 0 {
            let kind = self.pages.read(self.next, self.page)?;
            let count = self.pages.u16(self.page, 22)?;
            if kind != OVERFLOW || count == 0 || count > self.left {
                return Err(malformed());
            }
            self.next = self.pages.u32(self.page, 16)?;
            self.left -= count;
            (self.at, self.end) = (START, START + count);
        }
        let count = self.page.get(self.at..self.end).ok_or_else(malformed)?.read(into)?;
        self.at += count;
        Ok(count)
    }
}
