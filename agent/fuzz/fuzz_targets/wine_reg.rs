//! Wine's text registry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offchannel_agent::scan::formats::wine_reg::Tree;

fuzz_target!(|bytes: &[u8]| {
    let wanted = [r"Software\Microsoft\Windows\CurrentVersion\Uninstall"];
    let Ok(tree) = Tree::read(bytes, &wanted) else { return };
    let Some(key) = tree.root().subkey(wanted[0]) else { return };
    key.each_subkey(1000, &mut |_, key| {
        let _ = key.value("DisplayName");
    });
});
