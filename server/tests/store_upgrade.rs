//! Databases that earlier versions left behind are brought up to date, with everything that is in them.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use offchannel_server::domain::alert::{AlertState, Cause};
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_server::store::{
    AlertStore as _, DeliveryFilter, DeliveryStore as _, DeviceStore as _, Store as _,
};
use offchannel_shared::digest::hex;
use offchannel_shared::ids::{AlertId, DeviceId};
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, params};

/// Of the file's header, by which the store knows its own.
const APPLICATION_ID: i32 = 0x4F46_4348;
/// What the first version could hold: a token, a device in a unit, three alerts, one of them resolved, a delivery.
const FIRST: &str = include_str!("fixtures/first-version.sql");

/// The steps of the schema, in order.
fn steps() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let name =
        |path: &Path| path.file_stem().unwrap().to_str().unwrap().split_once('_').unwrap().1.to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// A database as a version left it that had so many steps.
fn left_by(path: &Path, count: usize) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE schema_migrations (
                version    INTEGER NOT NULL PRIMARY KEY,
                name       TEXT    NOT NULL,
                applied_at INTEGER NOT NULL,
                checksum   TEXT    NOT NULL
            ) STRICT",
        )
        .unwrap();
    for (version, (name, sql)) in (1..).zip(steps()).take(count) {
        connection.execute_batch(&sql).unwrap();
        let checksum = hex(digest(&SHA256, sql.as_bytes()).as_ref());
        let note = "INSERT INTO schema_migrations VALUES (?1, ?2, 0, ?3)";
        connection.execute(note, params![version, name, checksum]).unwrap();
        if version == 1 {
            connection.execute_batch(FIRST).unwrap();
        }
    }
    connection.close().unwrap();
}

#[tokio::test]
async fn a_database_of_every_earlier_version_is_brought_up_to_date_with_what_is_in_it() {
    for count in 1..=steps().len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offchannel.db");
        left_by(&path, count);
        let options =
            OpenOptions { create: false, migrate: true, announce: false, now: Timestamp::UNIX_EPOCH };
        let store =
            SqliteStore::open(&path, &options).unwrap_or_else(|error| panic!("{count} steps: {error:?}"));
        let id = DeviceId::from_random([0; 16]);
        let case = store.case(&id).await.unwrap().unwrap();
        assert_eq!(case.device.facts.hostname, "sam-laptop", "{count} steps");
        assert_eq!(case.device.placement.units[0].as_str(), "sales", "{count} steps");
        assert_eq!(case.device.key_since(), case.device.enrolled_at, "{count} steps");
        let holds = |number: u8| {
            let id = AlertId::from_random([number; 16]);
            let alert = case.alerts.iter().find(|alert| alert.id == id).unwrap();
            (alert.state, alert.holds, alert.cause, alert.active_since == alert.changed_at)
        };
        assert_eq!(holds(1), (AlertState::Open, true, None, true), "{count} steps");
        assert_eq!(holds(2), (AlertState::Resolved, false, Some(Cause::Removed), true), "{count} steps");
        assert_eq!(holds(3), (AlertState::Open, false, None, true), "{count} steps: a copied device");
        let (_, events) = store.alert(&AlertId::from_random([1; 16])).await.unwrap().unwrap();
        assert_eq!(events.len(), 1, "{count} steps");
        let deliveries = store.deliveries(DeliveryFilter::default()).await.unwrap();
        assert_eq!(deliveries.len(), 1, "{count} steps");
        assert_eq!(deliveries[0].notification.actor, "collector", "{count} steps");
        store.close().await.unwrap();
    }
}
