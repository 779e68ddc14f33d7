//! Shell links of Windows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::shell_link::ShellLink;

fuzz_target!(|bytes: &[u8]| {
    let _ = ShellLink::parse(bytes);
});
