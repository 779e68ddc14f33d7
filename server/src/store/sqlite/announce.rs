//! Telling a running collector that another process has committed something.
//!
//! SQLite can be asked for that, but only on the connection that writes, which commits are waited for on. A check-in
//! touches no disk and is not to wait. So the other process, an admin command, lengthens a small file by a byte
//! after each commit and before it answers, and the collector looks at the length: one `fstat` a request. Nothing is
//! lost if the file is: the collector asks SQLite once a second anyway.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Appended to the path of the database.
const SUFFIX: &str = "-announced";

/// The file, open.
#[derive(Debug)]
pub(super) struct Announcements(File);

impl Announcements {
    /// Opens the file of a database, and makes it if it is missing. As readable as the database: by its owner.
    pub(super) fn open(database: &Path) -> io::Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(SUFFIX);
        let options = File::options().append(true).create(true).mode(0o600).open(PathBuf::from(path));
        options.map(Self)
    }

    /// How much was announced so far. Whoever cannot find out takes it for nothing new.
    pub(super) fn length(&self) -> u64 {
        self.0.metadata().map_or(0, |about| about.len())
    }

    /// Announces a commit.
    pub(super) fn announce(&mut self) -> io::Result<()> {
        self.0.write_all(b".")
    }
}
