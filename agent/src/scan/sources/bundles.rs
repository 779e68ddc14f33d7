//! Where macOS keeps applications, and what a bundle says of itself, for the sources that look into them.
//!
//! A bundle is a folder with `.app` at the end of its name. The helpers inside one are part of it and never
//! looked at. Of a bundle only its property list is read, and whether its program is there is asked.

use std::path::Path;

use offchannel_shared::inventory::Scope;

use crate::plist::texts;
use crate::scan::host::User;
use crate::scan::look::{Entry, Kind, Look};
use crate::scan::trouble::Trouble;

/// Most entries of a place that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Most entries of a folder in a place: people have folders with a hundred thousand pictures, and that
/// something is beyond is not worth telling.
const INNER_MAX: usize = 1024;

/// Most folders of a place that are looked into.
const FOLDERS_MAX: usize = 256;

/// Most bundles of the system, or of one user; a full Mac has two hundred.
const BUNDLES_MAX: usize = 2048;

/// Largest property list of a bundle; those of office suites, with all their types of documents, have 200 kB.
const INFO_MAX: u64 = 1024 * 1024;

/// All property lists of the system, or of one user, together; those of a full Mac have 3 MB.
const INFOS_MAX: u64 = 16 * 1024 * 1024;

/// The App Store's number of its genre "Social Networking" (Apple, "Genre IDs appendix"), in which messengers are,
/// and the category of macOS that is the same.
const SOCIAL_NETWORKING: &str = "6005";
const CATEGORY: &str = "public.app-category.social-networking";

/// Places of applications for all users. The last is nobody's own: everybody may write there, so that what lies
/// there is the system's is a guess.
pub(super) const SYSTEM: [&str; 3] = ["/Applications", "/System/Applications", "/Users/Shared"];

/// Places in a home folder; `""` is the folder itself. Where applications are installed, links count:
/// package managers make them. Elsewhere a link is a shortcut to what is found in its own place.
pub(super) const HOME: [(&str, Place); 5] = [
    ("Applications", Place { links: true, folders: true }),
    ("Desktop", Place { links: false, folders: true }),
    ("Downloads", Place { links: false, folders: true }),
    ("", Place { links: false, folders: false }),
    // Where PlayCover unpacks apps for iOS.
    ("Library/Containers/io.playcover.PlayCover/Applications", Place { links: false, folders: false }),
];

/// How a place is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Whether links count.
    links: bool,
    /// Whether the folders in it are looked into.
    folders: bool,
}

/// A bundle.
#[derive(Debug)]
pub(super) struct Bundle<'a> {
    /// Its folder's name without `.app`.
    pub(super) stem: &'a str,
    /// Whom it belongs to.
    pub(super) scope: &'a Scope,
    /// What it says of itself.
    pub(super) info: Info,
    /// Whether its program is there.
    pub(super) works: bool,
    /// Whether it is made for iOS.
    pub(super) ios: bool,
}

/// The keys of a bundle that matter here (Apple's Information Property List reference), those that Chromium adds to
/// what it makes for a web app (`chrome/common/mac/app_mode_common.mm`), and those of Safari's web apps.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub(super) identifier: Option<String>,
    pub(super) version: Option<String>,
    pub(super) name: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) executable: Option<String>,
    pub(super) category: Option<String>,
    pub(super) chromium_id: Option<String>,
    pub(super) chromium_url: Option<String>,
    pub(super) safari_url: Option<String>,
}

/// What of a bound is left.
#[derive(Debug)]
struct Left {
    bundles: usize,
    bytes: u64,
}

/// Calls `each` for every bundle in these places of the system.
pub(super) fn in_system(look: &mut Look<'_>, places: &[&str], each: &mut dyn FnMut(&Bundle<'_>)) {
    let mut left = Left { bundles: BUNDLES_MAX, bytes: INFOS_MAX };
    for place in places {
        let dir = look.system(place);
        let place = Place { links: *place == "/Applications", folders: true };
        read_place(look, &dir, place, &Scope::System, &mut left, each);
    }
}

/// Calls `each` for every bundle of a user.
pub(super) fn in_home(look: &mut Look<'_>, user: &User, each: &mut dyn FnMut(&Bundle<'_>)) {
    let mut left = Left { bundles: BUNDLES_MAX, bytes: INFOS_MAX };
    for (folder, place) in HOME {
        let dir = look.home(user, folder);
        read_place(look, &dir, place, &user.scope, &mut left, each);
    }
}

/// The identifier in the property list of a bundle.
pub(super) fn identifier(look: &mut Look<'_>, list: &Path) -> Option<String> {
    let bytes = look.read(list, INFO_MAX)?;
    let [identifier] = texts(&bytes, &[&["CFBundleIdentifier"]]).ok()?;
    identifier
}

