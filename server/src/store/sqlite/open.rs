//! Opening a database file, or making one.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::announce::Announcements;
use super::migrations;
use super::readers::Readers;
use super::writer::Writer;
use crate::store::StoreError;

/// `OFCH`, at byte 68 of every database of ours (<https://sqlite.org/pragma.html#pragma_application_id>).
pub(super) const APPLICATION_ID: i32 = 0x4F46_4348;
/// How long one program waits while another one, such as an admin command, writes.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// The log is kept at this size when it is written anew; as [`super::writer`]'s cap.
const WAL_BYTES: i64 = 64 << 20;
/// SQLite writes the log back from so many pages on (16 MiB): the more often a page was written meanwhile,
/// the more is saved.
const WAL_PAGES: i64 = 4_000;
/// Memory for pages in KiB, at most.
const WRITER_CACHE: i64 = 16_000;
const READER_CACHE: i64 = 4_000;
/// Statements kept ready on each connection; there are fewer.
const STATEMENTS: usize = 96;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Whether it is made if it is not there.
    pub create: bool,
    /// Whether an older schema is brought up to date.
    pub migrate: bool,
    /// Whether each commit is announced to a collector that may serve from the same database.
    pub announce: bool,
    /// The present instant; noted with each step of the schema.
    pub now: Timestamp,
}

/// Why a database cannot be opened, and what to do. The path is in [`StoreError::Open`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path has no folder, or is one.
    #[error("this is not the path of a file")]
    NotAFile,
    /// There is no database.
    #[error(
        "there is none: start the collector once, which makes it, or give the data folder of the collector"
    )]
    Missing,
    /// The folder above the data folder is missing.
    #[error("the folder {0} is missing: make it, or give another data folder")]
    Parent(String),
    /// The data folder cannot be written.
    #[error("the folder {folder} cannot be written: make it writable for the collector's user")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file can only be read.
    #[error("the file can only be read: make it and its folder writable for the collector's user")]
    ReadOnly,
    /// The file belongs to another program.
    #[error("this is not an Offchannel database: give the path of another file; this one is left as it is")]
    Foreign,
    /// The file is no database at all.
    #[error("this file is not a database, or its beginning is lost: give another path, or restore a backup")]
    NotADatabase,
    /// The file is a database with damage.
    #[error("the database is damaged: stop the collector and restore a backup")]
    Damaged(#[source] rusqlite::Error),
    /// An older schema, which was not to be changed.
    #[error(
        "the database has schema version {found}, this program needs {known}: run `offchannel-server migrate`"
    )]
    Older {
        /// The version found.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// A schema step is not the one that this program knows.
    #[error(
        "step {version} ({name}) of the schema is not the one this program has: the database was made by an altered program; use that one, or restore a backup"
    )]
    Altered {
        /// The step.
        version: u32,
        /// Its name.
        name: String,
    },
    /// SQLite failed.
    #[error("the database failed to {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The system gives no thread.
    #[error("the system gives no thread to work with the database")]
    Thread(#[source] io::Error),
}

/// Why opening failed, before the path is added.
#[derive(Debug)]
pub(super) enum Refused {
    Newer { found: u32, known: u32 },
    Because(OpenError),
}

impl From<OpenError> for Refused {
    fn from(error: OpenError) -> Self {
        Self::Because(error)
    }
}

/// What SQLite said, in words that help.
pub(super) fn database(doing: &'static str) -> impl Fn(rusqlite::Error) -> Refused {
    move |source| {
        Refused::Because(match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenError::NotADatabase,
            Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged(source),
            Some(ErrorCode::ReadOnly) => OpenError::ReadOnly,
            _ => OpenError::Database { doing, source },
        })
    }
}

/// A database at work.
pub(super) struct Opened {
    pub(super) writer: Writer,
    pub(super) readers: Readers,
    pub(super) data_version: i64,
    pub(super) announcements: Announcements,
}

/// Opens a database and starts its threads.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Opened, StoreError> {
    let shown = path.display().to_string();
    attempt(path, options).map_err(|refused| match refused {
        Refused::Newer { found, known } => StoreError::Newer { database: shown, found, known },
        Refused::Because(error) => {
            let source: Box<dyn Error + Send + Sync> = Box::new(error);
            StoreError::Open { path: shown, source }
        }
    })
}

