//! What a look has asked for, to tell later whether anything of it changed.

use crate::platform::files::{Spot, Stamp};

/// What was asked for and what it was then.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) asked: Vec<(Spot, Option<Stamp>)>,
    pub(super) links: Vec<(Spot, Option<Stamp>)>,
    pub(super) fleeting: bool,
}

impl Seen {
    /// Adds what another look has asked for.
    pub(super) fn add(&mut self, other: Self) {
        self.asked.extend(other.asked);
        self.links.extend(other.links);
        self.fleeting |= other.fleeting;
    }

    /// Whether all of it is now as it was, seen at `looked_at` (microseconds since 1970).
    pub(super) fn is_unchanged(&self, looked_at: i64) -> bool {
        let same = |spot: &Spot, before: &Option<Stamp>, follow: bool| {
            let settled = before.is_none_or(|stamp| stamp.settled_at() <= looked_at);
            settled && spot.stamp(follow) == *before
        };
        !self.fleeting
            && self.asked.iter().all(|(spot, before)| same(spot, before, true))
            && self.links.iter().all(|(spot, before)| same(spot, before, false))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use offchannel_shared::device::Platform;
    use offchannel_shared::inventory::Health;

    use super::*;
    use crate::scan::host::Host;
    use crate::scan::look::Look;

    /// Long after anything that these tests write.
    const LATER: i64 = i64::MAX;

    fn tree() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir_all(tree.path().join("usr/share")).unwrap();
        fs::write(tree.path().join("usr/share/a"), "1").unwrap();
        let host = Host::at(tree.path().to_owned(), Platform::Linux);
        (tree, host)
    }

    fn seen(host: &Host, ask: impl Fn(&mut Look<'_>)) -> Seen {
        let mut look = Look::new(host, &[]);
        ask(&mut look);
        look.into_parts().0
    }

    #[test]
    fn a_change_of_anything_that_was_asked_for_is_noticed() {
        let ask = |look: &mut Look<'_>| {
            let dir = look.system("/usr/share");
            look.list(&dir, 9);
            look.read(&dir.join("a"), 9);
            look.is_dir(&look.host().lexical("/opt/x/y"));
        };
        let changes: [fn(&Path); 4] = [
            |root| fs::write(root.join("usr/share/a"), "22").unwrap(),
            |root| fs::write(root.join("usr/share/b"), "").unwrap(),
            |root| fs::remove_file(root.join("usr/share/a")).unwrap(),
            |root| fs::create_dir(root.join("opt")).unwrap(),
        ];
        for (index, change) in changes.iter().enumerate() {
            let (tree, host) = tree();
            let seen = seen(&host, ask);
            assert!(seen.is_unchanged(LATER));
            change(tree.path());
            assert!(!seen.is_unchanged(LATER), "change {index} went unnoticed");
        }
    }

    #[test]
    fn a_missing_folder_is_asked_for_once_however_much_is_looked_for_in_it() {
        let (_tree, host) = tree();
        let seen = seen(&host, |look| {
            for path in ["/opt/a/b/c", "/opt/a/b/d", "/opt/e"] {
                assert!(look.stat(&look.host().lexical(path)).is_none());
            }
        });
        assert_eq!(seen.asked.len(), 1, "{seen:?}");
    }

    #[test]
    fn what_was_written_just_before_the_look_is_not_relied_on() {
        let (tree, host) = tree();
        let seen = seen(&host, |look| drop(look.read(&look.host().lexical("/usr/share/a"), 9)));
        let written = Stamp::of(&fs::metadata(tree.path().join("usr/share/a")).unwrap()).settled_at();
        assert!(!seen.is_unchanged(written - 1));
        assert!(seen.is_unchanged(written));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_is_turned_elsewhere_is_noticed() {
        let (tree, host) = tree();
        let link = tree.path().join("link");
        std::os::unix::fs::symlink("/usr/share", &link).unwrap();
        let seen = seen(&host, |look| drop(look.read(&look.host().lexical("/link/a"), 9)));
        assert!(seen.is_unchanged(LATER));
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("/usr", &link).unwrap();
        assert!(!seen.is_unchanged(LATER));
    }

    /// Everything that a source asked for.
    #[cfg(unix)]
    fn seen_by(host: &Host, id: &str) -> Seen {
        let source = crate::scan::sources::SOURCES.iter().find(|source| source.id() == id).unwrap();
        let users = host.users();
        let mut look = Look::new(host, &users);
        source.collect(&mut look, &mut |_| {});
        look.into_parts().0
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_is_made_executable_is_noticed() {
        use std::os::unix::fs::PermissionsExt;

        let appimage = b"\x7fELF\x02\x01\x01\0AI\x02".as_slice();
        let elf = b"\x7fELF\x02\x01\x01\0\0\0\0".as_slice();
        for (source, name, content) in [
            ("appimage", "Caprine.AppImage", appimage),
            ("appimage", "Caprine", appimage),
            // Still being downloaded.
            ("appimage", "Caprine.AppImage", b""),
            ("unpacked", "signal-desktop", elf),
        ] {
            let (tree, host) = tree();
            let dir = tree.path().join("home/alice/Downloads");
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("chrome-sandbox"), "").unwrap();
            fs::write(dir.join(name), content).unwrap();
            let seen = seen_by(&host, source);
            assert!(seen.is_unchanged(LATER));
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
            assert!(!seen.is_unchanged(LATER), "{source} did not notice {name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_whose_link_leads_nowhere_any_more_is_noticed() {
        let (tree, host) = tree();
        let make = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        make("usr/share/applications/x.desktop", "[Desktop Entry]\nType=Application\nExec=x\n");
        make("opt/x/x", "");
        fs::create_dir_all(tree.path().join("usr/local/bin")).unwrap();
        std::os::unix::fs::symlink("/opt/x/x", tree.path().join("usr/local/bin/x")).unwrap();
        let seen = seen_by(&host, "desktop-entry");
        assert!(seen.is_unchanged(LATER));
        fs::remove_dir_all(tree.path().join("opt/x")).unwrap();
        assert!(!seen.is_unchanged(LATER), "the program is gone");
        let seen = seen_by(&host, "desktop-entry");
        assert!(seen.is_unchanged(LATER));
        make("opt/x/x", "");
        assert!(!seen.is_unchanged(LATER), "the program is back");
    }

    #[test]
    fn nothing_over_the_limit_is_read() {
        let (_tree, host) = tree();
        let mut look = Look::new(&host, &[]);
        let file = look.system("/usr/share/a");
        assert_eq!(look.read(&file, 1), Some(b"1".to_vec()));
        assert_eq!(look.read(&file, 0), None);
        assert_eq!(look.health(), Health::Partial("/usr/share/a: a file is too large".to_owned()));
    }
}
