//! A package's header in rpm's database.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::rpm_header::read;

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = Vec::new();
    let _ = read(&mut &*bytes, bytes.len() as u64, &mut buffer);
});
