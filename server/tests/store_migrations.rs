//! Databases of earlier versions, taken through the steps that came later.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[expect(dead_code, reason = "the behaviours run in store_conformance")]
mod conformance;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offchannel_server::domain::alert::{AlertState, Cause};
use offchannel_server::domain::placement::PlacedBy;
use offchannel_server::store::sqlite::{OpenOptions, SqliteStore};
use offchannel_server::store::{DeliveryFilter, LedgerFilter, Store};
use offchannel_shared::digest::hex;
use offchannel_shared::ids::{AlertId, DeviceId, TokenId};
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, params};

use self::conformance::fixtures::{at, id};

const SCHEMA: &str = include_str!("../migrations/sqlite/schema.txt");

/// What the first version could hold: a token, a device in a unit, three alerts, one of them resolved, a delivery.
const FIRST: &str = include_str!("fixtures/first-version.sql");

/// What every database of ours begins with.
const NOTES: &str = "PRAGMA application_id = 1330004808;
CREATE TABLE schema_migrations (
    version    INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    applied_at INTEGER NOT NULL,
    checksum   TEXT    NOT NULL
) STRICT";

fn schema(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let mut query = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
        .unwrap();
    let parts: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    parts.into_iter().map(|sql| sql + ";\n").collect()
}

/// The steps of the schema, in order.
fn steps() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut steps: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    steps.retain(|step| step.extension().is_some_and(|extension| extension == "sql"));
    steps.sort();
    steps
}

/// A database as the program left it whose last step was `last`, e.g. `0002_key_rotation`.
fn left_at(path: &Path, last: &str) -> Connection {
    left_with(path, last, "")
}

/// As [`left_at`], with what `first` put into it when there was only the first step.
fn left_with(path: &Path, last: &str, first: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    // As the program applies them.
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(NOTES).unwrap();
    for (version, step) in (1..).zip(steps()) {
        let sql = fs::read_to_string(&step).unwrap();
        connection.execute_batch(&sql).unwrap();
        let checksum = hex(digest(&SHA256, sql.as_bytes()).as_ref());
        let stem = step.file_stem().unwrap().to_str().unwrap();
        let name = stem.split_once('_').unwrap().1;
        let note = "INSERT INTO schema_migrations VALUES (?1, ?2, 0, ?3)";
        connection.execute(note, params![version, name, checksum]).unwrap();
        if version == 1 {
            connection.execute_batch(first).unwrap();
        }
        if stem == last {
            return connection;
        }
    }
    panic!("there is no step {last}");
}

/// A token and a device that was enrolled with it, as they were stored before there was a tree.
fn enrolled(connection: &Connection, number: u64, token_units: &str, device_units: &str) -> DeviceId {
    let (token, device): (TokenId, DeviceId) = (id(number), id(number));
    connection
        .execute(
            "INSERT INTO tokens (id, secret_hash, label, ownership, units, max_uses, uses, created_at, expires_at)
            VALUES (?1, '', '', 'corporate', ?2, 1, 1, 0, 0)",
            params![token.as_str(), token_units],
        )
        .unwrap();
    connection
        .execute(
            "INSERT INTO devices (id, public_key, token_id, enrolled_at, hostname, platform, os, arch, machine,
                ownership, units, past_epochs) VALUES (?1, ?2, ?3, 0, 'h', 'linux', '', '', '', 'corporate', ?4, '[]')",
            params![device.as_str(), vec![u8::try_from(number).unwrap(); 32], token.as_str(), device_units],
        )
        .unwrap();
    connection
        .execute("INSERT INTO device_activity VALUES (?1, 0, '', 1, NULL, NULL)", [device.as_str()])
        .unwrap();
    device
}

fn open(path: &Path) -> Arc<dyn Store> {
    let options = OpenOptions { create: false, migrate: true, announce: false, now: at(0) };
    SqliteStore::open(path, &options).unwrap()
}

