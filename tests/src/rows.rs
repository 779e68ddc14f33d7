//! Everything that a collector has stored, to see that something changed nothing.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

/// All rows of all tables, as texts.
pub fn rows(database: &Path) -> BTreeMap<String, Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).expect("the collector's database");
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = connection.prepare(names).expect("the tables");
    let names = names.query_map([], |row| row.get::<_, String>(0)).expect("the tables");
    names.map(|name| name.expect("a name")).map(|name| (name.clone(), table(&connection, &name))).collect()
}

fn table(connection: &Connection, name: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {name}")).expect("a table");
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..columns).map(|column| row.get::<_, Value>(column));
        Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
    });
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

/// Makes a database look as if a later program had written it.
pub fn from_the_future(database: &Path) {
    let connection = Connection::open(database).expect("the collector's database");
    let step =
        "INSERT INTO schema_migrations (version, name, applied_at, checksum) VALUES (9999, 'later', 0, '')";
    connection.execute(step, []).expect("a later step");
}
