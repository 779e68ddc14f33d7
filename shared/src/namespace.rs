//! Namespaces of identifiers: what kind of name an artefact carries.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of name that identifies an artefact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// Android package name.
    Android,
    /// Alpine package name.
    Apk,
    /// Application name of an AppImage, without version and architecture.
    Appimage,
    /// Extension id of a Chromium-family browser, 32 letters.
    ChromiumExtension,
    /// Desktop file id, with `.desktop`.
    DesktopEntry,
    /// Debian package name.
    Dpkg,
    /// Base name of a program file.
    Executable,
    /// Add-on id of a Firefox-family browser.
    FirefoxExtension,
    /// Flatpak application id.
    Flatpak,
    /// Homebrew formula name.
    Homebrew,
    /// Homebrew cask token.
    HomebrewCask,
    /// iOS bundle id.
    Ios,
    /// `CFBundleIdentifier` of a macOS application; or, with `.app`, the name of a bundle whose own metadata
    /// agrees with it.
    MacosBundle,
    /// MSIX package family name.
    Msix,
    /// Nix package name, without version.
    Nix,
    /// Arch package name.
    Pacman,
    /// RPM package name.
    Rpm,
    /// Snap name.
    Snap,
    /// Where a web app lives, `host[/path]`, or `app-id:` and its Chromium app id.
    WebApp,
    /// Display name under a Windows uninstall key, or the key's own name.
    WindowsUninstall,
    /// Package identifier of winget, which it writes under the uninstall keys of what it unpacks itself.
    Winget,
}

impl Namespace {
    /// All namespaces, in the order of their names.
    pub const ALL: [Self; 21] = [
        Self::Android,
        Self::Apk,
        Self::Appimage,
        Self::ChromiumExtension,
        Self::DesktopEntry,
        Self::Dpkg,
        Self::Executable,
        Self::FirefoxExtension,
        Self::Flatpak,
        Self::Homebrew,
        Self::HomebrewCask,
        Self::Ios,
        Self::MacosBundle,
        Self::Msix,
        Self::Nix,
        Self::Pacman,
        Self::Rpm,
        Self::Snap,
        Self::WebApp,
        Self::WindowsUninstall,
        Self::Winget,
    ];

    /// The name used in catalogue files, reports and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Apk => "apk",
            Self::Appimage => "appimage",
            Self::ChromiumExtension => "chromium-extension",
            Self::DesktopEntry => "desktop-entry",
            Self::Dpkg => "dpkg",
            Self::Executable => "executable",
            Self::FirefoxExtension => "firefox-extension",
            Self::Flatpak => "flatpak",
            Self::Homebrew => "homebrew",
            Self::HomebrewCask => "homebrew-cask",
            Self::Ios => "ios",
            Self::MacosBundle => "macos-bundle",
            Self::Msix => "msix",
            Self::Nix => "nix",
            Self::Pacman => "pacman",
            Self::Rpm => "rpm",
            Self::Snap => "snap",
            Self::WebApp => "web-app",
            Self::WindowsUninstall => "windows-uninstall",
            Self::Winget => "winget",
        }
    }
}

/// Whether this is an id of Chromium: 32 letters from `a` to `p`.
pub fn is_chromium_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| (b'a'..=b'p').contains(&byte))
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown namespace {0:?}: expected one of {list}", list = Namespace::ALL.map(Namespace::as_str).join(", "))]
pub struct UnknownNamespace(String);

impl FromStr for Namespace {
    type Err = UnknownNamespace;
    fn from_str(text: &str) -> Result<Self, UnknownNamespace> {
        Self::ALL
            .into_iter()
            .find(|namespace| namespace.as_str() == text)
            .ok_or_else(|| UnknownNamespace(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_agree_with_serde() {
        assert!(Namespace::ALL.is_sorted());
        for namespace in Namespace::ALL {
            let json = serde_json::to_string(&namespace).unwrap();
            assert_eq!(json, format!("\"{namespace}\""));
            assert_eq!(namespace.as_str().parse(), Ok(namespace));
        }
        assert!(Namespace::ALL.map(Namespace::as_str).is_sorted());
    }
}
