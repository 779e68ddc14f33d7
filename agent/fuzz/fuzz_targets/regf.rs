//! Registry hives: the first four bytes say how much of the input is the hive, the rest are its two logs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

use offchannel_agent::scan::formats::regf::Hive;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, rest)) = bytes.split_first_chunk::<4>() else { return };
    let cut = u32::from_le_bytes(*cut) as usize;
    let (hive, logs) = rest.split_at(cut.min(rest.len()));
    let (one, two) = logs.split_at(logs.len() / 2);
    let Ok(hive) = Hive::open(Cursor::new(hive), || vec![one.to_vec(), two.to_vec()]) else { return };
    let Ok(root) = hive.root() else { return };
    let _ = root.name();
    let _ = root.value("DisplayName");
    let _ = root.subkey(r"Software\Microsoft\Windows\CurrentVersion\Uninstall");
    root.each_subkey(1000, &mut |key| {
        let Ok((_, key)) = key else { return };
        let _ = (key.name(), key.value(""), key.value("DisplayName"));
        key.each_subkey(100, &mut |_| {});
    });
});
