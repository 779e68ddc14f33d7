//! AppStream files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::appstream::Component;

fuzz_target!(|bytes: &[u8]| {
    let _ = Component::parse(bytes);
});