fn attempt(path: &Path, options: &OpenOptions) -> Result<Opened, Refused> {
    prepare(path, options.create)?;
    let mut writer = connect(path)?;
    writable(&writer)?;
    migrations::check(&writer)?;
    settle(&writer).map_err(database("set it up"))?;
    migrations::apply(&mut writer, options)?;
    let data_version = data_version(&writer).map_err(database("read its version"))?;
    // A point read takes some microseconds: more threads than processors only take turns.
    let count = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4));
    let readers = (0..count).map(|_| reader(path)).collect::<Result<Vec<_>, _>>()?;
    let readers = Readers::start(readers).map_err(OpenError::Thread)?;
    let announcements = || {
        let failed = |source| OpenError::Folder { folder: path.display().to_string(), source };
        Announcements::open(path).map_err(failed)
    };
    let announce = options.announce.then(announcements).transpose()?;
    let announcements = announcements()?;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let writer = Writer::start(writer, PathBuf::from(wal), announce).map_err(OpenError::Thread)?;
    Ok(Opened { writer, readers, data_version, announcements })
}

/// Sees to it that there is a file, which only its owner reads: it holds what was found on people's devices.
fn prepare(path: &Path, create: bool) -> Result<(), Refused> {
    if path.is_dir() {
        return Err(OpenError::NotAFile.into());
    }
    if path.exists() {
        return Ok(());
    }
    if !create {
        return Err(OpenError::Missing.into());
    }
    let folder = match path.parent() {
        None => return Err(OpenError::NotAFile.into()),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    let refused = |source: io::Error| OpenError::Folder { folder: folder.display().to_string(), source };
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = folder.parent().unwrap_or(folder);
            return Err(OpenError::Parent(parent.display().to_string()).into());
        }
        Err(error) => return Err(refused(error).into()),
    }
    // The log and its index get the mode of this file. An empty file is an empty database.
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(error).into()),
    }
}

/// A connection that has changed nothing yet.
fn connect(path: &Path) -> Result<Connection, Refused> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(database("open its file"))?;
    let set = || -> rusqlite::Result<()> {
        connection.busy_timeout(BUSY)?;
        // Without it SQLite prepares a statement anew for every set of values where a partial index is about,
        // which costs ten times what running it does.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // A file that is mapped can be torn by a stray write of this process.
        connection.query_row("PRAGMA mmap_size = 0", [], |_| Ok(()))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(())
    };
    set().map_err(database("set up a connection"))?;
    Ok(connection)
}

/// SQLite opens a file that it may not write for reading, and says so only at the first write.
fn writable(connection: &Connection) -> Result<(), Refused> {
    match connection.is_readonly("main") {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::ReadOnly.into()),
        Err(error) => Err(database("open its file")(error)),
    }
}

/// How the one writing connection works.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // Anything less loses acknowledged commits when the power goes.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync leaves the data in the drive's cache. Without effect elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    // What a savepoint keeps for its undoing stays out of the file system.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE)?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {WAL_BYTES}"), [], |_| Ok(()))?;
    connection.query_row(&format!("PRAGMA wal_autocheckpoint = {WAL_PAGES}"), [], |_| Ok(()))
}

fn reader(path: &Path) -> Result<Connection, Refused> {
    let connection = connect(path)?;
    let set = || -> rusqlite::Result<()> {
        connection.pragma_update(None, "cache_size", -READER_CACHE)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "query_only", true)
    };
    set().map_err(database("set up a connection"))?;
    Ok(connection)
}

/// A number that changes when another connection commits.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_commit_is_on_the_disk_before_it_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offchannel.db");
        prepare(&path, true).unwrap();
        let connection = connect(&path).unwrap();
        settle(&connection).unwrap();
        let setting = |name: &str| -> String {
            let value = |row: &rusqlite::Row<'_>| {
                row.get(0).map(|value: rusqlite::types::Value| format!("{value:?}"))
            };
            connection.query_row(&format!("PRAGMA {name}"), [], value).unwrap()
        };
        let found = ["journal_mode", "synchronous", "foreign_keys", "mmap_size"].map(setting);
        // No kill of a process shows the second, only a loss of power does. 2 is FULL.
        assert_eq!(found, ["Text(\"wal\")", "Integer(2)", "Integer(1)", "Integer(0)"]);
    }

    #[test]
    fn a_statement_is_prepared_once_whatever_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offchannel.db");
        let options =
            OpenOptions { create: true, migrate: true, announce: false, now: Timestamp::UNIX_EPOCH };
        prepare(&path, true).unwrap();
        let mut connection = connect(&path).unwrap();
        migrations::apply(&mut connection, &options).unwrap();
        let sql = "SELECT count(*) FROM findings WHERE device_id = ?1 AND ended_at IS NULL";
        for device in ["a", "b", "c"] {
            let mut query = connection.prepare_cached(sql).unwrap();
            let count: i64 = query.query_row([device], |row| row.get(0)).unwrap();
            assert_eq!((count, query.get_status(StatementStatus::RePrepare)), (0, 0));
        }
    }
}
