//! Extensions of Firefox-family browsers, from the list that each profile keeps.

use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade};
use offchannel_shared::namespace::Namespace;
use serde::Deserialize;

use super::browsers::firefox_profiles;
use super::json_stream::each;
use crate::scan::host::Host;
use crate::scan::look::Look;
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Largest list of extensions that is read; one of a hundred extensions has less than 1 MB.
const LIST_MAX: u64 = 4 * 1024 * 1024;

/// Extensions of Firefox-family browsers.
#[derive(Debug)]
pub struct FirefoxExtension;

/// One of `addons` in `extensions.json`; everything else in it is skipped.
#[derive(Debug, Deserialize)]
struct Addon {
    id: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    active: bool,
}

impl Source for FirefoxExtension {
    fn id(&self) -> &'static str {
        "firefox-extension"
    }

    fn about(&self) -> &'static str {
        "extensions of Firefox, LibreWolf and their relatives"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Linux, Platform::Macos, Platform::Windows]
    }

    /// The folders of the extensions themselves: a profile's own folder changes all the time.
    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let mut look = Look::new(host, &users);
        let mut profiles = Vec::new();
        for user in &users {
            profiles.extend(firefox_profiles(&mut look, user));
        }
        profiles.into_iter().map(|profile| profile.join("extensions")).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        for user in look.users() {
            for profile in firefox_profiles(look, user) {
                let list = profile.join("extensions.json");
                let Some(file) = look.open(&list, LIST_MAX) else { continue };
                let read = each(file, "addons", &mut |addon: Addon| {
                    if !addon.counts() {
                        return;
                    }
                    found(&Artefact {
                        version: addon.version.as_deref(),
                        ..Artefact::new(Namespace::FirefoxExtension, &addon.id, &user.scope, Grade::Extension)
                    });
                });
                if !matches!(read, Ok(true)) {
                    look.trouble(Trouble::Malformed);
                }
            }
        }
    }
}

impl Addon {
    /// An extension, switched on, that did not come with the browser: the locations `app-builtin`
    /// and `app-system-...` are the browser's own.
    fn counts(&self) -> bool {
        let own = self.location.starts_with("app-builtin") || self.location.starts_with("app-system-");
        self.kind == "extension" && self.active && !own
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_active_extensions_of_the_user_count() {
        let json = br#"{"schemaVersion":37,"addons":[
            {"id":"a@x","version":"1.0","type":"extension","location":"app-profile","active":true,"defaultLocale":{"name":"A"}},
            {"id":"off@x","version":"1.0","type":"extension","location":"app-profile","active":false},
            {"id":"theme@x","version":null,"type":"theme","location":"app-profile","active":true},
            {"id":"screenshots@mozilla.org","type":"extension","location":"app-builtin-addons","active":true},
            {"id":"pocket@mozilla.org","type":"extension","location":"app-system-defaults","active":true}]}"#;
        let mut ids = Vec::new();
        let count = &mut |addon: Addon| ids.extend(addon.counts().then_some(addon.id));
        assert!(each(&json[..], "addons", count).unwrap());
        assert_eq!(ids, ["a@x"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = each(bytes.as_slice(), "addons", &mut |addon: Addon| _ = addon.counts());
        }
    }
}
