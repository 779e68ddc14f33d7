//! User name and password for a mail server.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::Credentials;

use super::smtp::SmtpError;

/// Longest password, in characters.
const LENGTH_MAX: usize = 1_024;

/// A password. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// A text that is no password. Says nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a password: expected 1 to {LENGTH_MAX} characters in one line")]
pub struct PasswordError;

/// Who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Password,
}

impl Login {
    pub(super) fn credentials(&self) -> Credentials {
        Credentials::new(self.username.clone(), self.password.0.clone())
    }

    /// The error without the password, should the server repeat it as it was sent.
    pub(super) fn hidden_in(&self, mut error: SmtpError) -> SmtpError {
        let Self { username, password: Password(password) } = self;
        let together = STANDARD.encode(format!("\0{username}\0{password}"));
        if let SmtpError::Refused { reply, .. } = &mut error {
            for secret in [&together, &STANDARD.encode(password), password] {
                reply.words = reply.words.replace(secret.as_str(), "(password)");
            }
        }
        error
    }
}

impl FromStr for Password {
    type Err = PasswordError;
    fn from_str(text: &str) -> Result<Self, PasswordError> {
        let good = (1..=LENGTH_MAX).contains(&text.chars().count()) && !text.contains(char::is_control);
        if good { Ok(Self(text.to_owned())) } else { Err(PasswordError) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_and_never_printed() {
        let password: Password = "abcd efgh päss".parse().unwrap();
        assert_eq!(password.0, "abcd efgh päss");
        assert!(!format!("{password:?}").contains("abcd"));
        for bad in ["", "two\nlines", "nul\0", &"x".repeat(1_025)] {
            assert!(bad.parse::<Password>().is_err(), "{bad:?} was taken");
        }
    }
}
