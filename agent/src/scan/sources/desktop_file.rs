//! Desktop entry files (freedesktop.org, Desktop Entry Specification 1.5): the parser that several
//! sources share.

use std::borrow::Cow;

use offchannel_shared::namespace::is_chromium_id;

use crate::lines::{Lines, split_once};

/// Largest desktop file that is read; those of large programs with all translations have 60 kB.
pub(super) const FILE_MAX: u64 = 512 * 1024;

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
        for line in Lines(text.as_bytes()) {
            match line.first() {
                Some(b'[') if inside => break,
                Some(b'[') => inside = line.trim_ascii_end() == b"[Desktop Entry]",
                Some(b'C' | b'E' | b'H' | b'N' | b'T' | b'X') if inside => {
                    if let Some((key, value)) = split_once(line, b'=') {
                        file.set(key, value);
                    }
                }
                _ => {}
            }
        }
        (file.kind == "Application" && !file.hidden).then_some(file)
    }

    fn set(&mut self, key: &[u8], value: &'a [u8]) {
        let key = key.trim_ascii_end();
        // Most lines of most files are translations: `Name[de]=...`.
        if key.last() == Some(&b']') {
            return;
        }
        // What was cut out of a text at characters of one byte is text.
        let Ok(value) = std::str::from_utf8(value).map(str::trim) else { return };
        match key {
            b"Type" => self.kind = value,
            b"Name" => self.name = Some(value),
            b"Exec" => self.exec = value,
            b"TryExec" => self.try_exec = value,
            b"Hidden" => self.hidden = value == "true",
            b"Categories" => self.categories = value,
            b"X-Flatpak" => self.flatpak = Some(value),
            b"X-WebApp-URL" => self.web_app_url = Some(value),
            _ => {}
        }
    }

    /// The program that must be there for the entry to work; empty if the entry names none.
    /// `command`: what [`Self::command`] answers.
    pub(super) fn program<'s>(&'s self, command: &'s [String]) -> Cow<'s, str> {
        if self.try_exec.is_empty() {
            return Cow::Borrowed(command.first().map_or("", String::as_str));
        }
        Cow::Owned(unescape(self.try_exec))
    }

    /// The program that is started, with its arguments.
    pub(super) fn command(&self) -> Vec<String> {
        let mut words = words(self.exec, true);
        if matches!(words.first().map(String::as_str), Some("env" | "/usr/bin/env")) {
            let is_program = |word: &String| !word.contains('=') && !word.starts_with('-');
            let start = words.iter().skip(1).position(is_program).map_or(words.len(), |start| start + 1);
            words.drain(..start);
        }
        words
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
    let (scheme, rest) = url.split_once("://")?;
    let port = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let host = host.strip_suffix(port).unwrap_or(&host);
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).take(2).collect();
    let open = path.ends_with('/') && path.split('/').filter(|step| !step.is_empty()).count() <= 2;
    let slash = if steps.is_empty() { "" } else { "/" };
    let end = if open && !steps.is_empty() { "/" } else { "" };
    (!host.is_empty()).then(|| format!("{host}{slash}{}{end}", steps.join("/")))
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
        assert_eq!(file.program(&file.command()), "pidgin");
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
            assert_eq!(file.program(&file.command()), program, "{exec}");
        }
    }

    #[test]
    fn an_address_is_the_same_however_its_beginning_is_written() {
        for url in
            ["https://web.whatsapp.com:443/", "HTTPS://Web.WhatsApp.com", "http://x@web.whatsapp.com:80/?q"]
        {
            assert_eq!(address(url).as_deref(), Some("web.whatsapp.com"), "{url}");
        }
        assert_eq!(address("https://chat.example:8443/x").as_deref(), Some("chat.example:8443/x"));
        assert_eq!(address("ftp://web.whatsapp.com"), None);
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
            let _ = (file.program(&file.command()), file.web_app(), address(&text), address(&format!("https://{text}")));
        }

        #[test]
        fn values_are_read_back(name in "[A-Za-z][A-Za-z =]{0,20}[a-z]", word in "[a-z/.-]{1,20}") {
            let text = format!("[Desktop Entry]\nType = Application\nName = {name}\nExec=\"{word}\" %U\n");
            let file = DesktopFile::parse(&text).unwrap();
            prop_assert_eq!(file.name, Some(name.as_str()));
            let command = file.command();
            prop_assert_eq!(file.program(&command), word);
        }
    }
}
