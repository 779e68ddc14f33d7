//! The tables `devices` and `device_activity`.

use std::sync::LazyLock;

use jiff::Timestamp;
use offchannel_shared::device::{DeviceFacts, Ownership, Placement, Platform};
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::signing::PublicKey;
use offchannel_shared::wire::GoodbyeReason;
use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row, params};

use super::columns::{
    instant, json, maybe_instant, maybe_micros, maybe_text, maybe_word, micros, text, to_json, unsigned, word,
};
use super::failure::Failure;
use super::findings;
use crate::domain::device::{Device, Goodbye, LastReport, ReplacedKey};
use crate::domain::placement::PlacedBy;
use crate::store::{DeviceSummary, Seen};

/// The columns that [`device`] reads.
const SELECT: &str =
    "SELECT d.id, d.public_key, d.token_id, d.enrolled_at, d.hostname, d.platform, d.os, d.arch,
    d.machine, coalesce(p.ownership, d.ownership), coalesce(u.path, '[]'), d.past_epochs, d.goodbye_reason, d.goodbye_at, d.report_epoch,
    d.report_revision, d.report_digest, d.report_received_at, d.report_observed_at, d.report_inventory,
    a.last_seen, a.agent_version, a.policy_version, a.evaluate_at, a.retired_at, d.replaced_key, d.key_replaced_at,
    d.goodbye_stays_up,
    p.unit_by, coalesce(p.labels, '[]'), p.person,
    nullif(max(coalesce(p.placed_at, 0), coalesce(u.placed_at, 0)), 0)
    FROM devices d JOIN device_activity a ON a.device_id = d.id
    LEFT JOIN device_places p ON p.device_id = d.id LEFT JOIN units u ON u.id = p.unit";

/// Writes what a device says of itself.
const UPDATE_TOLD: &str = "UPDATE devices SET hostname = ?2, platform = ?3, os = ?4, arch = ?5, machine = ?6,
    past_epochs = ?7, goodbye_reason = ?8, goodbye_at = ?9, report_epoch = ?10, report_revision = ?11,
    report_digest = ?12, report_received_at = ?13, report_observed_at = ?14, report_inventory = ?15, goodbye_stays_up = ?16
    WHERE id = ?1";

const REASONS: [GoodbyeReason; 3] = [GoodbyeReason::Stop, GoodbyeReason::Uninstall, GoodbyeReason::Shutdown];

/// The device with this id.
pub(super) fn load(c: &Connection, id: &DeviceId) -> Result<Option<Device>, Failure> {
    static BY_ID: LazyLock<String> = LazyLock::new(|| format!("{SELECT} WHERE d.id = ?1"));
    one(c, &BY_ID, [id.as_str()])
}

/// The device with this key.
pub(super) fn with_key(c: &Connection, key: &PublicKey) -> Result<Option<Device>, Failure> {
    one(c, &format!("{SELECT} WHERE d.public_key = ?1"), [key.as_bytes()])
}

fn one(c: &Connection, sql: &str, params: impl Params) -> Result<Option<Device>, Failure> {
    Ok(c.prepare_cached(sql)?.query_row(params, device).optional()?)
}

/// A page of devices, with what is wrong with them: all, or those of a unit and of the units below it.
pub(super) fn list(
    c: &Connection,
    unit: Option<&UnitId>,
    after: Option<&DeviceId>,
    limit: u32,
) -> Result<Vec<DeviceSummary>, Failure> {
    let within = match unit {
        None => "?3 IS NULL",
        Some(_) => {
            "p.unit IN (SELECT units.id FROM units WHERE EXISTS (SELECT 1 FROM json_each(units.path) WHERE value = ?3))"
        }
    };
    let sql = format!("{SELECT} WHERE d.id > ?1 AND {within} ORDER BY d.id LIMIT ?2");
    summaries(c, &sql, unit, after, limit)
}

/// As [`list`], of those that are not retired.
pub(super) fn list_active(
    c: &Connection,
    after: Option<&DeviceId>,
    limit: u32,
) -> Result<Vec<DeviceSummary>, Failure> {
    static ACTIVE: LazyLock<String> = LazyLock::new(|| {
        format!("{SELECT} WHERE d.id > ?1 AND a.retired_at IS NULL AND ?3 IS NULL ORDER BY d.id LIMIT ?2")
    });
    summaries(c, &ACTIVE, None, after, limit)
}

