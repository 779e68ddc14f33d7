//! The blobs of rpm's own database format, `Packages.db` (`lib/backend/ndb/rpmpkg.c` of rpm): pages of slots,
//! each of which says where a blob stands. All numbers have the lowest byte first.

use std::io::{self, Read, Seek, SeekFrom};

use super::pages::{le32, malformed, read_at};

const HEADER: usize = 32;
const PAGE: usize = 4096;

/// Slots are this large, and blobs are placed in steps of it.
const STEP: usize = 16;

/// In front of a blob: magic, index, generation, length. Behind it, after padding: checksum, length, magic.
/// rpm does not verify the checksum either when it reads.
const BLOB_HEAD: usize = 16;
const BLOB_TAIL: u64 = 12;

/// Calls `each` with the length and the bytes of every blob.
///
/// # Errors
/// `InvalidData` if the database is malformed; else what the system says. Blobs before that are told.
pub fn for_each_blob(mut file: impl Read + Seek, each: &mut dyn FnMut(u64, &mut dyn Read)) -> io::Result<()> {
    let size = file.seek(SeekFrom::End(0))?;
    let (mut page, mut piece) = ([0; PAGE], [0; PAGE]);
    read_at(&mut file, 0, &mut page)?;
    let (version, pages) = (le32(&page, 4)?, u64::from(le32(&page, 12)?));
    if !page.starts_with(b"RpmP") || version != 0 || pages * PAGE as u64 > size {
        return Err(malformed());
    }
    // Blobs that overlap would be more work than there are bytes.
    let mut room = size / STEP as u64;
    for number in 0..pages {
        if number > 0 {
            read_at(&mut file, number * PAGE as u64, &mut page)?;
        }
        let slots = page.get(if number == 0 { HEADER } else { 0 }..).unwrap_or_default();
        for slot in slots.as_chunks::<STEP>().0 {
            if !slot.starts_with(b"Slot") {
                return Err(malformed());
            }
            let (index, at, count) = (le32(slot, 4)?, u64::from(le32(slot, 8)?), u64::from(le32(slot, 12)?));
            if at == 0 {
                continue;
            }
            room = room.checked_sub(count).ok_or_else(malformed)?;
            if (at + count) * STEP as u64 > size {
                return Err(malformed());
            }
            // What is wanted of a blob is mostly in its beginning, which is read at once.
            let piece = piece.get_mut(..PAGE.min(count as usize * STEP)).unwrap_or_default();
            read_at(&mut file, at * STEP as u64, piece)?;
            let length = le32(piece, 12)?;
            let whole = BLOB_HEAD as u64 + u64::from(length) + BLOB_TAIL;
            if !piece.starts_with(b"BlbS") || le32(piece, 4)? != index || count != whole.div_ceil(STEP as u64)
            {
                return Err(malformed());
            }
            let beginning = piece.get(BLOB_HEAD..).unwrap_or_default();
            each(length.into(), &mut beginning.chain(&mut file).take(length.into()));
        }
    }
    Ok(())
}
