//! The formats of rpm's databases: whole ones, damaged ones, and ones that are made to mislead.

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use proptest::prelude::*;

use crate::support::fixture;
use offchannel_agent::scan::formats::sqlite::Database;
use offchannel_agent::scan::formats::sqlite_wal::Wal;
use offchannel_agent::scan::formats::{rpm_bdb, rpm_header, rpm_ndb};

/// The packages of every database here, and the key.
const NAMES: [&str; 8] = [
    "acme-chat",
    "gpg-pubkey",
    "hexchat",
    "libsignal",
    "pidgin",
    "pidgin-branding",
    "telegram-desktop",
    "zoom",
];

#[derive(Debug, Clone, Copy)]
enum Format {
    Sqlite,
    Ndb,
    Bdb,
}

/// A database for each format and each way of laying it out.
fn databases() -> [(Format, Vec<u8>); 5] {
    [
        (Format::Sqlite, "linux-rpm/usr/lib/sysimage/rpm/rpmdb.sqlite"),
        (Format::Sqlite, "../rpm/small.sqlite"),
        (Format::Ndb, "linux-rpm-ndb/usr/lib/sysimage/rpm/Packages.db"),
        (Format::Bdb, "linux-rpm-bdb/var/lib/rpm/Packages"),
        (Format::Bdb, "../rpm/Packages-big-endian"),
    ]
    .map(|(format, path)| (format, fs::read(fixture(path)).unwrap()))
}

/// A file that counts what is read of it.
#[derive(Debug)]
struct Counted<'a> {
    file: Cursor<&'a [u8]>,
    bytes: &'a mut u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(into)?;
        *self.bytes += count as u64;
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The names of all packages, sorted, and the first error. Fails if more was read than a sound file has.
fn names(format: Format, bytes: &[u8]) -> (Vec<String>, io::Result<()>) {
    let (mut names, mut header, mut read, mut wrong) = (Vec::new(), Vec::new(), 0, None);
    let file = Counted { file: Cursor::new(bytes), bytes: &mut read };
    let mut add = |length, blob: &mut dyn Read| match rpm_header::read(blob, length, &mut header) {
        Ok(header) => names.push(header.name.to_owned()),
        Err(error) => wrong = Some(error),
    };
    let result = match format {
        Format::Ndb => rpm_ndb::for_each_blob(file, &mut add),
        Format::Bdb => rpm_bdb::for_each_blob(file, &mut add),
        Format::Sqlite => Database::open(file, None).and_then(|mut database| {
            let root = database.table("Packages")?.ok_or(io::ErrorKind::InvalidData)?;
            database.for_each_row(root, &mut |row| match row.blob(1) {
                Some((length, mut blob)) => add(length, &mut blob),
                None => add(0, &mut io::empty()),
            })
        }),
    };
    // Every page once, and what the format says of itself at its beginning twice.
    assert!(read <= bytes.len() as u64 + 8192, "{read} bytes were read of {}", bytes.len());
    names.sort();
    (names, result.and(wrong.map_or(Ok(()), Err)))
}

#[test]
fn all_packages_of_all_formats_are_read() {
    for (format, bytes) in databases() {
        let (names, result) = names(format, &bytes);
        result.unwrap();
        assert_eq!(names, NAMES, "{format:?}");
    }
}

#[test]
fn a_database_that_ends_early_is_malformed_and_shows_nothing_that_was_not_there() {
    for (format, bytes) in databases() {
        // At every byte of small files, and at so many of larger ones: it is the same there.
        let step = if bytes.len() < 30_000 { 1 } else { bytes.len() / 4000 };
        for end in (0..bytes.len()).filter(|end| end % step == 0 || *end < 200) {
            let (names, result) = names(format, &bytes[..end]);
            let known = names.iter().all(|name| NAMES.contains(&name.as_str()));
            assert!(known, "{format:?} up to {end}: {names:?}");
            let whole =
                names == NAMES || result.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData);
            assert!(whole, "{format:?} up to {end}: {names:?}, and nothing is said");
        }
    }
}

/// Writes a number of four bytes.
fn put(bytes: &mut [u8], at: usize, number: u32, big: bool) {
    let number = if big { number.to_be_bytes() } else { number.to_le_bytes() };
    bytes[at..at + 4].copy_from_slice(&number);
}

#[test]
fn pages_that_lead_in_a_circle_or_nowhere_end() {
    let [_, (_, small), (_, ndb), (_, bdb), _] = databases();
    // The root of `Packages` is page 2 with children of its own: make it its own child, and page 9,000.
    assert_eq!(small[512], 5, "an interior page");
    for page in [2, 1, 0, 9000, u32::MAX] {
        let mut bytes = small.clone();
        put(&mut bytes, 512 + 8, page, true);
        assert_eq!(names(Format::Sqlite, &bytes).1.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    // Every page that is no tree becomes the next one of its own chain.
    let mut bytes = small.clone();
    for page in 2..bytes.len() / 512 {
        if !matches!(bytes[page * 512], 2 | 5 | 10 | 13) {
            put(&mut bytes, page * 512, u32::try_from(page + 1).unwrap(), true);
        }
    }
    assert!(names(Format::Sqlite, &bytes).0.len() < NAMES.len());
    // All slots point to the first blob.
    let mut bytes = ndb.clone();
    let first = bytes[32..48].to_vec();
    for slot in 2..256 {
        bytes[slot * 16..slot * 16 + 16].copy_from_slice(&first);
    }
    assert!(names(Format::Ndb, &bytes).1.is_err());
    // Every page of a bucket and of a chain is its own next one.
    let mut bytes = bdb.clone();
    for page in 1..bytes.len() / 4096 {
        put(&mut bytes, page * 4096 + 16, u32::try_from(page).unwrap(), false);
    }
    assert!(names(Format::Bdb, &bytes).1.is_err());
    for buckets in [1000, u32::MAX] {
        let mut bytes = bdb.clone();
        put(&mut bytes, 72, buckets, false);
        assert!(names(Format::Bdb, &bytes).1.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_databases_are_read_without_panic_and_without_end(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(),
        whole: bool,
    ) {
        for (format, mut bytes) in databases() {
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if !whole {
                bytes.truncate(cut.index(bytes.len()));
            }
            let _ = names(format, &bytes);
        }
        let mut log = fs::read(fixture("../rpm/rpmdb.sqlite-wal")).unwrap();
        let size = log.len();
        for (at, byte) in &damage {
            log[at.index(size)] = *byte;
        }
        let pages = Wal::read(Cursor::new(log)).unwrap().map_or(0, |wal| wal.count());
        prop_assert!(pages <= size / 4096);
    }

    #[test]
    fn a_damaged_beginning_is_read_without_panic_and_without_end(
        damage in prop::collection::vec((0_usize..4096, prop::sample::select(vec![0, 1, 2, 5, 13, 127, 128, 255])), 1..8),
    ) {
        for (format, mut bytes) in databases() {
            for (at, byte) in &damage {
                bytes[*at] = *byte;
            }
            let _ = names(format, &bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let start: [&[u8]; 3] = [b"", b"SQLite format 3\0\x02\0\x01\x01\0", b"RpmP\0\0\0\0\0\0\0\0\x01\0\0\0"];
        for start in start {
            let bytes = [start, &bytes].concat();
            for format in [Format::Sqlite, Format::Ndb, Format::Bdb] {
                let _ = names(format, &bytes);
            }
            let _ = Wal::read(Cursor::new(&bytes));
        }
    }
}