fn summaries(
    c: &Connection,
    sql: &str,
    unit: Option<&UnitId>,
    after: Option<&DeviceId>,
    limit: u32,
) -> Result<Vec<DeviceSummary>, Failure> {
    let mut query = c.prepare_cached(sql)?;
    // Every id comes after the empty text.
    let after = after.map_or("", DeviceId::as_str);
    let devices = query.query_map(params![after, limit, unit.map(UnitId::as_str)], device)?;
    let mut summaries = Vec::new();
    for device in devices {
        let device = device?;
        let findings = findings::open(c, &device.id)?;
        summaries.push(DeviceSummary { device, findings });
    }
    Ok(summaries)
}

fn device(row: &Row<'_>) -> rusqlite::Result<Device> {
    let public_key = public_key_of(row.get_ref(1)?.as_blob()?, 1)?;
    let replaced_key = match row.get_ref(25)?.as_blob_or_null()? {
        Some(key) => Some(ReplacedKey { public_key: public_key_of(key, 25)?, at: instant(row, 26)? }),
        None => None,
    };
    let goodbye = match maybe_word(row, 12, &REASONS, GoodbyeReason::as_str)? {
        Some(reason) => Some(Goodbye { reason, at: instant(row, 13)?, stays_up: row.get(27)? }),
        None => None,
    };
    let report = match maybe_text(row, 14)? {
        Some(epoch) => Some(LastReport {
            epoch,
            revision: unsigned(row, 15)?,
            digest: text(row, 16)?,
            received_at: instant(row, 17)?,
            observed_at: instant(row, 18)?,
            inventory: json(row, 19)?,
        }),
        None => None,
    };
    Ok(Device {
        id: text(row, 0)?,
        public_key,
        replaced_key,
        facts: DeviceFacts {
            hostname: row.get(4)?,
            platform: word(row, 5, &Platform::ALL, Platform::as_str)?,
            os: row.get(6)?,
            arch: row.get(7)?,
            machine: row.get(8)?,
        },
        placement: Placement {
            ownership: word(row, 9, &Ownership::ALL, Ownership::as_str)?,
            units: json(row, 10)?,
            labels: json(row, 29)?,
        },
        placed_by: maybe_word(row, 28, &PlacedBy::ALL, PlacedBy::as_str)?,
        placed_at: maybe_instant(row, 31)?,
        person: maybe_text(row, 30)?,
        token: text(row, 2)?,
        enrolled_at: instant(row, 3)?,
        retired_at: maybe_instant(row, 24)?,
        agent_version: row.get(21)?,
        policy_version: unsigned(row, 22)?,
        last_seen: instant(row, 20)?,
        goodbye,
        report,
        past_epochs: json(row, 11)?,
        evaluate_at: maybe_instant(row, 23)?,
    })
}

fn public_key_of(bytes: &[u8], index: usize) -> rusqlite::Result<PublicKey> {
    PublicKey::from_bytes(bytes)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Blob, Box::new(error)))
}

/// Writes a new device, but not where it belongs: that is [`super::placements`]'s.
pub(super) fn insert(c: &Connection, device: &Device) -> Result<(), Failure> {
    let mut statement = c.prepare_cached(
        "INSERT INTO devices (id, public_key, token_id, enrolled_at, replaced_key, key_replaced_at, ownership, units,
            hostname, platform, os, arch, machine, past_epochs)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, '', '[]', '', '', '', '', '', '')",
    )?;
    execute_identity(&mut statement, device)?;
    let mut statement = c.prepare_cached("UPDATE devices SET ownership = ?2 WHERE id = ?1")?;
    statement.execute([device.id.as_str(), device.placement.ownership.as_str()])?;
    execute_told(&mut c.prepare_cached(UPDATE_TOLD)?, device)?;
    let mut statement = c.prepare_cached(
        "INSERT INTO device_activity (device_id, last_seen, agent_version, policy_version, evaluate_at, retired_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    execute_activity(&mut statement, device)
}

/// Writes what has changed of a device, and touches no row that is the same as before: after a publication most
/// devices are judged anew without any change, and their large rows are left alone. Nor are columns written that
/// an index or a reference is about, unless they changed: SQLite would rewrite the index, too.
pub(super) fn update(c: &Connection, before: &Device, device: &Device) -> Result<(), Failure> {
    if !same_identity(before, device) {
        let mut statement = c.prepare_cached(
            "UPDATE devices SET public_key = ?2, token_id = ?3, enrolled_at = ?4, replaced_key = ?5,
                key_replaced_at = ?6
            WHERE id = ?1",
        )?;
        execute_identity(&mut statement, device)?;
    }
    if !same_told(before, device) {
        execute_told(&mut c.prepare_cached(UPDATE_TOLD)?, device)?;
    }
    let mut statement = c.prepare_cached(
        "UPDATE device_activity SET last_seen = ?2, agent_version = ?3, policy_version = ?4, evaluate_at = ?5,
            retired_at = ?6
        WHERE device_id = ?1",
    )?;
    execute_activity(&mut statement, device)
}

