//! Settings as managed preferences of macOS: a configuration profile with our domain as its payload type.
//!
//! The system keeps what profiles force on a device in a property list of its own, which only root may write (Apple,
//! "Device Management", payload `com.apple.ManagedClient.preferences`). It is read as a file: the calls of CFPreferences
//! are not safe ones in Rust, and the agent has no unsafe code. What a profile of a user forces is in another file and is
//! not asked for.
//!
//! Names are those of the file with their dots, `server.url`, side by side in one dictionary. Several profiles can force
//! settings of one domain, and nothing says what becomes of two dictionaries with the same name.

use std::path::Path;
use std::sync::Arc;

use super::keys::{KEYS, Key, is_group, no_such};
use super::layer::{Given, Layer, Origin, Severity, Types};
use crate::plist::{self, Value};

/// The domain of the agent's preferences.
pub const DOMAIN: &str = "eu.offchannel.agent";
/// What the system keeps of the profiles for this domain on a device.
pub(super) const PATH: &str = "/Library/Managed Preferences/eu.offchannel.agent.plist";

const TYPES: Types = Types { text: "a string", flag: "true or false" };

impl Layer {
    /// What a property list says, in XML or binary.
    pub fn of_preferences(path: &Path, bytes: &[u8]) -> Self {
        let origin = Origin::Preferences(Arc::from(path));
        let mut layer = Self::default();
        let entries = match plist::entries(bytes) {
            Ok(entries) => entries,
            Err(error) => {
                layer.problem(Severity::Error, &origin, "", format!("cannot be used: {error}"));
                return layer;
            }
        };
        for (name, value) in entries {
            match Key::named(&name) {
                Some(key) => layer.take(&origin, key, given(value), &TYPES),
                None => layer.stray(&origin, &name, &value),
            }
        }
        layer
    }

    fn stray(&mut self, origin: &Origin, name: &str, value: &Value) {
        // About the profile, not for us: `PayloadUUID` and so on ("Common Payload Keys"). No setting begins like this.
        if name.starts_with("Payload") {
            return;
        }
        let mut within = KEYS.iter().filter(|key| key.parts().0 == Some(name));
        if let Some(key) = within.next().filter(|_| is_group(name)) {
            let found = match value {
                Value::Text(_) => TYPES.text,
                Value::Flag(_) => TYPES.flag,
                Value::Other(found) => found,
            };
            let message =
                format!("expected settings with their whole names, such as {}; found {found}", key.name);
            self.problem(Severity::Error, origin, name, message);
        } else {
            let known: Vec<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
            self.problem(Severity::Warning, origin, name, no_such(name, &known, '.'));
        }
    }
}

fn given(value: Value) -> Given {
    match value {
        Value::Text(text) => Given::Text(text),
        Value::Flag(flag) => Given::Flag(flag),
        Value::Other(found) => Given::Other(found.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by Python's `plistlib` from one dictionary, see `tests/fixtures/preferences/README.md`.
    const XML: &[u8] = include_bytes!("../../../tests/fixtures/preferences/xml.plist");
    const BINARY: &[u8] = include_bytes!("../../../tests/fixtures/preferences/binary.plist");

    #[test]
    fn the_path_is_that_of_the_domain() {
        assert_eq!(PATH, format!("/Library/Managed Preferences/{DOMAIN}.plist"));
    }

    #[test]
    fn xml_and_binary_say_the_same() {
        let path = Path::new("/x.plist");
        let layer = Layer::of_preferences(path, XML);
        assert_eq!(layer, Layer::of_preferences(path, BINARY));
        let settings: Vec<String> =
            layer.settings.iter().map(|(key, (value, origin))| format!("{key} {value} {origin}")).collect();
        let expected = [
            "check_in.splay false /x.plist",
            "log.level debug /x.plist",
            "server.url https://collector.example.org /x.plist",
            "state_dir /Library/Gr\u{fc}n /x.plist",
        ];
        assert_eq!(settings, expected);
        let problems: Vec<String> = layer.problems.iter().map(ToString::to_string).collect();
        let expected = [
            "error: /x.plist: enrolment: expected settings with their whole names, such as enrolment.token_file; found a dictionary",
            "error: /x.plist: log.format: expected a string, one of text, json; found a list",
            "error: /x.plist: scan.safety_interval: expected a string with a span of time such as 15m; found a whole number",
            "warning: /x.plist: server.ca_flie: there is no such setting; did you mean server.ca_file?",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for bytes in [&b""[..], b"log.level = \"debug\"", b"<plist><array/></plist>", &BINARY[..40]] {
            let layer = Layer::of_preferences(Path::new("/x.plist"), bytes);
            assert_eq!(layer.problems.len(), 1);
            assert_eq!(layer.problems[0].severity, Severity::Error);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, at in 0..BINARY.len(), byte: u8) {
            let _ = Layer::of_preferences(Path::new("/x.plist"), &bytes);
            let mut damaged = BINARY.to_vec();
            damaged[at] = byte;
            let _ = Layer::of_preferences(Path::new("/x.plist"), &damaged);
        }
    }
}
