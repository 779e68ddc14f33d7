//! Listing folders.

use std::path::Path;

use super::Look;
use crate::scan::host::is_absence;
use crate::scan::trouble::Trouble;

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A link, to whatever.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// An entry of a folder. Names that are no text are left out: no catalogue can hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name in the folder.
    pub name: String,
    /// What it is, links not followed.
    pub kind: Kind,
}

impl Look<'_> {
    /// The entries of a folder; none if it is not there. More than `limit` is trouble.
    pub fn list(&mut self, dir: &Path, limit: usize) -> Vec<Entry> {
        self.list_up_to(dir, limit, Some(Trouble::TooMany))
    }

    /// At most `limit` entries of a folder that may well have more of no interest.
    pub fn list_some(&mut self, dir: &Path, limit: usize) -> Vec<Entry> {
        self.list_up_to(dir, limit, None)
    }

    fn list_up_to(&mut self, dir: &Path, limit: usize, beyond: Option<Trouble>) -> Vec<Entry> {
        if !self.is_dir(dir) {
            return Vec::new();
        }
        let listing = match self.real(dir).and_then(std::fs::read_dir) {
            Ok(listing) => listing,
            Err(error) => {
                if !is_absence(&error) {
                    self.trouble(Trouble::of(&error));
                }
                return Vec::new();
            }
        };
        self.present = true;
        let mut entries = Vec::new();
        for (count, entry) in listing.enumerate() {
            if count >= limit {
                if let Some(trouble) = beyond {
                    self.trouble(trouble);
                }
                break;
            }
            match entry.and_then(|entry| Ok((entry.file_type()?, entry.file_name()))) {
                Ok((kind, name)) => entries.extend(name.into_string().ok().map(|name| Entry {
                    name,
                    kind: if kind.is_file() {
                        Kind::File
                    } else if kind.is_dir() {
                        Kind::Dir
                    } else if kind.is_symlink() {
                        Kind::Link
                    } else {
                        Kind::Other
                    },
                })),
                Err(error) => self.trouble(Trouble::of(&error)),
            }
        }
        entries
    }

    /// The names of the folders in a folder, links to folders among them.
    pub fn folders(&mut self, dir: &Path, limit: usize) -> Vec<String> {
        let mut names = Vec::new();
        for entry in self.list(dir, limit) {
            if entry.kind == Kind::Dir || (entry.kind == Kind::Link && self.is_dir(&dir.join(&entry.name))) {
                names.push(entry.name);
            }
        }
        names
    }
}
