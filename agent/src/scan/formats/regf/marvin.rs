//! Marvin32, the hash that guards the entries of a hive's log.
//!
//! Published by Microsoft: .NET has it in `src/libraries/System.Private.CoreLib/src/System/Marvin.cs`.

/// The seed that logs are hashed with, by the specification of their format: 82EF4D887A4E55C5, the low half first.
const SEED: [u32; 2] = [0x7a4e_55c5, 0x82ef_4d88];

/// The hash of these bytes.
pub(super) fn hash(data: &[u8]) -> u64 {
    let mut state = SEED;
    let (words, rest) = data.as_chunks();
    for word in words {
        block(&mut state, u32::from_le_bytes(*word));
    }
    // The last word: what is left, a one bit, zeros.
    let mut last = [0; 4];
    for (into, byte) in last.iter_mut().zip(rest.iter().chain(&[0x80])) {
        *into = *byte;
    }
    block(&mut state, u32::from_le_bytes(last));
    block(&mut state, 0);
    u64::from(state[1]) << 32 | u64::from(state[0])
}

fn block(state: &mut [u32; 2], word: u32) {
    let [mut low, mut high] = *state;
    low = low.wrapping_add(word);
    high ^= low;
    low = low.rotate_left(20).wrapping_add(high);
    high = high.rotate_left(9) ^ low;
    low = low.rotate_left(27).wrapping_add(high);
    high = high.rotate_left(19);
    *state = [low, high];
}
