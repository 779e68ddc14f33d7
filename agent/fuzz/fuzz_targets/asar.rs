//! Archives of Electron, and what a package says of itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

use offchannel_agent::scan::formats::asar::read_file;
use offchannel_agent::scan::formats::electron::Package;

fuzz_target!(|bytes: &[u8]| {
    let json = read_file(&mut Cursor::new(bytes), "package.json", 64 * 1024);
    assert!(json.as_ref().is_ok_and(|json| json.as_ref().is_none_or(|json| json.len() <= 64 * 1024)) || json.is_err());
    let package = match &json {
        Ok(Some(json)) => Package::parse(json),
        _ => Package::parse(bytes),
    };
    let _ = package.map(|package| package.is_of("signal-desktop"));
});
