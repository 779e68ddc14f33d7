//! Web apps: installed by Chromium-family browsers, Safari, GNOME Web, Linux Mint's web app manager and
//! PWAsForFirefox, or as shortcuts that open a site like a program.
//!
//! Two signs are read: the menu entry that a browser writes, on macOS the bundle, and the folder
//! `Web Applications/Manifest Resources/<app id>` in which Chromium keeps an app's icons and which it
//! removes with the app (`chrome/browser/web_applications/web_app_utils.cc` and
//! `web_app_icon_manager.cc`). The folder alone proves no installation: Chromium makes one for every app
//! that its user has on some other device and that this one merely offers
//! (`kSuggestedFromAnotherDevice` in `chrome/browser/web_applications/install_state.h`). Such an app has
//! no menu entry and no bundle, so a folder without one is a leftover. Chromium's own list of apps is in a LevelDB
//! beside synchronised data, and its preferences hold visited sites: neither is ever opened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::{Namespace, is_chromium_id};
use serde::Deserialize;

use super::browsers::chromium_profiles;
use super::budget::Budget;
use super::desktop_entry::OF_WEB_APPS;
use super::desktop_file::{DesktopFile, FILE_MAX, address};
use super::desktop_program::program_exists;
use super::json_stream::each;
use super::{start_menu, web_bundles};
use crate::scan::host::{Host, User};
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;
use crate::scan::user_dirs;

/// Most entries of one folder that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Most entries of one user's folders together; a large desktop has 1,000.
const ALL_MAX: usize = 16_384;

/// Largest configuration of PWAsForFirefox that is read; it holds the manifests of all apps, each of some
/// kilobytes.
const CONFIG_MAX: u64 = 4 * 1024 * 1024;

/// Where menu entries and shortcuts of one user lie.
const ENTRIES: [&str; 2] = [OF_WEB_APPS, "Desktop"];

/// Most folders of one user in which they are looked for.
const FOLDERS_MAX: usize = 16;

/// In a profile of a Chromium-family browser: one folder for each installed web app.
const RESOURCES: &str = "Web Applications/Manifest Resources";

/// What PWAsForFirefox has installed (`userdata` in its `native/src/directories.rs`).
const fn firefox_pwa(platform: Platform) -> &'static str {
    match platform {
        Platform::Macos => "Library/Application Support/firefoxpwa/config.json",
        Platform::Windows => "AppData/Roaming/FirefoxPWA/config.json",
        Platform::Android | Platform::Ios | Platform::Linux => ".local/share/firefoxpwa/config.json",
    }
}

/// Web apps and shortcuts that open one.
#[derive(Debug)]
pub struct WebApp;

/// One of `sites` in the configuration of PWAsForFirefox (its `native/src/storage.rs` and
/// `components/site.rs`).
#[derive(Debug, Deserialize)]
struct Site {
    config: SiteConfig,
}

#[derive(Debug, Deserialize)]
struct SiteConfig {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    start_url: Option<String>,
    document_url: String,
}

impl Source for WebApp {
    fn id(&self) -> &'static str {
        "web-app"
    }

    fn about(&self) -> &'static str {
        "web apps that browsers installed, and shortcuts that open a site like a program"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux, Platform::Macos, Platform::Windows]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let mut look = Look::new(host, &users);
        let mut dirs = Vec::new();
        if host.platform() == Platform::Windows {
            dirs.extend(start_menu::SYSTEM.iter().map(|(folder, _)| host.path(folder)));
        }
        for user in &users {
            match host.platform() {
                Platform::Macos => dirs.extend(web_bundles::folders(&mut look, user)),
                Platform::Windows => {
                    dirs.extend(start_menu::HOME.iter().map(|(folder, _)| user.folder(folder)))
                }
                Platform::Android | Platform::Ios | Platform::Linux => {
                    let folders = user_dirs::localised(&mut look, user, &ENTRIES);
                    dirs.extend(folders.iter().map(|folder| user.folder(folder)));
                }
            }
            dirs.extend(
                chromium_profiles(&mut look, user).into_iter().map(|profile| profile.join(RESOURCES)),
            );
        }
        dirs
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let platform = look.host().platform();
        let of_all = match platform {
            Platform::Macos => web_bundles::read(look, None, found),
            Platform::Windows => read_shortcuts(look, None, found),
            Platform::Android | Platform::Ios | Platform::Linux => BTreeSet::new(),
        };
        for user in look.users() {
            let mut in_menu = match platform {
                Platform::Macos => web_bundles::read(look, Some(user), found),
                Platform::Windows => read_shortcuts(look, Some(user), found),
                Platform::Android | Platform::Ios | Platform::Linux => read_entries(look, user, found),
            };
            in_menu.extend(of_all.iter().cloned());
            for profile in chromium_profiles(look, user) {
                for id in look.folders(&profile.join(RESOURCES), ENTRIES_MAX) {
                    if is_chromium_id(&id) {
                        let id = format!("app-id:{id}");
                        let grade = if in_menu.contains(&id) { Grade::WebApp } else { Grade::Residual };
                        found(&artefact(&id, None, &user.scope, grade));
                    }
                }
            }
            read_firefox_pwa(look, user, found);
        }
    }
}

