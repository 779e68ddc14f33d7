//! What a receiver knows us by: a token in a header or in the body.

use std::fmt;
use std::str::FromStr;

/// Longest token, in characters.
const LENGTH_MAX: usize = 4_096;

/// A token. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A text that is no token. Says nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a token: expected 1 to {LENGTH_MAX} visible ASCII characters without spaces")]
pub struct TokenError;

impl Token {
    /// The token, to be sent and never to be shown.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let good = (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if good { Ok(Self(text.to_owned())) } else { Err(TokenError) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_visible_word_and_never_printed() {
        assert!(!format!("{:?}", "s3cr3t".parse::<Token>().unwrap()).contains("s3cr3t"));
        for bad in ["", "two words", "line\nbreak", "ümlaut", &"x".repeat(4_097)] {
            assert!(bad.parse::<Token>().is_err(), "{bad:?} was taken");
        }
    }
}
