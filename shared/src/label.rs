//! Labels: what an organisation calls its devices beside the tree of units, `kiosk` or `site=leeds`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::SLUG_MAX;

/// Most labels that a device may be given.
pub const LABELS_MAX: usize = 32;

/// A label: a key, or a key and a value. Each is a word as ids of units are: lower-case letters, digits and inner
/// hyphens, at most [`SLUG_MAX`] bytes. A label is compared as a whole: `site=leeds` is not meant by `site`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid label: expected key or key=value, each 1 to {SLUG_MAX} of a-z, 0-9 and inner hyphens"
)]
pub struct LabelError(String);

impl Label {
    /// Checks and takes a text.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn new(text: impl Into<String>) -> Result<Self, LabelError> {
        let text = text.into();
        let (key, value) =
            text.split_once('=').map_or((text.as_str(), None), |(key, value)| (key, Some(value)));
        if is_word(key) && value.is_none_or(is_word) {
            Ok(Self(text))
        } else {
            // A hostile text must not fill a log line.
            Err(LabelError(text.chars().take(80).collect()))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=SLUG_MAX).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Label {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;
    fn try_from(text: String) -> Result<Self, LabelError> {
        Self::new(text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_label_is_a_key_or_a_key_and_a_value() {
        for good in ["kiosk", "site=leeds", "a=b", "e-2=x-1", &format!("{0}={0}", "a".repeat(64))] {
            assert_eq!(Label::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "=", "site=", "=leeds", "a=b=c", "Site=leeds", "a b", "-a", "a-", &"a".repeat(65)] {
            let error = Label::new(bad).unwrap_err().to_string();
            assert!(error.contains("expected key or key=value"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_as_it_is_or_refused(text: String) {
            if let Ok(label) = Label::new(text.clone()) {
                prop_assert_eq!(String::from(label), text);
            }
        }
    }
}
