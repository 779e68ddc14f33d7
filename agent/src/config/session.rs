//! Who asks: what the environment of a person's session says of them and their desktop.

use std::path::PathBuf;

use offchannel_shared::language::Language;

use super::env::variable;

/// A person's session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// The languages that they want, the most wanted first.
    pub languages: Vec<Language>,
    /// Their home folder.
    pub home: Option<PathBuf>,
    /// Where programs keep what they remember for this person (`$XDG_STATE_HOME`, else `~/.local/state`; XDG Base Directory
    /// Specification 0.8).
    pub state_home: Option<PathBuf>,
    /// The addresses of the session's message bus (D-Bus specification, "Well-known Message Bus Instances").
    pub bus: Option<String>,
    /// The folder of the session's sockets, where systemd puts the bus as `bus` (pam_systemd(8)).
    pub runtime_dir: Option<PathBuf>,
}

impl Session {
    /// The session that this process belongs to.
    pub fn read() -> Self {
        Self::from(variable)
    }

    fn from(get: impl Fn(&str) -> Option<String>) -> Self {
        let absolute = |name| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        // A relative path there is to be ignored, says the specification.
        let state_home =
            absolute("XDG_STATE_HOME").or_else(|| home.as_ref().map(|home| home.join(".local/state")));
        Self {
            languages: languages(&get),
            home,
            state_home,
            bus: get("DBUS_SESSION_BUS_ADDRESS"),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
        }
    }
}

/// As gettext has it ("Locale Environment Variables", "Specifying a Priority List of Languages"): the locale of messages, and
/// the list in `LANGUAGE` before it, unless the locale is `C`.
fn languages(get: &impl Fn(&str) -> Option<String>) -> Vec<Language> {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| get(name));
    let Some(own) = locale.as_deref().and_then(Language::of_locale) else { return Vec::new() };
    let list = get("LANGUAGE").unwrap_or_default();
    let mut languages: Vec<Language> = list.split(':').filter_map(Language::of_locale).collect();
    languages.push(own);
    languages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(all: &[(&str, &str)]) -> Session {
        Session::from(|name| all.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn wanted(all: &[(&str, &str)]) -> Vec<String> {
        session(all).languages.into_iter().map(String::from).collect()
    }

    #[test]
    fn languages_are_those_that_gettext_would_take() {
        assert_eq!(wanted(&[("LANG", "cy_GB.UTF-8")]), ["cy-GB"]);
        assert_eq!(wanted(&[("LANG", "en_GB.UTF-8"), ("LC_MESSAGES", "cy_GB.UTF-8")]), ["cy-GB"]);
        assert_eq!(wanted(&[("LC_MESSAGES", "cy_GB"), ("LC_ALL", "de_DE")]), ["de-DE"]);
        assert_eq!(wanted(&[("LANG", "en_GB.UTF-8"), ("LANGUAGE", "cy:en_GB")]), ["cy", "en-GB", "en-GB"]);
        assert_eq!(wanted(&[("LC_ALL", "C.UTF-8"), ("LANG", "cy_GB"), ("LANGUAGE", "cy")]), [""; 0]);
        assert_eq!(wanted(&[("LANGUAGE", "cy")]), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_remembered_goes_where_the_base_directory_specification_says() {
        let of = |all: &[(&str, &str)]| session(all).state_home;
        assert_eq!(of(&[("HOME", "/home/a")]), Some(PathBuf::from("/home/a/.local/state")));
        assert_eq!(of(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "/x")]), Some(PathBuf::from("/x")));
        assert_eq!(
            of(&[("HOME", "/home/a"), ("XDG_STATE_HOME", "x")]),
            Some(PathBuf::from("/home/a/.local/state"))
        );
        assert_eq!(of(&[]), None);
    }
}
