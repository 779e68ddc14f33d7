//! The table `deliveries`.

use jiff::Timestamp;
use offchannel_shared::ids::{ChannelName, DeliveryId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::alerts::at_most;
use super::columns::{instant, json, maybe_text, micros, text, to_json, word};
use super::failure::Failure;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::digest::InDigest;
use crate::store::DeliveryFilter;

/// The columns that [`delivery`] reads.
const COLUMNS: &str =
    "id, channel, alert_id, notification, created_at, due_at, attempts, state, last_error, digest,
    message_id";

/// Who wants which deliveries.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) channels: Vec<ChannelName>,
    pub(super) worker: String,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
    pub(super) limit: u32,
}

/// Queues new deliveries. None is due before those that it has to wait for, so that whoever looks for what is due finds
/// hardly anything that waits, however much does. What was never tried and waits for a time of day does so no longer than what
/// comes after it: its order is kept, and what is urgent is not held up.
pub(super) fn insert(c: &Connection, deliveries: &[Delivery]) -> Result<(), Failure> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO deliveries ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5,
            CASE WHEN ?10 IS NOT NULL THEN ?6 ELSE max(?6, coalesce((SELECT max(due_at) FROM deliveries
                WHERE state = 'pending' AND alert_id = ?3 AND channel = ?2 AND digest IS NULL), ?6)) END,
            ?7, ?8, ?9, ?10, ?11)"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut sooner = c.prepare_cached(
        "UPDATE deliveries SET due_at = ?3
        WHERE state = 'pending' AND alert_id = ?1 AND channel = ?2 AND digest IS NULL AND attempts = 0 AND due_at > ?3",
    )?;
    for delivery in deliveries {
        if delivery.digest.is_none() {
            let due = micros(delivery.due_at);
            sooner.execute(params![delivery.alert.as_str(), delivery.channel.as_str(), due])?;
        }
        let digest = delivery.digest.as_ref();
        statement.execute(params![
            delivery.id.as_str(),
            delivery.channel.as_str(),
            delivery.alert.as_str(),
            to_json(&delivery.notification)?,
            micros(delivery.created_at),
            micros(delivery.due_at),
            delivery.attempts,
            delivery.state.as_str(),
            delivery.last_error,
            digest.map(|digest| &digest.group),
            digest.and_then(|digest| digest.message.as_ref()).map(|id| id.as_str()),
        ])?;
    }
    Ok(())
}

/// Leases what is due, and not while an earlier one of its alert and channel is pending. Rows are numbered as they are
/// inserted (`rowid`), which an index of pending ones ends with. The guard of the lease is repeated outside the selection, so that the statement stays right where
/// two of them run at a time; the index of pending deliveries is not touched.
pub(super) fn claim(c: &Connection, claim: &Claim) -> Result<Vec<Delivery>, Failure> {
    let sql = format!(
        "UPDATE deliveries SET leased_by = ?1, leased_until = ?2
        WHERE id IN (
            SELECT id FROM deliveries AS candidate
            WHERE state = 'pending' AND digest IS NULL AND due_at <= ?3 AND (leased_until IS NULL OR leased_until <= ?3)
                AND channel IN (SELECT value FROM json_each(?4))
                AND NOT EXISTS (
                    SELECT 1 FROM deliveries AS earlier
                    WHERE earlier.state = 'pending' AND earlier.digest IS NULL AND earlier.alert_id = candidate.alert_id
                        AND earlier.channel = candidate.channel AND earlier.rowid < candidate.rowid
                )
            ORDER BY due_at, id LIMIT ?5
        ) AND state = 'pending' AND (leased_until IS NULL OR leased_until <= ?3)
        RETURNING {COLUMNS}"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let values =
        params![claim.worker, micros(claim.until), micros(claim.now), to_json(&claim.channels)?, claim.limit];
    let claimed = statement.query_map(values, delivery)?;
    let mut claimed: Vec<Delivery> = claimed.collect::<Result<_, _>>()?;
    // RETURNING gives no order.
    claimed.sort_by(|a, b| (a.due_at, &a.id).cmp(&(b.due_at, &b.id)));
    Ok(claimed)
}

/// Leases the parts of one message.
pub(super) fn claim_digest(c: &Connection, claim: &Claim) -> Result<Vec<Delivery>, Failure> {
    let now = micros(claim.now);
    let mut first = c.prepare_cached(
        "SELECT id, channel, digest, message_id FROM deliveries
        WHERE state = 'pending' AND digest IS NOT NULL AND due_at <= ?1
            AND (leased_until IS NULL OR leased_until <= ?1) AND channel IN (SELECT value FROM json_each(?2))
        ORDER BY due_at, rowid LIMIT 1",
    )?;
    let found = first.query_row(params![now, to_json(&claim.channels)?], |row| {
        let columns: (String, String, String, Option<String>) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(columns)
    });
    let Some((id, channel, digest, message)) = found.optional()? else { return Ok(Vec::new()) };
    let message = match message {
        Some(message) => message,
        None => {
            let mut settle = c.prepare_cached(
                "UPDATE deliveries SET message_id = ?1
                WHERE rowid IN (
                    SELECT rowid FROM deliveries
                    WHERE state = 'pending' AND digest = ?2 AND channel = ?3 AND message_id IS NULL AND due_at <= ?4
                    ORDER BY rowid LIMIT ?5)",
            )?;
            settle.execute(params![id, digest, channel, now, claim.limit])?;
            id
        }
    };
    let mut lease = c.prepare_cached(
        "UPDATE deliveries SET leased_by = ?2, leased_until = ?3
        WHERE message_id = ?1 AND state = 'pending' AND (leased_until IS NULL OR leased_until <= ?4)",
    )?;
    lease.execute(params![message, claim.worker, micros(claim.until), now])?;
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries
        WHERE message_id = ?1 AND state = 'pending' AND leased_by = ?2 AND leased_until = ?3 ORDER BY rowid"
    );
    let mut parts = c.prepare_cached(&sql)?;
    let parts = parts.query_map(params![message, claim.worker, micros(claim.until)], delivery)?;
    Ok(parts.collect::<Result<_, _>>()?)
}

