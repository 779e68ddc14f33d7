//! Identifiers, each kind its own type.
//!
//! A [`Slug`] is chosen by people (an app, a rule, a unit); an [`Id`] is made by a program from
//! random bytes and carries a prefix that says what it names, so that one pasted into the wrong
//! place is refused with a clear message.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest slug in bytes.
pub const SLUG_MAX: usize = 64;

/// Characters after the prefix of an [`Id`]: 16 random bytes in Crockford base32.
const ID_CHARS: usize = 26;

/// Crockford's base32 alphabet in lower case: no `i`, `l`, `o`, `u`, so ids survive being read aloud.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What an identifier names.
pub trait Kind {
    /// The noun used in error messages, e.g. `device id`.
    const NOUN: &'static str;
    /// The prefix of ids of this kind, without the underscore. Unused for slugs.
    const PREFIX: &'static str = "";
}

/// A kind as a type parameter; holds no data.
pub mod kind {
    use super::Kind;

    /// An app of the catalogue, e.g. `whatsapp`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct App;
    impl Kind for App {
        const NOUN: &'static str = "app id";
    }

    /// A rule of a policy.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Rule;
    impl Kind for Rule {
        const NOUN: &'static str = "rule id";
    }

    /// A unit of the organisation tree.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Unit;
    impl Kind for Unit {
        const NOUN: &'static str = "unit id";
    }

    /// A network that apps talk to.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Network;
    impl Kind for Network {
        const NOUN: &'static str = "network";
    }

    /// A channel that delivers alerts.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Channel;
    impl Kind for Channel {
        const NOUN: &'static str = "channel name";
    }

    /// A step of escalation of a policy.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Step;
    impl Kind for Step {
        const NOUN: &'static str = "id of a step";
    }

    /// Those to whom an alert is carried.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Audience;
    impl Kind for Audience {
        const NOUN: &'static str = "audience";
    }

    /// A managed device.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Device;
    impl Kind for Device {
        const NOUN: &'static str = "device id";
        const PREFIX: &'static str = "dev";
    }

    /// An alert.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Alert;
    impl Kind for Alert {
        const NOUN: &'static str = "alert id";
        const PREFIX: &'static str = "alr";
    }

    /// A finding.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Finding;
    impl Kind for Finding {
        const NOUN: &'static str = "finding id";
        const PREFIX: &'static str = "fnd";
    }

    /// An enrolment token.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Token;
    impl Kind for Token {
        const NOUN: &'static str = "token id";
        const PREFIX: &'static str = "tok";
    }

    /// A token for programs of the organisation.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct ApiToken;
    impl Kind for ApiToken {
        const NOUN: &'static str = "API token id";
        const PREFIX: &'static str = "api";
    }

    /// A draft or proposal of a policy.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Draft;
    impl Kind for Draft {
        const NOUN: &'static str = "draft id";
        const PREFIX: &'static str = "dft";
    }

    /// A delivery of an alert to a channel.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Delivery;
    impl Kind for Delivery {
        const NOUN: &'static str = "delivery id";
        const PREFIX: &'static str = "msg";
    }

    /// An exception.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Exception;
    impl Kind for Exception {
        const NOUN: &'static str = "exception id";
        const PREFIX: &'static str = "exc";
    }

    /// One life of an agent's state file; a new one starts when the file is made anew.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Epoch;
    impl Kind for Epoch {
        const NOUN: &'static str = "epoch";
        const PREFIX: &'static str = "epo";
    }
}

/// Alert id.
pub type AlertId = Id<kind::Alert>;
/// Id of a token for programs; the public half of the token.
pub type ApiTokenId = Id<kind::ApiToken>;
/// App id: the file name of its catalogue entry.
pub type AppId = Slug<kind::App>;
/// A word for those to whom an alert is carried: `owner`, `leadership`.
pub type AudienceId = Slug<kind::Audience>;
/// Name of a configured channel.
pub type ChannelName = Slug<kind::Channel>;
/// Delivery id; also the `webhook-id`, stable over retries.
pub type DeliveryId = Id<kind::Delivery>;
/// Device id, given by the collector at enrolment.
pub type DeviceId = Id<kind::Device>;
/// Id of a draft or proposal of a policy.
pub type DraftId = Id<kind::Draft>;
/// Epoch of an agent's state.
pub type Epoch = Id<kind::Epoch>;
/// Exception id.
pub type ExceptionId = Id<kind::Exception>;
/// Finding id.
pub type FindingId = Id<kind::Finding>;
/// Network that an app talks to.
pub type NetworkId = Slug<kind::Network>;
/// Rule id, unique in its policy.
pub type RuleId = Slug<kind::Rule>;
/// Id of a step of escalation, unique in its policy.
pub type StepId = Slug<kind::Step>;
/// Enrolment token id; the public half of a token.
pub type TokenId = Id<kind::Token>;
/// Unit id.
pub type UnitId = Slug<kind::Unit>;

