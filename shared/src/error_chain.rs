//! One way to print an error with all its causes.
//!
//! Every layer's message says only what that layer failed to do; the cause is its `source`. This
//! adapter joins them, so that a log line or a refusal on the terminal tells the whole story once.

use std::error::Error;
use std::fmt;

/// Displays an error followed by its causes, separated by `: `.
#[derive(Debug)]
pub struct ErrorChain<'a>(&'a dyn Error);

/// Wraps an error so that it prints with all its causes.
pub fn error_chain(error: &dyn Error) -> ErrorChain<'_> {
    ErrorChain(error)
}

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::error_chain;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Door(#[source] std::num::ParseIntError);

    #[test]
    fn causes_follow_the_error_in_order() {
        let error = Door("x".parse::<u8>().unwrap_err());
        assert_eq!(error_chain(&error).to_string(), "cannot open the door: invalid digit found in string");
    }
}
