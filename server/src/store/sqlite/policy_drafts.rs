//! The table `policy_drafts`.

use offchannel_shared::ids::DraftId;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::columns::{instant, maybe_instant, maybe_micros, micros, text, unsigned};
use super::failure::Failure;
use crate::domain::policy_draft::{Draft, Proposal};

/// The columns that [`draft`] reads.
const SELECT: &str = "SELECT id, name, source, author, comment, saved_at, proposed, based_on, effective_from
    FROM policy_drafts";

/// Stores a draft, in the place of the one of its name.
pub(super) fn save(c: &Connection, draft: &Draft) -> Result<(), Failure> {
    let mut statement =
        c.prepare_cached("DELETE FROM policy_drafts WHERE name = ?1 AND name <> '' AND proposed = 0")?;
    statement.execute([&draft.name])?;
    let mut statement = c.prepare_cached(
        "INSERT INTO policy_drafts (id, name, source, author, comment, saved_at, proposed, based_on, effective_from)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![
        draft.id.as_str(),
        draft.name,
        draft.source,
        draft.author,
        draft.comment,
        micros(draft.saved_at),
        draft.proposal.is_some(),
        draft.proposal.map_or(0, |proposal| proposal.based_on).cast_signed(),
        maybe_micros(draft.proposal.and_then(|proposal| proposal.effective_from)),
    ])?;
    Ok(())
}

/// One draft.
pub(super) fn load(c: &Connection, id: &DraftId) -> Result<Option<Draft>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    Ok(query.query_row([id.as_str()], draft).optional()?)
}

/// All drafts, newest first.
pub(super) fn list(c: &Connection) -> Result<Vec<Draft>, Failure> {
    let mut query = c.prepare_cached(&format!("{SELECT} ORDER BY saved_at DESC, id"))?;
    let drafts = query.query_map([], draft)?;
    Ok(drafts.collect::<Result<_, _>>()?)
}

/// Deletes a draft.
pub(super) fn delete(c: &Connection, id: &DraftId) -> Result<Draft, Failure> {
    let draft = load(c, id)?.ok_or_else(|| Failure::not_found("draft", id))?;
    c.prepare_cached("DELETE FROM policy_drafts WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(draft)
}

fn draft(row: &Row<'_>) -> rusqlite::Result<Draft> {
    let proposal = if row.get(6)? {
        Some(Proposal { based_on: unsigned(row, 7)?, effective_from: maybe_instant(row, 8)? })
    } else {
        None
    };
    Ok(Draft {
        id: text(row, 0)?,
        name: row.get(1)?,
        source: row.get(2)?,
        author: row.get(3)?,
        comment: row.get(4)?,
        saved_at: instant(row, 5)?,
        proposal,
    })
}
