//! From identifiers to apps. Pure, and exact unless an entry says otherwise.

use super::entry::canonical;
use super::table::Rows;
use super::version::without_version;
use super::{App, Catalogue, Row, address};
use crate::namespace::{Namespace, is_chromium_id};

/// Longest identifier that is looked at, in bytes; no entry comes near it.
const IDENTIFIER_MAX: usize = 512;

impl Catalogue {
    /// The app that an identifier stands for, if any.
    ///
    /// `publisher` is who the artefact says made it; entries whose name alone is ambiguous ask for it.
    pub fn find(&self, namespace: Namespace, identifier: &str, publisher: Option<&str>) -> Option<App<'_>> {
        self.find_row(namespace, identifier, publisher).map(|(app, _)| app)
    }

    /// The same, with the row by which the app was recognised: its name is shorter than the identifier
    /// where a version or a part of an address follows.
    pub fn find_row(
        &self,
        namespace: Namespace,
        identifier: &str,
        publisher: Option<&str>,
    ) -> Option<(App<'_>, Row<'_>)> {
        if identifier.len() > IDENTIFIER_MAX {
            return None;
        }
        let name = match namespace {
            Namespace::WebApp => address::bare(identifier),
            _ => canonical(namespace, identifier),
        };
        self.find_name(namespace, &name, publisher).or_else(|| {
            let id = chromium_shortcut(namespace, identifier)?;
            let web_app = self.find_name(Namespace::WebApp, &format!("app-id:{id}"), None);
            // What Chrome's own store had as apps has the id of an extension.
            web_app.or_else(|| self.find_name(Namespace::ChromiumExtension, id, None))
        })
    }

    fn find_name(
        &self,
        namespace: Namespace,
        name: &str,
        publisher: Option<&str>,
    ) -> Option<(App<'_>, Row<'_>)> {
        let own = &self.overlay;
        if !own.rows.is_empty()
            && let Some(row) = find_in(own.rows(namespace), namespace, name, publisher)
        {
            return Some((own.apps.get(row.app)?.view(), row));
        }
        let row = find_in(Rows::built_in(namespace), namespace, name, publisher)?;
        Some((App::built_in(row.app)?, row))
    }
}

fn find_in<'c>(rows: Rows<'c>, namespace: Namespace, name: &str, publisher: Option<&str>) -> Option<Row<'c>> {
    let find = |name: &str| rows.find(name, |row| publisher_fits(row, publisher));
    find(name).or_else(|| match namespace {
        Namespace::WindowsUninstall | Namespace::Appimage => {
            let bare = without_version(name)?;
            rows.find(bare, |row| row.versioned && publisher_fits(row, publisher))
        }
        Namespace::WebApp => {
            let any_host = || address::parents(&address::any_host(name)?).find_map(find);
            address::parents(name).find_map(find).or_else(any_host)
        }
        Namespace::Android
        | Namespace::Apk
        | Namespace::ChromiumExtension
        | Namespace::DesktopEntry
        | Namespace::Dpkg
        | Namespace::Executable
        | Namespace::FirefoxExtension
        | Namespace::Flatpak
        | Namespace::Homebrew
        | Namespace::HomebrewCask
        | Namespace::Ios
        | Namespace::MacosBundle
        | Namespace::Msix
        | Namespace::Nix
        | Namespace::Pacman
        | Namespace::Rpm
        | Namespace::Snap
        | Namespace::Winget => None,
    })
}

/// The app id in the name of what a Chromium-family browser makes for a web app: the menu entry
/// `chrome-<app id>-Default.desktop` (`GetAppDesktopShortcutFilename` in
/// `chrome/browser/web_applications/os_integration/web_app_shortcut_linux.cc`; Edge writes
/// `msedge-_<app id>-Default.desktop`), and on macOS the bundle `com.google.Chrome.app.<app id>`
/// (`GetBundleIdentifierForShim` in `chrome/common/mac/app_mode_common.mm`).
fn chromium_shortcut(namespace: Namespace, identifier: &str) -> Option<&str> {
    let id = match namespace {
        Namespace::DesktopEntry => {
            let (_browser, rest) = identifier.strip_suffix(".desktop")?.split_once('-')?;
            rest.strip_prefix('_').unwrap_or(rest).split_once('-')?.0
        }
        Namespace::MacosBundle => {
            let (_browser, rest) = identifier.rsplit_once(".app.")?;
            rest.split_once('-').map_or(rest, |(id, _profile)| id)
        }
        _ => return None,
    };
    is_chromium_id(id).then_some(id)
}

