//! Web apps in the Start menu of Windows, on desktops and on the taskbar, for the source `web-app`.
//!
//! Chrome, Edge and their relatives put a shell link there that starts the browser with `--app-id` (Chromium:
//! `chrome/browser/web_applications/os_integration/web_app_shortcut_win.cc`), Firefox one with `-taskbar-tab`
//! (`browser/components/taskbartabs`). A file `.url` is a bookmark, and nothing.

use std::path::Path;

use super::desktop_file::{address, web_app_in};
use crate::scan::formats::shell_link::ShellLink;
use crate::scan::host::User;
use crate::scan::look::{Kind, Look};

/// Most entries of one folder that are looked at.
const ENTRIES_MAX: usize = 4096;

/// Largest link that is read; usual ones have 1 to 3 kB.
const LINK_MAX: u64 = 64 * 1024;

/// Folders of one user. Chrome has a folder of its own in the menu, so the folders in these are read too.
pub(super) const HOME: [&str; 3] = [
    "AppData/Roaming/Microsoft/Windows/Start Menu/Programs",
    "AppData/Roaming/Microsoft/Internet Explorer/Quick Launch/User Pinned/TaskBar",
    "Desktop",
];

/// Folders of all users.
pub(super) const SYSTEM: [&str; 2] =
    ["/ProgramData/Microsoft/Windows/Start Menu/Programs", "/Users/Public/Desktop"];

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

/// Everything in the folders of a user, or in those of all.
pub(super) fn shortcuts(look: &mut Look<'_>, user: Option<&User>) -> Vec<Shortcut> {
    let mut found = Vec::new();
    let folders = if user.is_some() { HOME.as_slice() } else { SYSTEM.as_slice() };
    for folder in folders {
        let dir = match user {
            Some(user) => look.home(user, folder),
            None => look.system(folder),
        };
        for entry in look.list(&dir, ENTRIES_MAX) {
            let path = dir.join(&entry.name);
            if entry.kind != Kind::Dir {
                found.extend(shortcut(look, &path, &entry.name));
                continue;
            }
            for inner in look.list(&path, ENTRIES_MAX) {
                found.extend(shortcut(look, &path.join(&inner.name), &inner.name));
            }
        }
    }
    found
}

fn shortcut(look: &mut Look<'_>, path: &Path, file: &str) -> Option<Shortcut> {
    let (name, _) = file.rsplit_once('.').filter(|(_, end)| end.eq_ignore_ascii_case("lnk"))?;
    // A link that cannot be parsed opens nothing either.
    let link = ShellLink::parse(&look.read(path, LINK_MAX)?)?;
    let web_app = opens(link.arguments.as_deref()?)?;
    let program = link.target.as_deref().and_then(|target| look.host().windows_path(target));
    let works = program.is_none_or(|program| exists(look, &program));
    Some(Shortcut { web_app, name: name.to_owned(), works })
}

/// The web app that a browser opens with these arguments.
fn opens(arguments: &str) -> Option<String> {
    let words: Vec<String> = words(arguments);
    if words.iter().any(|word| word == "-taskbar-tab") {
        let url = words.iter().skip_while(|word| *word != "-new-window").nth(1)?;
        return address(url);
    }
    web_app_in(&words)
}

/// The words of a command line: quoted parts are one word, a backslash is a character like others.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn exists(look: &mut Look<'_>, program: &Path) -> bool {
    match (program.parent(), program.file_name().and_then(|name| name.to_str())) {
        (Some(dir), Some(name)) => look.has(dir, name),
        _ => true,
    }
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
