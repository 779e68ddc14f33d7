//! The table `policies`.

use jiff::Timestamp;
use offchannel_shared::ids::{DeviceId, DraftId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{instant, maybe_instant, maybe_micros, micros, unsigned};
use super::failure::Failure;
use super::{devices, policy_drafts};
use crate::domain::case::Case;
use crate::domain::published::{PolicyVersion, VersionState};
use crate::store::StoreError;

/// The columns that [`version`] reads.
const SELECT: &str = "SELECT version, source, author, comment, published_at, effective_from, in_force_since,
    approved_by, cancelled_at, cancelled_by FROM policies";

/// Stores the next version, and makes every device due if it takes force at once.
pub(super) fn publish(
    c: &Connection,
    mut policy: PolicyVersion,
    expected: Option<u64>,
) -> Result<PolicyVersion, Failure> {
    let found = number(c, "SELECT coalesce(max(version), 0) FROM policies WHERE cancelled_at IS NULL")?;
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        return Err(Failure::Store(StoreError::Conflict { what: "the policy", expected, found }));
    }
    policy.version = number(c, "SELECT coalesce(max(version), 0) FROM policies")?.saturating_add(1);
    policy.in_force_since = policy.effective_from.is_none().then_some(policy.published_at);
    let mut statement = c.prepare_cached(
        "INSERT INTO policies (version, source, author, comment, published_at, effective_from, approved_by)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        policy.version.cast_signed(),
        policy.source,
        policy.author,
        policy.comment,
        micros(policy.published_at),
        maybe_micros(policy.effective_from),
        policy.approved_by,
    ])?;
    if policy.effective_from.is_none() {
        devices::evaluate_all(c, policy.published_at)?;
    }
    Ok(policy)
}

/// As [`publish`], out of a draft, which is deleted.
pub(super) fn publish_draft(
    c: &Connection,
    draft: &DraftId,
    policy: PolicyVersion,
    expected: Option<u64>,
) -> Result<PolicyVersion, Failure> {
    // First what may not be: a command that fails leaves nothing behind.
    let published = publish(c, policy, expected)?;
    policy_drafts::delete(c, draft)?;
    Ok(published)
}

/// The version in force; 0 if there is none.
pub(super) fn in_force(c: &Connection) -> Result<u64, Failure> {
    number(
        c,
        "SELECT coalesce(max(version), 0) FROM policies WHERE effective_from IS NULL OR in_force_since IS NOT NULL",
    )
}

fn number(c: &Connection, sql: &str) -> Result<u64, Failure> {
    Ok(c.prepare_cached(sql)?.query_row([], |row| unsigned(row, 0))?)
}

/// One version, or the newest that was not cancelled.
pub(super) fn load(c: &Connection, wanted: Option<u64>) -> Result<Option<PolicyVersion>, Failure> {
    let found = match wanted {
        Some(wanted) => {
            let mut query = c.prepare_cached(&format!("{SELECT} WHERE version = ?1"))?;
            query.query_row([wanted.cast_signed()], version).optional()?
        }
        None => {
            let sql = format!("{SELECT} WHERE cancelled_at IS NULL ORDER BY version DESC LIMIT 1");
            c.prepare_cached(&sql)?.query_row([], version).optional()?
        }
    };
    Ok(found)
}

/// The version in force.
pub(super) fn load_in_force(c: &Connection) -> Result<Option<PolicyVersion>, Failure> {
    load(c, Some(in_force(c)?))
}

/// All versions, newest first.
pub(super) fn list(c: &Connection) -> Result<Vec<PolicyVersion>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} ORDER BY version DESC"))?;
    let versions = query.query_map([], version)?;
    Ok(versions.collect::<Result<_, _>>()?)
}

/// The newest version whose time has come, if it is newer than the one in force.
pub(super) fn waiting(c: &Connection, now: Timestamp) -> Result<Option<u64>, Failure> {
    let mut query = c.prepare_cached(
        "SELECT coalesce(max(version), 0) FROM policies
        WHERE effective_from <= ?1 AND in_force_since IS NULL AND cancelled_at IS NULL",
    )?;
    let newest = query.query_row([micros(now)], |row| unsigned(row, 0))?;
    // Asked every second: mostly there is none.
    Ok(if newest > 0 && newest > in_force(c)? { Some(newest) } else { None })
}

/// Puts the version in force whose time has come, once.
pub(super) fn take_force(c: &Connection, now: Timestamp) -> Result<Option<PolicyVersion>, Failure> {
    let Some(due) = waiting(c, now)? else { return Ok(None) };
    let mut statement = c.prepare_cached(
        "UPDATE policies SET in_force_since = ?2
        WHERE version = ?1 AND in_force_since IS NULL AND cancelled_at IS NULL",
    )?;
    if statement.execute(params![due.cast_signed(), micros(now)])? == 0 {
        return Ok(None);
    }
    devices::evaluate_all(c, now)?;
    load(c, Some(due))
}

/// Cancels a version that has not taken force.
pub(super) fn cancel(
    c: &Connection,
    wanted: u64,
    by: &str,
    now: Timestamp,
) -> Result<(PolicyVersion, bool), Failure> {
    let missing = || Failure::not_found("policy version", &wanted);
    let mut policy = load(c, Some(wanted))?.ok_or_else(missing)?;
    if policy.state(in_force(c)?) != VersionState::Scheduled {
        return Ok((policy, false));
    }
    let mut statement =
        c.prepare_cached("UPDATE policies SET cancelled_at = ?2, cancelled_by = ?3 WHERE version = ?1")?;
    statement.execute(params![wanted.cast_signed(), micros(now), by])?;
    policy.cancelled = Some((now, by.to_owned()));
    Ok((policy, true))
}

/// What is known of active devices, without their alerts.
pub(super) fn cases(c: &Connection, after: Option<&DeviceId>, limit: u32) -> Result<Vec<Case>, Failure> {
    let summaries = devices::list_active(c, after, limit)?;
    let case = |summary: crate::store::DeviceSummary| Case {
        device: summary.device,
        findings: summary.findings,
        alerts: Vec::new(),
    };
    Ok(summaries.into_iter().map(case).collect())
}

fn version(row: &Row<'_>) -> rusqlite::Result<PolicyVersion> {
    let published_at = instant(row, 4)?;
    let effective_from = maybe_instant(row, 5)?;
    let in_force_since = match effective_from {
        None => Some(published_at),
        Some(_) => maybe_instant(row, 6)?,
    };
    let cancelled = match maybe_instant(row, 8)? {
        Some(at) => Some((at, row.get::<_, Option<String>>(9)?.unwrap_or_default())),
        None => None,
    };
    Ok(PolicyVersion {
        version: unsigned(row, 0)?,
        source: row.get(1)?,
        author: row.get(2)?,
        comment: row.get(3)?,
        published_at,
        effective_from,
        in_force_since,
        approved_by: row.get(7)?,
        cancelled,
    })
}
