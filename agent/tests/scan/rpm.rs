//! Databases of rpm as they are on devices: with a log, half written, converted, changing.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{fixture, health, identifiers, scan, tree, write_bytes};
use offchannel_shared::catalogue::Catalogue;

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
fn pipes_and_files_over_the_limit_are_said_and_not_read() {
    let database = fs::read(fixture("linux-rpm/usr/lib/sysimage/rpm/rpmdb.sqlite")).unwrap();
    for (pipe, said) in [("rpmdb.sqlite", "malformed"), ("rpmdb.sqlite-wal", "malformed"), ("", "too large")]
    {
        let tree = tree();
        write_bytes(tree.path(), "var/lib/rpm/rpmdb.sqlite", &database);
        let dir = tree.path().join("var/lib/rpm");
        if pipe.is_empty() {
            let file = fs::File::options().write(true).open(dir.join("rpmdb.sqlite")).unwrap();
            file.set_len(3 << 30).unwrap();
        } else {
            let _ = fs::remove_file(dir.join(pipe));
            assert!(std::process::Command::new("mkfifo").arg(dir.join(pipe)).status().unwrap().success());
        }
        let found = scan(tree.path(), &Catalogue::built_in());
        assert_eq!(identifiers(&found), [] as [&str; 0], "{pipe}");
        assert!(health(&found, "rpm").ends_with(said), "{pipe}: {}", health(&found, "rpm"));
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
