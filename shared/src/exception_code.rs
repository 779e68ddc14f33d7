//! The code by which a device's user asks for an exception: ten characters that can be read out on the telephone.
//!
//! Agent and collector make it of the same three things, so nothing travels for it and nobody has to keep it. It says
//! nothing to whoever does not have the collector's findings, and gives no right: what is asked for with it is
//! approved, or not, by somebody else.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256};

use crate::ids::{AppId, DeviceId, RuleId};

/// Crockford's alphabet, in upper case as codes are shown: no `I`, `L`, `O` and `U`.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters that are drawn from the hash: 45 bits, so that among a million findings two rarely share a code.
const DRAWN: usize = 9;
/// First bytes of everything that is hashed; a change of the code gets a new one.
const LAYOUT: &[u8] = b"offchannel exception code 1";

/// A code, well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExceptionCode {
    /// The places of its characters in the alphabet; the last one is the check.
    places: [u8; DRAWN + 1],
}

/// A text that is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExceptionCodeError {
    /// Something else.
    #[error("{0:?} is not a code: expected ten letters and digits, such as 4ZK7Q-9M2XD")]
    Form(String),
    /// One or more characters are not those that were shown.
    #[error("{0:?} has a typing error: compare it with what the device shows")]
    Check(String),
}

impl ExceptionCode {
    /// The code of a finding.
    pub fn of(device: &DeviceId, rule: &RuleId, app: &AppId) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(LAYOUT);
        for part in [device.as_str(), rule.as_str(), app.as_str()] {
            // Ids have no such byte.
            hash.update(&[0]);
            hash.update(part.as_bytes());
        }
        let mut bits =
            hash.finish().as_ref().iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let mut places = [0; DRAWN + 1];
        for place in places.iter_mut().take(DRAWN) {
            *place = (bits & 31) as u8;
            bits >>= 5;
        }
        places[DRAWN] = check(&places[..DRAWN]);
        Self { places }
    }
}

/// The check character by the Luhn algorithm modulo 32, which finds every single wrong character and nearly every swap of two
/// neighbours.
fn check(places: &[u8]) -> u8 {
    let sum: u32 = places
        .iter()
        .rev()
        .enumerate()
        .map(|(index, place)| {
            let addend = u32::from(*place) * if index % 2 == 0 { 2 } else { 1 };
            addend / 32 + addend % 32
        })
        .sum();
    ((32 - sum % 32) % 32) as u8
}

/// What stands between characters of a code and is none of them: spaces, hyphens and dashes.
fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

impl fmt::Display for ExceptionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(DRAWN + 2);
        for (index, place) in self.places.iter().enumerate() {
            if index == 5 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(*place) % ALPHABET.len()]));
        }
        f.pad(&text)
    }
}

impl FromStr for ExceptionCode {
    type Err = ExceptionCodeError;

    /// Takes what people and their mail programs make of it: either case, with or without dashes and spaces of any kind,
    /// `O` for `0`, `I` and `L` for `1`.
    fn from_str(text: &str) -> Result<Self, ExceptionCodeError> {
        let shown = || text.chars().take(40).collect::<String>();
        let mut places = [0; DRAWN + 1];
        let mut known = places.iter_mut();
        for c in text.chars().filter(|c| !is_between(*c)) {
            let c = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let place = ALPHABET.iter().position(|known| char::from(*known) == c);
            let (Some(place), Some(next)) = (place.and_then(|place| u8::try_from(place).ok()), known.next())
            else {
                return Err(ExceptionCodeError::Form(shown()));
            };
            *next = place;
        }
        if known.next().is_some() {
            return Err(ExceptionCodeError::Form(shown()));
        }
        if check(&places[..DRAWN]) != places[DRAWN] {
            return Err(ExceptionCodeError::Check(shown()));
        }
        Ok(Self { places })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(device: [u8; 16], rule: &str, app: &str) -> ExceptionCode {
        let device = DeviceId::from_random(device);
        ExceptionCode::of(&device, &RuleId::new(rule).unwrap(), &AppId::new(app).unwrap())
    }

    #[test]
    fn a_code_never_changes() {
        // Agents in the field show it.
        assert_eq!(code([1; 16], "no-consumer", "telegram").to_string(), "EAM4Q-R04E6");
    }

    #[test]
    fn what_people_make_of_a_code_is_understood() {
        let shown = code([1; 16], "a", "b");
        let text = shown.to_string();
        for typed in [
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('0', "O").replace('1', "l"),
            format!(" {} ", text.replace('-', " ")),
            format!("{}\r\n", text.replace('-', "\u{2013}")),
            text.replace('-', "\u{a0}\u{2011}"),
        ] {
            assert_eq!(typed.parse(), Ok(shown), "{typed}");
        }
        for wrong in ["", "GNYC2", "GNYC2-EX3DMM", "GNYC2-EX3D!", "GNYC2-EX3DU", "\u{660}NYC2-EX3DM"] {
            assert!(matches!(wrong.parse::<ExceptionCode>(), Err(ExceptionCodeError::Form(_))), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_noticed(device: [u8; 16], place in 0_usize..10, by in 1_u8..32) {
            let right = code(device, "no-consumer", "telegram");
            prop_assert_eq!(right.to_string().parse(), Ok(right));
            let mut wrong = right;
            wrong.places[place] = (wrong.places[place] + by) % 32;
            prop_assert!(matches!(wrong.to_string().parse::<ExceptionCode>(), Err(ExceptionCodeError::Check(_))));
        }

        #[test]
        fn any_text_is_a_code_or_not_without_panic(text: String) {
            let _ = text.parse::<ExceptionCode>();
        }
    }
}
