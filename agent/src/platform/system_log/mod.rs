//! The log that a system keeps for what runs without anybody who reads its standard error: the Event Log of Windows, the
//! unified log of macOS. Both are bounded by the system. systemd reads standard error itself.

#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
pub mod windows;

#[cfg(target_os = "macos")]
use macos as imp;
#[cfg(windows)]
use windows as imp;

/// Longest text of an entry, in characters. The Event Log takes 31,839 (`ReportEvent`), the unified log cuts at about 1 KiB.
const TEXT_MAX: usize = 4096;

/// How grave an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something does not work for now, or in part.
    Warning,
    /// All is well.
    Info,
    /// For those who look for a fault.
    Debug,
}

/// Writes an entry under the name of a source. A log that takes it not cannot be told so: there is no other.
#[cfg(any(windows, target_os = "macos"))]
pub fn write(source: &str, severity: Severity, text: &str) {
    imp::write(source, severity, &tidy(text));
}

/// The text as an entry: one line, of bounded length, and nothing that a viewer would take for a place to fill in. The
/// viewer of Windows looks for `%1` in what it has filled in for `%1` (`ReportEvent`, remarks).
fn tidy(text: &str) -> String {
    let mut tidied = String::new();
    let mut left = TEXT_MAX;
    let mut characters = text.trim_end().chars().peekable();
    while let Some(character) = characters.next() {
        if left == 0 {
            tidied.push('…');
            break;
        }
        left -= 1;
        tidied.push(if character.is_control() { ' ' } else { character });
        if character == '%' && characters.peek().is_some_and(char::is_ascii_digit) {
            tidied.push(' ');
        }
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_that_nothing_is_filled_into() {
        assert_eq!(tidy("cannot reach\r\nit: 100%\n"), "cannot reach  it: 100%");
        assert_eq!(tidy("https://x/%20a%1!S!"), "https://x/% 20a% 1!S!");
        assert_eq!(tidy("a\0b\u{1b}[31m"), "a b [31m");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_logged_is_bounded_and_tidied_once(text in "(\\PC|%[0-9]|[\\x00-\\x1f]){0,40}", times in 0_usize..400) {
            let once = tidy(&text.repeat(times));
            proptest::prop_assert!(once.chars().filter(|c| *c != ' ').count() <= TEXT_MAX + 1);
            proptest::prop_assert!(once.chars().count() <= 2 * TEXT_MAX + 1);
            proptest::prop_assert!(!once.chars().any(char::is_control));
            let place = |pair: &[u8]| pair[0] == b'%' && pair[1].is_ascii_digit();
            proptest::prop_assert!(!once.as_bytes().windows(2).any(place));
        }
    }
}
