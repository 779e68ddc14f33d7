//! Web apps of macOS, for the source `web-app`: bundles that browsers make.
//!
//! Chromium-family browsers note the app in the bundle's property list (`chrome/common/mac/app_mode_common.mm`) and
//! give it a program that starts the browser. Safari's bundles (since macOS 14) have no program at all, and
//! the site's manifest, or what Safari makes of a site without one, under `Manifest`. A file `.webloc` is a
//! bookmark, and nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use offchannel_shared::inventory::{Artefact, Grade};
use offchannel_shared::namespace::{Namespace, is_chromium_id};

use super::bundles::{Bundle, in_home, in_system};
use super::desktop_file::address;
use crate::scan::host::User;
use crate::scan::look::Look;

/// Most folders in `~/Applications` that are watched.
const FOLDERS_MAX: usize = 256;

/// Where bundles for all users may lie; browsers make them in home folders.
const SYSTEM: [&str; 2] = ["/Applications", "/Users/Shared"];

/// Answers the web apps of a user, or of all, that work.
pub(super) fn read(
    look: &mut Look<'_>,
    user: Option<&User>,
    found: &mut dyn FnMut(&Artefact<'_>),
) -> BTreeSet<String> {
    let mut working = BTreeSet::new();
    let mut each = |bundle: &Bundle<'_>| working.extend(tell(bundle, found));
    match user {
        Some(user) => in_home(look, user, &mut each),
        None => in_system(look, &SYSTEM, &mut each),
    }
    working
}

/// `~/Applications`, and the folders in it in which browsers keep what they make: `Chrome Apps.localized`,
/// `Edge Apps.localized`, `Brave Browser Apps.localized`.
pub(super) fn folders(look: &mut Look<'_>, user: &User) -> Vec<PathBuf> {
    let dir = look.home(user, "Applications");
    let mut folders = look.folders(&dir, FOLDERS_MAX);
    folders.retain(|name| name.ends_with(" Apps.localized"));
    folders.into_iter().map(|name| dir.join(name)).chain([dir.clone()]).collect()
}

/// Answers the web app that a bundle opens, if it works.
fn tell(bundle: &Bundle<'_>, found: &mut dyn FnMut(&Artefact<'_>)) -> Option<String> {
    let info = &bundle.info;
    let id = info.chromium_id.as_deref().filter(|id| is_chromium_id(id)).map(|id| format!("app-id:{id}"));
    let url = info.chromium_url.as_deref().or(info.safari_url.as_deref()).and_then(address);
    let identifier = id.as_deref().or(url.as_deref())?;
    let works = bundle.works || info.safari_url.is_some();
    let grade = if works { Grade::WebApp } else { Grade::Residual };
    found(&Artefact {
        also: url.as_deref(),
        name: info.display_name.as_deref().or(info.name.as_deref()),
        ..Artefact::new(Namespace::WebApp, identifier, bundle.scope, grade)
    });
    works.then(|| identifier.to_owned())
}
