//! The steps of the schema. A step that was released is never changed; a new one is added.

use offchannel_shared::digest::hex;
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::columns::micros;
use super::open::{APPLICATION_ID, OpenError, OpenOptions, Refused, database};

/// The version of a step is its place in this list, counted from 1.
const STEPS: [Step; 11] = [
    Step { name: "initial", sql: include_str!("../../../migrations/sqlite/0001_initial.sql") },
    Step { name: "key_rotation", sql: include_str!("../../../migrations/sqlite/0002_key_rotation.sql") },
    Step {
        name: "goodbye_stays_up",
        sql: include_str!("../../../migrations/sqlite/0003_goodbye_stays_up.sql"),
    },
    Step { name: "units", sql: include_str!("../../../migrations/sqlite/0004_units.sql") },
    Step { name: "policy_life", sql: include_str!("../../../migrations/sqlite/0005_policy_life.sql") },
    Step { name: "alert_life", sql: include_str!("../../../migrations/sqlite/0006_alert_life.sql") },
    Step { name: "delivery_order", sql: include_str!("../../../migrations/sqlite/0007_delivery_order.sql") },
    Step { name: "exceptions", sql: include_str!("../../../migrations/sqlite/0008_exceptions.sql") },
    Step { name: "ledger", sql: include_str!("../../../migrations/sqlite/0009_ledger.sql") },
    Step { name: "digests", sql: include_str!("../../../migrations/sqlite/0010_digests.sql") },
    Step { name: "alert_subjects", sql: include_str!("../../../migrations/sqlite/0011_alert_subjects.sql") },
];

/// The newest version.
const KNOWN: u32 = STEPS.len() as u32;

/// Which steps were applied.
const NOTES: &str = "
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    applied_at INTEGER NOT NULL,
    checksum   TEXT    NOT NULL
) STRICT";

#[derive(Debug, Clone, Copy)]
struct Step {
    name: &'static str,
    sql: &'static str,
}

impl Step {
    fn checksum(&self) -> String {
        hex(digest(&SHA256, self.sql.as_bytes()).as_ref())
    }
}

fn numbered() -> impl Iterator<Item = (u32, Step)> {
    (1..).zip(STEPS)
}

/// Sees that the database is empty or ours, without changing anything.
pub(super) fn check(connection: &Connection) -> Result<(), Refused> {
    let failed = database("read its schema");
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(&failed)?;
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&failed)?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) { Ok(()) } else { Err(OpenError::Foreign.into()) }
}

/// Applies the steps that are missing, if that is wanted.
pub(super) fn apply(connection: &mut Connection, options: &OpenOptions) -> Result<(), Refused> {
    let failed = database("read its schema");
    let found = version(connection).map_err(&failed)?;
    if found > KNOWN {
        return Err(Refused::Newer { found, known: KNOWN });
    }
    for (version, step) in numbered().take_while(|(version, _)| *version <= found) {
        let known = "SELECT name FROM schema_migrations WHERE version = ?1 AND checksum = ?2";
        let same: Option<String> = connection
            .query_row(known, params![version, step.checksum()], |row| row.get(0))
            .optional()
            .map_err(&failed)?;
        if same.is_none() {
            return Err(OpenError::Altered { version, name: step.name.to_owned() }.into());
        }
    }
    if found < KNOWN && !options.migrate {
        return Err(OpenError::Older { found, known: KNOWN }.into());
    }
    // A table that others refer to can only be rebuilt without them being enforced, and that cannot be changed within a
    // transaction (SQLite, "Making Other Kinds Of Table Schema Changes").
    let failed = database("bring its schema up to date");
    connection.pragma_update(None, "foreign_keys", false).map_err(&failed)?;
    let mut steps = numbered().filter(|(version, _)| *version > found);
    let done = steps.try_for_each(|(version, step)| run(connection, version, step, options));
    connection.pragma_update(None, "foreign_keys", true).map_err(&failed)?;
    done.map_err(failed)
}

/// The version of the schema; 0 for none.
fn version(connection: &Connection) -> rusqlite::Result<u32> {
    let exists = "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'";
    if connection.query_row(exists, [], |row| row.get::<_, u32>(0))? == 0 {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    connection.query_row(newest, [], |row| row.get(0))
}

/// One step and the note of it, together or not at all.
fn run(connection: &mut Connection, step: u32, what: Step, options: &OpenOptions) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if version(&transaction)? >= step {
        return transaction.commit();
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(NOTES)?;
    transaction.execute_batch(what.sql)?;
    // Nothing may refer to what is gone.
    let broken = transaction.prepare("PRAGMA foreign_key_check")?.exists([])?;
    if broken {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            Some(format!("step {step} ({}) would leave rows that refer to nothing", what.name)),
        ));
    }
    transaction.execute(
        "INSERT INTO schema_migrations (version, name, applied_at, checksum) VALUES (?1, ?2, ?3, ?4)",
        params![step, what.name, micros(options.now), what.checksum()],
    )?;
    transaction.commit()
}
