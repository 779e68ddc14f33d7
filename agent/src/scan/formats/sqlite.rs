//! The rows of a table of an SQLite 3 database, read page by page without SQLite
//! (<https://sqlite.org/fileformat2.html>). All its numbers have the highest byte first.
//!
//! Only what it takes to walk a table is here: no index, no lock, no journal. Who calls this has to find out
//! whether the files changed meanwhile.

use std::io::{self, Read, Seek, SeekFrom};

use super::pages::{be16, be32, malformed, read_at};
use super::sqlite_wal::Wal;

/// Deepest tree; SQLite has the same limit (`BTCURSOR_MAX_DEPTH`).
const DEPTH_MAX: usize = 20;

/// The header of the database, in front of the first page's tree.
const HEADER: usize = 100;

/// The root of the table that lists all tables.
const SCHEMA: u32 = 1;

/// A database, with the log beside it.
#[derive(Debug)]
pub struct Database<F> {
    file: F,
    wal: Option<Wal<F>>,
    page_size: usize,
    /// What of a page may be used; the rest is reserved for extensions.
    usable: usize,
    pages: u32,
    /// How many more pages may be read. In a sound database no page is read twice.
    left: u32,
}

/// One row. Only what stands on the row's own page is at hand at once.
#[expect(missing_debug_implementations, reason = "a reader has nothing to show")]
pub struct Row<'a> {
    local: &'a [u8],
    rest: &'a mut dyn Read,
}

impl<F: Read + Seek> Database<F> {
    /// Opens a database.
    ///
    /// # Errors
    /// `InvalidData` if it is none; else what the system says.
    pub fn open(mut file: F, wal: Option<Wal<F>>) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        let mut header = [0; HEADER];
        read_at(&mut file, 0, &mut header)?;
        // 65536 does not fit and is written as 1.
        let page_size = match be16(&header, 16)? {
            1 => 65_536,
            size => usize::from(size),
        };
        let reserved = usize::from(*header.get(20).unwrap_or(&0));
        let usable = page_size.saturating_sub(reserved);
        let fits = wal.as_ref().is_none_or(|wal| wal.page_size() == page_size);
        if !header.starts_with(b"SQLite format 3\0")
            || !page_size.is_power_of_two()
            || page_size < 512
            || usable < 480
            || !fits
        {
            return Err(malformed());
        }
        let in_file = u32::try_from(size / page_size as u64).map_err(|_| malformed())?;
        let in_log = wal.as_ref().map_or(0, Wal::count);
        let left = in_file.saturating_add(u32::try_from(in_log).unwrap_or(u32::MAX));
        let pages = wal.as_ref().map_or(in_file, Wal::pages);
        Ok(Self { file, wal, page_size, usable, pages, left })
    }

    /// The root page of a table, by its exact name. `None` if there is no such table.
    ///
    /// # Errors
    /// `InvalidData` if the database is malformed; else what the system says.
    pub fn table(&mut self, name: &str) -> io::Result<Option<u32>> {
        let mut root = None;
        self.for_each_row(SCHEMA, &mut |row| {
            // type, name, tbl_name, rootpage, sql
            if row.bytes(0) == Some(b"table") && row.bytes(1) == Some(name.as_bytes()) {
                root = row.integer(3).and_then(|root| u32::try_from(root).ok());
            }
        })?;
        Ok(root)
    }

    /// Calls `each` for every row of the table with this root page, in the order of keys.
    ///
    /// # Errors
    /// `InvalidData` if the database is malformed; else what the system says. Rows before that are told.
    pub fn for_each_row(&mut self, root: u32, each: &mut dyn FnMut(Row<'_>)) -> io::Result<()> {
        let (mut page, mut spare) = (vec![0; self.page_size], vec![0; self.page_size]);
        let mut to_do = vec![(root, 0)];
        while let Some((number, depth)) = to_do.pop() {
            self.read(number, &mut page)?;
            let start = if number == 1 { HEADER } else { 0 };
            let cells = usize::from(be16(&page, start + 3)?);
            match page.get(start) {
                Some(5) if depth < DEPTH_MAX => {
                    to_do.push((be32(&page, start + 8)?, depth + 1));
                    for cell in (0..cells).rev() {
                        let at = usize::from(be16(&page, start + 12 + 2 * cell)?);
                        to_do.push((be32(&page, at)?, depth + 1));
                    }
                }
                Some(13) => {
                    // Cells that overlap would be more work than there are bytes.
                    let mut room = self.usable;
                    for cell in 0..cells {
                        let at = usize::from(be16(&page, start + 8 + 2 * cell)?);
                        let cell = page.get(at..self.usable).ok_or_else(malformed)?;
                        let taken = self.tell(cell, &mut spare, each)?;
                        room = room.checked_sub(taken).ok_or_else(malformed)?;
                    }
                }
                _ => return Err(malformed()),
            }
        }
        Ok(())
    }

    /// Tells of the row in a cell, and answers how long the cell is.
    fn tell(&mut self, cell: &[u8], spare: &mut [u8], each: &mut dyn FnMut(Row<'_>)) -> io::Result<usize> {
        let (length, count) = varint(cell).ok_or_else(malformed)?;
        let (_, key) = cell.get(count..).and_then(varint).ok_or_else(malformed)?;
        let (start, local) = (count + key, local_length(length, self.usable));
        let content = cell.get(start..start + local).ok_or_else(malformed)?;
        let left = length - local as u64;
        let next = if left == 0 { 0 } else { be32(cell, start + local)? };
        let mut rest = Overflow { database: self, page: spare, at: 0, end: 0, next, left };
        each(Row { local: content, rest: &mut rest });
        Ok(start + local + if next == 0 { 0 } else { 4 })
    }

    fn read(&mut self, number: u32, into: &mut [u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(malformed)?;
        if number == 0 || number > self.pages {
            return Err(malformed());
        }
        if let Some(wal) = &mut self.wal
            && wal.page(number, into)?
        {
            return Ok(());
        }
        read_at(&mut self.file, u64::from(number - 1) * self.page_size as u64, into)
    }
}

/// What of a row does not fit into its page: a chain of pages, each with the number of the next one.
struct Overflow<'a, F> {
    database: &'a mut Database<F>,
    page: &'a mut [u8],
    at: usize,
    end: usize,
    next: u32,
    left: u64,
}

impl<F: Read + Seek> Read for Overflow<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end && self.left > 0 {
            self.database.read(self.next, self.page)?;
            self.next = be32(self.page, 0)?;
            let here = self.left.min(self.database.usable as u64 - 4);
            self.left -= here;
            (self.at, self.end) = (4, 4 + usize::try_from(here).map_err(|_| malformed())?);
        }
        let count = self.page.get(self.at..self.end).ok_or_else(malformed)?.read(into)?;
        self.at += count;
        Ok(count)
    }
}

