//! Web apps: installed by Chromium-family browsers, GNOME Web, Linux Mint's web app manager and
//! PWAsForFirefox, or as shortcuts that open a site like a program.
//!
//! Two signs are read: the menu entry that a browser writes, and the folder
//! `Web Applications/Manifest Resources/<app id>` in which Chromium keeps an installed app's icons and
//! which it removes with the app (`chrome/browser/web_applications/web_app_utils.cc` and
//! `web_app_icon_manager.cc`). Chromium's own list of apps is in a LevelDB beside synchronised data,
//! and its preferences hold visited sites: neither is ever opened.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade, Scope};
use offchannel_shared::namespace::Namespace;
use serde::Deserialize;

use super::browsers::chromium_profiles;
use super::desktop_file::{DesktopFile, FILE_MAX, address, is_chromium_id, program_exists};
use crate::scan::host::{Host, User};
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Most entries of one folder that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Largest configuration of PWAsForFirefox that is read; it holds the manifests of all apps.
const CONFIG_MAX: u64 = 16 * 1024 * 1024;

/// Where menu entries and shortcuts of one user lie.
const ENTRIES: [&str; 2] = [".local/share/applications", "Desktop"];

/// In a profile of a Chromium-family browser: one folder for each installed web app.
const RESOURCES: &str = "Web Applications/Manifest Resources";

/// What PWAsForFirefox has installed.
const FIREFOX_PWA: &str = ".local/share/firefoxpwa/config.json";

/// Web apps and shortcuts that open one.
#[derive(Debug)]
pub struct WebApp;

/// The configuration of PWAsForFirefox (its `native/src/storage.rs` and `components/site.rs`).
#[derive(Debug, Deserialize)]
struct FirefoxPwa<'a> {
    #[serde(borrow, default)]
    sites: BTreeMap<Cow<'a, str>, Site<'a>>,
}

#[derive(Debug, Deserialize)]
struct Site<'a> {
    #[serde(borrow)]
    config: SiteConfig<'a>,
}

#[derive(Debug, Deserialize)]
struct SiteConfig<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    start_url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    document_url: Cow<'a, str>,
}

impl Source for WebApp {
    fn id(&self) -> &'static str {
        "web-app"
    }

    fn about(&self) -> &'static str {
        "web apps that browsers installed, and shortcuts that open a site like a program"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let mut look = Look::new(host, &users);
        let mut dirs = Vec::new();
        for user in &users {
            dirs.extend(ENTRIES.iter().map(|folder| user.home.join(folder)));
            dirs.extend(
                chromium_profiles(&mut look, user).into_iter().map(|profile| profile.join(RESOURCES)),
            );
        }
        dirs
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for user in look.users() {
            for folder in ENTRIES {
                let dir = look.home(user, folder);
                for entry in look.list(&dir, ENTRIES_MAX) {
                    if entry.name.ends_with(".desktop") {
                        read_entry(look, user, &dir.join(&entry.name), found);
                    }
                }
            }
            for profile in chromium_profiles(look, user) {
                for id in look.folders(&profile.join(RESOURCES), ENTRIES_MAX) {
                    if is_chromium_id(&id) {
                        found(&artefact(&format!("app-id:{id}"), None, &user.scope, Grade::WebApp));
                    }
                }
            }
            read_firefox_pwa(look, user, found);
        }
    }
}

fn read_entry(
    look: &mut Look<'_>,
    user: &User,
    path: &std::path::Path,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let Some(bytes) = look.read(path, FILE_MAX) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let Some(file) = DesktopFile::parse(&text) else { return };
    let Some(web_app) = file.web_app() else { return };
    let grade = if program_exists(look, Some(user), &file) { Grade::WebApp } else { Grade::Residual };
    found(&artefact(&web_app, file.name, &user.scope, grade));
}

fn read_firefox_pwa(look: &mut Look<'_>, user: &User, found: &mut dyn FnMut(&Artefact<'_>)) {
    let path = look.home(user, FIREFOX_PWA);
    let Some(bytes) = look.read(&path, CONFIG_MAX) else { return };
    let Ok(config) = serde_json::from_slice::<FirefoxPwa<'_>>(&bytes) else {
        return look.trouble(Trouble::Malformed);
    };
    for site in config.sites.values() {
        let url = site.config.start_url.as_ref().unwrap_or(&site.config.document_url);
        if let Some(address) = address(url) {
            found(&artefact(&address, site.config.name.as_deref(), &user.scope, Grade::WebApp));
        }
    }
}

fn artefact<'a>(identifier: &'a str, name: Option<&'a str>, scope: &'a Scope, grade: Grade) -> Artefact<'a> {
    Artefact {
        namespace: Namespace::WebApp,
        identifier,
        name,
        version: None,
        publisher: None,
        scope,
        grade,
        categories: "",
    }
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
        let config: FirefoxPwa<'_> = serde_json::from_slice(json).unwrap();
        let urls: Vec<_> = config.sites.values().map(|site| address(&site.config.document_url)).collect();
        assert_eq!(urls, [Some("web.whatsapp.com".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = serde_json::from_slice::<FirefoxPwa<'_>>(&bytes);
        }
    }
}
