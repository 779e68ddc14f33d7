//! Where browsers keep their profiles, for the sources that look into them.

use std::path::PathBuf;

use offchannel_shared::device::Platform;

use crate::platform::files::join;
use crate::scan::host::User;
use crate::scan::look::Look;

/// Most entries of a browser's folder that are looked at.
const ENTRIES_MAX: usize = 1024;

/// Folders of Chromium's relatives in a home folder on Linux: packages, then flatpaks, then snaps.
const CHROMIUM_LINUX: [&str; 32] = [
    ".config/google-chrome",
    ".config/google-chrome-beta",
    ".config/google-chrome-unstable",
    ".config/chromium",
    ".config/BraveSoftware/Brave-Browser",
    ".config/BraveSoftware/Brave-Browser-Beta",
    ".config/BraveSoftware/Brave-Browser-Nightly",
    ".config/microsoft-edge",
    ".config/microsoft-edge-beta",
    ".config/microsoft-edge-dev",
    ".config/vivaldi",
    ".config/vivaldi-snapshot",
    ".config/opera",
    ".config/opera-beta",
    ".config/opera-developer",
    ".config/thorium",
    ".config/yandex-browser",
    ".var/app/com.brave.Browser/config/BraveSoftware/Brave-Browser",
    ".var/app/com.google.Chrome/config/google-chrome",
    ".var/app/com.google.ChromeDev/config/google-chrome-unstable",
    ".var/app/com.microsoft.Edge/config/microsoft-edge",
    ".var/app/com.microsoft.EdgeDev/config/microsoft-edge-dev",
    ".var/app/com.opera.Opera/config/opera",
    ".var/app/com.vivaldi.Vivaldi/config/vivaldi",
    ".var/app/com.yandex.Browser/config/yandex-browser",
    ".var/app/io.github.ungoogled_software.ungoogled_chromium/config/chromium",
    ".var/app/org.chromium.Chromium/config/chromium",
    "snap/brave/current/.config/BraveSoftware/Brave-Browser",
    "snap/chromium/common/chromium",
    "snap/chromium/current/.config/chromium",
    "snap/opera/current/.config/opera",
    "snap/vivaldi/current/.config/vivaldi",
];

/// The same on macOS, below [`SUPPORT`] (Chromium: `docs/user_data_dir.md`; the others where their
/// `Info.plist` or their own documents say).
const CHROMIUM_MACOS: [&str; 25] = [
    "Google/Chrome",
    "Google/Chrome Beta",
    "Google/Chrome Dev",
    "Google/Chrome Canary",
    "Google/Chrome for Testing",
    "Chromium",
    "Microsoft Edge",
    "Microsoft Edge Beta",
    "Microsoft Edge Dev",
    "Microsoft Edge Canary",
    "BraveSoftware/Brave-Browser",
    "BraveSoftware/Brave-Browser-Beta",
    "BraveSoftware/Brave-Browser-Nightly",
    "Vivaldi",
    "Vivaldi Snapshot",
    "Arc/User Data",
    "Dia/User Data",
    "Comet",
    "com.operasoftware.Opera",
    "com.operasoftware.OperaNext",
    "com.operasoftware.OperaDeveloper",
    "com.operasoftware.OperaGX",
    "Yandex/YandexBrowser",
    "Thorium",
    "Coccoc",
];

/// The same on Windows.
const CHROMIUM_WINDOWS: [&str; 24] = [
    "AppData/Local/Google/Chrome/User Data",
    "AppData/Local/Google/Chrome Beta/User Data",
    "AppData/Local/Google/Chrome Dev/User Data",
    "AppData/Local/Google/Chrome SxS/User Data",
    "AppData/Local/Google/Chrome for Testing/User Data",
    "AppData/Local/Chromium/User Data",
    "AppData/Local/Microsoft/Edge/User Data",
    "AppData/Local/Microsoft/Edge Beta/User Data",
    "AppData/Local/Microsoft/Edge Dev/User Data",
    "AppData/Local/Microsoft/Edge SxS/User Data",
    "AppData/Local/BraveSoftware/Brave-Browser/User Data",
    "AppData/Local/BraveSoftware/Brave-Browser-Beta/User Data",
    "AppData/Local/BraveSoftware/Brave-Browser-Nightly/User Data",
    "AppData/Local/Vivaldi/User Data",
    "AppData/Local/Perplexity/Comet/User Data",
    "AppData/Local/Yandex/YandexBrowser/User Data",
    "AppData/Local/Thorium/User Data",
    "AppData/Local/CocCoc/Browser/User Data",
    "AppData/Local/Arc/User Data",
    "AppData/Local/Packages/TheBrowserCompany.Arc_ttt1ap7aakyb4/LocalCache/Local/Arc/User Data",
    "AppData/Roaming/Opera Software/Opera Stable",
    "AppData/Roaming/Opera Software/Opera Next",
    "AppData/Roaming/Opera Software/Opera Developer",
    "AppData/Roaming/Opera Software/Opera GX Stable",
];

