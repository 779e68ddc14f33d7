//! What a device's user is told, in more than one language.
//!
//! Nothing here is about one language or another, with one purpose in mind: where the law gives two languages equal
//! standing, as in Wales, an organisation can have both shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// Longest title, in characters.
pub const TITLE_MAX: usize = 100;
/// Longest other text, in characters.
pub const NOTICE_MAX: usize = 1_000;
/// Most languages of one text.
pub const LANGUAGES_MAX: usize = 8;

/// One text in several languages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Texts(BTreeMap<Language, String>);

/// Which languages of a text are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// The one that suits the user best.
    #[default]
    One,
    /// All, the one that suits the user best first.
    All,
}

impl Show {
    /// Both choices.
    pub const ALL: [Self; 2] = [Self::One, Self::All];

    /// The name used in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::All => "all",
        }
    }
}

/// What the policy says to users apart from its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// Whether rules with a notice have it shown on the desktop.
    #[serde(skip_serializing_if = "is_true")]
    pub desktop: bool,
    /// Which languages are shown.
    #[serde(skip_serializing_if = "is_default")]
    pub show: Show,
    /// The languages of the organisation. They come in this order where the user's own does not decide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<Language>,
    /// The heading; the policy's name where there is none.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub title: Texts,
    /// What goes for all findings.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub text: Texts,
    /// How to ask for an exception.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub exceptions: Texts,
}

impl Default for Notice {
    fn default() -> Self {
        Self {
            // No words, no notice: it is shown for rules that have one, and nobody writes one to have it kept back.
            desktop: true,
            show: Show::One,
            languages: Vec::new(),
            title: Texts::default(),
            text: Texts::default(),
            exceptions: Texts::default(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(flag: &bool) -> bool {
    *flag
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Texts {
    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The languages, in alphabetical order.
    pub fn languages(&self) -> impl Iterator<Item = &Language> {
        self.0.keys()
    }

    /// Adds a text. Returns whether it is the first in its language; another one replaces it.
    pub fn insert(&mut self, language: Language, text: String) -> bool {
        self.0.insert(language, text).is_none()
    }

    /// The text for somebody who wants this language: in exactly that one, in a wider one (`zh-Hant` for `zh-Hant-TW`), or in
    /// another form of the same (`en-GB` for `en-US`), the form that comes first in `order`, or else in the alphabet.
    fn in_language<'t>(&'t self, wanted: &Language, order: &[Language]) -> Option<&'t Language> {
        let by_tag = |tag: &str| self.0.keys().find(|language| language.as_str() == tag);
        let same = |language: &&Language| language.primary() == wanted.primary();
        wanted
            .and_wider()
            .find_map(by_tag)
            .or_else(|| {
                order.iter().filter(|language| same(language)).find_map(|language| by_tag(language.as_str()))
            })
            .or_else(|| self.0.keys().find(same))
    }
}

impl Notice {
    /// The texts to show to somebody who wants these languages, the most wanted first: one, or all.
    ///
    /// The first is in the first wanted language that there is a text in. If there is none in any of them, it is in the first
    /// of [`Notice::languages`] that there is one in, and if there is none in these either, in the first by the alphabet.
    /// Those that follow come in the order of [`Notice::languages`], and then of the alphabet. Empty only if there is no
    /// text.
    pub fn choose<'t>(&self, texts: &'t Texts, wanted: &[Language]) -> Vec<(&'t Language, &'t str)> {
        let most = match self.show {
            Show::One => 1,
            Show::All => usize::MAX,
        };
        let mut order: Vec<&Language> = Vec::new();
        let best = wanted.iter().find_map(|language| texts.in_language(language, &self.languages));
        let listed =
            self.languages.iter().filter_map(|language| texts.in_language(language, &self.languages));
        for language in best.into_iter().chain(listed).chain(texts.0.keys()) {
            if order.len() < most && !order.contains(&language) {
                order.push(language);
            }
        }
        order.into_iter().filter_map(|language| Some((language, texts.0.get(language)?.as_str()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(text: &str) -> Language {
        text.parse().unwrap()
    }

    fn texts(tags: &[&str]) -> Texts {
        Texts(tags.iter().map(|text| (tag(text), format!("in {text}"))).collect())
    }

    fn chosen(notice: &Notice, texts: &Texts, wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<Language> = wanted.iter().map(|text| tag(text)).collect();
        notice.choose(texts, &wanted).into_iter().map(|(language, _)| language.to_string()).collect()
    }

    #[test]
    fn the_user_s_language_comes_first_then_the_organisation_s_order_then_the_alphabet() {
        let mut notice = Notice { languages: vec![tag("en"), tag("cy")], ..Notice::default() };
        let both = texts(&["cy", "en"]);
        for (wanted, language) in [
            (["cy"].as_slice(), "cy"),
            (&["cy-GB"], "cy"),
            (&["en-US"], "en"),
            (&["fr", "cy"], "cy"),
            (&["fr"], "en"),
            (&[], "en"),
        ] {
            assert_eq!(chosen(&notice, &both, wanted), [language], "{wanted:?}");
        }
        notice.languages.clear();
        assert_eq!(chosen(&notice, &both, &["fr"]), ["cy"]);
        notice.show = Show::All;
        assert_eq!(chosen(&notice, &both, &["en"]), ["en", "cy"]);
        notice.languages = vec![tag("cy"), tag("en")];
        assert_eq!(chosen(&notice, &both, &["fr"]), ["cy", "en"]);
        assert_eq!(chosen(&notice, &Texts::default(), &["cy"]), [""; 0]);
    }

    #[test]
    fn another_form_of_a_language_is_better_than_another_language() {
        let mut notice = Notice::default();
        let forms = texts(&["de", "en-AU", "en-GB", "zh-Hans", "zh-Hant"]);
        assert_eq!(chosen(&notice, &forms, &["zh-Hant-TW"]), ["zh-Hant"]);
        assert_eq!(chosen(&notice, &forms, &["en-US"]), ["en-AU"]);
        notice.languages = vec![tag("en-GB")];
        assert_eq!(chosen(&notice, &forms, &["en"]), ["en-GB"]);
        assert_eq!(chosen(&notice, &forms, &["fr"]), ["en-GB"]);
    }

    proptest! {
        #[test]
        fn something_is_chosen_whenever_there_is_something_and_all_means_every_text_once(
            tags in proptest::collection::btree_set("[a-d]{2}(-[A-C]{2})?", 0..6),
            order in proptest::collection::vec("[a-d]{2}(-[A-C]{2})?", 0..4),
            wanted in proptest::collection::vec("[a-d]{2}(-[A-C]{2})?", 0..4),
        ) {
            let texts = texts(&tags.iter().map(String::as_str).collect::<Vec<_>>());
            let wanted: Vec<Language> = wanted.iter().map(|text| tag(text)).collect();
            let mut notice = Notice { languages: order.iter().map(|text| tag(text)).collect(), ..Notice::default() };
            let one = notice.choose(&texts, &wanted);
            prop_assert_eq!(one.len(), usize::from(!tags.is_empty()));
            notice.show = Show::All;
            let all = notice.choose(&texts, &wanted);
            prop_assert_eq!(all.first(), one.first());
            let mut seen: Vec<&str> = all.iter().map(|(language, _)| language.as_str()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, tags.iter().map(String::as_str).collect::<Vec<_>>());
            let exact = wanted.first().filter(|first| tags.contains(first.as_str()));
            prop_assert!(exact.is_none_or(|exact| *one[0].0 == *exact));
        }
    }
}
