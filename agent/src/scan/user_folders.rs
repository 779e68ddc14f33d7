//! Who uses a Mac or a Windows machine: the folders in `/Users`, and the profiles that Windows lists.

use std::collections::BTreeMap;
use std::path::PathBuf;

use offchannel_shared::device::Platform;

use super::any_case::{folded, on_drive};
use super::host::{Host, User};
use super::look::{Kind, Look};
use super::registry;
use super::seen::Seen;
use super::trouble::{Trouble, Troubles};
use super::users::{HOMES_MAX, Survey, owner_of_folder};

/// Folders in `/Users` that are no person's. macOS: what users share, and its guest, whose folder is emptied.
/// Windows: what users share, the pattern of new homes, and two old names that lead to these.
const NO_HOMES: [&str; 6] = ["All Users", "Default", "Default User", "Guest", "Public", "Shared"];

/// Those whose homes are in `/Users`, and root on macOS. Directory services make folders there as well.
pub(super) fn survey(host: &Host) -> Survey {
    let mut look = Look::new(host, &[]);
    let mut users = Vec::new();
    let mut user = |name: String, home: PathBuf, uid: Option<u32>| {
        let scope = host.scope_of(name.as_bytes());
        users.push(User { name, uid, sid: None, home, scope });
    };
    look.elsewhere("home folders");
    let root = host.path("/var/root");
    if host.platform() == Platform::Macos && look.is_dir(&root) {
        user("root".to_owned(), root, Some(0));
    }
    let base = look.system("/Users");
    for entry in look.list(&base, HOMES_MAX) {
        let hidden = entry.name.starts_with('.') || NO_HOMES.contains(&entry.name.as_str());
        if hidden || matches!(entry.kind, Kind::File | Kind::Other) {
            continue;
        }
        let home = host.path(&format!("/Users/{}", entry.name));
        if let Some(uid) = owner_of_folder(&mut look, &home) {
            user(entry.name, home, uid.filter(|_| host.platform() == Platform::Macos));
        }
    }
    let (mut seen, mut troubles) = look.into_parts();
    if host.platform() == Platform::Windows {
        let (more, elsewhere) = read_profiles(host, &mut users);
        seen.add(more);
        troubles.add_all(&elsewhere);
    }
    users.sort_by(|a, b| a.home.cmp(&b.home));
    Survey { users, seen, troubles }
}

/// Notes the security identifiers of users, and adds those whose homes are elsewhere. What cannot be read of the
/// registry is said by the sources whose place it is.
fn read_profiles(host: &Host, users: &mut Vec<User>) -> (Seen, Troubles) {
    let mut look = Look::new(host, &[]);
    let profiles = registry::profiles(&mut look);
    let (mut seen, _) = look.into_parts();
    let mut look = Look::new(host, &[]);
    look.elsewhere("home folders");
    let names = users.iter().enumerate().map(|(at, user)| (folded(&format!("Users/{}", user.name)), at));
    let mut known: BTreeMap<String, usize> = names.collect();
    for (sid, path) in profiles {
        let (path, home) = match (on_drive(&path, host.drive()), host.is_live()) {
            (Some(path), _) => (path.clone(), host.path(&path)),
            (None, true) if is_on_other_drive(&path, host.drive()) => (path.clone(), PathBuf::from(path)),
            (None, live) => {
                if !live && is_on_other_drive(&path, host.drive()) {
                    look.trouble(Trouble::OtherDrive);
                }
                continue;
            }
        };
        let key = folded(&path);
        if let Some(user) = known.get(&key).and_then(|at| users.get_mut(*at)) {
            user.sid.get_or_insert(sid);
        } else if look.is_dir(&home) {
            known.insert(key, users.len());
            // Two drives may each have an alice.
            let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
            let is_taken = users.iter().any(|user| user.name == name);
            let name = if is_taken { path } else { name.to_owned() };
            let scope = host.scope_of(name.as_bytes());
            users.push(User { name, uid: None, sid: Some(sid), home, scope });
        }
    }
    let (more, troubles) = look.into_parts();
    seen.add(more);
    (seen, troubles)
}

/// Whether a path begins with the letter of a drive that is not this one.
fn is_on_other_drive(path: &str, drive: char) -> bool {
    let letter = path.split_once(":\\").and_then(|(letter, _)| letter.parse::<char>().ok());
    letter.is_some_and(|letter| letter.is_ascii_alphabetic() && !letter.eq_ignore_ascii_case(&drive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_macos_and_windows_users_are_the_folders_of_people() {
        for (platform, shared) in [
            (Platform::Macos, ["Shared", "Guest", ".localized"]),
            (Platform::Windows, ["Public", "Default", "All Users"]),
        ] {
            let tree = tempfile::tempdir().unwrap();
            for dir in shared.iter().chain(&["alice", "bob"]) {
                std::fs::create_dir_all(tree.path().join("Users").join(dir)).unwrap();
            }
            std::fs::write(tree.path().join("Users/desktop.ini"), "").unwrap();
            let users = Host::at(tree.path().to_owned(), platform).users();
            let names: Vec<_> = users.iter().map(|user| user.name.as_str()).collect();
            assert_eq!(names, ["alice", "bob"], "{platform}");
        }
    }

    #[test]
    fn another_drive_is_told_from_this_one_and_from_what_is_no_path() {
        for (path, expected) in
            [(r"D:\x", true), (r"c:\x", false), (r"\\a\x", false), (r"ab:\x", false), ("D:", false)]
        {
            assert_eq!(is_on_other_drive(path, 'C'), expected, "{path}");
        }
    }
}
