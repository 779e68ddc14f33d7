//! Opening the embedded store: what it makes, what it refuses, and what it says then.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[expect(dead_code, reason = "the behaviours run in store_conformance")]
mod conformance;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use offchannel_server::store::sqlite::{OpenError, OpenOptions, SqliteStore};
use offchannel_server::store::{DeviceStore as _, Store, StoreError, TokenStore as _};
use rusqlite::Connection;

use self::conformance::fixtures::{at, enrolled, token};

const SCHEMA: &str = include_str!("../migrations/sqlite/schema.txt");

fn options() -> OpenOptions {
    OpenOptions { create: true, migrate: true, announce: false, now: at(0) }
}

fn open(path: &Path) -> Result<Arc<SqliteStore>, StoreError> {
    SqliteStore::open(path, &options())
}

/// The refusal, which must name the path, and its text.
fn refused(path: &Path, options: &OpenOptions) -> (OpenError, String) {
    match SqliteStore::open(path, options).unwrap_err() {
        StoreError::Open { path: named, source } => {
            assert_eq!(named, path.display().to_string());
            let error = *source.downcast::<OpenError>().unwrap();
            let text = error.to_string();
            (error, text)
        }
        other => panic!("{other:?}"),
    }
}

async fn made(path: &Path) {
    let store = open(path).unwrap();
    store.create_token(token(1)).await.unwrap();
    store.close().await.unwrap();
}

fn schema(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let mut query = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
        .unwrap();
    let parts: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    parts.into_iter().map(|sql| sql + ";\n").collect()
}

#[tokio::test]
async fn a_new_database_is_readable_by_its_owner_alone_and_leaves_no_log_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("offchannel.db");
    let store = open(&path).unwrap();
    store.create_token(token(1)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap().path();
        assert_eq!(mode(&entry), 0o600, "{}", entry.display());
    }
    store.close().await.unwrap();
    let names: BTreeSet<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let expected = ["offchannel.db", "offchannel.db-announced"].map(OsString::from);
    assert_eq!(names, BTreeSet::from(expected), "the log is written back");
}

#[tokio::test]
async fn the_steps_give_the_schema_on_record_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    made(&path).await;
    let first = schema(&path);
    assert_eq!(first, SCHEMA, "a new step changes schema.txt, too");
    let again = open(&path).unwrap();
    assert_eq!(again.tokens().await.unwrap(), [token(1)]);
    again.close().await.unwrap();
    assert_eq!(schema(&path), first);
}

#[tokio::test]
async fn a_database_that_is_to_be_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").join("offchannel.db");
    let (error, text) = refused(&path, &OpenOptions { create: false, ..options() });
    assert!(matches!(error, OpenError::Missing), "{text}");
    assert!(!path.parent().unwrap().exists());
}

#[tokio::test]
async fn a_missing_parent_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().join("missing");
    let (error, text) = refused(&parent.join("data").join("offchannel.db"), &options());
    assert!(matches!(error, OpenError::Parent(_)), "{text}");
    assert!(text.contains(parent.to_str().unwrap()) && text.contains("make it"), "{text}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    // Not even root makes a file there.
    let (error, text) = refused(Path::new("/sys/kernel/offchannel.db"), &options());
    assert!(matches!(error, OpenError::Folder { .. }), "{text}");
    assert!(text.contains("/sys/kernel") && text.contains("make it writable"), "{text}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_path_that_is_a_folder_or_under_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (error, text) = refused(folder.path(), &options());
    assert!(matches!(error, OpenError::NotAFile), "{text}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let (error, text) = refused(&file.join("offchannel.db"), &options());
    assert!(matches!(error, OpenError::Folder { .. }), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "not a database, and longer than the header of one. ".repeat(40);
    fs::write(&path, &notes).unwrap();
    let (error, text) = refused(&path, &options());
    assert!(matches!(error, OpenError::NotADatabase), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for setup in ["CREATE TABLE theirs (x)", "PRAGMA application_id = 7; VACUUM"] {
        let path = folder.path().join(format!("theirs-{}.db", setup.len()));
        Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        let before = fs::read(&path).unwrap();
        let (error, text) = refused(&path, &options());
        assert!(matches!(error, OpenError::Foreign), "{text}");
        assert!(text.contains("not an Offchannel database"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_both_versions_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    made(&path).await;
    let insert = "INSERT INTO schema_migrations VALUES (99, 'future', 0, '')";
    Connection::open(&path).unwrap().execute_batch(insert).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("version 99"), "{text}");
}

#[tokio::test]
async fn an_altered_step_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    made(&path).await;
    Connection::open(&path).unwrap().execute_batch("UPDATE schema_migrations SET checksum = 'x'").unwrap();
    let (error, text) = refused(&path, &options());
    assert!(matches!(error, OpenError::Altered { version: 1, .. }), "{text}");
}

#[tokio::test]
async fn an_older_database_is_brought_up_to_date_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    let (error, text) = refused(&path, &OpenOptions { migrate: false, ..options() });
    assert!(matches!(error, OpenError::Older { found: 0, .. }), "{text}");
    assert!(text.contains("offchannel-server migrate"), "{text}");
    made(&path).await;
    let store =
        SqliteStore::open(&path, &OpenOptions { create: false, migrate: false, ..options() }).unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn damage_is_reported_and_not_taken_for_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    let store: Arc<dyn Store> = open(&path).unwrap();
    for number in 1..=200 {
        enrolled(&store, number).await;
    }
    store.close().await.unwrap();
    let whole = fs::read(&path).unwrap();

    let mut damaged = whole.clone();
    damaged[100..4_000].fill(0xff);
    fs::write(&path, &damaged).unwrap();
    let (error, text) = refused(&path, &options());
    assert!(matches!(error, OpenError::Damaged(_)), "{text}");
    assert!(text.contains("restore a backup"), "{text}");

    let mut damaged = whole;
    // The schema stands in front, and can still be read.
    let half = damaged.len() / 2;
    damaged[half..].fill(0xff);
    fs::write(&path, &damaged).unwrap();
    let store = open(&path).unwrap();
    let error = store.devices(None, 1_000).await.unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
}

#[tokio::test]
async fn what_another_process_commits_is_noticed_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    let (here, there) = (open(&path).unwrap(), open(&path).unwrap());
    assert!(!here.changed_elsewhere().await.unwrap());
    here.create_token(token(1)).await.unwrap();
    assert!(!here.changed_elsewhere().await.unwrap(), "this is no news to the one who did it");
    there.create_token(token(2)).await.unwrap();
    assert!(here.changed_elsewhere().await.unwrap());
    assert!(!here.changed_elsewhere().await.unwrap());
    assert_eq!(here.tokens().await.unwrap().len(), 2);
}
