//! What a hive's log files hold that the hive itself does not have yet.
//!
//! Two formats, both of the specification: entries (`HvLE`) since Windows 8.1, each with the pages that one
//! write changed, and before that one set of pages with a bitmap (`DIRT`).

use std::collections::BTreeMap;

use super::{BASE, Base, HEAD, is_checked, marvin, u32_at};

/// What a log is made of.
pub(super) const BLOCK: usize = 512;

/// How long the fixed part of an entry is.
const ENTRY: usize = 40;

/// Types of log files, by the base block that they begin with.
const OLD: [u32; 2] = [1, 2];
const NEW: u32 = 6;

/// The blocks of a hive that are newer in its logs.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    logs: Vec<Vec<u8>>,
    /// For each block of the hive the log and the place in it.
    blocks: BTreeMap<usize, (usize, usize)>,
    /// How large the hive is with them.
    pub(super) size: Option<u32>,
    /// The base block, where that of the hive is damaged.
    pub(super) base: Option<Base>,
}

/// One write in a log.
#[derive(Debug)]
struct Entry {
    sequence: u32,
    size: u32,
    /// Offset in the hive, place in the log, length.
    pages: Vec<(u32, usize, usize)>,
}

/// The entries of one log in the order in which they were written.
#[derive(Debug)]
struct Chain {
    log: usize,
    base: Base,
    entries: Vec<Entry>,
}

