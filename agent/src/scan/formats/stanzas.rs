//! Files of blocks of lines with an empty line after each: deb822(5), and Alpine's `installed`.

use std::io::{self, Read};

use memchr::memmem;

/// How much of a file is in memory at a time, unless a block is larger.
const PIECE: usize = 64 * 1024;

/// What becomes of a block that is larger than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Longer {
    /// The file is malformed.
    IsAnError,
    /// Only its beginning is told of.
    IsCut,
}

/// Calls `each` for every block of lines between empty lines, of which none may be longer than `max`
/// bytes (rounded up to a power of two times 64 kB). Holds one piece at a time: a database is a megabyte,
/// and an agent that stays for weeks should not.
///
/// # Errors
/// What reading says, and `InvalidData` for a block that is too long.
pub fn for_each_stanza(
    reader: &mut impl Read,
    max: usize,
    longer: Longer,
    mut each: impl FnMut(&[u8]),
) -> io::Result<()> {
    let gap = memmem::Finder::new(b"\n\n");
    let mut each = |stanza: &[u8]| {
        let stanza = stanza.trim_ascii();
        if !stanza.is_empty() {
            each(stanza);
        }
    };
    let mut piece = vec![0; PIECE];
    let mut filled = 0;
    // Within a block whose beginning was told of already.
    let mut told = false;
    loop {
        let count = match reader.read(piece.get_mut(filled..).unwrap_or_default()) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count == 0 {
            if !told {
                each(piece.get(..filled).unwrap_or_default());
            }
            return Ok(());
        }
        filled += count;
        let mut start = 0;
        while let Some(rest) = piece.get(start..filled) {
            let Some(end) = gap.find(rest) else { break };
            if !std::mem::take(&mut told) {
                each(rest.get(..end).unwrap_or_default());
            }
            start += end + 2;
        }
        if told {
            // The block goes on: nothing of it is needed but perhaps the first half of its end.
            start = start.max(filled.saturating_sub(1));
        }
        piece.copy_within(start..filled, 0);
        filled -= start;
        if filled == piece.len() {
            match longer {
                Longer::IsAnError if filled >= max => return Err(io::ErrorKind::InvalidData.into()),
                Longer::IsCut if filled >= max => {
                    each(&piece);
                    told = true;
                    piece.copy_within(filled - 1..filled, 0);
                    filled = 1;
                }
                Longer::IsAnError | Longer::IsCut => piece.resize(filled * 2, 0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stanzas(bytes: &[u8], max: usize, longer: Longer) -> io::Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        for_each_stanza(&mut &*bytes, max, longer, |stanza| all.push(stanza.to_vec()))?;
        Ok(all)
    }

    #[test]
    fn a_block_may_be_larger_than_a_piece_but_not_endless() {
        let long = format!("Package: a\nDescription: {}\n\nPackage: b\n", "x".repeat(3 * PIECE));
        assert_eq!(stanzas(long.as_bytes(), 1 << 20, Longer::IsAnError).unwrap().len(), 2);
        let error = stanzas(&vec![b'x'; 4 << 20], 1 << 20, Longer::IsAnError).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn of_a_longer_block_the_beginning_is_told_once_and_the_next_one_is_found() {
        for extra in [0, 1, 2, PIECE - 3, PIECE - 2, PIECE - 1, 5 * PIECE] {
            let text = format!(
                "P:a\n\nP:long\n{}\n\nP:b\n\n",
                "F:usr\n".repeat(PIECE / 6 + extra / 6) + &"x".repeat(extra % 6)
            );
            let all = stanzas(text.as_bytes(), PIECE, Longer::IsCut).unwrap();
            let starts: Vec<_> = all.iter().map(|stanza| stanza.get(..3).unwrap()).collect();
            assert_eq!(starts, [b"P:a", b"P:l", b"P:b"], "{extra}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            for longer in [Longer::IsAnError, Longer::IsCut] {
                let _ = stanzas(&bytes, PIECE, longer);
            }
        }

        #[test]
        fn blocks_are_read_back(blocks in prop::collection::vec("[a-z]{1,9}(\n[a-z]{1,9}){0,9}", 0..50)) {
            let text = blocks.join("\n\n");
            let read = stanzas(text.as_bytes(), PIECE, Longer::IsCut).unwrap();
            prop_assert_eq!(read, blocks.iter().map(|block| block.as_bytes().to_vec()).collect::<Vec<_>>());
        }
    }
}
