//! Where browsers keep their profiles, for the sources that look into them.

use std::path::PathBuf;

use crate::scan::host::User;
use crate::scan::look::Look;

/// Most entries of a browser's folder that are looked at.
const ENTRIES_MAX: usize = 1024;

/// Folders of Chromium's relatives in a home folder: packages, then flatpaks, then snaps.
const CHROMIUM: [&str; 32] = [
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

/// Folders of Firefox's relatives in a home folder, each with profiles in it.
const FIREFOX: [&str; 13] = [
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

/// The profiles of all of a user's Chromium-family browsers.
pub(super) fn chromium_profiles(look: &mut Look<'_>, user: &User) -> Vec<PathBuf> {
    let mut profiles = Vec::new();
    for browser in CHROMIUM {
        let dir = look.home(user, browser);
        for name in look.folders(&dir, ENTRIES_MAX) {
            if name == "Default" || name.starts_with("Profile ") {
                profiles.push(dir.join(name));
            } else if name == "Extensions" || name == "Web Applications" {
                // Older versions of Opera have one profile, the folder itself.
                profiles.push(dir.clone());
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
    for browser in FIREFOX {
        let dir = look.home(user, browser);
        profiles.extend(look.folders(&dir, ENTRIES_MAX).into_iter().map(|name| dir.join(name)));
    }
    profiles
}