/// Why a text is not an identifier of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {noun}: expected {expected}")]
pub struct IdError {
    text: String,
    noun: &'static str,
    expected: String,
}

impl IdError {
    fn new(text: &str, noun: &'static str, expected: String) -> Self {
        // A hostile text must not fill a log line.
        let text = text.chars().take(80).collect();
        Self { text, noun, expected }
    }
}

/// An identifier chosen by people: lower-case letters, digits and hyphens, at most [`SLUG_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "K: Kind + Clone")]
pub struct Slug<K>(String, PhantomData<K>);

impl<K: Kind> Slug<K> {
    /// Checks and takes a text.
    ///
    /// # Errors
    /// [`IdError`] if the text is empty, too long, or has other characters than `a-z0-9-`, or
    /// begins or ends with a hyphen.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        let bytes = text.as_bytes();
        let well_formed = (1..=SLUG_MAX).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-');
        if well_formed {
            Ok(Self(text, PhantomData))
        } else {
            let expected = format!("1 to {SLUG_MAX} of a-z, 0-9 and inner hyphens");
            Err(IdError::new(&text, K::NOUN, expected))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An identifier made by a program: `PREFIX_` and 26 characters of Crockford base32.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "K: Kind + Clone")]
pub struct Id<K>(String, PhantomData<K>);

impl<K: Kind> Id<K> {
    /// Makes an id from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut text = String::with_capacity(K::PREFIX.len() + 1 + ID_CHARS);
        text.push_str(K::PREFIX);
        text.push('_');
        let mut value = u128::from_be_bytes(bytes);
        let mut digits = [0u8; ID_CHARS];
        for digit in digits.iter_mut().rev() {
            *digit = BASE32[(value & 31) as usize];
            value >>= 5;
        }
        text.extend(digits.iter().map(|b| char::from(*b)));
        Self(text, PhantomData)
    }

    /// Checks and takes a text.
    ///
    /// # Errors
    /// [`IdError`] if the prefix is another kind's or the rest is not 26 base32 characters.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        let rest = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        match rest {
            Some(rest) if rest.len() == ID_CHARS && rest.bytes().all(|b| BASE32.contains(&b)) => {
                Ok(Self(text, PhantomData))
            }
            _ => {
                let expected = format!("{}_ and {ID_CHARS} characters of base32", K::PREFIX);
                Err(IdError::new(&text, K::NOUN, expected))
            }
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<K: Kind> fmt::Display for Slug<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<K: Kind> FromStr for Slug<K> {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl<K: Kind> TryFrom<String> for Slug<K> {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl<K: Kind> TryFrom<String> for Id<K> {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl<K> From<Slug<K>> for String {
    fn from(slug: Slug<K>) -> Self {
        slug.0
    }
}

impl<K> From<Id<K>> for String {
    fn from(id: Id<K>) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_another_kind_is_refused_by_name() {
        let alert = AlertId::from_random([7; 16]);
        let error = DeviceId::new(alert.as_str()).unwrap_err().to_string();
        assert!(error.contains("is not a valid device id: expected dev_"), "{error}");
    }

    #[test]
    fn slugs_take_only_their_alphabet() {
        for bad in ["", "-a", "a-", "A", "a b", "é", "a_b", &"a".repeat(65)] {
            assert!(AppId::new(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(AppId::new("zapzap").unwrap().as_str(), "zapzap");
    }

    proptest! {
        #[test]
        fn made_ids_are_valid_and_distinct(a: [u8; 16], b: [u8; 16]) {
            let (x, y) = (DeviceId::from_random(a), DeviceId::from_random(b));
            prop_assert_eq!(DeviceId::new(x.as_str()).unwrap(), x.clone());
            prop_assert_eq!(a == b, x == y);
        }

        #[test]
        fn any_text_is_taken_or_refused_without_panic(text: String) {
            let _ = DeviceId::new(text.clone());
            let _ = AppId::new(text);
        }
    }
}
