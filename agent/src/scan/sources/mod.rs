//! The table of all sources, and the tests that walk it.

mod apk;
mod appimage;
mod browsers;
mod budget;
mod bundles;
mod chromium_extension;
mod desktop_entry;
mod desktop_file;
mod desktop_program;
mod dpkg;
mod drive;
mod firefox_extension;
mod flatpak;
mod homebrew;
mod json_stream;
mod macos_bundle;
mod macos_receipt;
mod msix;
mod nix;
mod pacman;
mod processes;
mod program_folder;
mod rpm;
mod snap;
mod start_menu;
mod uninstall;
mod unpacked;
mod versions;
mod waydroid;
mod web_app;
mod web_bundles;
mod windows_uninstall;
mod windows_unpacked;
mod wine;

use super::source::Source;

/// All sources, sorted by id.
pub const SOURCES: &[&dyn Source] = &[
    &apk::Apk,
    &appimage::Appimage,
    &chromium_extension::ChromiumExtension,
    &desktop_entry::DesktopEntry,
    &dpkg::Dpkg,
    &firefox_extension::FirefoxExtension,
    &flatpak::Flatpak,
    &homebrew::Homebrew,
    &macos_bundle::MacosBundle,
    &macos_receipt::MacosReceipt,
    &msix::Msix,
    &nix::Nix,
    &pacman::Pacman,
    &processes::Processes,
    &rpm::Rpm,
    &snap::Snap,
    &unpacked::Unpacked,
    &waydroid::Waydroid,
    &web_app::WebApp,
    &windows_uninstall::WindowsUninstall,
    &windows_unpacked::WindowsUnpacked,
    &wine::Wine,
];

#[cfg(test)]
mod tests {
    use super::SOURCES;

    #[test]
    fn ids_are_sorted_and_unique() {
        assert!(SOURCES.is_sorted_by(|a, b| a.id() < b.id()));
    }

    #[test]
    fn every_source_says_what_it_looks_at_and_where() {
        for source in SOURCES {
            let id = source.id();
            assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{id}");
            let about = source.about();
            assert!(
                (20..100).contains(&about.len()) && !about.contains('\n') && !about.ends_with('.'),
                "{id}: {about}"
            );
            assert!(!source.platforms().is_empty(), "{id} has no platform");
        }
    }
}
