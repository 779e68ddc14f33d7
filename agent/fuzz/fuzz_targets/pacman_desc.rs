//! Descriptions of pacman's packages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::pacman_desc::Package;

fuzz_target!(|bytes: &[u8]| {
    let _ = Package::parse(bytes);
});
