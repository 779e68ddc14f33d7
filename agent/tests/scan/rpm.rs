//! Databases of rpm that are whole, half written, damaged, or made to mislead.

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use crate::support::{fixture, health, identifiers, scan, tree, write_bytes};
use offchannel_agent::scan::formats::sqlite::Database;
use offchannel_agent::scan::formats::sqlite_wal::Wal;
use offchannel_agent::scan::formats::{rpm_bdb, rpm_header, rpm_ndb};
use offchannel_shared::catalogue::Catalogue;

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

#[test]
fn a_log_counts_up_to_its_last_commit() {
    let database = fs::read(fixture("linux-rpm/usr/lib/sysimage/rpm/rpmdb.sqlite")).unwrap();
    let log = fs::read(fixture("../rpm/rpmdb.sqlite-wal")).unwrap();
    let tree = tree();
    let found = |log: &[u8]| {
        write_bytes(tree.path(), "var/lib/rpm/rpmdb.sqlite", &database);
        write_bytes(tree.path(), "var/lib/rpm/rpmdb.sqlite-wal", log);
        let scan = scan(tree.path(), &Catalogue::built_in());
        assert_eq!(health(&scan, "rpm"), "ok");
        identifiers(&scan).join(" ")
    };
    let (all, without_hexchat) = ("hexchat pidgin telegram-desktop zoom", "pidgin telegram-desktop zoom");
    assert_eq!(found(&[]), all);
    assert_eq!(found(&log), "pidgin telegram-desktop");
    // Half a frame at the end, and a frame whose content is not what was written: the first removal stands.
    assert_eq!(found(&log[..log.len() - 1]), without_hexchat);
    let mut damaged = log.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(found(&damaged), without_hexchat);
    // Another round of the log, by its salt, and a header that does not agree with itself.
    for at in [32 + 8, 24] {
        let mut damaged = log.clone();
        damaged[at] ^= 1;
        assert_eq!(found(&damaged), all, "byte {at}");
    }
    for end in 0..200 {
        assert_eq!(found(&log[..end]), all, "{end} bytes");
    }
}

#[test]
fn a_journal_means_that_pages_are_on_their_way() {
    let database = fs::read(fixture("linux-rpm/usr/lib/sysimage/rpm/rpmdb.sqlite")).unwrap();
    let tree = tree();
    write_bytes(tree.path(), "var/lib/rpm/rpmdb.sqlite", &database);
    write_bytes(tree.path(), "var/lib/rpm/rpmdb.sqlite-journal", b"\xd9\xd5\x05\xf9");
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!(identifiers(&found), [] as [&str; 0]);
    assert_eq!(health(&found, "rpm"), "partial: /var/lib/rpm: cannot be read");
    write_bytes(tree.path(), "var/lib/rpm/rpmdb.sqlite-journal", b"");
    assert_eq!(identifiers(&scan(tree.path(), &Catalogue::built_in())).len(), 4);
}

#[test]
fn what_is_no_database_is_said() {
    for name in ["rpmdb.sqlite", "Packages.db", "Packages"] {
        for content in [b"".as_slice(), b"SQLite format 3\0", b"RpmP", &[0; 5000]] {
            let tree = tree();
            write_bytes(tree.path(), &format!("var/lib/rpm/{name}"), content);
            let scan = scan(tree.path(), &Catalogue::built_in());
            assert_eq!(health(&scan, "rpm"), "partial: /var/lib/rpm: a file is malformed", "{name}");
        }
    }
}