fn publisher_fits(row: &Row<'_>, publisher: Option<&str>) -> bool {
    match (row.publisher, publisher) {
        (None, _) => true,
        (Some(wanted), Some(publisher)) => contains_words(&publisher.to_lowercase(), wanted),
        (Some(_), None) => false,
    }
}

/// Whether the words stand in the text as words: `zoom` is in `zoom video communications`, but not in
/// `zoomer optics`.
fn contains_words(text: &str, words: &str) -> bool {
    // From the CJK radicals on, scripts have no spaces between words.
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && c < '\u{2E80}');
    text.match_indices(words).any(|(start, found)| {
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let after = text.get(start + found.len()..).and_then(|after| after.chars().next());
        !letter(before) && !letter(after)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::{AppKind, Entry, built_in};
    use crate::ids::AppId;

    fn overlay(toml: &str) -> Catalogue {
        let entries: BTreeMap<AppId, Entry> = toml::from_str(toml).unwrap();
        Catalogue::with_overlay(&entries).unwrap()
    }

    const ACME: &str = r#"
        [acme]
        name = "Acme Chat"
        vendor = "Acme"
        kind = "workplace"
        networks = ["acme"]
        official = true
        homepage = "https://acme.example"
        [acme.match]
        dpkg = [{ name = "chat", publisher = "Acme Ltd" }]
        web-app = ["*.acme-chat.example/rooms", "acme.example/chat"]
        windows-uninstall = [{ name = "Acme Chat", publisher = "Acme", versioned = true }]
    "#;

    #[test]
    fn a_publisher_that_is_asked_for_must_be_there() {
        let catalogue = overlay(ACME);
        let find = |publisher| catalogue.find(Namespace::Dpkg, "chat", publisher).map(|app| app.kind);
        assert_eq!(find(Some("ACME ltd <it@acme.example>")), Some(AppKind::Workplace));
        assert_eq!(find(Some("Debian")), None);
        assert_eq!(find(None), None);
    }

    #[test]
    fn a_publisher_is_a_word_and_not_a_part_of_one() {
        for (publisher, wanted, fits) in [
            ("zoom video communications, inc.", "zoom", true),
            ("zoomer optics", "zoom", false),
            ("session recorder ltd", "cisco", false),
            ("san francisco systems", "cisco", false),
            ("8x8, inc.", "8x8", true),
            ("discord inc.", "discord inc.", true),
            ("腾讯科技(深圳)有限公司", "腾讯", true),
            ("zoom视频通讯", "zoom", true),
            ("", "zoom", false),
        ] {
            assert_eq!(contains_words(publisher, wanted), fits, "{publisher}");
        }
        let catalogue = Catalogue::built_in();
        for (name, publisher, app) in [
            ("Zoom (64-bit)", "Zoom Video Communications, Inc.", Some("zoom")),
            ("Zoom", "Zoomer Optics", None),
            ("Session 1.16.11", "Session Foundation", Some("session")),
            ("Session", "Session Recorder Ltd", None),
        ] {
            let found = catalogue.find(Namespace::WindowsUninstall, name, Some(publisher));
            assert_eq!(found.map(|app| app.id), app, "{name} by {publisher}");
        }
    }

    #[test]
    fn versions_are_cut_only_where_the_entry_says_so() {
        let catalogue = overlay(ACME);
        let find = |name| catalogue.find(Namespace::WindowsUninstall, name, Some("Acme")).is_some();
        for name in ["Acme Chat", "Acme Chat 1.2", "Acme Chat version 4.9.1", "Acme Chat 2.0 (x64)"] {
            assert!(find(name), "{name} was missed");
        }
        for name in ["Acme Chat (Backup)", "Acme Chat Tools", "Acme Chat Tools 2", "Acme", "My Acme Chat 1.2"]
        {
            assert!(!find(name), "{name} was accused");
        }
    }

    #[test]
    fn a_web_app_matches_below_its_path_and_by_its_app_id() {
        let catalogue = overlay(ACME);
        let find = |address: &str| catalogue.find(Namespace::WebApp, address, None).is_some();
        for address in ["acme.example/chat", "acme.example/chat/", "acme.example/chat/room?x=1"] {
            assert!(find(address), "{address} was missed");
        }
        for address in
            ["acme.example", "acme.example/chatter", "x.acme.example/chat", "evil.com/acme.example/chat"]
        {
            assert!(!find(address), "{address} was accused");
        }
        assert!(find(&address::chromium_app_id("acme.example/chat")));
        assert!(find("https://ACME.example/chat/room"));
    }

    #[test]
    fn a_star_stands_for_one_label_of_a_host() {
        let catalogue = overlay(ACME);
        let find = |address: &str| {
            let found = catalogue.find_row(Namespace::WebApp, address, None);
            found.map(|(_, row)| row.name.to_string())
        };
        let row = Some("*.acme-chat.example/rooms".to_owned());
        assert_eq!(find("team.acme-chat.example/rooms/7"), row);
        for other in [
            "acme-chat.example/rooms",
            "a.b.acme-chat.example/rooms",
            "team.acme-chat.example/admin",
            "docs.acme-chat.example/rooms",
            "x/rooms",
        ] {
            assert_eq!(find(other), None, "{other}");
        }
    }

    #[test]
    fn shortcuts_of_browsers_carry_the_app_id() {
        let catalogue = Catalogue::built_in();
        let whatsapp = "hnpfjngllnobngcgfapefoaidbinmjnm";
        for (namespace, name) in [
            (Namespace::DesktopEntry, format!("chrome-{whatsapp}-Default.desktop")),
            (Namespace::DesktopEntry, format!("msedge-_{whatsapp}-Profile_1.desktop")),
            (Namespace::MacosBundle, format!("com.google.Chrome.app.{whatsapp}")),
            (Namespace::MacosBundle, format!("com.microsoft.edgemac.app.{whatsapp}-Profile-1")),
        ] {
            let found = catalogue.find(namespace, &name, None).map(|app| app.id);
            assert_eq!(found, Some("whatsapp"), "{name}");
        }
        for name in [format!("{whatsapp}.desktop"), format!("chrome-{whatsapp}x-Default.desktop")] {
            assert!(catalogue.find(Namespace::DesktopEntry, &name, None).is_none(), "{name}");
        }
    }

    #[test]
    fn case_is_nothing_where_the_platform_takes_no_notice_of_it() {
        let catalogue = Catalogue::built_in();
        for (namespace, name, found) in [
            (Namespace::Executable, "WHATSAPP.EXE", true),
            (Namespace::Executable, "whatsapp.exe", true),
            (Namespace::Executable, "TELEGRAM-DESKTOP", false),
            (Namespace::Msix, "5319275a.whatsappdesktop_cv1g1gvanyjgm", true),
            (Namespace::Dpkg, "Telegram-Desktop", false),
            (Namespace::Appimage, "CAPRINE", true),
            (Namespace::Appimage, "caprine-2.60.3", true),
        ] {
            assert_eq!(catalogue.find(namespace, name, None).is_some(), found, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_identifier_is_looked_up_without_panic(text: String, publisher: Option<String>) {
            let catalogue = Catalogue::built_in();
            for namespace in Namespace::ALL {
                let _ = catalogue.find(namespace, &text, publisher.as_deref());
            }
        }

        #[test]
        fn every_built_in_row_finds_its_own_app(index in 0..built_in::ROWS.len().max(1)) {
            let catalogue = Catalogue::built_in();
            let mut all = Namespace::ALL.into_iter().flat_map(|namespace| Rows::built_in(namespace).all());
            if let Some(row) = all.nth(index) {
                let found = catalogue.find(row.namespace, row.name, row.publisher);
                prop_assert_eq!(found.map(|app| app.id), App::built_in(row.app).map(|app| app.id));
            }
        }
    }
}
