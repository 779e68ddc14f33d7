//! The lines of a text. Those of the standard library cost some times as much in a program that is made small, and the
//! package database alone has tens of thousands.

use memchr::memchr;

/// The lines of a text, without their ends; no carriage return is taken off.
#[derive(Debug, Clone)]
pub struct Lines<'a>(pub &'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.0).unwrap_or(self.0.len());
        let line = self.0.get(..end)?;
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Some(line)
    }
}

/// What is before the first such byte, and what is behind it.
pub fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let end = memchr(byte, text)?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_at_the_first_byte_of_a_kind() {
        assert_eq!(split_once(b"a=b=c", b'='), Some((b"a".as_slice(), b"b=c".as_slice())));
        assert_eq!(split_once(b"=", b'='), Some((b"".as_slice(), b"".as_slice())));
        assert_eq!(split_once(b"a", b'='), None);
        assert_eq!(Lines(b"a\r\n\nb").collect::<Vec<_>>(), [b"a\r".as_slice(), b"", b"b"]);
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_standard_library(text in "([a-z]{0,3}\n?){0,20}") {
            let lines: Vec<_> = Lines(text.as_bytes()).collect();
            prop_assert_eq!(lines, text.lines().map(str::as_bytes).collect::<Vec<_>>());
        }
    }
}
