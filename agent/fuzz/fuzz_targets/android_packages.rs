//! Android's list of packages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::android_packages::names;

fuzz_target!(|bytes: &[u8]| {
    let _ = names(bytes).count();
});
