//! Display names without what installers write after them.

/// What a version is called in the languages of installers: `NameAndVersion` in Inno Setup's message files.
const VERSION_WORDS: [&str; 28] = [
    "sürüm",
    "sürümü",
    "útgáfa",
    "verze",
    "verzia",
    "verzija",
    "verzió",
    "version",
    "versione",
    "versie",
    "versija",
    "versio",
    "versiunea",
    "versió",
    "versión",
    "versjon",
    "versão",
    "wersja",
    "različica",
    "έκδοση",
    "верзија",
    "версия",
    "версія",
    "גירסה",
    "الإصدار",
    "バージョン",
    "版本",
    "버전",
];

/// What brackets after a name may say: architectures, channels, and for whom and how it was installed.
const REMARKS: [&str; 44] = [
    "aarch64",
    "all",
    "alpha",
    "amd64",
    "arm64",
    "arm",
    "beta",
    "bit",
    "canary",
    "current",
    "dev",
    "development",
    "everyone",
    "exe",
    "i386",
    "i686",
    "ia32",
    "insider",
    "insiders",
    "machine",
    "msi",
    "msix",
    "nightly",
    "only",
    "per",
    "portable",
    "preview",
    "rc",
    "release",
    "remove",
    "stable",
    "system",
    "unstable",
    "user",
    "users",
    "wide",
    "win32",
    "win64",
    "x64",
    "x86",
    "32bit",
    "64bit",
    "english",
    "multilingual",
];

/// What stands between a name, the word for a version, and its number.
const SEPARATORS: [char; 4] = [' ', '-', '_', ','];

/// A display name without the version and the remarks that installers append: `Caprine 2.61.0`,
/// `Telegram Desktop, версия 4.9`, `Zoom (64-bit)`, `Signal-6.2.0`. `None` if it has none.
pub(super) fn without_version(name: &str) -> Option<&str> {
    let bare = without_remarks(name);
    let bare = without_number(bare).map_or(bare, without_remarks);
    (bare.len() < name.len() && !bare.is_empty()).then_some(bare)
}

/// The name without brackets at its end, if they say nothing of what the program is.
fn without_remarks(name: &str) -> &str {
    let mut rest = name.trim_end();
    while let Some((before, remark)) = rest.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")) {
        let mut words = remark.split_ascii_whitespace().enumerate();
        if !words.all(|(index, word)| is_language(word, index) || is_remark(word)) {
            break;
        }
        rest = before.trim_end();
    }
    rest
}

fn is_remark(word: &str) -> bool {
    let word = word.to_lowercase();
    let mut parts = word.split(SEPARATORS).filter(|part| !part.is_empty());
    is_number(&word) || parts.all(|part| REMARKS.contains(&part) || is_version_word(part) || is_number(part))
}

/// `en-US` anywhere, `de` only after another word: as in `(x64 de)`.
fn is_language(word: &str, index: usize) -> bool {
    let two = |text: &str, case: fn(&u8) -> bool| text.len() == 2 && text.as_bytes().iter().all(case);
    match word.split_once('-') {
        Some((language, region)) => {
            two(language, u8::is_ascii_lowercase) && two(region, u8::is_ascii_uppercase)
        }
        None => index > 0 && two(word, u8::is_ascii_lowercase),
    }
}

fn without_number(name: &str) -> Option<&str> {
    let (mut rest, mut last) = last_word(name)?;
    // Hungarian and Turkish have the word after the number.
    if is_version_word(last) {
        (rest, last) = last_word(rest)?;
    }
    if !is_number(last) {
        return None;
    }
    let word = last_word(rest).filter(|(_, word)| is_version_word(word));
    Some(word.map_or(rest, |(before, _)| before))
}

fn last_word(text: &str) -> Option<(&str, &str)> {
    let (before, word) = text.rsplit_once(SEPARATORS)?;
    Some((before.trim_end_matches(SEPARATORS), word))
}

fn is_version_word(word: &str) -> bool {
    VERSION_WORDS.contains(&word.to_lowercase().as_str())
}

/// `7`, `v4.9.1`, `1.2rc3`, but not `3D` and `2FA`.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(['v', 'V']).unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && match digits.contains('.') {
            true => digits.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+')),
            false => digits.chars().all(|c| c.is_ascii_digit()),
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_installers_append_is_cut() {
        for (name, bare) in [
            ("Caprine 2.61.0", "Caprine"),
            ("Signal-6.2.0", "Signal"),
            ("Signal_v6.2.0", "Signal"),
            ("Wire 3.2rc1", "Wire"),
            ("Kotatogram Desktop Version 1.4.9", "Kotatogram Desktop"),
            ("Telegram Desktop, версия 5.9", "Telegram Desktop"),
            ("Telegram Desktop versión 5.9", "Telegram Desktop"),
            ("Telegram Desktop 5.9 verzió", "Telegram Desktop"),
            ("Telegram Desktop バージョン 5.9", "Telegram Desktop"),
            ("Telegram Desktop (wersja 5.9)", "Telegram Desktop"),
            ("Acme 2.0 (x64)", "Acme"),
            ("Acme (64-bit) 2.0", "Acme"),
            ("Acme 2.0 (x64) (remove only)", "Acme"),
        ] {
            assert_eq!(without_version(name), Some(bare), "{name}");
        }
        for remark in [
            "64-bit",
            "32 bit",
            "x64",
            "x64 en-US",
            "x86 de",
            "x86_64",
            "arm64",
            "1.2.3",
            "remove only",
            "user",
            "User",
            "machine",
            "beta",
            "preview",
            "machine - msi",
            "machine-wide",
            "current user",
            "1",
        ] {
            assert_eq!(without_version(&format!("Acme ({remark})")), Some("Acme"), "{remark}");
        }
    }

    #[test]
    fn what_says_that_it_is_another_program_stays() {
        for name in [
            "Viber (Backup)",
            "WhatsApp (Sticker Maker)",
            "Discord (RPC plugin)",
            "Telegram Desktop (uninstall helper)",
            "Discord (ai)",
            "Slack 2FA",
            "Zoom 3D",
            "Acme",
            "(x64)",
            "",
        ] {
            assert_eq!(without_version(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_beginning_of_the_name(name in ".*") {
            if let Some(bare) = without_version(&name) {
                prop_assert!(name.starts_with(bare) && bare.len() < name.len());
            }
        }

        #[test]
        fn nothing_is_cut_into(name in "[A-Z][a-z]{1,9}( [A-Z][a-z]{1,9}){0,2}", number in "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}") {
            let full = format!("{name} {number}");
            prop_assert_eq!(without_version(&full), Some(name.as_str()));
        }
    }
}
