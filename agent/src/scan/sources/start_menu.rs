//! Web apps in the Start menu of Windows, on desktops and on the taskbar, for the source `web-app`.
//!
//! Chrome, Edge and their relatives put a shell link there that starts the browser with `--app-id` (Chromium:
//! `chrome/browser/web_applications/os_integration/web_app_shortcut_win.cc`), Firefox one with `-taskbar-tab`
//! (`browser/components/taskbartabs`). A file `.url` is a bookmark, and nothing.

use std::path::{Path, PathBuf};

use super::desktop_file::{address, web_app_in, words};
use super::drive::Drive;
use crate::scan::formats::shell_link::ShellLink;
use crate::scan::host::User;
use crate::scan::look::{Kind, Look};
use crate::scan::trouble::Trouble;

/// Most entries of one folder that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Largest link that is read; usual ones have 1 to 3 kB.
const LINK_MAX: u64 = 64 * 1024;

/// Most links of one user, or of all, and most bytes of them; a full menu has three hundred.
const LINKS_MAX: usize = 2048;
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Most folders of one user, or of all, that are read.
const FOLDERS_MAX: usize = 512;

/// Most entries of a home folder among which those of OneDrive are looked for.
const HOME_MAX: usize = 1024;

/// Folders of one user, and how deep they are read. Chrome has a folder of its own in the menu, and vendors have
/// folders for their products.
pub(super) const HOME: [(&str, usize); 4] = [
    ("AppData/Roaming/Microsoft/Windows/Start Menu/Programs", 2),
    ("AppData/Roaming/Microsoft/Windows/Start Menu", 0),
    ("AppData/Roaming/Microsoft/Internet Explorer/Quick Launch/User Pinned/TaskBar", 0),
    ("Desktop", 1),
];

/// Folders of all users.
pub(super) const SYSTEM: [(&str, usize); 3] = [
    ("/ProgramData/Microsoft/Windows/Start Menu/Programs", 2),
    ("/ProgramData/Microsoft/Windows/Start Menu", 0),
    ("/Users/Public/Desktop", 1),
];

/// A link that opens a web app.
#[derive(Debug)]
pub(super) struct Shortcut {
    /// The web app, as an identifier of the namespace `web-app`.
    pub(super) web_app: String,
    /// What people call it: the name of the file.
    pub(super) name: String,
    /// Whether the browser that it starts is there, as far as that can be told.
    pub(super) works: bool,
}

/// What may still be read, and what was found.
struct Search {
    drive: Drive,
    links: usize,
    bytes: u64,
    folders: usize,
    found: Vec<Shortcut>,
}

/// Everything in the folders of a user, or in those of all.
pub(super) fn shortcuts(look: &mut Look<'_>, user: Option<&User>) -> Vec<Shortcut> {
    let host = look.host();
    let drive = user.map_or_else(|| Drive::of_system(host), |user| Drive::of_user(host, user));
    let (links, bytes, folders) = (LINKS_MAX, BYTES_MAX, FOLDERS_MAX);
    let mut search = Search { drive, links, bytes, folders, found: Vec::new() };
    let Some(user) = user else {
        for (folder, depth) in SYSTEM {
            let dir = look.system(folder);
            search.read(look, &dir, depth);
        }
        return search.found;
    };
    for (folder, depth) in HOME {
        let dir = look.home(user, folder);
        search.read(look, &dir, depth);
    }
    for dir in one_drive_desktops(look, user) {
        search.read(look, &dir, 1);
    }
    search.found
}

/// The desktops that OneDrive has taken out of a home: `OneDrive/Desktop`, `OneDrive - Acme/Desktop`.
pub(super) fn one_drive_desktops(look: &mut Look<'_>, user: &User) -> Vec<PathBuf> {
    let home = look.home(user, "");
    let mut entries = look.list_some(&home, HOME_MAX);
    entries.retain(|entry| entry.kind == Kind::Dir && entry.name.starts_with("OneDrive"));
    entries.iter().map(|entry| home.join(&entry.name).join("Desktop")).collect()
}

impl Search {
    fn read(&mut self, look: &mut Look<'_>, dir: &Path, depth: usize) {
        let Some(less) = self.folders.checked_sub(1) else { return look.trouble(Trouble::TooMany) };
        self.folders = less;
        for entry in look.list(dir, ENTRIES_MAX) {
            let path = dir.join(&entry.name);
            if entry.kind != Kind::Dir {
                self.read_link(look, &path, &entry.name);
            } else if depth > 0 {
                self.read(look, &path, depth - 1);
            }
        }
    }

    fn read_link(&mut self, look: &mut Look<'_>, path: &Path, file: &str) {
        let end = file.rsplit_once('.').filter(|(_, end)| end.eq_ignore_ascii_case("lnk"));
        let Some((name, _)) = end else { return };
        let Some(less) = self.links.checked_sub(1).filter(|_| self.bytes > 0) else {
            return look.trouble(Trouble::TooMany);
        };
        self.links = less;
        let Some(bytes) = look.read(path, LINK_MAX) else { return };
        self.bytes = self.bytes.saturating_sub(bytes.len() as u64);
        // A link that cannot be parsed opens nothing either.
        let Some(link) = ShellLink::parse(&bytes) else { return };
        let Some(web_app) = link.arguments.as_deref().and_then(opens) else { return };
        let works = self.drive.has_any(look, &[link.target.as_deref()]);
        self.found.push(Shortcut { web_app, name: name.to_owned(), works });
    }
}

/// The web app that a browser opens with these arguments.
fn opens(arguments: &str) -> Option<String> {
    let words = words(arguments, false);
    if words.iter().any(|word| word == "-taskbar-tab") {
        let url = words.iter().skip_while(|word| *word != "-new-window").nth(1)?;
        return address(url);
    }
    web_app_in(&words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_of_browsers_name_the_web_app() {
        let id = "hnpfjngllnobngcgfapefoaidbinmjnm";
        for (arguments, expected) in [
            (format!("--profile-directory=Default --app-id={id}"), Some(format!("app-id:{id}"))),
            (
                format!(
                    "--profile-directory=\"Profile 1\" --app-id={id} --app-url=https://web.whatsapp.com/"
                ),
                Some(format!("app-id:{id}")),
            ),
            ("--app=\"https://web.telegram.org/k/\"".to_owned(), Some("web.telegram.org/k/".to_owned())),
            (
                r"-taskbar-tab 1234 -new-window https://discord.com/channels/1/2 -profile C:\x -container 0"
                    .to_owned(),
                Some("discord.com/channels/1".to_owned()),
            ),
            ("https://web.whatsapp.com/".to_owned(), None),
            (r"C:\Users\x\app.exe --app-id=short".to_owned(), None),
        ] {
            assert_eq!(opens(&arguments), expected, "{arguments}");
        }
    }

    proptest! {
        #[test]
        fn any_arguments_are_read_without_panic(arguments: String) {
            let _ = opens(&arguments);
            let _ = opens(&format!("-taskbar-tab x -new-window {arguments}"));
        }
    }
}
