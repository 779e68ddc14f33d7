//! The table `findings`.

use std::sync::LazyLock;

use offchannel_shared::exception_code::ExceptionCode;
use offchannel_shared::ids::{AppId, DeviceId, RuleId};
use offchannel_shared::policy::Severity;
use rusqlite::{Connection, Row, params};

use super::columns::{instant, maybe_instant, maybe_micros, maybe_text, micros, text, unsigned, word};
use super::failure::Failure;
use crate::domain::finding::{Finding, FindingKind};

/// The columns that [`finding`] reads.
const SELECT: &str = "SELECT id, device_id, rule, app, kind, severity, policy_version, started_at, breach_at,
    exception, ended_at FROM findings";

/// A device's findings that have not ended, sorted by rule and app.
pub(super) fn open(c: &Connection, device: &DeviceId) -> Result<Vec<Finding>, Failure> {
    static OPEN: LazyLock<String> =
        LazyLock::new(|| format!("{SELECT} WHERE device_id = ?1 AND ended_at IS NULL ORDER BY rule, app"));
    let mut query = c.prepare_cached(&OPEN)?;
    let findings = query.query_map([device.as_str()], finding)?;
    Ok(findings.collect::<Result<_, _>>()?)
}

/// The findings that have not ended whose code this is. All of them are looked at, in the index that they have: codes are
/// asked for rarely.
pub(super) fn with_code(c: &Connection, code: ExceptionCode) -> Result<Vec<Finding>, Failure> {
    let mut query = c.prepare_cached("SELECT device_id, rule, app FROM findings WHERE ended_at IS NULL")?;
    let mut rows = query.query([])?;
    let mut found: Vec<(DeviceId, RuleId, AppId)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (device, rule, app) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        if ExceptionCode::of(&device, &rule, &app) == code {
            found.push((device, rule, app));
        }
    }
    let mut findings = Vec::new();
    for (device, rule, app) in found {
        let mut of_device = open(c, &device)?;
        of_device.retain(|finding| finding.rule == rule && finding.app == app);
        findings.append(&mut of_device);
    }
    Ok(findings)
}

/// All findings of a device, oldest first.
pub(super) fn all(c: &Connection, device: &DeviceId) -> Result<Vec<Finding>, Failure> {
    let mut query =
        c.prepare_cached(&format!("{SELECT} WHERE device_id = ?1 ORDER BY started_at, rule, app, id"))?;
    let findings = query.query_map([device.as_str()], finding)?;
    Ok(findings.collect::<Result<_, _>>()?)
}

fn finding(row: &Row<'_>) -> rusqlite::Result<Finding> {
    Ok(Finding {
        id: text(row, 0)?,
        device: text(row, 1)?,
        rule: text(row, 2)?,
        app: text(row, 3)?,
        kind: word(row, 4, &FindingKind::ALL, FindingKind::as_str)?,
        severity: word(row, 5, &Severity::ALL, Severity::as_str)?,
        policy_version: unsigned(row, 6)?,
        started_at: instant(row, 7)?,
        breach_at: instant(row, 8)?,
        exception: maybe_text(row, 9)?,
        ended_at: maybe_instant(row, 10)?,
    })
}

/// Writes new and changed findings.
pub(super) fn put(c: &Connection, findings: &[Finding]) -> Result<(), Failure> {
    if findings.is_empty() {
        return Ok(());
    }
    let mut statement = c.prepare_cached(
        "INSERT INTO findings (device_id, id, rule, app, kind, severity, policy_version, started_at, breach_at,
            exception, ended_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        ON CONFLICT (device_id, id) DO UPDATE SET rule = excluded.rule, app = excluded.app, kind = excluded.kind,
            severity = excluded.severity, policy_version = excluded.policy_version,
            started_at = excluded.started_at, breach_at = excluded.breach_at, exception = excluded.exception,
            ended_at = excluded.ended_at",
    )?;
    // One that ended makes room for one that started: there is one open finding for each rule and app.
    let (ended, open): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.ended_at.is_some());
    for finding in ended.into_iter().chain(open) {
        statement.execute(params![
            finding.device.as_str(),
            finding.id.as_str(),
            finding.rule.as_str(),
            finding.app.as_str(),
            finding.kind.as_str(),
            finding.severity.as_str(),
            finding.policy_version.cast_signed(),
            micros(finding.started_at),
            micros(finding.breach_at),
            finding.exception.as_ref().map(|id| id.as_str()),
            maybe_micros(finding.ended_at),
        ])?;
    }
    Ok(())
}
