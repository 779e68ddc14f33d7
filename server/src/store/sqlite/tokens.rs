//! The table `tokens`.

use jiff::Timestamp;
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{TokenId, UnitId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{instant, json, maybe_instant, maybe_micros, maybe_text, micros, text, to_json, word};
use super::failure::Failure;
use super::units;
use crate::domain::token::Token;

/// The columns that [`token`] reads.
const SELECT: &str = "SELECT id, secret_hash, label, ownership, unit, max_uses, uses, created_at, expires_at,
    revoked_at, labels FROM tokens";

/// Stores a new token.
pub(super) fn create(c: &Connection, token: &Token) -> Result<(), Failure> {
    if let Some(unit) = &token.unit
        && units::path(c, unit)?.is_none()
    {
        return Err(Failure::not_found("unit", unit));
    }
    let mut statement = c.prepare_cached(
        "INSERT INTO tokens (id, secret_hash, label, ownership, units, max_uses, uses, created_at, expires_at,
            revoked_at, unit, labels)
        VALUES (?1, ?2, ?3, ?4, '[]', ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    statement.execute(params![
        token.id.as_str(),
        token.secret_hash,
        token.label,
        token.ownership.as_str(),
        token.max_uses,
        token.uses,
        micros(token.created_at),
        micros(token.expires_at),
        maybe_micros(token.revoked_at),
        token.unit.as_ref().map(UnitId::as_str),
        to_json(&token.labels)?,
    ])?;
    Ok(())
}

/// The token with this id.
pub(super) fn load(c: &Connection, id: &TokenId) -> Result<Option<Token>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    Ok(query.query_row([id.as_str()], token).optional()?)
}

/// All tokens, newest first.
pub(super) fn list(c: &Connection) -> Result<Vec<Token>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} ORDER BY created_at DESC, id"))?;
    let tokens = query.query_map([], token)?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// Revokes a token; one that is revoked already stays as it is.
pub(super) fn revoke(c: &Connection, id: &TokenId, now: Timestamp) -> Result<Token, Failure> {
    let mut statement =
        c.prepare_cached("UPDATE tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")?;
    statement.execute(params![id.as_str(), micros(now)])?;
    load(c, id)?.ok_or_else(|| Failure::not_found("token", id))
}

/// Writes how often a token was used.
pub(super) fn used(c: &Connection, token: &Token) -> Result<(), Failure> {
    let mut statement = c.prepare_cached("UPDATE tokens SET uses = ?2 WHERE id = ?1")?;
    statement.execute(params![token.id.as_str(), token.uses])?;
    Ok(())
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: text(row, 0)?,
        secret_hash: row.get(1)?,
        label: row.get(2)?,
        ownership: word(row, 3, &Ownership::ALL, Ownership::as_str)?,
        unit: maybe_text(row, 4)?,
        labels: json(row, 10)?,
        max_uses: row.get(5)?,
        uses: row.get(6)?,
        created_at: instant(row, 7)?,
        expires_at: instant(row, 8)?,
        revoked_at: maybe_instant(row, 9)?,
    })
}
