//! Records of Alpine's and Debian's lists, and what is taken from each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::apk_installed::Package;
use offchannel_agent::scan::formats::stanzas::{Longer, for_each_stanza};

fuzz_target!(|bytes: &[u8]| {
    let _ = for_each_stanza(&mut &*bytes, 1 << 20, Longer::IsCut, |block| {
        let _ = Package::parse(block);
    });
});