impl Recovery {
    /// What these logs add to a hive with this base block, which may be damaged; its first bin has a time of
    /// its own.
    pub(super) fn of(logs: Vec<Vec<u8>>, base: &Base, is_sound: bool, first_bin: Option<u64>) -> Self {
        let mut recovery = Self { logs, ..Self::default() };
        let mut chains: Vec<Chain> =
            recovery.logs.iter().enumerate().filter_map(|(index, log)| chain(index, log)).collect();
        chains.sort_by_key(|chain| chain.base.sequences.0);
        if is_sound {
            // Older logs hold what the hive has already.
            chains.retain(|chain| chain.base.sequences.0 >= base.sequences.1);
        } else {
            // Only the latest counts, and it has the base block.
            chains.drain(..chains.len().saturating_sub(1));
            recovery.base = chains.first().map(|chain| chain.base.clone());
        }
        let mut last = None;
        for chain in chains {
            let follows =
                chain.entries.first().zip(last).is_none_or(|(first, last)| follows(last, first.sequence));
            if !follows {
                break;
            }
            for entry in chain.entries {
                recovery.add(chain.log, entry.pages.into_iter());
                recovery.size = Some(entry.size);
                last = Some(entry.sequence);
            }
        }
        if recovery.is_empty() {
            recovery.add_old(base, is_sound, first_bin);
        }
        recovery
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The newer content of a block.
    pub(super) fn block(&self, number: usize) -> Option<&[u8]> {
        let (log, place) = self.blocks.get(&number)?;
        self.logs.get(*log)?.get(*place..)?.get(..BLOCK)
    }

    fn add(&mut self, log: usize, pages: impl Iterator<Item = (u32, usize, usize)>) {
        for (offset, place, length) in pages {
            let first = offset as usize / BLOCK;
            for index in 0..length / BLOCK {
                self.blocks.insert(first + index, (log, place + index * BLOCK));
            }
        }
    }

    /// The first log in the old format that belongs to this state of the hive: they share its time.
    fn add_old(&mut self, base: &Base, is_sound: bool, first_bin: Option<u64>) {
        // A damaged base block may have its time still.
        let is_same = |time: u64| time == base.written || (!is_sound && Some(time) == first_bin);
        let mut found = None;
        for (index, log) in self.logs.iter().enumerate() {
            let Some(saved) = base_of(log).filter(|saved| OLD.contains(&saved.file_type)) else { continue };
            if saved.sequences.0 == saved.sequences.1
                && is_same(saved.written)
                && let Some(pages) = dirty_pages(log, saved.size)
            {
                found = Some((index, pages, saved));
                break;
            }
        }
        let Some((log, pages, saved)) = found else { return };
        self.add(log, pages.into_iter());
        self.size = Some(saved.size);
        if !is_sound {
            self.base = Some(saved);
        }
    }
}

fn follows(last: u32, next: u32) -> bool {
    last.wrapping_add(1) == next
}

/// The base block that a log begins with.
fn base_of(log: &[u8]) -> Option<Base> {
    log.first_chunk::<HEAD>().filter(|head| is_checked(head)).map(Base::of)
}

/// The entries of a log in the new format, up to the first that is damaged or out of order; those behind it
/// are left over from earlier rounds.
fn chain(index: usize, log: &[u8]) -> Option<Chain> {
    let base = base_of(log).filter(|base| base.file_type == NEW)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = HEAD;
    while let Some((entry, length)) = entry(log, at) {
        let in_order = match entries.last() {
            Some(last) => follows(last.sequence, entry.sequence),
            None => entry.sequence == base.sequences.0,
        };
        if !in_order {
            break;
        }
        entries.push(entry);
        at = at.checked_add(length)?;
    }
    Some(Chain { log: index, base, entries }).filter(|chain| !chain.entries.is_empty())
}

/// The entry at a place, and its length.
fn entry(log: &[u8], at: usize) -> Option<(Entry, usize)> {
    let rest = log.get(at..).filter(|rest| rest.starts_with(b"HvLE"))?;
    let length = usize::try_from(u32_at(rest, 4)?).ok().filter(|length| length.is_multiple_of(BLOCK))?;
    let bytes = rest.get(..length)?;
    let size = u32_at(bytes, 16).filter(|size| u64::from(*size).is_multiple_of(BASE))?;
    let hash = |at: usize| bytes.get(at..)?.first_chunk().map(|hash| u64::from_le_bytes(*hash));
    if hash(24)? != marvin::hash(bytes.get(ENTRY..)?) || hash(32)? != marvin::hash(bytes.get(..32)?) {
        return None;
    }
    let count = usize::try_from(u32_at(bytes, 20)?).ok()?;
    let references = bytes.get(ENTRY..)?.get(..count.checked_mul(8)?)?;
    let mut place = at.checked_add(ENTRY)?.checked_add(references.len())?;
    let end = at.checked_add(length)?;
    let mut pages = Vec::with_capacity(count);
    for reference in references.chunks_exact(8) {
        let (offset, length) = (u32_at(reference, 0)?, u32_at(reference, 4)?);
        let length = usize::try_from(length).ok().filter(|length| length.is_multiple_of(BLOCK))?;
        if !(offset as usize).is_multiple_of(BLOCK) {
            return None;
        }
        pages.push((offset, place, length));
        place = place.checked_add(length).filter(|place| *place <= end)?;
    }
    Some((Entry { sequence: u32_at(bytes, 12)?, size, pages }, length))
}

/// The pages of a log in the old format: one bit says for each block of the hive whether it is there.
fn dirty_pages(log: &[u8], size: u32) -> Option<Vec<(u32, usize, usize)>> {
    let vector = log.get(HEAD..).filter(|rest| rest.starts_with(b"DIRT"))?.get(4..)?;
    let bitmap = vector.get(..size as usize / BLOCK / 8)?;
    // The blocks begin at the next one behind the bitmap.
    let mut place = (HEAD + 4 + bitmap.len()).next_multiple_of(BLOCK);
    let mut pages = Vec::new();
    for (byte, bits) in bitmap.iter().enumerate() {
        for bit in (0..8).filter(|bit| bits >> bit & 1 == 1) {
            let offset = u32::try_from((byte * 8 + bit) * BLOCK).ok()?;
            let end = place.checked_add(BLOCK).filter(|end| *end <= log.len())?;
            pages.push((offset, place, BLOCK));
            place = end;
        }
    }
    Some(pages)
}
