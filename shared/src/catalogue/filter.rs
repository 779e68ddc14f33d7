//! Tells at a glance that a name is in no built-in row, as nearly all that are looked up are in none.
//!
//! A Bloom filter with one hash: a bit is set for every name, and a name whose bit is not set is none of them. Of other
//! names one in seventeen has a bit of somebody else's, and is looked up as if there were no filter.

/// The bits, 64 in a word: 8 kB for 5,000 names.
pub type Filter = [u64; WORDS];

/// How many words there are; a power of two.
pub const WORDS: usize = 1024;

/// Whether one of the rows may have this name.
pub fn may_have(filter: &Filter, name: &str) -> bool {
    let (word, bit) = place(name);
    filter.get(word).is_some_and(|word| word & bit != 0)
}

/// Where the bit of a name is: its word, and the bit in it.
///
/// Of the beginning and the end of the name and of its length: to take all of it would cost more than the filter saves
/// in a program that is made small.
pub fn place(name: &str) -> (usize, u64) {
    let bytes = name.as_bytes();
    let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
    };
    // Multiplied with odd constants of many bits (those of SplitMix64), whose products are well mixed at the top.
    let hash = head.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ tail.wrapping_mul(0x94d0_49bb_1331_11eb);
    let hash = (hash ^ hash >> 29).wrapping_add(bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    ((hash >> 6) as usize % WORDS, 1 << (hash % 64))
}
