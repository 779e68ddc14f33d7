//! Extensions of Chromium-family browsers.
//!
//! Only names of folders are read: the browser keeps an extension as
//! `Extensions/<id>/<version>_<n>/manifest.json`. Its preferences, which would tell more (what is
//! switched off, what was loaded from elsewhere), hold visited sites as well and are never opened.

use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade};
use offchannel_shared::namespace::{Namespace, is_chromium_id};

use super::browsers::chromium_profiles;
use super::versions::numbers;
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;

/// Most extensions of a profile, or versions of an extension, that are looked at.
const ENTRIES_MAX: usize = 1024;

/// Extensions of Chromium-family browsers.
#[derive(Debug)]
pub struct ChromiumExtension;

impl Source for ChromiumExtension {
    fn id(&self) -> &'static str {
        "chromium-extension"
    }

    fn about(&self) -> &'static str {
        "extensions of Chrome, Chromium, Edge, Brave, Vivaldi, Opera and their relatives"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux, Platform::Macos, Platform::Windows]
    }

    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let mut look = Look::new(host, &users);
        let mut profiles = Vec::new();
        for user in &users {
            profiles.extend(chromium_profiles(&mut look, user));
        }
        profiles.into_iter().map(|profile| profile.join("Extensions")).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for user in look.users() {
            for profile in chromium_profiles(look, user) {
                let dir = profile.join("Extensions");
                for id in look.folders(&dir, ENTRIES_MAX) {
                    if !is_chromium_id(&id) {
                        continue;
                    }
                    let Some(version) = newest(look, &dir.join(&id)) else { continue };
                    found(&Artefact {
                        version: Some(&version),
                        ..Artefact::new(Namespace::ChromiumExtension, &id, &user.scope, Grade::Extension)
                    });
                }
            }
        }
    }
}

/// The newest version of an extension that is complete.
fn newest(look: &mut Look<'_>, dir: &Path) -> Option<String> {
    let mut folders = look.folders(dir, ENTRIES_MAX);
    folders.sort_by_cached_key(|folder| numbers(folder));
    let mut newest_first = folders.into_iter().rev();
    let folder = newest_first.find(|folder| look.has(&dir.join(folder), "manifest.json"))?;
    Some(folder.split('_').next().unwrap_or_default().to_owned())
}
