//! The registry of a running Windows: keys by path, the names in them, and their values. Elsewhere there is
//! none, and nothing can be opened.
//!
//! Errors are the system's own: `NotFound` where nothing is, `PermissionDenied` where one may not look,
//! `InvalidData` for a value of another type, `FileTooLarge` for one beyond [`VALUE_MAX`].

use std::io;

/// Largest value that is handed on, in bytes. Names, versions and folders are far shorter; whoever owns a key
/// can write megabytes into it.
pub const VALUE_MAX: usize = 64 * 1024;

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hive {
    /// `HKEY_LOCAL_MACHINE`.
    LocalMachine,
    /// `HKEY_USERS`: a key for each user who is logged in, named by the security identifier.
    Users,
}

/// Which of the two registries of a 64-bit Windows: programs of 32 bits are installed in one of their own
/// (Microsoft, "Accessing an Alternate Registry View").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// That of 64-bit programs.
    Bits64,
    /// That of 32-bit programs, which lies in `WOW6432Node`.
    Bits32,
}

/// A value of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// `REG_SZ`.
    Text(String),
    /// `REG_EXPAND_SZ`.
    Expand,
    /// `REG_DWORD`.
    Number(u32),
    /// Anything else, by the name of its type in `winnt.h`, or what is wrong with it.
    Other(&'static str),
}

/// An open key.
#[derive(Debug)]
pub struct Key(imp::Key);

impl Key {
    /// Opens a key by its path, with `\` between the names.
    ///
    /// # Errors
    /// See the module.
    pub fn open(hive: Hive, path: &str, view: View) -> io::Result<Self> {
        imp::open(hive, path, view).map(Self)
    }

    /// Opens a key in this one, in the same view.
    ///
    /// # Errors
    /// See the module.
    pub fn key(&self, path: &str, view: View) -> io::Result<Self> {
        imp::key(&self.0, path, view).map(Self)
    }

    /// The names of at most `limit` keys in this one, in no order, and whether there are more.
    ///
    /// # Errors
    /// See the module.
    pub fn names(&self, limit: usize) -> io::Result<(Vec<String>, bool)> {
        imp::names(&self.0, limit)
    }

    /// At most `limit` values with their names, in no order, and whether there are more.
    ///
    /// # Errors
    /// See the module.
    pub fn values(&self, limit: usize) -> io::Result<(Vec<(String, Data)>, bool)> {
        imp::values(&self.0, limit)
    }

    /// A text (`REG_SZ`, `REG_EXPAND_SZ`), with variables such as `%ProgramFiles%` as they are written; `""`
    /// is the value without a name.
    ///
    /// # Errors
    /// See the module.
    pub fn text(&self, name: &str) -> io::Result<String> {
        imp::text(&self.0, name)
    }

    /// A list of texts (`REG_MULTI_SZ`).
    ///
    /// # Errors
    /// See the module.
    pub fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        imp::texts(&self.0, name)
    }

    /// A number (`REG_DWORD`).
    ///
    /// # Errors
    /// See the module.
    pub fn number(&self, name: &str) -> io::Result<u32> {
        imp::number(&self.0, name)
    }
}

#[cfg(windows)]
pub(super) use imp::of_system;

#[cfg(windows)]
mod imp {
    use std::io;

    pub use windows_registry::Key;
    use windows_registry::{LOCAL_MACHINE, Type, USERS, Value};

    use super::{Data, Hive, VALUE_MAX, View};

    pub fn open(hive: Hive, path: &str, view: View) -> io::Result<Key> {
        let root = match hive {
            Hive::LocalMachine => LOCAL_MACHINE,
            Hive::Users => USERS,
        };
        key(root, path, view)
    }