/// Writes how an attempt went, if the worker still holds the delivery. Those that wait for it are due no earlier.
pub(super) fn finish(c: &Connection, delivery: &Delivery, worker: &str) -> Result<bool, Failure> {
    let mut statement = c.prepare_cached(
        "UPDATE deliveries SET due_at = ?3, attempts = ?4, state = ?5, last_error = ?6, leased_by = NULL,
            leased_until = NULL
        WHERE id = ?1 AND leased_by = ?2",
    )?;
    let changed = statement.execute(params![
        delivery.id.as_str(),
        worker,
        micros(delivery.due_at),
        delivery.attempts,
        delivery.state.as_str(),
        delivery.last_error,
    ])?;
    if changed == 1 && delivery.state == DeliveryState::Pending && delivery.digest.is_none() {
        let mut statement = c.prepare_cached(
            "UPDATE deliveries SET due_at = max(due_at, ?4)
            WHERE state = 'pending' AND alert_id = ?2 AND channel = ?3 AND digest IS NULL
                AND rowid > (SELECT rowid FROM deliveries WHERE id = ?1)",
        )?;
        statement.execute(params![
            delivery.id.as_str(),
            delivery.alert.as_str(),
            delivery.channel.as_str(),
            micros(delivery.due_at),
        ])?;
    }
    Ok(changed == 1)
}

/// Ends all leases. Of what is not pending none is left.
pub(super) fn release(c: &Connection) -> Result<u64, Failure> {
    let mut statement = c.prepare_cached(
        "UPDATE deliveries SET leased_by = NULL, leased_until = NULL WHERE state = 'pending' AND leased_by IS NOT NULL",
    )?;
    Ok(statement.execute([])? as u64)
}

/// The delivery with this id.
pub(super) fn load(c: &Connection, id: &DeliveryId) -> Result<Option<Delivery>, Failure> {
    let mut query = c.prepare_cached(&format!("SELECT {COLUMNS} FROM deliveries WHERE id = ?1"))?;
    Ok(query.query_row([id.as_str()], delivery).optional()?)
}

/// Makes a dead delivery pending, with all that went in one message with it.
pub(super) fn retry(c: &Connection, id: &DeliveryId, now: Timestamp) -> Result<Delivery, Failure> {
    let mut others = c.prepare_cached(
        "UPDATE deliveries SET state = 'pending', due_at = ?2
        WHERE message_id = (SELECT message_id FROM deliveries WHERE id = ?1) AND state = 'dead' AND id <> ?1",
    )?;
    others.execute(params![id.as_str(), micros(now)])?;
    let sql = format!(
        "UPDATE deliveries SET state = 'pending', due_at = ?2 WHERE id = ?1 AND state = 'dead' RETURNING {COLUMNS}"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let retried = statement.query_row(params![id.as_str(), micros(now)], delivery).optional()?;
    retried.ok_or_else(|| Failure::not_found("dead delivery", id))
}

/// Makes all dead deliveries pending, or those of one channel.
pub(super) fn retry_all(
    c: &Connection,
    channel: Option<&ChannelName>,
    now: Timestamp,
) -> Result<u64, Failure> {
    let mut statement = c.prepare_cached(
        "UPDATE deliveries SET state = 'pending', due_at = ?2 WHERE state = 'dead' AND channel = coalesce(?1, channel)",
    )?;
    Ok(statement.execute(params![channel.map(ChannelName::as_str), micros(now)])? as u64)
}

/// Deliveries, newest first.
pub(super) fn list(c: &Connection, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE (?1 IS NULL OR state IN (SELECT value FROM json_each(?1)))
            AND channel = coalesce(?3, channel)
        ORDER BY created_at DESC, id LIMIT ?2"
    );
    let mut query = c.prepare_cached(&sql)?;
    let states = (!filter.states.is_empty()).then(|| to_json(&filter.states)).transpose()?;
    let channel = filter.channel.as_ref().map(ChannelName::as_str);
    let deliveries = query.query_map(params![states, at_most(filter.limit), channel], delivery)?;
    Ok(deliveries.collect::<Result<_, _>>()?)
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let (group, message): (Option<String>, Option<DeliveryId>) = (row.get(9)?, maybe_text(row, 10)?);
    Ok(Delivery {
        id: text(row, 0)?,
        channel: text(row, 1)?,
        alert: text(row, 2)?,
        notification: json(row, 3)?,
        created_at: instant(row, 4)?,
        due_at: instant(row, 5)?,
        attempts: row.get(6)?,
        state: word(row, 7, &DeliveryState::ALL, DeliveryState::as_str)?,
        last_error: row.get(8)?,
        digest: group.map(|group| InDigest { group, message }),
    })
}
