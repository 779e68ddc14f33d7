//! Values of the Windows registry, whatever file they come from.
//!
//! The types are those of `winnt.h` (`REG_SZ` and so on). Texts are UTF-16LE; programs write them with and
//! without a terminator, and with rubbish behind it.

/// Longest text that is kept, in UTF-16 units; a path has 32,767 at most, a name far fewer.
pub const TEXT_MAX: usize = 32 * 1024;

/// What a value holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `REG_SZ` or `REG_EXPAND_SZ`, variables not expanded; of `REG_MULTI_SZ` the first text.
    Text(String),
    /// `REG_DWORD`, in either byte order, or `REG_QWORD`.
    Number(u64),
    /// Anything else.
    Other,
}

impl Value {
    /// The value that bytes of this type are.
    pub fn of(kind: u32, data: &[u8]) -> Self {
        match (kind, data) {
            (1 | 2 | 7, _) => Self::Text(text(data)),
            (4, [a, b, c, d, ..]) => Self::Number(u32::from_le_bytes([*a, *b, *c, *d]).into()),
            (5, [a, b, c, d, ..]) => Self::Number(u32::from_be_bytes([*a, *b, *c, *d]).into()),
            (11, _) => match data.first_chunk() {
                Some(number) => Self::Number(u64::from_le_bytes(*number)),
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// UTF-16LE up to its terminator or its end; what is no text becomes U+FFFD.
fn text(data: &[u8]) -> String {
    until_terminator(data.as_chunks().0.iter().take(TEXT_MAX).map(|unit| u16::from_le_bytes(*unit)))
}

/// The same from units.
pub(super) fn until_terminator(units: impl Iterator<Item = u16>) -> String {
    let units = units.take_while(|unit| *unit != 0);
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn texts_end_at_their_terminator_or_with_the_data() {
        for (data, expected) in [
            (utf16("Gr\u{fc}\u{df}e \u{1f600}"), "Gr\u{fc}\u{df}e \u{1f600}"),
            (utf16("a\0"), "a"),
            (utf16("a\0rubbish"), "a"),
            (utf16(""), ""),
            // Half a character, and half a unit.
            (vec![0x41, 0, 0x3d, 0xd8], "A\u{fffd}"),
            (vec![0x41, 0, 0x42], "A"),
        ] {
            assert_eq!(Value::of(1, &data), Value::Text(expected.to_owned()));
        }
        assert_eq!(Value::of(7, &utf16("a\0b\0\0")), Value::Text("a".to_owned()));
    }

    #[test]
    fn numbers_have_the_byte_order_of_their_type() {
        assert_eq!(Value::of(4, &[1, 0, 0, 0]), Value::Number(1));
        assert_eq!(Value::of(5, &[0, 0, 0, 1]), Value::Number(1));
        assert_eq!(Value::of(11, &[1, 0, 0, 0, 1, 0, 0, 0]), Value::Number(0x1_0000_0001));
        for (kind, data) in [(4, &[1, 0][..]), (11, &[1, 0, 0, 0]), (3, &[1, 0, 0, 0]), (0xffff, &[])] {
            assert_eq!(Value::of(kind, data), Value::Other);
        }
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_panic(kind in 0_u32..16, data: Vec<u8>) {
            let _ = Value::of(kind, &data);
        }

        #[test]
        fn a_text_is_read_back(text in "[^\0]{0,50}") {
            prop_assert_eq!(Value::of(2, &utf16(&text)), Value::Text(text));
        }
    }
}