#[tokio::test]
async fn the_lists_of_units_from_before_become_a_tree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    let connection = left_at(&path, "0002_key_rotation");
    let payroll = r#"["payroll","finance","head-office"]"#;
    let plain = enrolled(&connection, 1, payroll, payroll);
    let nowhere = enrolled(&connection, 2, "[]", "[]");
    // Its token is of another unit by now: it enrolled again in between, say.
    let other = enrolled(&connection, 3, r#"["legal","head-office"]"#, r#"["finance","head-office"]"#);
    // Two lists that do not agree on what is above `audit`.
    let first = enrolled(&connection, 4, r#"["audit","finance"]"#, r#"["audit","finance"]"#);
    let second = enrolled(&connection, 5, r#"["audit","legal"]"#, r#"["audit","legal"]"#);
    // Units above themselves.
    let circle = enrolled(&connection, 6, r#"["x","y","z"]"#, r#"["x","y","z"]"#);
    let back = enrolled(&connection, 7, r#"["y","x"]"#, r#"["y","x"]"#);
    connection.close().unwrap();

    let store = open(&path);
    let mut found = Vec::new();
    for id in [&plain, &nowhere, &other, &first, &second, &circle, &back] {
        let device = store.device(id).await.unwrap().unwrap();
        let units: Vec<&str> = device.placement.units.iter().map(|unit| unit.as_str()).collect();
        assert_eq!(device.placed_by, (!units.is_empty()).then_some(PlacedBy::Token));
        // Where the place is another than before, agent and judgement follow.
        assert_eq!(device.placed_at.is_some(), device.evaluate_at.is_some());
        found.push((units.join(" "), device.placed_at.is_some()));
    }
    let expected = [
        ("payroll finance head-office", false),
        ("", false),
        ("finance head-office", false),
        // The list said nothing of what is above `finance`; other lists did.
        ("audit finance head-office", true),
        ("audit finance head-office", true),
        ("x", true),
        ("y", true),
    ];
    assert_eq!(found, expected.map(|(units, moved)| (units.to_owned(), moved)));
    let organisation = store.organisation(at(0)).await.unwrap();
    assert_eq!(organisation.tree.faults(), []);
    assert_eq!(organisation.tree.len(), 8);
    let tokens = store.tokens().await.unwrap();
    assert_eq!(tokens.iter().filter(|token| token.unit.is_some()).count(), 6);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_database_from_before_keys_were_replaced_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offchannel.db");
    let connection = left_at(&path, "0001_initial");
    let id = enrolled(&connection, 1, "[]", "[]");
    connection.close().unwrap();
    let store = open(&path);
    let device = store.device(&id).await.unwrap().unwrap();
    assert_eq!((&device.replaced_key, device.key_since()), (&None, device.enrolled_at));
    store.close().await.unwrap();
    assert_eq!(schema(&path), SCHEMA, "the steps give the same schema one by one");
}

#[tokio::test]
async fn a_database_of_every_earlier_version_is_brought_up_to_date_with_what_is_in_it() {
    for last in steps() {
        let last = last.file_stem().unwrap().to_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offchannel.db");
        left_with(&path, last, FIRST).close().unwrap();
        let store = open(&path);
        let id = DeviceId::from_random([0; 16]);
        let case = store.case(&id).await.unwrap().unwrap();
        assert_eq!(case.device.facts.hostname, "sam-laptop", "{last}");
        assert_eq!(case.device.placement.units[0].as_str(), "sales", "{last}");
        assert_eq!(case.device.key_since(), case.device.enrolled_at, "{last}");
        let holds = |number: u8| {
            let id = AlertId::from_random([number; 16]);
            let alert = case.alerts.iter().find(|alert| alert.id == id).unwrap();
            (alert.state, alert.holds, alert.cause, alert.active_since == alert.changed_at)
        };
        assert_eq!(holds(1), (AlertState::Open, true, None, true), "{last}");
        assert_eq!(holds(2), (AlertState::Resolved, false, Some(Cause::Removed), true), "{last}");
        assert_eq!(holds(3), (AlertState::Open, false, None, true), "{last}: a copied device");
        let (_, events) = store.alert(&AlertId::from_random([1; 16])).await.unwrap().unwrap();
        assert_eq!(events.len(), 1, "{last}");
        let breaches = store.ledger(LedgerFilter::default()).await.unwrap();
        let of: Vec<_> = breaches.iter().map(|entry| &entry.breach.alert).collect();
        assert_eq!(of, [&AlertId::from_random([1; 16])], "{last}");
        assert_eq!(breaches[0].breach.units[0].as_str(), "sales", "{last}");
        let deliveries = store.deliveries(DeliveryFilter::default()).await.unwrap();
        assert_eq!(deliveries.len(), 1, "{last}");
        assert_eq!(deliveries[0].notification.actor, "collector", "{last}");
        store.close().await.unwrap();
    }
}
