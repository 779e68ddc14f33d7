//! Blocks of lines, in pieces of any size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::stanzas::{Longer, for_each_stanza};

fuzz_target!(|bytes: &[u8]| {
    let mut total = 0;
    let _ = for_each_stanza(&mut &*bytes, 256, Longer::IsAnError, |block| total += block.len());
    assert!(total <= bytes.len());
});
