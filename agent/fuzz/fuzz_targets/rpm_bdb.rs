//! rpm's database in the format bdb, and the headers in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

use offchannel_agent::scan::formats::{rpm_header, rpm_bdb};

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = Vec::new();
    let _ = rpm_bdb::for_each_blob(Cursor::new(bytes), &mut |length, blob| {
        let _ = rpm_header::read(blob, length, &mut buffer);
    });
});
