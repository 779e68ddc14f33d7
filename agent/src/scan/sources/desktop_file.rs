//! Desktop entry files (freedesktop.org, Desktop Entry Specification 1.5): the parser that several
//! sources share.

use std::path::Path;

use offchannel_shared::namespace::is_chromium_id;

use crate::scan::host::User;
use crate::scan::look::Look;

/// Largest desktop file that is read; those of large programs with all translations have 60 kB.
pub(super) const FILE_MAX: u64 = 512 * 1024;

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

/// The keys of `[Desktop Entry]` that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DesktopFile<'a> {
    kind: &'a str,
    pub(super) name: Option<&'a str>,
    exec: &'a str,
    try_exec: &'a str,
    hidden: bool,
    pub(super) categories: &'a str,
    /// The application that flatpak exported this entry for.
    pub(super) flatpak: Option<&'a str>,
    /// The address that Linux Mint's web app manager notes.
    web_app_url: Option<&'a str>,
}

impl<'a> DesktopFile<'a> {
    /// `None` if this is no entry of an application, or one that says it is deleted.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut file = Self::default();
        let mut inside = false;
        for line in text.lines() {
            if line.starts_with('[') {
                if inside {
                    break;
                }
                inside = line.trim_end() == "[Desktop Entry]";
                continue;
            }
            // Most lines of most files are translations: `Name[de]=...`.
            let Some((key, value)) = line.split_once('=').filter(|_| inside) else { continue };
            let value = value.trim();
            match key.trim_end() {
                "Type" => file.kind = value,
                "Name" => file.name = Some(value),
                "Exec" => file.exec = value,
                "TryExec" => file.try_exec = value,
                "Hidden" => file.hidden = value == "true",
                "Categories" => file.categories = value,
                "X-Flatpak" => file.flatpak = Some(value),
                "X-WebApp-URL" => file.web_app_url = Some(value),
                _ => {}
            }
        }
        (file.kind == "Application" && !file.hidden).then_some(file)
    }

    /// The program that must be there for the entry to work; empty if the entry names none.
    pub(super) fn program(&self) -> String {
        if !self.try_exec.is_empty() {
            return unescape(self.try_exec);
        }
        let mut words = words(self.exec, true).into_iter();
        let first = words.next().unwrap_or_default();
        if !matches!(first.as_str(), "env" | "/usr/bin/env") {
            return first;
        }
        words.find(|word| !word.contains('=') && !word.starts_with('-')).unwrap_or_default()
    }

    /// The web app that this entry opens, as an identifier of the namespace `web-app`.
    pub(super) fn web_app(&self) -> Option<String> {
        let may_be = self.exec.contains("--app") || self.web_app_url.is_some();
        if !may_be {
            return None;
        }
        let words = words(self.exec, true);
        if let Some(web_app) = web_app_in(&words) {
            return Some(web_app);
        }
        // GNOME Web: `epiphany --application-mode --profile=... ADDRESS`.
        let epiphany =
            || words.iter().any(|word| word == "--application-mode").then(|| words.last()).flatten();
        address(self.web_app_url.or_else(|| epiphany().map(String::as_str))?)
    }
}

/// The web app that a Chromium-family browser opens with these arguments, as an identifier of the namespace
/// `web-app`.
pub(super) fn web_app_in(words: &[String]) -> Option<String> {
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
    match value("--app-id=").filter(|id| is_chromium_id(id)) {
        Some(id) => Some(format!("app-id:{id}")),
        None => address(value("--app=")?),
    }
}

/// `host/path` of a web address, with at most two steps of the path and nothing of what may be
/// personal: no user, no query, no deeper path.
pub(super) fn address(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).take(2).collect();
    let open = path.ends_with('/') && path.split('/').filter(|step| !step.is_empty()).count() <= 2;
    let slash = if steps.is_empty() { "" } else { "/" };
    let end = if open && !steps.is_empty() { "/" } else { "" };
    (!host.is_empty()).then(|| format!("{host}{slash}{}{end}", steps.join("/")))
}