    pub fn key(parent: &Key, path: &str, view: View) -> io::Result<Key> {
        // A name with a NUL in it would be cut there, and be another one.
        if path.contains('\0') {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut options = parent.options();
        options.read();
        match view {
            View::Bits64 => options.wow64_64(),
            View::Bits32 => options.wow64_32(),
        };
        options.open(path).map_err(|error| of_system(error.code().0))
    }

    pub fn names(key: &Key, limit: usize) -> io::Result<(Vec<String>, bool)> {
        let mut all = key.keys().map_err(|error| of_system(error.code().0))?;
        let names = all.by_ref().take(limit).collect();
        Ok((names, all.next().is_some()))
    }

    pub fn values(key: &Key, limit: usize) -> io::Result<(Vec<(String, Data)>, bool)> {
        let mut all = key.values().map_err(|error| of_system(error.code().0))?;
        let values = all.by_ref().take(limit).map(|(name, value)| (name, data(&value))).collect();
        Ok((values, all.next().is_some()))
    }

    fn data(value: &Value) -> Data {
        match value.ty() {
            Type::String | Type::ExpandString if value.len() > VALUE_MAX => {
                Data::Other("a text that is too long")
            }
            Type::String => Data::Text(first(value)),
            Type::ExpandString => Data::Expand,
            Type::U32 => value
                .first_chunk()
                .map_or(Data::Other("a damaged REG_DWORD"), |bytes| Data::Number(u32::from_le_bytes(*bytes))),
            Type::U64 => Data::Other("REG_QWORD"),
            Type::MultiString => Data::Other("REG_MULTI_SZ"),
            Type::Bytes => Data::Other("REG_BINARY"),
            Type::Other(_) => Data::Other("another type"),
        }
    }

    /// The text up to its terminator or its end.
    fn first(value: &Value) -> String {
        value.as_wide().split(|unit| *unit == 0).next().map(String::from_utf16_lossy).unwrap_or_default()
    }

    pub fn text(key: &Key, name: &str) -> io::Result<String> {
        value(key, name, &[Type::String, Type::ExpandString]).map(|value| first(&value))
    }

    pub fn texts(key: &Key, name: &str) -> io::Result<Vec<String>> {
        let value = value(key, name, &[Type::MultiString])?;
        // An empty text ends the list, and not every writer puts it there.
        let texts = value.as_wide().split(|unit| *unit == 0).take_while(|text| !text.is_empty());
        Ok(texts.map(String::from_utf16_lossy).collect())
    }

    pub fn number(key: &Key, name: &str) -> io::Result<u32> {
        let value = value(key, name, &[Type::U32])?;
        value
            .first_chunk()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// A value of one of these types. There is no safe call that tells the size before the value is fetched, so
    /// that of an absurd one is held for a moment; the system bounds it by the size of the user's registry.
    fn value(key: &Key, name: &str, types: &[Type]) -> io::Result<Value> {
        if name.contains('\0') {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Asked first: data of other types can be large, and these are not fetched.
        let is_wanted = |kind: Type| types.contains(&kind);
        if !is_wanted(key.get_type(name).map_err(|error| of_system(error.code().0))?) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let value = key.get_value(name).map_err(|error| of_system(error.code().0))?;
        match value.len() {
            // It may have been replaced meanwhile.
            _ if !is_wanted(value.ty()) => Err(io::ErrorKind::InvalidData.into()),
            0..=VALUE_MAX => Ok(value),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    /// The system's error code, without the wrapping of COM (`HRESULT_FROM_WIN32` in winerror.h).
    pub fn of_system(hresult: i32) -> io::Error {
        const WIN32: u32 = 0x8007_0000;
        /// `ERROR_KEY_DELETED`: it was removed after it was opened.
        const DELETED: u32 = 1018;
        let code = hresult.cast_unsigned();
        let code = if code & 0xFFFF_0000 == WIN32 { code & 0xFFFF } else { code };
        match code {
            DELETED => io::ErrorKind::NotFound.into(),
            _ => io::Error::from_raw_os_error(code.cast_signed()),
        }
    }
}

#[cfg(not(windows))]
mod imp {
    use std::convert::Infallible;
    use std::io;

    use super::{Data, Hive, View};

    /// Cannot be made.
    pub type Key = Infallible;

    pub fn open(_hive: Hive, _path: &str, _view: View) -> io::Result<Key> {
        Err(io::ErrorKind::NotFound.into())
    }

    pub fn key(parent: &Key, _path: &str, _view: View) -> io::Result<Key> {
        match *parent {}
    }

    pub fn names(key: &Key, _limit: usize) -> io::Result<(Vec<String>, bool)> {
        match *key {}
    }

    pub fn values(key: &Key, _limit: usize) -> io::Result<(Vec<(String, Data)>, bool)> {
        match *key {}
    }

    pub fn text(key: &Key, _name: &str) -> io::Result<String> {
        match *key {}
    }

    pub fn texts(key: &Key, _name: &str) -> io::Result<Vec<String>> {
        match *key {}
    }

    pub fn number(key: &Key, _name: &str) -> io::Result<u32> {
        match *key {}
    }
}

#[cfg(test)]
#[cfg(windows)]
mod tests;

#[cfg(test)]
#[cfg(not(windows))]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_registry_here() {
        let error = Key::open(Hive::LocalMachine, "SOFTWARE", View::Bits64).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
