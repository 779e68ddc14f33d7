//! The table `api_tokens`.

use jiff::Timestamp;
use offchannel_shared::ids::ApiTokenId;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{instant, json, maybe_instant, maybe_micros, micros, text, to_json, unknown_word};
use super::failure::Failure;
use crate::domain::api_token::{ApiToken, Right};

/// The columns that [`token`] reads.
const SELECT: &str = "SELECT id, secret_hash, label, may, created_at, expires_at, revoked_at FROM api_tokens";

/// Stores a new token.
pub(super) fn create(c: &Connection, token: &ApiToken) -> Result<(), Failure> {
    let may: Vec<&str> = token.may.iter().map(|right| right.as_str()).collect();
    let mut statement = c.prepare_cached(
        "INSERT INTO api_tokens (id, secret_hash, label, may, created_at, expires_at, revoked_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        token.id.as_str(),
        token.secret_hash,
        token.label,
        to_json(&may)?,
        micros(token.created_at),
        micros(token.expires_at),
        maybe_micros(token.revoked_at),
    ])?;
    Ok(())
}

/// The token with this id.
pub(super) fn load(c: &Connection, id: &ApiTokenId) -> Result<Option<ApiToken>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    Ok(query.query_row([id.as_str()], token).optional()?)
}

/// All tokens, newest first.
pub(super) fn list(c: &Connection) -> Result<Vec<ApiToken>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} ORDER BY created_at DESC, id"))?;
    let tokens = query.query_map([], token)?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// Revokes a token, once.
pub(super) fn revoke(c: &Connection, id: &ApiTokenId, now: Timestamp) -> Result<ApiToken, Failure> {
    let mut statement =
        c.prepare_cached("UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1")?;
    statement.execute(params![id.as_str(), micros(now)])?;
    load(c, id)?.ok_or_else(|| Failure::not_found("API token", id))
}

fn token(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    let may: Vec<String> = json(row, 3)?;
    let right = |word: &String| word.parse::<Right>().map_err(|_| unknown_word(3, word));
    Ok(ApiToken {
        id: text(row, 0)?,
        secret_hash: row.get(1)?,
        label: row.get(2)?,
        may: may.iter().map(right).collect::<Result<_, _>>()?,
        created_at: instant(row, 4)?,
        expires_at: instant(row, 5)?,
        revoked_at: maybe_instant(row, 6)?,
    })
}
