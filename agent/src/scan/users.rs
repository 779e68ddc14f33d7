//! Who uses the device. On Linux: the password file, and the folders in `/home` of users that it does not
//! list (from a directory service, or left behind). Elsewhere see `user_folders`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use offchannel_shared::device::Platform;

use super::host::{Host, User};
use super::look::{Kind, Look};
use super::seen::Seen;
use super::trouble::Troubles;
use super::user_folders;
use crate::platform::files::owner;

/// Largest password file that is read.
const PASSWD_MAX: u64 = 4 * 1024 * 1024;

/// Most folders in `/home` that are looked at.
pub(super) const HOMES_MAX: usize = 4096;

/// `nobody`, who is no one.
const NOBODY: u32 = 65_534;

/// The number from which on users are people (Linux: login.defs(5), UID_MIN; macOS: the first user of a new
/// system has 501).
pub(super) const fn first_person(platform: Platform) -> u32 {
    match platform {
        Platform::Macos => 500,
        Platform::Android | Platform::Ios | Platform::Linux | Platform::Windows => 1000,
    }
}

/// What a file system check makes at the top of a file system; no home.
const LOST: &str = "lost+found";

/// The users, and how that is known.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) users: Vec<User>,
    pub(super) seen: Seen,
    pub(super) troubles: Troubles,
}

/// Finds the users of a device.
pub(super) fn survey(host: &Host) -> Survey {
    match host.platform() {
        Platform::Macos | Platform::Windows => user_folders::survey(host),
        Platform::Android | Platform::Ios | Platform::Linux => survey_linux(host),
    }
}

fn survey_linux(host: &Host) -> Survey {
    let mut look = Look::new(host, &[]);
    let mut homes: BTreeMap<PathBuf, (String, Option<u32>)> = BTreeMap::new();
    let passwd = look.system("/etc/passwd");
    let bytes = look.read(&passwd, PASSWD_MAX).unwrap_or_default();
    look.elsewhere("home folders");
    for person in people(&bytes) {
        let home = host.path(person.home);
        if look.is_dir(&home) {
            homes.entry(home).or_insert_with(|| (person.name.to_owned(), Some(person.uid)));
        }
    }
    let root = host.path("/root");
    if look.is_dir(&root) {
        homes.entry(root).or_insert_with(|| ("root".to_owned(), Some(0)));
    }
    let base = look.system("/home");
    look.say_nameless(&base, HOMES_MAX);
    let mut known: BTreeSet<u32> = homes.values().filter_map(|(_, uid)| *uid).collect();
    for entry in look.list(&base, HOMES_MAX) {
        if is_no_home(&entry.name) || matches!(entry.kind, Kind::File | Kind::Other) {
            continue;
        }
        let folder = host.path(&format!("/home/{}", entry.name));
        if homes.contains_key(&folder) {
            continue;
        }
        let Some(uid) = owner_of_folder(&mut look, &folder) else { continue };
        let domain = if uid == Some(0) { homes_of_domain(&mut look, &folder) } else { Vec::new() };
        let found = match domain.is_empty() {
            true => vec![(folder, entry.name, uid)],
            false => domain,
        };
        for (home, name, uid) in found {
            // A person's second folder is not theirs by that person's number: the first has it.
            let uid = uid
                .filter(|uid| *uid >= first_person(Platform::Linux) && *uid != NOBODY && known.insert(*uid));
            homes.entry(home).or_insert((name, uid));
        }
    }
    let user = |(home, (name, uid)): (PathBuf, (String, Option<u32>))| {
        let scope = host.scope_of(name.as_bytes());
        User { name, uid, sid: None, home, scope }
    };
    let users = homes.into_iter().map(user).collect();
    let (seen, troubles) = look.into_parts();
    Survey { users, seen, troubles }
}

/// Who owns a folder, `Some(None)` where that cannot be told; `None` if it is no folder.
pub(super) fn owner_of_folder(look: &mut Look<'_>, folder: &Path) -> Option<Option<u32>> {
    look.stat(folder).filter(|meta| meta.is_dir()).map(|meta| owner(&meta))
}

/// The homes in a folder that root owns, if it is that of a domain: winbind and sssd make
/// `/home/DOMAIN/user`. Most of what such a folder holds are folders of people; an administrator may have put
/// something beside them, and what is hidden is the file system's. Their names here are the domain's and their
/// own: two domains may each have an alice.
fn homes_of_domain(look: &mut Look<'_>, domain: &Path) -> Vec<(PathBuf, String, Option<u32>)> {
    let mut homes = Vec::new();
    let mut entries = look.list(domain, HOMES_MAX);
    entries.retain(|entry| !is_no_home(&entry.name));
    for entry in &entries {
        let home = domain.join(&entry.name);
        let uid = if entry.kind == Kind::Dir { owner_of_folder(look, &home).flatten() } else { None };
        if uid.is_some_and(|uid| uid >= first_person(Platform::Linux) && uid != NOBODY) {
            let name = domain.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            homes.push((home, format!("{name}/{}", entry.name), uid));
        }
    }
    if homes.len() * 2 <= entries.len() {
        return Vec::new();
    }
    look.say_nameless(domain, HOMES_MAX);
    homes
}

