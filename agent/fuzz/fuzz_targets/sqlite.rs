//! SQLite databases: the first four bytes say how much of the input is the database, the rest is its log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Read as _};

use offchannel_agent::scan::formats::sqlite::Database;
use offchannel_agent::scan::formats::sqlite_wal::Wal;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, rest)) = bytes.split_first_chunk::<4>() else { return };
    let cut = u32::from_le_bytes(*cut) as usize;
    let (file, log) = rest.split_at(cut.min(rest.len()));
    let wal = Wal::read(Cursor::new(log)).ok().flatten();
    let Ok(mut database) = Database::open(Cursor::new(file), wal) else { return };
    let Ok(Some(root)) = database.table("Packages") else { return };
    let _ = database.for_each_row(root, &mut |row| {
        let _ = (row.integer(0), row.bytes(0));
        if let Some((length, mut blob)) = row.blob(1) {
            let mut start = Vec::new();
            let _ = blob.by_ref().take(length.min(1 << 16)).read_to_end(&mut start);
        }
    });
});