/// Answers the web apps that entries of the user's menu and desktop open, if they work.
fn read_entries(look: &mut Look<'_>, user: &User, found: &mut dyn FnMut(&Artefact<'_>)) -> BTreeSet<String> {
    let mut in_menu = BTreeSet::new();
    let mut budget = Budget::of(FOLDERS_MAX, ALL_MAX);
    for folder in user_dirs::localised(look, user, &ENTRIES) {
        let dir = look.home(user, &folder);
        for entry in budget.list(look, &dir, ENTRIES_MAX) {
            if entry.name.ends_with(".desktop") {
                let bytes = budget.read(look, &dir.join(&entry.name), FILE_MAX).unwrap_or_default();
                in_menu.extend(read_entry(look, user, &dir, &bytes, found));
            }
        }
    }
    in_menu
}

/// The same on Windows, of a user or of all.
fn read_shortcuts(
    look: &mut Look<'_>,
    user: Option<&User>,
    found: &mut dyn FnMut(&Artefact<'_>),
) -> BTreeSet<String> {
    let scope = user.map_or(&Scope::System, |user| &user.scope);
    let mut in_menu = BTreeSet::new();
    for shortcut in start_menu::shortcuts(look, user) {
        let grade = if shortcut.works { Grade::WebApp } else { Grade::Residual };
        found(&artefact(&shortcut.web_app, Some(&shortcut.name), scope, grade));
        in_menu.extend(shortcut.works.then_some(shortcut.web_app));
    }
    in_menu
}

/// Answers the web app that the entry opens, if it works.
fn read_entry(
    look: &mut Look<'_>,
    user: &User,
    dir: &Path,
    bytes: &[u8],
    found: &mut dyn FnMut(&Artefact<'_>),
) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let file = DesktopFile::parse(&text)?;
    let web_app = file.web_app()?;
    let works = program_exists(look, Some(user), dir, &file, &file.command());
    let grade = if works { Grade::WebApp } else { Grade::Residual };
    found(&artefact(&web_app, file.name, &user.scope, grade));
    works.then_some(web_app)
}

fn read_firefox_pwa(look: &mut Look<'_>, user: &User, found: &mut dyn FnMut(&Artefact<'_>)) {
    let path = look.home(user, firefox_pwa(look.host().platform()));
    let Some(file) = look.open(&path, CONFIG_MAX) else { return };
    let read = each(file, "sites", &mut |site: Site| {
        let url = site.config.start_url.as_ref().unwrap_or(&site.config.document_url);
        if let Some(address) = address(url) {
            found(&artefact(&address, site.config.name.as_deref(), &user.scope, Grade::WebApp));
        }
    });
    if read.is_err() {
        look.trouble(Trouble::Malformed);
    }
}

fn artefact<'a>(identifier: &'a str, name: Option<&'a str>, scope: &'a Scope, grade: Grade) -> Artefact<'a> {
    Artefact { name, ..Artefact::new(Namespace::WebApp, identifier, scope, grade) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sites_of_pwas_for_firefox_are_read() {
        let json = br#"{"profiles":{},"sites":{"01F":{"ulid":"01F","profile":"0","config":{"name":null,
            "start_url":null,"document_url":"https://web.whatsapp.com/","manifest_url":"https://web.whatsapp.com/m"},
            "manifest":{"start_url":"/"}}},"arguments":[],"config":{}}"#;
        let mut urls = Vec::new();
        each(&json[..], "sites", &mut |site: Site| urls.push(address(&site.config.document_url))).unwrap();
        assert_eq!(urls, [Some("web.whatsapp.com".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = each(bytes.as_slice(), "sites", &mut |_: Site| {});
        }
    }
}