/// Whether this is what file systems and tools put beside homes (`.snapshot`, `.ecryptfs`).
fn is_no_home(name: &str) -> bool {
    name == LOST || name.starts_with('.')
}

/// A line of passwd(5).
#[derive(Debug, PartialEq, Eq)]
struct Person<'a> {
    name: &'a str,
    uid: u32,
    home: &'a str,
}

/// Those who are people: root, and the numbers from 1000 on, with a home of their own.
fn people(passwd: &[u8]) -> impl Iterator<Item = Person<'_>> {
    passwd.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = std::str::from_utf8(line).ok()?.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid: u32 = fields.nth(1)?.parse().ok()?;
        let home = fields.nth(2)?.trim_end_matches('/');
        let person = uid == 0 || (uid >= 1000 && uid != NOBODY);
        let own = home.starts_with('/')
            && !matches!(home, "/nonexistent" | "/var/empty" | "/bin" | "/usr" | "/home");
        (person && own).then_some(Person { name, uid, home })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn services_and_nobody_are_no_people() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
            nobody:x:65534:65534::/nonexistent:/bin/false\nalice:x:1000:1000:Alice,,,:/home/alice/:/bin/bash\n\
            +::::::\nshort:x:1001\nnowhere:x:1002:1002:::/bin/sh\nodd:x:-1:0::/home/odd:/bin/sh";
        let found: Vec<_> = people(passwd).collect();
        let alice = Person { name: "alice", uid: 1000, home: "/home/alice" };
        assert_eq!(found, [Person { name: "root", uid: 0, home: "/root" }, alice]);
    }

    #[test]
    fn users_of_a_directory_service_are_found_by_their_folders() {
        let tree = tempfile::tempdir().unwrap();
        for dir in ["etc", "home/alice", "home/bob", "home/lost+found", "root"] {
            std::fs::create_dir_all(tree.path().join(dir)).unwrap();
        }
        std::fs::write(tree.path().join("etc/passwd"), "alice:x:1000:1000::/home/alice:/bin/sh\n").unwrap();
        std::fs::write(tree.path().join("home/file"), "").unwrap();
        let users = Host::at(tree.path().to_owned(), Platform::Linux).users();
        let names: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.uid)).collect();
        // Whoever runs this test owns bob's folder.
        let me = owner(&std::fs::metadata(tree.path()).unwrap()).filter(|uid| *uid > 1000 && *uid != NOBODY);
        assert_eq!(names, [("alice", Some(1000)), ("bob", me), ("root", Some(0))]);
    }

    #[cfg(unix)]
    #[test]
    fn homes_of_a_domain_are_found_one_folder_deeper_and_have_their_owner_s_number() {
        use std::os::unix::fs::chown;

        if !crate::platform::processes::is_root() {
            // Only root can give folders to others.
            return;
        }
        let tree = tempfile::tempdir().unwrap();
        let home = |path: &str, uid| {
            let path = tree.path().join("home").join(path);
            std::fs::create_dir_all(&path).unwrap();
            chown(&path, Some(uid), None).unwrap();
        };
        home("ACME/alice", 71_001);
        home("ACME/bob", 71_002);
        home("ACME/templates", 0);
        home("ACME/.snapshot", 0);
        home(".ecryptfs", 0);
        home("carol", 71_003);
        home("carol/ACME", 71_003);
        home("shared/data", 0);
        home("shared/alice", 71_001);
        let users = Host::at(tree.path().to_owned(), Platform::Linux).users();
        let names: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.uid)).collect();
        let (alice, bob) = (("ACME/alice", Some(71_001)), ("ACME/bob", Some(71_002)));
        assert_eq!(names, [alice, bob, ("carol", Some(71_003)), ("shared", None)]);
        // What runs as alice is alice's: one person, one pseudonym.
        let host = Host::at(tree.path().to_owned(), Platform::Linux);
        assert_eq!(Look::new(&host, &users).scope_of(71_001), users[0].scope);
    }

    proptest! {
        #[test]
        fn any_password_file_is_read_without_panic(bytes: Vec<u8>) {
            let _ = people(&bytes).count();
        }

        #[test]
        fn a_person_is_read_back(name in "[a-z_][a-z0-9_-]{0,30}", uid in 1000_u32..60_000, home in "(/[a-z.]{1,8}){2,4}") {
            let line = format!("{name}:x:{uid}:{uid}:A Name:{home}:/bin/sh\n");
            let found: Vec<_> = people(line.as_bytes()).collect();
            prop_assert_eq!(found, [Person { name: &name, uid, home: &home }]);
        }
    }
}
