//! Every small file that a source reads, through the scan itself: the first byte says which file the rest is.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use offchannel_agent::clock::Clock;
use offchannel_agent::scan::host::Host;
use offchannel_agent::scan::scanner::Scanner;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::Platform;

/// The files, below a root of each platform.
const PLACES: &[(Platform, &str)] = &[
    (Platform::Linux, "etc/passwd"),
    (Platform::Linux, "etc/os-release"),
    (Platform::Linux, "etc/flatpak/installations.d/x.conf"),
    (Platform::Linux, "var/lib/dpkg/status"),
    (Platform::Linux, "usr/share/applications/x.desktop"),
    (Platform::Linux, "snap/x/current/meta/snap.yaml"),
    (Platform::Linux, "snap/x/current/meta/gui/x.desktop"),
    (Platform::Linux, "var/lib/flatpak/app/x.y.z/current/active/export/share/metainfo/x.y.z.metainfo.xml"),
    (Platform::Linux, "var/lib/flatpak/app/x.y.z/current/active/metadata"),
    (Platform::Linux, "home/alice/.config/user-dirs.dirs"),
    (Platform::Linux, "home/alice/.local/share/applications/x.desktop"),
    (Platform::Linux, "home/alice/.local/share/firefoxpwa/config.json"),
    (Platform::Linux, "home/alice/.mozilla/firefox/x.default/extensions.json"),
    (Platform::Linux, "home/alice/.local/share/waydroid/data/system/packages.list"),
    (Platform::Linux, "home/alice/Applications/x/resources/app.asar"),
    (Platform::Linux, "home/alice/Applications/x/resources/app/package.json"),
    (Platform::Linux, "home/linuxbrew/.linuxbrew/Cellar/x/1/INSTALL_RECEIPT.json"),
    (Platform::Linux, "home/alice/.wine/user.reg"),
    (Platform::Macos, "Applications/x.app/Contents/Info.plist"),
    (Platform::Macos, "Applications/x.app/Wrapper/iTunesMetadata.plist"),
    (Platform::Macos, "var/db/receipts/x.plist"),
    (Platform::Windows, "Users/alice/NTUSER.DAT"),
    (Platform::Windows, "Windows/System32/config/SOFTWARE"),
    (Platform::Windows, "Users/alice/AppData/Roaming/Microsoft/Windows/Start Menu/Programs/x.lnk"),
];

/// One tree for each place, with nothing else in it but a home.
static TREES: LazyLock<Vec<(Platform, PathBuf, PathBuf)>> = LazyLock::new(|| {
    // In memory where that can be had: a file is written for every input.
    let base = ["/dev/shm", "/tmp"].into_iter().find(|dir| fs::metadata(dir).is_ok()).unwrap_or(".");
    // `run` removes it: a target is ended and never returns.
    let base = PathBuf::from(base).join(format!("offchannel-fuzz-{}", std::process::id()));
    let tree = |(index, (platform, place)): (usize, &(Platform, &str))| {
        let root = base.join(index.to_string());
        let file = root.join(place);
        for dir in [file.parent().expect("a folder"), &root.join("home/alice"), &root.join("Users/alice")] {
            fs::create_dir_all(dir).expect("a folder of the tree");
        }
        (*platform, root, file)
    };
    PLACES.iter().enumerate().map(tree).collect()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((which, content)) = bytes.split_first() else { return };
    let (platform, root, file) = &TREES[usize::from(*which) % TREES.len()];
    fs::write(file, content).expect("the file of this place");
    let scan = Scanner::new(Host::at(root.clone(), *platform)).scan(&Catalogue::built_in(), None, &Clock::system());
    assert!(scan.inventory.sightings.len() <= 1_000 * scan.runs.len());
});
