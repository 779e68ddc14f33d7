//! Settings as policies in the registry of Windows, where group policy and Intune write them.
//!
//! A group of the file is a key within ours, and a setting a value in it: `server.url` is the value `url` in the key
//! `server`. Texts are `REG_SZ`, and what is true or false is `REG_DWORD`, 1 or 0. `REG_EXPAND_SZ` is refused: variables
//! would be those of the service, which is not what whoever wrote them had in mind. As everywhere in the registry, names have no case.

use std::io;

use super::keys::{KEYS, Key, Kind, no_such};
use super::layer::{Given, Layer, Origin, Severity, Types};
use crate::platform::registry::{self, Data, Hive, View};

/// Our key among the policies of the machine.
pub const KEY: &str = "SOFTWARE\\Policies\\Offchannel\\Agent";

const TYPES: Types = Types { text: "REG_SZ", flag: "REG_DWORD 1 or 0" };
/// Most values and keys that are read; there are fewer settings.
const MAX: usize = 1024;
/// How deep keys are looked into: ours, those of groups, and one more, whose values are told as unknown.
const DEPTH: usize = 3;

/// What stands in a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Branch {
    /// The values by name.
    pub values: Vec<(String, Data)>,
    /// The keys in it by name.
    pub branches: Vec<(String, Self)>,
}

