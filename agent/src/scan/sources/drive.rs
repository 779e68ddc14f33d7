//! Whether the programs that a registry speaks of are there.

use std::path::{Path, PathBuf};

use crate::scan::look::Look;

/// How often a name of one user's entries, or of the machine's, is looked for among all of a folder's in any
/// case; after that programs count as there.
pub(super) const SEARCHES_MAX: usize = 256;

/// Most names of a folder among which one is looked for so.
const FOLDER_MAX: usize = 2048;

/// Deepest path that is looked for.
const DEPTH_MAX: usize = 16;

/// The drive on which an entry's programs are looked for.
#[derive(Debug)]
pub(super) struct Drive<'s> {
    root: PathBuf,
    letter: char,
    /// Whether files of this path may be looked for: a user's own entries ask nothing of others' homes.
    allows: fn(&str, &str) -> bool,
    home: String,
    searches: &'s mut usize,
}

impl<'s> Drive<'s> {
    /// The drive at this folder: C:, or the one that is its root (`D:\`).
    pub(super) fn at(root: PathBuf, searches: &'s mut usize) -> Self {
        let named = root.to_str().and_then(|root| root.split_once(':')).map(|(letter, _)| letter);
        let letter = named.filter(|letter| letter.len() == 1).and_then(|letter| letter.chars().next());
        let letter = letter.unwrap_or('C');
        Self { root, letter, allows: |_, _| true, home: String::new(), searches }
    }

    /// The same for the entries of the user with this home, which asks nothing of the homes of others.
    pub(super) fn of_user(root: PathBuf, home: &Path, searches: &'s mut usize) -> Self {
        let home = home.strip_prefix(&root).map(|home| home.to_string_lossy().replace('\\', "/"));
        let allows = |path: &str, home: &str| {
            let starts = |start: &str| path.get(..start.len()).is_some_and(|p| p.eq_ignore_ascii_case(start));
            !starts("Users/") || starts(&format!("{home}/"))
        };
        Self { home: home.unwrap_or_default(), allows, ..Self::at(root, searches) }
    }

    /// Whether any of these is there, as Windows writes paths; `true` as well if none can be looked for.
    pub(super) fn has_any(&mut self, look: &mut Look<'_>, paths: &[Option<&str>]) -> bool {
        let letter = self.letter;
        let mut known = paths.iter().flatten().filter_map(|path| on_drive(path, letter)).peekable();
        known.peek().is_none() || known.any(|path| self.has(look, &path))
    }

    /// Whether there is something at this path, `a/b`, in any case; `true` as well if that cannot be told.
    fn has(&mut self, look: &mut Look<'_>, path: &str) -> bool {
        if !(self.allows)(path, &self.home) {
            return true;
        }
        let whole = self.root.join(path);
        let (Some(dir), Some(name)) = (whole.parent(), whole.file_name().and_then(|name| name.to_str()))
        else {
            return true;
        };
        if look.has(dir, name) {
            return true;
        }
        if *self.searches == 0 || path.split('/').count() > DEPTH_MAX {
            return true;
        }
        *self.searches -= 1;
        let mut dir = self.root.clone();
        path.split('/').all(|part| {
            let there = look.has(&dir, part);
            let name = if there { Some(part.to_owned()) } else { name_in_any_case(look, &dir, part) };
            dir.push(name.as_deref().unwrap_or_default());
            name.is_some()
        })
    }
}

fn name_in_any_case(look: &mut Look<'_>, dir: &Path, name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let entries = look.list_some(dir, FOLDER_MAX).into_iter();
    entries.map(|entry| entry.name).find(|other| other.to_lowercase() == lower)
}

/// The path below the root of this drive, with `/` between its names. `None` for what cannot be looked for
/// or proves nothing: other drives, the network, variables, a way upwards, the root itself, and all of
/// Windows, where the icons and the programs lie that serve every uninstallation.
pub(super) fn on_drive(text: &str, drive: char) -> Option<String> {
    let text = text.trim().trim_matches('"').trim();
    let rest = text.strip_prefix(|letter: char| letter.eq_ignore_ascii_case(&drive))?;
    let rest = rest.strip_prefix(':')?.strip_prefix(['\\', '/'])?;
    let mut names = Vec::new();
    for name in rest.split(['\\', '/']).filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." || name.contains(['%', ':', '*', '?', '"', '<', '>', '|', '\0']) {
            return None;
        }
        // Windows takes no notice of dots and spaces at the end.
        names.push(name.trim_end_matches(['.', ' ']));
    }
    let first = names.first()?;
    let windows = first.eq_ignore_ascii_case("Windows") || names.iter().any(|name| name.is_empty());
    (!windows).then(|| names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_on_another_drive_has_its_programs_there() {
        for (root, letter) in [("/image", 'C'), ("D:\\", 'D'), ("/a:b/drive_c", 'C')] {
            assert_eq!(Drive::at(PathBuf::from(root), &mut 0).letter, letter, "{root}");
        }
        assert_eq!(on_drive(r"d:\X", 'D').as_deref(), Some("X"));
        assert_eq!(on_drive(r"C:\X", 'D'), None);
    }

    #[test]
    fn a_user_s_entry_asks_nothing_of_the_homes_of_others() {
        let mut searches = 0;
        let drive = Drive::of_user(PathBuf::from("/image"), Path::new("/image/Users/alice"), &mut searches);
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
