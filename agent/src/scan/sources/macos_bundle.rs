//! Applications of macOS, and of iOS on Macs with Apple silicon: bundles of the system and of each user.
//!
//! A bundle whose program is missing was removed or copied by half: it is a leftover. One in the trash is
//! nothing. Web apps are the source web-app's.
//!
//! Applications that are gone leave folders and settings that are named by their identifiers. Only these
//! names are read, and of a container with a random name the one file in which the system notes whose it is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use offchannel_shared::device::Platform;
use offchannel_shared::inventory::{Artefact, Grade};
use offchannel_shared::namespace::Namespace;

use super::bundles::{Bundle, HOME, SYSTEM, in_home, in_system};
use crate::plist::texts;
use crate::scan::host::{Host, User};
use crate::scan::look::{Kind, Look};
use crate::scan::source::Source;
use crate::scan::trouble::Trouble;

/// Most leftovers of one kind that are looked at; `Preferences` of an old account has a thousand.
const LEFTOVERS_MAX: usize = 8192;

/// Most containers with a random name; only apps for iOS have such.
const NAMELESS_MAX: usize = 256;

/// Largest note of whose a container is; they have some kilobytes.
const NOTE_MAX: u64 = 64 * 1024;

/// In each container; the system's own, not the app's.
const NOTE: &str = ".com.apple.containermanagerd.metadata.plist";

/// Containers of sandboxed apps.
const CONTAINERS: &str = "Library/Containers";

/// What other apps leave behind, and the end of the names there.
const LEFTOVERS: [(&str, &str); 2] = [("Library/Application Support", ""), ("Library/Preferences", ".plist")];

/// Applications of macOS.
#[derive(Debug)]
pub struct MacosBundle;

impl Source for MacosBundle {
    fn id(&self) -> &'static str {
        "macos-bundle"
    }

    fn about(&self) -> &'static str {
        "applications of macOS and of iOS on a Mac, of the system and of all users"
    }

    fn platforms(&self) -> &'static [Platform] {
        &[Platform::Macos]
    }

    /// Not the home folders themselves: shells and editors write there all the time.
    fn watch(&self, host: &Host) -> Vec<PathBuf> {
        let users = host.users();
        let folders = HOME.iter().map(|(folder, _)| *folder).filter(|folder| !folder.is_empty());
        let homes = users.iter().flat_map(|user| folders.clone().map(|folder| user.folder(folder)));
        SYSTEM.iter().map(|place| host.path(place)).chain(homes).collect()
    }

    fn collect(&self, look: &mut Look<'_>, found: &mut dyn FnMut(&Artefact<'_>)) {
        let mut installed = BTreeSet::new();
        in_system(look, &SYSTEM, &mut |bundle| installed.extend(tell(bundle, found)));
        for user in look.users() {
            let mut own = installed.clone();
            in_home(look, user, &mut |bundle| own.extend(tell(bundle, found)));
            read_leftovers(look, user, &own, found);
        }
    }
}

/// Tells of a bundle, and answers its identifier if it is installed.
fn tell(bundle: &Bundle<'_>, found: &mut dyn FnMut(&Artefact<'_>)) -> Option<String> {
    let info = &bundle.info;
    if info.chromium_id.is_some() || info.chromium_url.is_some() || info.safari_url.is_some() {
        return None;
    }
    let names = [&info.name, &info.display_name, &info.executable];
    let agrees = !bundle.ios && names.into_iter().any(|name| name.as_deref() == Some(bundle.stem));
    let folder = agrees.then(|| format!("{}.app", bundle.stem));
    let identifier = info.identifier.as_deref().or(folder.as_deref())?;
    let namespace = if bundle.ios { Namespace::Ios } else { Namespace::MacosBundle };
    let grade = if bundle.works { Grade::Installed } else { Grade::Residual };
    found(&Artefact {
        also: folder.as_deref(),
        name: info.display_name.as_deref().or(info.name.as_deref()),
        version: info.version.as_deref(),
        categories: info.category.as_deref().unwrap_or_default(),
        ..Artefact::new(namespace, identifier, bundle.scope, grade)
    });
    bundle.works.then(|| identifier.to_owned())
}

/// What applications that are not installed have left.
fn read_leftovers(
    look: &mut Look<'_>,
    user: &User,
    installed: &BTreeSet<String>,
    found: &mut dyn FnMut(&Artefact<'_>),
) {
    let mut left = BTreeSet::new();
    let mut nameless = 0;
    let containers = look.home(user, CONTAINERS);
    for entry in look.list(&containers, LEFTOVERS_MAX) {
        if entry.kind != Kind::Dir {
            continue;
        }
        if !is_uuid(&entry.name) {
            left.insert((Namespace::MacosBundle, entry.name));
            continue;
        }
        nameless += 1;
        if nameless > NAMELESS_MAX {
            look.trouble(Trouble::TooMany);
            continue;
        }
        let note = look.read(&containers.join(&entry.name).join(NOTE), NOTE_MAX);
        match note.map(|note| texts(&note, &[&["MCMMetadataIdentifier"]])) {
            Some(Ok([Some(owner)])) => _ = left.insert((Namespace::Ios, owner)),
            Some(Err(_)) => look.trouble(Trouble::Malformed),
            Some(Ok([None])) | None => {}
        }
    }
    for (folder, end) in LEFTOVERS {
        let dir = look.home(user, folder);
        for entry in look.list(&dir, LEFTOVERS_MAX) {
            let name = entry.name.strip_suffix(end).filter(|name| is_identifier(name));
            left.extend(name.map(|name| (Namespace::MacosBundle, name.to_owned())));
        }
    }
    for (namespace, name) in &left {
        if !installed.contains(name) {
            found(&Artefact::new(*namespace, name, &user.scope, Grade::Residual));
        }
    }
}

/// Whether a name is that of no folder that people make: reverse domain names have a dot, and one like
/// `Adium.app` would be taken for the name of a bundle.
fn is_identifier(name: &str) -> bool {
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    dots > 1 || (dots == 1 && !name.ends_with(".app"))
}

fn is_uuid(name: &str) -> bool {
    let digit = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    name.len() == 36 && name.bytes().enumerate().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_leftovers_are_told_from_names_of_folders() {
        assert!(
            ["im.riot.app", "com.adiumX.adiumX", "keybase.Electron"].iter().all(|name| is_identifier(name))
        );
        assert!(!["Slack", "Adium.app", ""].iter().any(|name| is_identifier(name)));
        assert!(is_uuid("B1F3C2A0-0000-4000-8000-00000000ABCD"));
        assert!(!is_uuid("net.whatsapp.WhatsApp") && !is_uuid("B1F3C2A0-0000-4000-8000_00000000ABCD"));
    }
}
