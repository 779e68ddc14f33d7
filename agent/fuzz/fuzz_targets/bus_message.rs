//! Messages of D-Bus.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::platform::bus_message::{parse, whole_length};

fuzz_target!(|bytes: &[u8]| {
    let _ = whole_length(bytes);
    if let Ok(message) = parse(bytes) {
        let _ = (message.number().is_ok(), message.text().is_some(), message.texts().is_ok());
    }
});
