//! What every kind of registry can answer.

use std::io::{self, Read, Seek};

use crate::scan::formats::registry_value::Value;
use crate::scan::formats::{regf, wine_reg};

/// A subkey with its name, or what is wrong with it.
pub(super) type Subkey<'a> = io::Result<(&'a str, &'a dyn RawKey)>;

/// A key of some registry. Names and paths are ASCII and match in any case.
pub(super) trait RawKey {
    fn subkey(&self, path: &str) -> io::Result<Option<Box<dyn RawKey + '_>>>;
    fn each_subkey(&self, limit: usize, each: &mut dyn FnMut(Subkey<'_>));
    fn value(&self, name: &str) -> io::Result<Option<Value>>;
}

impl<R: Read + Seek> RawKey for regf::Key<'_, R> {
    fn subkey(&self, path: &str) -> io::Result<Option<Box<dyn RawKey + '_>>> {
        Ok(self.subkey(path)?.map(|key| Box::new(key) as Box<dyn RawKey + '_>))
    }

    fn each_subkey(&self, limit: usize, each: &mut dyn FnMut(Subkey<'_>)) {
        self.each_subkey(limit, &mut |subkey| each(subkey.map(|(name, key)| (name, key as &dyn RawKey))));
    }

    fn value(&self, name: &str) -> io::Result<Option<Value>> {
        self.value(name)
    }
}

impl RawKey for wine_reg::Key<'_> {
    fn subkey(&self, path: &str) -> io::Result<Option<Box<dyn RawKey + '_>>> {
        Ok(self.subkey(path).map(|key| Box::new(key) as Box<dyn RawKey + '_>))
    }

    fn each_subkey(&self, limit: usize, each: &mut dyn FnMut(Subkey<'_>)) {
        self.each_subkey(limit, &mut |name, key| each(Ok((name, key))));
    }

    fn value(&self, name: &str) -> io::Result<Option<Value>> {
        Ok(self.value(name).cloned())
    }
}