impl Branch {
    /// What stands in a key of the machine's registry; `None` if it is not there.
    fn read(path: &str) -> io::Result<Option<Self>> {
        match registry::Key::open(Hive::LocalMachine, path, View::Bits64) {
            Ok(key) => Self::of(&key, DEPTH, &mut MAX.clone()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(key: &registry::Key, depth: usize, left: &mut usize) -> io::Result<Self> {
        let mut count = |(found, more): (usize, bool)| match left.checked_sub(found) {
            Some(rest) if !more => {
                *left = rest;
                Ok(())
            }
            _ => Err(io::Error::other(format!("more than {MAX} values and keys in it"))),
        };
        let (mut values, more) = key.values(MAX)?;
        count((values.len(), more))?;
        let (mut names, more) = key.names(MAX)?;
        count((names.len(), more))?;
        values.sort_by(|a, b| a.0.cmp(&b.0));
        names.sort();
        let mut branches = Vec::new();
        for name in names.into_iter().filter(|_| depth > 1) {
            let inner = key.key(&name, View::Bits64)?;
            branches.push((name, Self::of(&inner, depth - 1, left)?));
        }
        Ok(Self { values, branches })
    }
}

impl Layer {
    /// The policies in a key of this machine; `None` if there is no such key.
    pub(super) fn policies(path: &str) -> Option<Self> {
        match Branch::read(path) {
            Ok(branch) => branch.map(|branch| Self::of_policies(path, &branch)),
            Err(error) => {
                let mut layer = Self::default();
                let origin = Origin::Registry(shown(path));
                layer.problem(Severity::Error, &origin, "", format!("cannot be read: {error}"));
                Some(layer)
            }
        }
    }

    /// What the policies in a key say.
    pub fn of_policies(path: &str, branch: &Branch) -> Self {
        let mut layer = Self::default();
        layer.branch(path, "", branch);
        layer
    }

    fn branch(&mut self, path: &str, group: &str, branch: &Branch) {
        for (name, data) in &branch.values {
            let spelled = format!("{group}{}", if name.is_empty() { "(Default)" } else { name });
            let origin = Origin::Registry(shown(&format!("{path}\\{spelled}")));
            // A value may have the separator in its name, and is another one then.
            let key =
                KEYS.iter().find(|key| !name.contains('\\') && spell(key).eq_ignore_ascii_case(&spelled));
            match key {
                Some(key) => self.take(&origin, key, given(key, data), &TYPES),
                None => {
                    let known: Vec<String> = KEYS.iter().map(spell).collect();
                    self.problem(Severity::Warning, &origin, "", no_such(&spelled, &known, '\\'));
                }
            }
        }
        for (name, inner) in &branch.branches {
            self.branch(path, &format!("{group}{name}\\"), inner);
        }
    }
}

fn shown(path: &str) -> String {
    format!("HKLM\\{path}")
}

/// The name of a setting as it is spelled in the registry.
fn spell(key: &Key) -> String {
    key.name.replace('.', "\\")
}

fn given(key: &Key, data: &Data) -> Given {
    match (data, key.kind) {
        (Data::Text(text), _) => Given::Text(text.clone()),
        (Data::Number(number @ (0 | 1)), Kind::Flag) => Given::Flag(*number == 1),
        (Data::Number(number), Kind::Flag) => Given::Other(format!("the number {number}")),
        (Data::Number(_), _) => Given::Other("REG_DWORD".to_owned()),
        (Data::Expand, _) => Given::Other("REG_EXPAND_SZ, in which variables are not replaced".to_owned()),
        (Data::Other(found), _) => Given::Other((*found).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, text: &str) -> (String, Data) {
        (name.to_owned(), Data::Text(text.to_owned()))
    }

    fn layer(values: Vec<(String, Data)>, branches: &[(&str, Vec<(String, Data)>)]) -> Layer {
        let branches = branches
            .iter()
            .map(|(name, values)| ((*name).to_owned(), Branch { values: values.clone(), branches: vec![] }))
            .collect();
        Layer::of_policies(KEY, &Branch { values, branches })
    }

    fn problems(layer: &Layer) -> Vec<String> {
        layer.problems.iter().map(|problem| problem.to_string().replace(KEY, "..")).collect()
    }

    #[test]
    fn groups_are_keys_and_settings_values_in_any_case() {
        let layer = layer(
            vec![text("State_Dir", "D:\\agent")],
            &[
                ("Server", vec![text("URL", "https://collector.example.org")]),
                ("check_in", vec![("splay".to_owned(), Data::Number(0))]),
            ],
        );
        let settings: Vec<String> =
            layer.settings.iter().map(|(key, (value, origin))| format!("{key} {value} {origin}")).collect();
        let expected = [
            "check_in.splay false HKLM\\SOFTWARE\\Policies\\Offchannel\\Agent\\check_in\\splay",
            "server.url https://collector.example.org HKLM\\SOFTWARE\\Policies\\Offchannel\\Agent\\Server\\URL",
            "state_dir D:\\agent HKLM\\SOFTWARE\\Policies\\Offchannel\\Agent\\State_Dir",
        ];
        assert_eq!(settings, expected);
        assert_eq!(problems(&layer), [] as [&str; 0]);
    }

    #[test]
    fn wrong_types_are_told_with_what_was_expected() {
        let layer = layer(
            vec![("state_dir".to_owned(), Data::Expand)],
            &[
                ("check_in", vec![text("splay", "true"), ("Splay".to_owned(), Data::Number(2))]),
                (
                    "log",
                    vec![
                        ("level".to_owned(), Data::Number(1)),
                        ("format".to_owned(), Data::Other("REG_BINARY")),
                    ],
                ),
            ],
        );
        let expected = [
            "error: HKLM\\..\\state_dir: state_dir: expected REG_SZ with a path; found REG_EXPAND_SZ, in which variables are not replaced",
            "error: HKLM\\..\\check_in\\splay: check_in.splay: expected REG_DWORD 1 or 0; found REG_SZ",
            "error: HKLM\\..\\check_in\\Splay: check_in.splay: expected REG_DWORD 1 or 0; found the number 2",
            "error: HKLM\\..\\log\\level: log.level: expected REG_SZ, one of error, warn, info, debug, trace; found REG_DWORD",
            "error: HKLM\\..\\log\\format: log.format: expected REG_SZ, one of text, json; found REG_BINARY",
        ];
        assert_eq!(problems(&layer), expected);
        assert!(layer.settings.is_empty());
    }

    #[test]
    fn unknown_values_are_told_with_the_nearest_known_one() {
        let layer = layer(
            vec![text("", "x"), text("server\\url", "x"), text("server.url", "x"), text("url", "x")],
            &[("server", vec![text("ca_fiel", "x")])],
        );
        let expected = [
            "warning: HKLM\\..\\(Default): there is no such setting; expected one of check_in\\splay, enrolment\\token_file, identity\\on_clone, identity\\rotate_every, log\\format, log\\level, scan\\root, scan\\safety_interval, server\\ca_file, server\\url, state_dir",
            "warning: HKLM\\..\\server\\url: there is no such setting; did you mean server\\url?",
            "warning: HKLM\\..\\server.url: there is no such setting; did you mean server\\url?",
            "warning: HKLM\\..\\url: there is no such setting; did you mean server\\url?",
            "warning: HKLM\\..\\server\\ca_fiel: there is no such setting; did you mean server\\ca_file?",
        ];
        assert_eq!(problems(&layer), expected);
        assert!(layer.settings.is_empty());
    }

    #[cfg(not(windows))]
    #[test]
    fn without_a_registry_there_are_no_policies() {
        assert_eq!(Layer::policies(KEY), None);
    }
}

#[cfg(test)]
#[cfg(windows)]
mod live_tests;
