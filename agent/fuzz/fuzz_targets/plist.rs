//! Property lists, in XML and in binary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::plist::{entries, texts};

fuzz_target!(|bytes: &[u8]| {
    let _ = texts(bytes, &[&["CFBundleIdentifier"], &["CFBundleName"], &["Manifest", "start_url"], &["a", "b", "c", "d"]]);
    let _ = entries(bytes);
});
