//! The registry of the running Windows.

use std::io;

use super::raw::{RawKey, Subkey};
use crate::platform::registry::{Hive, Key, View};
use crate::scan::formats::registry_value::Value;

/// Opens a key; `None` if it is not there. On 64-bit Windows this is the view in which the keys of 32-bit
/// programs lie in `WOW6432Node`, as they do in a hive.
pub(super) fn open(hive: Hive, path: &str) -> io::Result<Option<Key>> {
    present(Key::open(hive, path, View::Bits64))
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl RawKey for Key {
    fn subkey(&self, path: &str) -> io::Result<Option<Box<dyn RawKey + '_>>> {
        Ok(present(self.key(path, View::Bits64))?.map(|key| Box::new(key) as Box<dyn RawKey>))
    }

    fn each_subkey(&self, limit: usize, each: &mut dyn FnMut(Subkey<'_>)) {
        let names = match self.names(limit) {
            Ok((names, _)) => names,
            Err(error) => return each(Err(error)),
        };
        for name in names {
            match present(self.key(&name, View::Bits64)) {
                Ok(Some(key)) => each(Ok((&name, &key))),
                // Removed meanwhile.
                Ok(None) => {}
                Err(error) => each(Err(error)),
            }
        }
    }

    fn value(&self, name: &str) -> io::Result<Option<Value>> {
        // `InvalidData` is how it says that a value is of another type.
        let is_other = |error: &io::Error| error.kind() == io::ErrorKind::InvalidData;
        match present(self.text(name)) {
            Ok(text) => return Ok(text.map(Value::Text)),
            Err(error) if !is_other(&error) => return Err(error),
            Err(_) => {}
        }
        match present(self.number(name)) {
            Ok(number) => Ok(number.map(|number| Value::Number(number.into()))),
            Err(error) if is_other(&error) => Ok(Some(Value::Other)),
            Err(error) => Err(error),
        }
    }
}
