//! The table `policies`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{instant, micros, unsigned};
use super::devices;
use super::failure::Failure;
use crate::domain::published::PolicyVersion;
use crate::store::StoreError;

/// The columns that [`version`] reads.
const SELECT: &str = "SELECT version, source, author, comment, published_at FROM policies";

/// Stores the next version and makes every device due.
pub(super) fn publish(
    c: &Connection,
    mut policy: PolicyVersion,
    expected: Option<u64>,
) -> Result<PolicyVersion, Failure> {
    let found = newest(c)?;
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Err(Failure::Store(StoreError::Conflict { what: "the policy", expected, found }));
    }
    policy.version = found.saturating_add(1);
    let mut statement = c.prepare_cached(
        "INSERT INTO policies (version, source, author, comment, published_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    statement.execute(params![
        policy.version.cast_signed(),
        policy.source,
        policy.author,
        policy.comment,
        micros(policy.published_at),
    ])?;
    devices::evaluate_all(c, policy.published_at)?;
    Ok(policy)
}

/// The newest version; 0 if there is none.
pub(super) fn newest(c: &Connection) -> Result<u64, Failure> {
    let mut query = c.prepare_cached("SELECT coalesce(max(version), 0) FROM policies")?;
    Ok(query.query_row([], |row| unsigned(row, 0))?)
}

/// One version, or the newest.
pub(super) fn load(c: &Connection, wanted: Option<u64>) -> Result<Option<PolicyVersion>, Failure> {
    let found = match wanted {
        Some(wanted) => {
            let mut query = c.prepare_cached(&format!("{SELECT} WHERE version = ?1"))?;
            query.query_row([wanted.cast_signed()], version).optional()?
        }
        None => {
            let mut query = c.prepare_cached(&format!("{SELECT} ORDER BY version DESC LIMIT 1"))?;
            query.query_row([], version).optional()?
        }
    };
    Ok(found)
}

/// All versions, newest first.
pub(super) fn list(c: &Connection) -> Result<Vec<PolicyVersion>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} ORDER BY version DESC"))?;
    let versions = query.query_map([], version)?;
    Ok(versions.collect::<Result<_, _>>()?)
}

fn version(row: &Row<'_>) -> rusqlite::Result<PolicyVersion> {
    Ok(PolicyVersion {
        version: unsigned(row, 0)?,
        source: row.get(1)?,
        author: row.get(2)?,
        comment: row.get(3)?,
        published_at: instant(row, 4)?,
    })
}
