//! Against the registry of the machine that runs the tests.

use windows_registry::{CURRENT_USER, Type, USERS};

use super::*;

/// A key of the test's own, removed at the end of it however it ends.
struct Place(String);

impl Place {
    fn new(name: &str) -> Self {
        Self(format!("Software\\OffchannelTest-{}-{name}", std::process::id()))
    }

    fn make(&self, path: &str) -> windows_registry::Key {
        CURRENT_USER.create(format!("{}{path}", self.0)).unwrap()
    }

    /// The same key as those see it who look at all users: `HKEY_CURRENT_USER` is one of `HKEY_USERS`.
    fn seen(&self, path: &str) -> io::Result<Key> {
        let path = format!("{}{path}", self.0);
        let found = USERS
            .keys()
            .unwrap()
            .find_map(|user| Key::open(Hive::Users, &format!("{user}\\{path}"), View::Bits64).ok());
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        CURRENT_USER.remove_tree(&self.0).unwrap();
    }
}

#[test]
fn what_is_written_is_read_back() {
    let place = Place::new("values");
    let key = place.make("");
    let name = "Z\u{fc}rich \u{65e5}\u{672c}\u{8a9e} \u{1f4ac}";
    key.set_string("DisplayName", name).unwrap();
    key.set_expand_string("InstallLocation", "%ProgramFiles%\\Gr\u{fc}n").unwrap();
    key.set_string("", "unnamed").unwrap();
    key.set_multi_string("List", &["one", name]).unwrap();
    key.set_u32("SystemComponent", 1).unwrap();
    place.make(&format!("\\{name}"));
    let seen = place.seen("").unwrap();
    assert_eq!(seen.text("DisplayName").unwrap(), name);
    assert_eq!(seen.text("displayname").unwrap(), name, "names of values have no case");
    assert_eq!(seen.text("InstallLocation").unwrap(), "%ProgramFiles%\\Gr\u{fc}n");
    assert_eq!(seen.text("").unwrap(), "unnamed");
    assert_eq!(seen.texts("List").unwrap(), ["one", name]);
    assert_eq!(seen.number("SystemComponent").unwrap(), 1);
    let (mut values, more) = seen.values(9).unwrap();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("", Data::Text("unnamed".to_owned())),
        ("DisplayName", Data::Text(name.to_owned())),
        ("InstallLocation", Data::Expand),
        ("List", Data::Other("REG_MULTI_SZ")),
        ("SystemComponent", Data::Number(1)),
    ];
    assert_eq!((values, more), (expected.map(|(name, data)| (name.to_owned(), data)).to_vec(), false));
    assert!(seen.values(4).unwrap().1);
    assert_eq!(seen.names(9).unwrap(), (vec![name.to_owned()], false));
    assert_eq!(seen.key(name, View::Bits64).unwrap().names(9).unwrap(), (vec![], false));
}

#[test]
fn what_is_not_there_is_told_from_what_is_something_else() {
    let place = Place::new("errors");
    let key = place.make("");
    key.set_u32("Number", 7).unwrap();
    key.set_string("Text", "x").unwrap();
    let seen = place.seen("").unwrap();
    let kind = |error: io::Error| error.kind();
    assert_eq!(kind(place.seen("\\nothing").unwrap_err()), io::ErrorKind::NotFound);
    assert_eq!(kind(seen.key("nothing\\at all", View::Bits32).unwrap_err()), io::ErrorKind::NotFound);
    assert_eq!(kind(seen.key("a\0b", View::Bits64).unwrap_err()), io::ErrorKind::NotFound);
    assert_eq!(kind(seen.text("Missing").unwrap_err()), io::ErrorKind::NotFound);
    assert_eq!(kind(seen.text("Text\0").unwrap_err()), io::ErrorKind::NotFound);
    assert_eq!(kind(seen.text("Number").unwrap_err()), io::ErrorKind::InvalidData);
    assert_eq!(kind(seen.number("Text").unwrap_err()), io::ErrorKind::InvalidData);
    assert_eq!(kind(seen.texts("Text").unwrap_err()), io::ErrorKind::InvalidData);
}

#[test]
fn a_key_that_is_removed_while_it_is_open_is_not_there() {
    let place = Place::new("removed");
    place.make("\\inner");
    let seen = place.seen("\\inner").unwrap();
    CURRENT_USER.remove_tree(format!("{}\\inner", place.0)).unwrap();
    assert_eq!(seen.text("x").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(seen.names(1).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn large_values_and_many_keys_are_bounded() {
    let place = Place::new("bounds");
    let key = place.make("");
    key.set_string("Fits", "x".repeat(VALUE_MAX / 2 - 1)).unwrap();
    key.set_string("Large", "x".repeat(VALUE_MAX / 2)).unwrap();
    for name in ["a", "b", "c"] {
        place.make(&format!("\\{name}"));
    }
    let seen = place.seen("").unwrap();
    assert_eq!(seen.text("Fits").unwrap().len(), VALUE_MAX / 2 - 1);
    assert_eq!(seen.text("Large").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    let (names, more) = seen.names(2).unwrap();
    assert_eq!((names.len(), more), (2, true));
    assert!(!seen.names(3).unwrap().1);
}

#[test]
fn values_that_nobody_should_have_written_are_read_without_panic() {
    let place = Place::new("odd");
    let key = place.make("");
    // Without an end, with half a character, and with an odd number of bytes.
    for (name, bytes) in [("a", &b"x\0y\0"[..]), ("b", &[0, 0xD8, 0, 0]), ("c", &[b'x', 0, 0])] {
        for kind in [Type::Bytes, Type::U32] {
            key.set_bytes(name, kind, bytes).unwrap();
            let seen = place.seen("").unwrap();
            let _ = (seen.text(name), seen.texts(name), seen.number(name), seen.values(9));
        }
    }
    key.set_bytes("short", Type::U32, b"x").unwrap();
    let seen = place.seen("").unwrap();
    assert_eq!(seen.number("short").unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(seen.values(9).unwrap().0.contains(&("short".to_owned(), Data::Other("a damaged REG_DWORD"))));
    key.set_bytes("half", Type::String, &[0, 0xD8, 0, 0]).unwrap();
    assert_eq!(seen.text("half").unwrap(), "\u{fffd}");
    key.set_bytes("open", Type::MultiString, &[b'x', 0, b'y', 0, 0, 0]).unwrap();
    assert_eq!(seen.texts("open").unwrap(), ["xy"]);
    key.set_bytes("none", Type::MultiString, &[0, 0]).unwrap();
    assert_eq!(seen.texts("none").unwrap(), [] as [&str; 0]);
}

#[test]
fn the_system_s_own_keys_are_there() {
    let path = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
    let key = Key::open(Hive::LocalMachine, path, View::Bits64).unwrap();
    assert!(key.text("SystemRoot").unwrap().ends_with(":\\windows") || cfg!(not(target_env = "gnu")));
    let missing = Key::open(Hive::LocalMachine, "SOFTWARE\\no such vendor", View::Bits64);
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
}
