//! Who uses the device: the password file, and the folders in `/home` of users that it does not list
//! (from a directory service, or left behind).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::host::{Host, User};
use super::look::{Kind, Look};
use super::seen::Seen;
use super::trouble::Troubles;

/// Largest password file that is read.
const PASSWD_MAX: u64 = 4 * 1024 * 1024;

/// Most folders in `/home` that are looked at.
const HOMES_MAX: usize = 4096;

/// `nobody`, who is no one.
const NOBODY: u32 = 65_534;

/// The users, and how that is known.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) users: Vec<User>,
    pub(super) seen: Seen,
    pub(super) troubles: Troubles,
}

/// Finds the users of a device.
pub(super) fn survey(host: &Host) -> Survey {
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
    for entry in look.list(&base, HOMES_MAX) {
        if entry.name == "lost+found" || matches!(entry.kind, Kind::File | Kind::Other) {
            continue;
        }
        let home = host.path(&format!("/home/{}", entry.name));
        if entry.kind == Kind::Dir || look.is_dir(&home) {
            homes.entry(home).or_insert((entry.name, None));
        }
    }
    let user = |(home, (name, uid)): (PathBuf, (String, Option<u32>))| {
        let scope = host.scope_of(name.as_bytes());
        User { name, uid, home, scope }
    };
    let users = homes.into_iter().map(user).collect();
    let (seen, troubles) = look.into_parts();
    Survey { users, seen, troubles }
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
    use offchannel_shared::device::Platform;
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
        assert_eq!(names, [("alice", Some(1000)), ("bob", None), ("root", Some(0))]);
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