impl<'a> Row<'a> {
    /// An integer, if the column holds one that stands on the row's page. The column of an
    /// `INTEGER PRIMARY KEY` does not: it is the key.
    pub fn integer(&self, column: usize) -> Option<i64> {
        let (kind, start, length) = self.column(column)?;
        let start = usize::try_from(start).ok()?;
        let bytes = self.local.get(start..start.checked_add(usize::try_from(length).ok()?)?)?;
        let first = if bytes.first()? & 0x80 == 0 { 0 } else { -1 };
        let value = bytes.iter().fold(first, |value: i64, byte| value << 8 | i64::from(*byte));
        (1..=6).contains(&kind).then_some(value)
    }

    /// The bytes of a text or a blob, if all of it stands on the row's page.
    pub fn bytes(&self, column: usize) -> Option<&'a [u8]> {
        let (kind, start, length) = self.column(column)?;
        let start = usize::try_from(start).ok()?;
        let bytes = self.local.get(start..start.checked_add(usize::try_from(length).ok()?)?)?;
        (kind >= 12).then_some(bytes)
    }

    /// How long a blob is, and its bytes, which begin on the row's page.
    pub fn blob(self, column: usize) -> Option<(u64, impl Read + use<'a>)> {
        let (kind, start, length) = self.column(column)?;
        let local = self.local.get(usize::try_from(start).ok()?..)?;
        let is_blob = kind >= 12 && kind % 2 == 0;
        is_blob.then(|| (length, local.chain(self.rest).take(length)))
    }

    /// The type of a column, where it begins and how long it is: a header says so of all of them.
    fn column(&self, column: usize) -> Option<(u64, u64, u64)> {
        let (size, mut at) = varint(self.local)?;
        let header = self.local.get(..usize::try_from(size).ok()?)?;
        let mut start = size;
        for n in 0.. {
            let (kind, count) = varint(header.get(at..)?)?;
            at += count;
            let length = match kind {
                1..=4 => kind,
                5 => 6,
                6 | 7 => 8,
                12.. => (kind - 12) / 2,
                _ => 0,
            };
            if n == column {
                return Some((kind, start, length));
            }
            start = start.checked_add(length)?;
        }
        None
    }
}

/// A number of one to nine bytes, and how many they are: seven bits each, the highest ones first, and all
/// eight of the ninth.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    Some((value << 8 | u64::from(*bytes.get(8)?), 9))
}

/// How much of a row of this length stands on its own page ("B-tree Cell Format").
fn local_length(length: u64, usable: usize) -> usize {
    let largest = usable - 35;
    let smallest = (usable - 12) * 32 / 255 - 23;
    match usize::try_from(length) {
        Ok(length) if length <= largest => length,
        _ => {
            let best = smallest as u64 + (length - smallest as u64) % (usable as u64 - 4);
            if best <= largest as u64 { best as usize } else { smallest }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_one_to_nine_bytes() {
        assert_eq!(varint(&[0x7f, 0xff]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0xff; 8]), None);
        assert_eq!(varint(&[]), None);
    }

    #[test]
    fn a_row_is_what_its_header_says() {
        // NULL, -2 in one byte, 258 in two, a text, and a blob that goes on elsewhere.
        let local = b"\x06\0\x01\x02\x0f\x10\xfe\x01\x02xb";
        let mut rest = b"lob and no more".as_slice();
        let row = Row { local, rest: &mut rest };
        assert_eq!([0, 1, 2, 3, 5].map(|n| row.integer(n)), [None, Some(-2), Some(258), None, None]);
        assert_eq!(row.bytes(3), Some(b"x".as_slice()));
        assert_eq!(row.bytes(4), None, "only its beginning is here");
        let mut bytes = Vec::new();
        let (length, mut blob) = row.blob(4).unwrap();
        blob.read_to_end(&mut bytes).unwrap();
        assert_eq!((length, bytes.as_slice()), (2, b"bl".as_slice()));
    }

    proptest! {
        #[test]
        fn any_row_is_read_without_panic(local: Vec<u8>, column in 0_usize..9) {
            let row = Row { local: &local, rest: &mut io::empty() };
            let _ = (row.integer(column), row.bytes(column));
            let _ = row.blob(column).map(|(_, mut blob)| blob.read(&mut [0; 9]));
        }

        #[test]
        fn what_stands_on_a_row_s_own_page_fits_there(length: u64, usable in 480_usize..=65_536) {
            let local = local_length(length, usable);
            prop_assert!(local <= usable - 35 && local as u64 <= length);
        }
    }
}
