//! The Windows registry for sources: hives of an image or of users who are logged out, and the running
//! system's, behind one kind of key.
//!
//! A source is shown a key and asks it; what could not be read is noted at the source's current place.
//! Nothing is ever written, mounted or loaded: hives are read as the files that they are, page by page, so that
//! several sources may each open one and none has to be kept.

mod facts;
mod hives;
mod live;
mod raw;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;

pub(super) use facts::{host_name, machine_id, os_name, profiles};
pub(super) use hives::{machine, of_user, user_classes};
use raw::RawKey;

use super::formats::registry_value::Value;
use super::formats::wine_reg::Tree;
use super::look::Look;
use super::trouble::Trouble;

/// A key that can be asked.
pub(super) struct Key<'a> {
    raw: &'a dyn RawKey,
    notes: &'a Notes,
}

/// What could not be read.
#[derive(Debug, Default)]
struct Notes(RefCell<BTreeSet<Trouble>>);

impl Notes {
    fn add(&self, trouble: Trouble) {
        self.0.borrow_mut().insert(trouble);
    }

    fn ok<T>(&self, result: io::Result<Option<T>>) -> Option<T> {
        result.unwrap_or_else(|error| {
            self.add(Trouble::of(&error));
            None
        })
    }

    fn tell(self, look: &mut Look<'_>) {
        for trouble in self.0.into_inner() {
            look.trouble(trouble);
        }
    }
}

impl Key<'_> {
    /// Shows the key at the end of a path (`Microsoft\Windows`, ASCII, in any case), if it is there.
    pub(super) fn with(&self, path: &str, then: &mut dyn FnMut(&Key<'_>)) {
        let key = self.notes.ok(self.raw.subkey(path));
        if let Some(key) = key {
            then(&Key { raw: key.as_ref(), notes: self.notes });
        }
    }

    /// Shows every subkey with its name; more than `limit` is trouble.
    pub(super) fn each(&self, limit: usize, then: &mut dyn FnMut(&str, &Key<'_>)) {
        let mut count = 0;
        self.raw.each_subkey(limit + 1, &mut |subkey| {
            count += 1;
            match subkey {
                _ if count > limit => self.notes.add(Trouble::TooMany),
                Ok((name, raw)) => then(name, &Key { raw, notes: self.notes }),
                Err(error) => self.notes.add(Trouble::of(&error)),
            }
        });
    }

    /// A value that is a text, if it is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.notes.ok(self.raw.value(name))? {
            Value::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(_) | Value::Other => None,
        }
    }

    /// A value that is a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.notes.ok(self.raw.value(name))? {
            Value::Number(number) => Some(number),
            Value::Text(_) | Value::Other => None,
        }
    }
}

/// Shows what a Wine registry holds.
pub(super) fn wine(look: &mut Look<'_>, tree: &Tree, then: &mut dyn FnMut(&mut Look<'_>, &Key<'_>)) {
    let notes = Notes::default();
    if tree.is_malformed() {
        notes.add(Trouble::Malformed);
    }
    then(look, &Key { raw: &tree.root(), notes: &notes });
    notes.tell(look);
}
