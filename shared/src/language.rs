//! Language tags, and the languages that a system's user asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest tag in bytes: what RFC 5646, section 4.4.1, asks every program to have room for.
const TAG_MAX: usize = 35;

/// A language tag of BCP 47 such as `cy`, `en` or `zh-Hant-TW`, in the case that RFC 5646, section 2.1.1, recommends.
///
/// Its form is checked, not whether the registry knows its parts: that list grows, and is not ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

/// A text that is no language tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a language tag: expected two or three letters, and more after a hyphen where needed, such as cy, en or en-GB (BCP 47)"
)]
pub struct LanguageError(String);

impl Language {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without script, region and variants: `zh` of `zh-Hant-TW`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The language of a locale's name as POSIX systems write it, `cy_GB.UTF-8@variant`. `None` for `C`, `POSIX` and what
    /// is no locale.
    pub fn of_locale(name: &str) -> Option<Self> {
        name.split(['.', '@']).next()?.replace('_', "-").parse().ok()
    }

    /// This tag and what is left of it when its last parts are taken off one by one (RFC 4647, section 3.4).
    pub(crate) fn and_wider(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.as_str()), |tag| tag.rsplit_once('-').map(|(wider, _)| wider))
    }
}

impl FromStr for Language {
    type Err = LanguageError;
    fn from_str(text: &str) -> Result<Self, LanguageError> {
        let refused = || LanguageError(text.chars().take(80).collect());
        let mut tag = String::with_capacity(text.len().min(TAG_MAX));
        // A part of one character introduces an extension, which must follow.
        let mut introduced = false;
        for part in text.split('-') {
            let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
            let fits = (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let first = tag.is_empty();
            if !fits
                || (first && !(letters && (2..=3).contains(&part.len())))
                || (introduced && part.len() == 1)
            {
                return Err(refused());
            }
            let mut part = part.to_ascii_lowercase();
            introduced = part.len() == 1;
            match part.len() {
                2 if !first && letters => part.make_ascii_uppercase(),
                4 if letters => part[..1].make_ascii_uppercase(),
                _ => {}
            }
            if !first {
                tag.push('-');
            }
            tag.push_str(&part);
        }
        if introduced || tag.len() > TAG_MAX { Err(refused()) } else { Ok(Self(tag)) }
    }
}

impl TryFrom<String> for Language {
    type Error = LanguageError;
    fn try_from(text: String) -> Result<Self, LanguageError> {
        text.parse()
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_taken_in_any_case_and_written_in_one() {
        for (text, tag) in [
            ("cy", "cy"),
            ("EN-gb", "en-GB"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("de-CH-1901", "de-CH-1901"),
            ("en-u-CO-phonebk", "en-u-CO-phonebk"),
            ("sgn", "sgn"),
        ] {
            assert_eq!(text.parse::<Language>().unwrap().as_str(), tag);
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        let long = format!("en-{}", ["abcdefgh"; 4].join("-"));
        for bad in [
            "",
            "e",
            "en-",
            "-en",
            "en--gb",
            "en_GB",
            "welsh",
            "c1",
            "en-a",
            "en-a-b",
            "cymraeg123",
            "ĉy",
            &long,
        ] {
            assert!(bad.parse::<Language>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_locale_names_a_language() {
        let of = |name| Language::of_locale(name).map(String::from);
        assert_eq!(of("cy_GB.UTF-8"), Some("cy-GB".to_owned()));
        assert_eq!(of("de_DE@euro"), Some("de-DE".to_owned()));
        assert_eq!(of("en"), Some("en".to_owned()));
        for none in ["C", "C.UTF-8", "POSIX", "", "../../etc"] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_and_what_is_taken_reads_back(text in "[a-zA-Z0-9é_-]{0,40}") {
            if let Ok(tag) = text.parse::<Language>() {
                prop_assert_eq!(tag.as_str().parse::<Language>().unwrap(), tag.clone());
                prop_assert!(tag.as_str().eq_ignore_ascii_case(&text) && tag.as_str().len() <= TAG_MAX);
            }
        }
    }
}
