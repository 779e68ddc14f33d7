//! Whether the programs that a registry speaks of are there.

use std::path::PathBuf;

use offchannel_shared::device::Platform;

use crate::scan::any_case::{is_short, on_drive};
use crate::scan::host::{Host, User};
use crate::scan::look::Look;

/// The drive on which an entry's programs are looked for.
#[derive(Debug)]
pub(super) struct Drive {
    root: PathBuf,
    letter: char,
    /// Whether files of this path may be looked for: a user's own entries ask nothing of others' homes.
    allows: fn(&str, &str) -> bool,
    home: String,
}

impl Drive {
    /// Drive C: in a prefix of Wine.
    pub(super) fn of_wine(root: PathBuf) -> Self {
        Self { root, letter: 'C', allows: |_, _| true, home: String::new() }
    }

    /// The drive that Windows is installed on.
    pub(super) fn of_system(host: &Host) -> Self {
        Self { letter: host.drive(), ..Self::of_wine(host.root().to_owned()) }
    }

    /// The same for the entries of this user, which ask nothing of the homes of others.
    pub(super) fn of_user(host: &Host, user: &User) -> Self {
        let home = user.home.strip_prefix(host.root()).map(|home| home.to_string_lossy().replace('\\', "/"));
        let allows = |path: &str, home: &str| {
            let starts = |start: &str| path.get(..start.len()).is_some_and(|p| p.eq_ignore_ascii_case(start));
            !starts("Users/") || starts(&format!("{home}/"))
        };
        Self { home: home.unwrap_or_default(), allows, ..Self::of_system(host) }
    }

    /// Whether any of these is there, as Windows writes paths; `true` as well if none can be looked for.
    pub(super) fn has_any(&self, look: &mut Look<'_>, paths: &[Option<&str>]) -> bool {
        let letter = self.letter;
        let mut known = paths.iter().flatten().filter_map(|path| on_drive(path, letter)).peekable();
        known.peek().is_none() || known.any(|path| self.has(look, &path))
    }

    /// Whether there is something at this path, `a/b`, in any case; `true` as well if that cannot be told.
    fn has(&self, look: &mut Look<'_>, path: &str) -> bool {
        let host = look.host();
        let is_windows = host.platform() == Platform::Windows;
        let is_unknown = !(is_windows && host.is_live()) && path.split('/').any(is_short);
        if is_unknown || !(self.allows)(path, &self.home) {
            return true;
        }
        let whole = self.root.join(path);
        let (Some(dir), Some(name)) = (whole.parent(), whole.file_name().and_then(|name| name.to_str()))
        else {
            return true;
        };
        // Of an image of Windows this finds names in any case; Wine does that by itself.
        look.has(dir, name) || (!is_windows && look.has_in_any_case(&self.root, path))
    }
}

#[cfg(test)]
mod tests {
    use offchannel_shared::inventory::Scope;

    use super::*;

    #[test]
    fn a_user_s_entry_asks_nothing_of_the_homes_of_others() {
        let host = Host::at("/image".into(), Platform::Windows);
        let (name, home, scope) = ("alice".to_owned(), "/image/Users/alice".into(), Scope::System);
        let user = User { name, uid: None, sid: None, home, scope };
        let drive = Drive::of_user(&host, &user);
        for (path, expected) in [
            ("Users/alice/x", true),
            ("users/ALICE/x", true),
            ("Program Files/x", true),
            ("Users/bob/x", false),
            ("Users/alicex/x", false),
            ("Users/alice", false),
        ] {
            assert_eq!((drive.allows)(path, &drive.home), expected, "{path}");
        }
    }
}