/// Whether the program that an entry needs is there. `dir`: the folder that holds the entry.
pub(super) fn program_exists(
    look: &mut Look<'_>,
    user: Option<&User>,
    dir: &Path,
    file: &DesktopFile<'_>,
) -> bool {
    if let Some(app) = file.flatpak.filter(|app| !app.contains('/')) {
        // `flatpak` itself is there even when the application is not.
        let system = look.host().lexical("/var/lib/flatpak/app").join(app);
        let own = user.map(|user| user.home.join(".local/share/flatpak/app").join(app));
        return look.has(&system, "current") || own.is_some_and(|own| look.has(&own, "current"));
    }
    let program = file.program();
    if program.is_empty() {
        return true;
    }
    let path = Path::new(&program);
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

/// The words of a command line: quoted parts are one word. In an `Exec` line a backslash takes the next character
/// (`escapes`), on Windows it is a character like others.
pub(super) fn words(exec: &str, escapes: bool) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = exec.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if escapes => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A string value without its escapes.
fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('s') => text.push(' '),
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_first_group_counts() {
        let text = "# a comment\n[Desktop Entry]\nType=Application\nName=Pidgin\nName[de]=Pidschin\nExec=pidgin %U\n\
            Categories=Network;InstantMessaging;\n\n[Desktop Action x]\nName=Away\nExec=evil\n";
        let file = DesktopFile::parse(text).unwrap();
        assert_eq!((file.name, file.categories), (Some("Pidgin"), "Network;InstantMessaging;"));
        assert_eq!(file.program(), "pidgin");
        assert_eq!(file.web_app(), None);
    }

    #[test]
    fn what_is_no_application_or_deleted_is_nothing() {
        for text in [
            "",
            "Type=Application",
            "[Desktop Entry]\nType=Link\nURL=https://a",
            "[Desktop Entry]\nType=Application\nHidden=true",
            "[Other]\nType=Application\n[Desktop Entry]\n",
        ] {
            assert_eq!(DesktopFile::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_program_is_the_one_that_must_be_there() {
        for (exec, program) in [
            ("env BAMF_DESKTOP_FILE_HINT=/x/y.desktop /snap/bin/slack %U", "/snap/bin/slack"),
            (r#""/opt/My Chat/chat" --x"#, "/opt/My Chat/chat"),
            ("/usr/bin/flatpak run --branch=stable org.x", "/usr/bin/flatpak"),
            ("", ""),
        ] {
            let file = DesktopFile { exec, ..DesktopFile::default() };
            assert_eq!(file.program(), program, "{exec}");
        }
    }

    #[test]
    fn web_apps_are_told_by_their_id_or_address() {
        let id = "hnpfjngllnobngcgfapefoaidbinmjnm";
        for (exec, expected) in [
            (
                format!("/opt/google/chrome/google-chrome --profile-directory=Default --app-id={id}"),
                Some(format!("app-id:{id}")),
            ),
            (
                "chromium --app=https://web.whatsapp.com/?x=secret".to_owned(),
                Some("web.whatsapp.com".to_owned()),
            ),
            (
                r#"google-chrome --app="https://Discord.com/channels/1/2""#.to_owned(),
                Some("discord.com/channels/1".to_owned()),
            ),
            (
                r#"epiphany --application-mode "--profile=/h/x" https://web.telegram.org/k/"#.to_owned(),
                Some("web.telegram.org/k/".to_owned()),
            ),
            ("chromium --app-id=short".to_owned(), None),
            ("chromium --app=file:///etc/passwd".to_owned(), None),
            ("firefox https://web.whatsapp.com".to_owned(), None),
        ] {
            let file = DesktopFile { exec: &exec, ..DesktopFile::default() };
            assert_eq!(file.web_app(), expected, "{exec}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String, exec: String) {
            let _ = DesktopFile::parse(&text);
            let file = DesktopFile { exec: &exec, try_exec: &text, ..DesktopFile::default() };
            let _ = (file.program(), file.web_app(), address(&text), address(&format!("https://{text}")));
        }

        #[test]
        fn values_are_read_back(name in "[A-Za-z][A-Za-z =]{0,20}[a-z]", word in "[a-z/.-]{1,20}") {
            let text = format!("[Desktop Entry]\nType = Application\nName = {name}\nExec=\"{word}\" %U\n");
            let file = DesktopFile::parse(&text).unwrap();
            prop_assert_eq!(file.name, Some(name.as_str()));
            prop_assert_eq!(file.program(), word);
        }
    }
}
