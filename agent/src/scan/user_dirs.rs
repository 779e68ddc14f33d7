//! Where a user's downloads and desktop are: their folders are named in the user's language, and
//! `~/.config/user-dirs.dirs` says how (xdg-user-dirs, user-dirs.dirs(5)).

use std::path::{Component, Path};

use super::host::User;
use super::look::Look;

/// Largest file that is read; usual ones have eight lines.
const FILE_MAX: u64 = 64 * 1024;

/// The file in the home folder.
const FILE: &str = ".config/user-dirs.dirs";

/// What a folder is called in English, and its key in the file.
const KEYS: [(&str, &str); 2] = [("Desktop", "XDG_DESKTOP_DIR"), ("Downloads", "XDG_DOWNLOAD_DIR")];

/// These folders of a home, and, where the user's desktop or downloads are among them under their English
/// names, the folders that they really are.
pub(super) fn localised(look: &mut Look<'_>, user: &User, folders: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    let file = look.home(user, FILE);
    let Some(bytes) = look.read_aside(&file, FILE_MAX) else { return all };
    let text = String::from_utf8_lossy(&bytes);
    // The home folder as that system calls it.
    let home = user.home.strip_prefix(look.host().root()).ok().map(|home| Path::new("/").join(home));
    for (english, key) in KEYS.iter().filter(|(english, _)| folders.contains(english)) {
        let folder = value(&text, key).and_then(|value| in_home(&value, home.as_deref()));
        if let Some(folder) = folder.filter(|folder| folder != english && !all.contains(folder)) {
            all.push(folder);
        }
    }
    all
}

/// The value of a key: the last line counts, as it does for the shell that may read the file too.
fn value(text: &str, key: &str) -> Option<String> {
    let mut lines =
        text.lines().filter_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
    let quoted = lines.next_back()?.trim().strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

/// The path of a folder in the home folder; `None` for the home folder itself, which stands for "there is
/// no such folder", and for what lies elsewhere.
fn in_home(value: &str, home: Option<&Path>) -> Option<String> {
    let inner = match value.strip_prefix("$HOME/") {
        Some(inner) => inner,
        None => Path::new(value).strip_prefix(home?).ok()?.to_str()?,
    };
    // The file is written for a system whose names are parted by '/' alone, and may be read on one that knows
    // more: every name must be one plain name there too, or joining them would lead elsewhere.
    let names: Vec<&str> = inner.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let plain = |name: &&str| {
        let mut parts = Path::new(*name).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == *name)
    };
    (!names.is_empty() && names.iter().all(plain)).then(|| names.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_folders_inside_the_home_are_taken() {
        let home = Some(Path::new("/home/alice"));
        for (line, expected) in [
            ("XDG_DOWNLOAD_DIR=\"$HOME/T\u{e9}l\u{e9}chargements\"", Some("T\u{e9}l\u{e9}chargements")),
            ("XDG_DOWNLOAD_DIR = \"$HOME/a//b/\"  ", Some("a/b")),
            ("XDG_DOWNLOAD_DIR=\"/home/alice/Data\"", Some("Data")),
            ("XDG_DOWNLOAD_DIR=\"$HOME/a\\\"b\"", Some("a\"b")),
            ("XDG_DOWNLOAD_DIR=\"$HOME/a\"\nXDG_DOWNLOAD_DIR=\"$HOME/b\"", Some("b")),
            ("XDG_DOWNLOAD_DIR=\"$HOME/\"", None),
            ("XDG_DOWNLOAD_DIR=\"$HOME/../bob\"", None),
            ("XDG_DOWNLOAD_DIR=\"/home/bob/x\"", None),
            ("XDG_DOWNLOAD_DIR=\"$HOME/open", None),
            ("#XDG_DOWNLOAD_DIR=\"$HOME/a\"", None),
            ("XDG_DOWNLOAD_DIRS=\"$HOME/a\"", None),
            ("XDG_DOWNLOAD_DIR=\"$HOME//\\\\C:\"", if cfg!(windows) { None } else { Some("\\C:") }),
            ("XDG_DOWNLOAD_DIR=\"$HOME/a/C:/b\"", if cfg!(windows) { None } else { Some("a/C:/b") }),
        ] {
            let found = value(line, "XDG_DOWNLOAD_DIR").and_then(|value| in_home(&value, home));
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_leads_nowhere_else(text: String, path: String) {
            let _ = value(&text, "X");
            let _ = value(&format!("X={text}"), "X");
            for value in [format!("$HOME/{path}"), path] {
                let found = in_home(&value, Some(Path::new("/home/alice")));
                prop_assert!(found.is_none_or(|found| Path::new(&found).components().all(|part| matches!(part, Component::Normal(_)))));
            }
        }
    }
}
