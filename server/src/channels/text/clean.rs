//! Making a text that somebody else chose harmless to look at.

use crate::domain::name::hidden;

/// What stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// A text in one line of at most `most` characters. White space of every kind is a single space, characters that turn
/// the direction of writing, hide or control are shown as a box; what is cut off ends with `…`.
pub fn clean(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    let mut length = 0_usize;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() {
            space = length > 0;
            continue;
        }
        let wanted = length.saturating_add(1 + usize::from(space));
        if wanted > most {
            // The mark takes the place of the last character.
            while line.chars().count() >= most.max(1) {
                line.pop();
            }
            line.push('…');
            return line;
        }
        if space {
            line.push(' ');
        }
        line.push(if hidden(c) { HIDDEN } else { c });
        (length, space) = (wanted, false);
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_one_visible_line() {
        for (text, expected) in [
            ("Telegram", "Telegram"),
            ("  a\r\n\tb  ", "a b"),
            ("a\u{202e}b\u{1b}[31m", "a\u{fffd}b\u{fffd}[31m"),
            ("\u{2028}x\u{2029}", "x"),
            ("12345678901", "123456789…"),
            ("1234567890", "1234567890"),
            ("123456789 1", "123456789…"),
            ("", ""),
        ] {
            assert_eq!(clean(text, 10), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_short_and_harmless(text in any::<String>(), most in 1_usize..40) {
            let line = clean(&text, most);
            prop_assert!(line.chars().count() <= most, "{line:?}");
            prop_assert!(!line.chars().any(hidden), "{line:?}");
            prop_assert_eq!(clean(&line, most), line.clone());
        }
    }
}