#[test]
fn the_format_that_rpm_prefers_counts() {
    let tree = tree();
    let copy = |from: &str, to: &str| write_bytes(tree.path(), to, &fs::read(fixture(from)).unwrap());
    copy("linux-rpm/usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite");
    write_bytes(tree.path(), "var/lib/rpm/Packages", b"left behind by a conversion");
    let found = scan(tree.path(), &Catalogue::built_in());
    assert_eq!((identifiers(&found).len(), health(&found, "rpm").as_str()), (4, "ok"));
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

/// A header with these tags: tag, type, offset, count.
fn header(tags: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
    let numbers = [tags.len(), data.len()].map(|number| u32::try_from(number).unwrap());
    let numbers = numbers.iter().chain(tags.iter().flatten());
    numbers.flat_map(|number| number.to_be_bytes()).chain(data.iter().copied()).collect()
}

fn name_of(bytes: &[u8]) -> io::Result<String> {
    let mut kept = Vec::new();
    let header = rpm_header::read(&mut &*bytes, bytes.len() as u64, &mut kept)?;
    Ok(format!("{} {:?}:{}-{}", header.name, header.epoch, header.version, header.release))
}

#[test]
fn a_header_is_what_its_tags_say() {
    let tags = [[1000, 6, 0, 1], [1001, 6, 2, 1], [1002, 6, 4, 1], [1003, 4, 6, 1], [1016, 9, 10, 2]];
    let data = b"n\0v\0r\0\0\0\0\x07g\0G\0";
    assert_eq!(name_of(&header(&tags, data)).unwrap(), "n Some(7):v-r");
    // rpm appends tags that it changed.
    let mut changed = tags.to_vec();
    changed.push([1000, 6, 12, 1]);
    assert_eq!(name_of(&header(&changed, data)).unwrap(), "G Some(7):v-r");
    for (index, value) in [(0, [1000, 4, 0, 1]), (0, [1000, 6, 14, 1]), (2, [1002, 6, u32::MAX, 1])] {
        let mut wrong = tags.to_vec();
        wrong[index] = value;
        assert_eq!(name_of(&header(&wrong, data)).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    for wrong in
        [&header(&tags, b"n\0v\0r\0\0\0\0\x07g\0G")[..], &header(&[], data), &header(&tags[1..], data)]
    {
        let _ = name_of(wrong);
    }
    assert!(name_of(&header(&tags[1..], data)).is_err(), "no name");
    assert!(name_of(&header(&tags, b"\0\0v\0r\0\0\0\0\x07g\0G\0")).is_err(), "an empty name");
}

#[test]
fn a_header_with_a_million_tags_or_endless_texts_is_not_read() {
    let many = header(&vec![[1000, 6, 0, 1]; 1_000_000], b"n\0");
    assert_eq!(name_of(&many).unwrap_err().kind(), io::ErrorKind::InvalidData);
    let mut data = b"n\0v\0r\0".to_vec();
    data.resize(4 << 20, b'x');
    let tags = [[1000, 6, 0, 1], [1001, 6, 2, 1], [1002, 6, 4, 1], [1011, 6, 6, 1]];
    assert_eq!(name_of(&header(&tags, &data)).unwrap(), "n None:v-r", "a vendor without an end is none");
    let far = [[1000, 6, 0, 1], [1001, 6, 2, 1], [1002, 6, 3 << 20, 1]];
    assert_eq!(name_of(&header(&far, &data)).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn a_database_that_changes_under_the_reader_is_read_again() {
    let tree = tree();
    let path = tree.path().join("var/lib/rpm/Packages");
    let bdb = fs::read(fixture("linux-rpm-bdb/var/lib/rpm/Packages")).unwrap();
    write_bytes(tree.path(), "var/lib/rpm/Packages", &bdb);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Pages go and come one by one.
            while !stop.load(Ordering::Relaxed) {
                let mut file = fs::File::options().write(true).open(&path).unwrap();
                for page in bdb.chunks(4096) {
                    file.write_all(&vec![0; page.len()]).unwrap();
                }
                file.seek(SeekFrom::Start(0)).unwrap();
                for page in bdb.chunks(4096) {
                    file.write_all(page).unwrap();
                }
            }
        });
        for _ in 0..200 {
            let found = scan(tree.path(), &Catalogue::built_in());
            let names = identifiers(&found).len();
            assert!(names == 4 || health(&found, "rpm") != "ok", "{names} of 4, and nothing is said");
        }
        stop.store(true, Ordering::Relaxed);
    });
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
            let _ = (name_of(&bytes), Wal::read(Cursor::new(&bytes)).is_ok());
        }
    }

    #[test]
    fn headers_are_read_back(name in "[a-z][a-z0-9+.-]{0,40}", version in "[0-9][0-9.~^]{0,20}", epoch: u32, noise: Vec<[u32; 4]>) {
        let data = [name.as_bytes(), b"\0", version.as_bytes(), b"\0", &epoch.to_be_bytes()].concat();
        let offsets = [0, name.len() + 1, data.len() - 4].map(|at| u32::try_from(at).unwrap());
        let mut tags: Vec<_> = noise.into_iter().filter(|tag| !(1000..1017).contains(&tag[0])).collect();
        tags.extend([[1000, 6, offsets[0], 1], [1001, 6, offsets[1], 1], [1002, 6, offsets[1], 1], [1003, 4, offsets[2], 1]]);
        let read = name_of(&header(&tags, &data)).unwrap();
        prop_assert_eq!(read, format!("{name} Some({epoch}):{version}-{version}"));
    }
}