fn read_place(
    look: &mut Look<'_>,
    dir: &Path,
    place: Place,
    scope: &Scope,
    left: &mut Left,
    each: &mut dyn FnMut(&Bundle<'_>),
) {
    let is_folder = |entry: &&Entry| match entry.kind {
        Kind::Dir => !entry.name.starts_with('.'),
        Kind::Link => place.links && !entry.name.starts_with('.'),
        Kind::File | Kind::Other => false,
    };
    let mut folders = 0;
    for entry in look.list(dir, ENTRIES_MAX).iter().filter(is_folder) {
        if let Some(stem) = stem(&entry.name) {
            read_bundle(look, &dir.join(&entry.name), stem, scope, left, each);
        } else if place.folders {
            folders += 1;
            if folders > FOLDERS_MAX {
                look.trouble(Trouble::TooMany);
                continue;
            }
            let inner = dir.join(&entry.name);
            for entry in look.list_some(&inner, INNER_MAX).iter().filter(is_folder) {
                if let Some(stem) = stem(&entry.name) {
                    read_bundle(look, &inner.join(&entry.name), stem, scope, left, each);
                }
            }
        }
    }
}

/// The name of a bundle without its ending.
fn stem(name: &str) -> Option<&str> {
    let (stem, end) = name.rsplit_once('.')?;
    (end.eq_ignore_ascii_case("app") && !stem.is_empty()).then_some(stem)
}

/// A bundle without a property list is none: nothing but its name would tell what it was.
fn read_bundle(
    look: &mut Look<'_>,
    dir: &Path,
    stem: &str,
    scope: &Scope,
    left: &mut Left,
    each: &mut dyn FnMut(&Bundle<'_>),
) {
    let Some(bundles) = left.bundles.checked_sub(1) else { return look.trouble(Trouble::TooMany) };
    left.bundles = bundles;
    let contents = dir.join("Contents");
    if let Some(info) = read_info(look, &contents.join("Info.plist"), left) {
        let works = has_program(look, &contents.join("MacOS"), info.executable.as_deref().unwrap_or(stem));
        return each(&Bundle { stem, scope, info, works, ios: false });
    }
    // An app for iOS on a Mac with Apple silicon: the link leads to `Wrapper/<name>.app`. PlayCover unpacks it
    // as it is on a phone.
    let wrapped = dir.join("WrappedBundle");
    let metadata = read_metadata(look, &dir.join("Wrapper/iTunesMetadata.plist"), left);
    for inner in [wrapped.as_path(), dir] {
        let Some(mut info) = read_info(look, &inner.join("Info.plist"), left) else { continue };
        let works = has_program(look, inner, info.executable.as_deref().unwrap_or(stem));
        info.category = info.category.or_else(|| metadata.as_ref()?.category.clone());
        return each(&Bundle { stem, scope, info, works, ios: true });
    }
    if let Some(info) = metadata {
        each(&Bundle { stem, scope, info, works: false, ios: true });
    }
}

/// Whether a program is in its folder. A name that is a path leads elsewhere: that is no program.
fn has_program(look: &mut Look<'_>, dir: &Path, name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && name != ".." && look.has(dir, name)
}

fn read_info(look: &mut Look<'_>, path: &Path, left: &mut Left) -> Option<Info> {
    const KEYS: [&[&str]; 10] = [
        &["CFBundleIdentifier"],
        &["CFBundleShortVersionString"],
        &["CFBundleVersion"],
        &["CFBundleName"],
        &["CFBundleDisplayName"],
        &["CFBundleExecutable"],
        &["LSApplicationCategoryType"],
        &["CrAppModeShortcutID"],
        &["CrAppModeShortcutURL"],
        &["Manifest", "start_url"],
    ];
    let [identifier, short, long, name, display_name, executable, category, chromium_id, chromium_url, start] =
        read_texts(look, path, left, &KEYS)?;
    let is_safari = identifier.as_ref().is_some_and(|id| id.starts_with("com.apple.Safari.WebApp"));
    Some(Info {
        identifier,
        version: short.or(long),
        name,
        display_name,
        executable,
        category,
        chromium_id,
        chromium_url,
        safari_url: start.filter(|_| is_safari),
    })
}

/// What the App Store notes beside an app for iOS.
fn read_metadata(look: &mut Look<'_>, path: &Path, left: &mut Left) -> Option<Info> {
    let keys: [&[&str]; 4] =
        [&["softwareVersionBundleId"], &["bundleShortVersionString"], &["itemName"], &["genreId"]];
    let [identifier, version, name, genre] = read_texts(look, path, left, &keys)?;
    let category = genre.filter(|genre| genre == SOCIAL_NETWORKING).map(|_| CATEGORY.to_owned());
    Some(Info { identifier, version, name, category, ..Info::default() })
}

fn read_texts<const N: usize>(
    look: &mut Look<'_>,
    path: &Path,
    left: &mut Left,
    keys: &[&[&str]; N],
) -> Option<[Option<String>; N]> {
    if left.bytes == 0 {
        look.trouble(Trouble::TooMany);
        return None;
    }
    let bytes = look.read(path, INFO_MAX)?;
    left.bytes = left.bytes.saturating_sub(bytes.len() as u64);
    texts(&bytes, keys).map_err(|_| look.trouble(Trouble::Malformed)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_told_by_the_end_of_its_name() {
        for (name, expected) in [
            ("Signal.app", Some("Signal")),
            ("My.Chat.APP", Some("My.Chat")),
            (".app", None),
            ("app", None),
            ("Chrome Apps.localized", None),
            ("Signal.app.zip", None),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}
