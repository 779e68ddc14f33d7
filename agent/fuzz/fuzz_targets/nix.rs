//! Manifests of Nix profiles, and names of store objects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::nix;

fuzz_target!(|bytes: &[u8]| {
    nix::for_each_name(bytes, |name| {
        let _ = nix::name_and_version(name);
    });
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (nix::object(text), nix::name_and_version(text));
    }
});