/// What only an enrolment and a rotation of the key change.
fn same_identity(a: &Device, b: &Device) -> bool {
    a.public_key == b.public_key
        && a.replaced_key == b.replaced_key
        && a.token == b.token
        && a.enrolled_at == b.enrolled_at
}

/// What the device says of itself.
fn same_told(a: &Device, b: &Device) -> bool {
    a.facts == b.facts && a.past_epochs == b.past_epochs && a.goodbye == b.goodbye && a.report == b.report
}

fn execute_identity(statement: &mut CachedStatement<'_>, device: &Device) -> Result<(), Failure> {
    let replaced = device.replaced_key.as_ref();
    statement.execute(params![
        device.id.as_str(),
        device.public_key.as_bytes(),
        device.token.as_str(),
        micros(device.enrolled_at),
        replaced.map(|replaced| replaced.public_key.as_bytes()),
        replaced.map(|replaced| micros(replaced.at)),
    ])?;
    Ok(())
}

fn execute_told(statement: &mut CachedStatement<'_>, device: &Device) -> Result<(), Failure> {
    let (facts, report, goodbye) = (&device.facts, device.report.as_ref(), device.goodbye.as_ref());
    statement.execute(params![
        device.id.as_str(),
        facts.hostname,
        facts.platform.as_str(),
        facts.os,
        facts.arch,
        facts.machine,
        to_json(&device.past_epochs)?,
        goodbye.map(|goodbye| goodbye.reason.as_str()),
        goodbye.map(|goodbye| micros(goodbye.at)),
        report.map(|report| report.epoch.as_str()),
        report.map(|report| report.revision.cast_signed()),
        report.map(|report| report.digest.as_str()),
        report.map(|report| micros(report.received_at)),
        report.map(|report| micros(report.observed_at)),
        report.map(|report| to_json(&report.inventory)).transpose()?,
        goodbye.is_some_and(|goodbye| goodbye.stays_up),
    ])?;
    Ok(())
}

fn execute_activity(statement: &mut CachedStatement<'_>, device: &Device) -> Result<(), Failure> {
    statement.execute(params![
        device.id.as_str(),
        micros(device.last_seen),
        device.agent_version,
        device.policy_version.cast_signed(),
        maybe_micros(device.evaluate_at),
        maybe_micros(device.retired_at),
    ])?;
    Ok(())
}

/// Active devices to be judged, the longest due first.
pub(super) fn due(c: &Connection, now: Timestamp, limit: u32) -> Result<Vec<DeviceId>, Failure> {
    let mut query = c.prepare_cached(
        "SELECT device_id FROM device_activity
        WHERE evaluate_at <= ?1 AND retired_at IS NULL ORDER BY evaluate_at, device_id LIMIT ?2",
    )?;
    let due = query.query_map(params![micros(now), limit], |row| text(row, 0))?;
    Ok(due.collect::<Result<_, _>>()?)
}

/// Makes every active device due at `at`, unless it is due before.
pub(super) fn evaluate_all(c: &Connection, at: Timestamp) -> Result<(), Failure> {
    let mut statement = c.prepare_cached(
        "UPDATE device_activity SET evaluate_at = ?1
        WHERE retired_at IS NULL AND (evaluate_at IS NULL OR evaluate_at > ?1)",
    )?;
    statement.execute([micros(at)])?;
    Ok(())
}

/// Writes when devices were heard of, never back in time.
pub(super) fn seen(c: &Connection, seen: &[Seen]) -> Result<(), Failure> {
    let mut statement = c.prepare_cached(
        "UPDATE device_activity SET last_seen = ?2, agent_version = ?3, policy_version = ?4
        WHERE device_id = ?1 AND last_seen <= ?2",
    )?;
    for one in seen {
        statement.execute(params![
            one.device.as_str(),
            micros(one.at),
            one.agent_version,
            one.policy_version.cast_signed(),
        ])?;
    }
    Ok(())
}
