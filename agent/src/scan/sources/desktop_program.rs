//! What an entry of a menu starts: whether it is there, and whether it is only a browser.

use std::path::Path;

use super::desktop_file::DesktopFile;
use crate::scan::host::User;
use crate::scan::look::Look;

/// Where a program without a path is looked for, in an image as on a live system.
const PROGRAM_FOLDERS: [&str; 13] = [
    "/usr/bin",
    "/usr/local/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
    "/usr/games",
    "/snap/bin",
    "/usr/local/sbin",
    "/var/lib/snapd/snap/bin",
    "/var/lib/flatpak/exports/bin",
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];

/// The same in home folders.
const HOME_PROGRAM_FOLDERS: [&str; 7] = [
    ".local/bin",
    "bin",
    ".cargo/bin",
    ".linuxbrew/bin",
    ".local/share/flatpak/exports/bin",
    ".local/state/nix/profile/bin",
    ".nix-profile/bin",
];

/// Programs that open whatever they are given with the program for it.
const OPENERS: [&str; 11] = [
    "exo-open",
    "gio",
    "gnome-open",
    "gnome-www-browser",
    "gvfs-open",
    "kde-open",
    "kde-open5",
    "sensible-browser",
    "www-browser",
    "x-www-browser",
    "xdg-open",
];

/// Browsers, by the beginning of their programs' names (`firefox-esr`, `google-chrome-stable`) or by their
/// flatpaks' ids.
const BROWSERS: [&str; 24] = [
    "brave",
    "chrome",
    "chromium",
    "com.brave.browser",
    "com.google.chrome",
    "com.microsoft.edge",
    "com.opera.opera",
    "com.vivaldi.vivaldi",
    "epiphany",
    "falkon",
    "firefox",
    "google-chrome",
    "io.gitlab.librewolf-community",
    "konqueror",
    "librewolf",
    "microsoft-edge",
    "midori",
    "opera",
    "org.chromium.chromium",
    "org.gnome.epiphany",
    "org.mozilla.firefox",
    "qutebrowser",
    "vivaldi",
    "waterfox",
];

/// Whether the entry only opens something in a browser, or is that of a browser: a bookmark, whatever its
/// name.
pub(super) fn opens_page(command: &[String]) -> bool {
    let id = flatpak_run(command).or_else(|| snap_run(command));
    let program = id.or(command.first().map(String::as_str)).unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let first = name.as_bytes().first();
    let is_browser = |browser: &&str| {
        let rest = name.strip_prefix(*browser);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    // Every menu entry is compared with all of them.
    let mut alike = BROWSERS.iter().filter(|browser| browser.as_bytes().first() == first);
    OPENERS.binary_search(&name.as_str()).is_ok() || alike.any(is_browser)
}

/// Whether the program that an entry needs is there. `dir`: the folder that holds the entry; `command`: what it starts.
pub(super) fn program_exists(
    look: &mut Look<'_>,
    user: Option<&User>,
    dir: &Path,
    file: &DesktopFile<'_>,
    command: &[String],
) -> bool {
    if let Some(app) = file.flatpak.or_else(|| flatpak_run(command)).filter(|app| !app.contains('/')) {
        // `flatpak` itself is there even when the application is not.
        let system = look.host().lexical("/var/lib/flatpak/app").join(app);
        let own = user.map(|user| user.home.join(".local/share/flatpak/app").join(app));
        return look.has(&system, "current") || own.is_some_and(|own| look.has(&own, "current"));
    }
    if let Some(snap) = snap_run(command).filter(|snap| !snap.contains('/')) {
        let mut mounts = ["/snap", "/var/lib/snapd/snap"].into_iter();
        return mounts.any(|mount| {
            let snap = look.host().lexical(mount).join(snap);
            look.has(&snap, "current")
        });
    }
    let program = file.program(command);
    if program.is_empty() {
        return true;
    }
    let path = Path::new(program.as_ref());
    if program.starts_with('/') {
        let (Some(parent), Some(name)) =
            (path.parent().and_then(Path::to_str), path.file_name().and_then(|n| n.to_str()))
        else {
            return true;
        };
        let parent = look.host().lexical(parent);
        return look.has(&parent, name);
    }
    // Relative paths are not allowed; nothing can be said about them.
    if program.contains('/') {
        return true;
    }
    for folder in PROGRAM_FOLDERS {
        let folder = look.host().lexical(folder);
        if look.has(&folder, &program) {
            return true;
        }
    }
    // Wherever a product has its `share/applications`, its programs are in the `bin` beside `share`.
    let share = dir.ancestors().find(|folder| folder.ends_with("share/applications"));
    let prefix = share.and_then(|folder| folder.ancestors().nth(2)).map(|prefix| prefix.join("bin"));
    if prefix.is_some_and(|beside| look.has(&beside, &program)) {
        return true;
    }
    user.is_some_and(|user| {
        HOME_PROGRAM_FOLDERS.iter().any(|folder| look.has(&user.home.join(folder), &program))
    })
}

/// The application that `flatpak run` starts: the first argument that is no option, an id or a whole ref
/// (flatpak-run(1)). Ids have two dots or more, which tells them from the values of options.
fn flatpak_run(command: &[String]) -> Option<&str> {
    let mut arguments = run(command, "flatpak")?;
    let app = arguments.find(|word| word.contains('.'))?;
    app.strip_prefix("app/").unwrap_or(app).split('/').next()
}

/// The snap of which `snap run` starts a program: `snap` or `snap.program`.
fn snap_run(command: &[String]) -> Option<&str> {
    run(command, "snap")?.next()?.split('.').next()
}

/// The arguments of `PROGRAM [options] run [options]`, options left out.
fn run<'c>(command: &'c [String], program: &str) -> Option<impl Iterator<Item = &'c str>> {
    let (first, arguments) = command.split_first()?;
    let mut arguments = arguments.iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    let is_run = first.rsplit('/').next() == Some(program) && arguments.next() == Some("run");
    is_run.then_some(arguments)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_that_opens_a_browser_is_a_bookmark() {
        assert!(OPENERS.is_sorted());
        for (exec, expected) in [
            ("xdg-open https://discord.com/developers", true),
            ("/usr/bin/firefox-esr %u", true),
            ("gio open https://x", true),
            ("flatpak run --branch=stable org.mozilla.firefox https://discord.com", true),
            ("/usr/bin/flatpak run --command=x app/com.google.Chrome/x86_64/stable", true),
            ("snap run chromium", true),
            ("/opt/google/chrome/google-chrome", true),
            ("flatpak run org.signal.Signal", false),
            ("operator", false),
            ("/opt/chrome/signal", false),
            ("", false),
        ] {
            let command: Vec<String> = exec.split_whitespace().map(str::to_owned).collect();
            assert_eq!(opens_page(&command), expected, "{exec}");
        }
    }

    proptest! {
        #[test]
        fn any_command_is_read_without_panic(words: Vec<String>, rest: Vec<String>) {
            let _ = opens_page(&words);
            for program in ["flatpak", "snap"] {
                let mut command = vec![program.to_owned(), "run".to_owned()];
                command.extend(rest.iter().cloned());
                let _ = opens_page(&command);
            }
        }
    }
}
