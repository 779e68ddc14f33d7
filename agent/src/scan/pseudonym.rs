//! References that stand for a user or a machine and mean nothing off the device.

use std::fmt::Write;

use offchannel_shared::inventory::Scope;
use ring::digest::{SHA256, digest};
use ring::hmac;

/// Turns user names into pseudonyms. Keyed by the machine id: the same name on two devices gives two
/// references, and nobody can try out names without that id.
#[derive(Debug)]
pub(crate) struct Pseudonyms {
    key: hmac::Key,
}

impl Pseudonyms {
    /// For the machine with this id. One without (an empty id) has a key that anyone can make; its
    /// references still hide names from a casual reader, and no more.
    pub(crate) fn new(machine_id: &str) -> Self {
        let seed = digest(&SHA256, format!("offchannel user 1\n{machine_id}").as_bytes());
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref()) }
    }

    /// The scope of a user.
    pub(crate) fn of(&self, user: &[u8]) -> Scope {
        let tag = hmac::sign(&self.key, user);
        Scope::User(format!("u-{}", hex(tag.as_ref().get(..8).unwrap_or_default())))
    }
}

/// A hash that tells machines apart without giving the machine id away. Empty if there is none.
pub(crate) fn machine(machine_id: &str) -> String {
    if machine_id.is_empty() {
        return String::new();
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, machine_id.as_bytes());
    hex(hmac::sign(&key, b"offchannel machine 1").as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "b08dfa6083e7567a1921a715000001fb";

    #[test]
    fn a_reference_is_stable_and_differs_by_user_and_machine() {
        let here = Pseudonyms::new(ID);
        let alice = here.of(b"alice");
        assert_eq!(alice, Pseudonyms::new(ID).of(b"alice"));
        assert_ne!(alice, here.of(b"bob"));
        assert_ne!(alice, Pseudonyms::new("").of(b"alice"));
        let text = alice.to_string();
        assert!(text.starts_with("user:u-") && text.len() == 23, "{text}");
        assert!(Scope::try_from(text).is_ok());
    }

    #[test]
    fn the_machine_hash_does_not_hold_the_machine_id() {
        assert_eq!(machine(ID).len(), 64);
        assert_ne!(machine(ID), machine(&ID.replace('b', "c")));
        assert!(!machine(ID).contains(ID));
        assert_eq!(machine(""), "");
    }
}