/// Folders of Firefox's relatives in a home folder on Linux, each with profiles in it.
const FIREFOX_LINUX: [&str; 13] = [
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    ".librewolf",
    ".config/librewolf/librewolf",
    ".floorp",
    ".waterfox",
    ".zen",
    ".local/share/firefoxpwa/profiles",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/config/mozilla/firefox",
    ".var/app/io.gitlab.librewolf-community/.librewolf",
    ".var/app/app.zen_browser.zen/.zen",
    "snap/firefox/common/.mozilla/firefox",
];

/// The same on macOS, below [`SUPPORT`].
const FIREFOX_MACOS: [&str; 7] = [
    "Firefox/Profiles",
    "librewolf/Profiles",
    "zen/Profiles",
    "Waterfox/Profiles",
    "Floorp/Profiles",
    "Mullvad Browser/Profiles",
    "firefoxpwa/profiles",
];

/// The same on Windows; Firefox from the Store keeps its profiles in its package.
const FIREFOX_WINDOWS: [&str; 8] = [
    "AppData/Roaming/Mozilla/Firefox/Profiles",
    "AppData/Roaming/librewolf/Profiles",
    "AppData/Roaming/zen/Profiles",
    "AppData/Roaming/Waterfox/Profiles",
    "AppData/Roaming/Floorp/Profiles",
    "AppData/Roaming/Mullvad/MullvadBrowser/Profiles",
    "AppData/Roaming/FirefoxPWA/profiles",
    "AppData/Local/Packages/Mozilla.Firefox_n80bbvh6b1yt2/LocalCache/Roaming/Mozilla/Firefox/Profiles",
];

/// Where Opera keeps further profiles, under random names.
const SIDE_PROFILES: &str = "_side_profiles";

/// Where programs of macOS keep their data in a home folder.
const SUPPORT: &str = "Library/Application Support";

/// The profiles of all of a user's Chromium-family browsers.
pub(super) fn chromium_profiles(look: &mut Look<'_>, user: &User) -> Vec<PathBuf> {
    let mut profiles = Vec::new();
    for dir in folders(look, user, [&CHROMIUM_LINUX, &CHROMIUM_MACOS, &CHROMIUM_WINDOWS]) {
        for name in look.folders(&dir, ENTRIES_MAX) {
            if name == "Default" || name.starts_with("Profile ") {
                profiles.push(dir.join(name));
            } else if name == "Extensions" || name == "Web Applications" {
                // Older versions of Opera have one profile, the folder itself.
                profiles.push(dir.clone());
            } else if name == SIDE_PROFILES {
                let side = dir.join(name);
                profiles.extend(look.folders(&side, ENTRIES_MAX).into_iter().map(|name| side.join(name)));
            }
        }
    }
    profiles.sort();
    profiles.dedup();
    profiles
}

/// The profiles of all of a user's Firefox-family browsers.
pub(super) fn firefox_profiles(look: &mut Look<'_>, user: &User) -> Vec<PathBuf> {
    let mut profiles = Vec::new();
    for dir in folders(look, user, [&FIREFOX_LINUX, &FIREFOX_MACOS, &FIREFOX_WINDOWS]) {
        profiles.extend(look.folders(&dir, ENTRIES_MAX).into_iter().map(|name| dir.join(name)));
    }
    profiles
}

/// Those of these folders that are of the host's platform: of Linux, macOS, Windows.
fn folders(look: &mut Look<'_>, user: &User, all: [&[&str]; 3]) -> Vec<PathBuf> {
    let [linux, macos, windows] = all;
    let (base, folders) = match look.host().platform() {
        Platform::Macos => (SUPPORT, macos),
        Platform::Windows => ("", windows),
        Platform::Android | Platform::Ios | Platform::Linux => ("", linux),
    };
    let base = look.home(user, base);
    folders.iter().map(|folder| join(&base, folder)).collect()
}
