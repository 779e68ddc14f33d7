//! To whom a mail goes.

use std::str::FromStr;

use lettre::Address;

use crate::domain::delivery::Notification;

/// One whom mails go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// Always this one.
    Fixed(Address),
    /// Who is accountable for the unit.
    Owner,
    /// Who works on the alert.
    Assignee,
}

/// A text that is no recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address such as security@example.org nor {{owner}} nor {{assignee}}")]
pub struct RecipientError(String);

impl FromStr for Recipient {
    type Err = RecipientError;
    fn from_str(text: &str) -> Result<Self, RecipientError> {
        match text {
            "{owner}" => Ok(Self::Owner),
            "{assignee}" => Ok(Self::Assignee),
            _ => {
                address(text).map(Self::Fixed).ok_or_else(|| RecipientError(text.chars().take(120).collect()))
            }
        }
    }
}

/// An address, if the text is one alone and of ASCII: not every server takes others.
pub fn address(text: &str) -> Option<Address> {
    let plain = text.is_ascii()
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || "<>\"".contains(c));
    text.parse().ok().filter(|_| plain)
}

/// The addresses that a notification goes to, each once.
///
/// # Errors
/// Why there is nobody.
pub fn resolve(recipients: &[Recipient], notification: &Notification) -> Result<Vec<Address>, String> {
    let mut addresses: Vec<Address> = Vec::new();
    let mut nobody = Vec::new();
    for recipient in recipients {
        let found = match recipient {
            Recipient::Fixed(address) => Ok(address.clone()),
            Recipient::Owner => owner(notification),
            Recipient::Assignee => assignee(notification),
        };
        match found {
            Ok(address) if addresses.contains(&address) => {}
            Ok(address) => addresses.push(address),
            Err(why) => nobody.push(why),
        }
    }
    if addresses.is_empty() {
        return Err(format!("there is nobody to write to: {}", nobody.join(", and ")));
    }
    Ok(addresses)
}

fn owner(notification: &Notification) -> Result<Address, &'static str> {
    let Some(unit) = &notification.unit else { return Err("the alert is in no unit, so it has no {owner}") };
    let Some(text) = &unit.owner_email else { return Err("no address is known of the {owner} of the unit") };
    address(text).ok_or("what is known of the {owner} of the unit is no address")
}

fn assignee(notification: &Notification) -> Result<Address, &'static str> {
    let Some(text) = &notification.alert.assignee else { return Err("the alert has no {assignee}") };
    address(text).ok_or("the {assignee} of the alert is known by a name, not by an address")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channels::samples;

    fn recipients(texts: &[&str]) -> Vec<Recipient> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn resolved(texts: &[&str], notification: &Notification) -> Result<Vec<String>, String> {
        let addresses = resolve(&recipients(texts), notification)?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn placeholders_stand_for_people_and_each_gets_one_mail() {
        let mut notification = samples::prohibited("sam-laptop", "Telegram");
        notification.alert.assignee = Some("ada@example.org".to_owned());
        let to = ["soc@example.org", "{owner}", "{assignee}", "soc@example.org"];
        assert_eq!(resolved(&to, &notification).unwrap(), ["soc@example.org", "ada@example.org"]);
    }

    #[test]
    fn without_anybody_it_says_why() {
        let mut notification = samples::prohibited("sam-laptop", "Telegram");
        notification.unit.as_mut().unwrap().owner_email = None;
        let why = resolved(&["{owner}", "{assignee}"], &notification).unwrap_err();
        assert_eq!(
            why,
            "there is nobody to write to: no address is known of the {owner} of the unit, and the alert has no {assignee}"
        );
        notification.alert.assignee = Some("grace".to_owned());
        let why = resolved(&["{assignee}"], &notification).unwrap_err();
        assert!(why.contains("known by a name"), "{why}");
        assert_eq!(resolved(&["{owner}", "soc@example.org"], &notification).unwrap(), ["soc@example.org"]);
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for bad in [
            "",
            "soc",
            "soc@",
            "{nobody}",
            "Soc <soc@example.org>",
            "a@b.org\r\nBcc: c@d.org",
            "ü@b.org",
            "\"a b\"@c.org",
        ] {
            assert!(bad.parse::<Recipient>().is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn no_owner_or_assignee_can_name_a_second_recipient(text in any::<String>(), host in samples::hostile()) {
            let mut notification = samples::prohibited("h", "a");
            notification.unit.as_mut().unwrap().owner_email = Some(format!("ada@example.org{text}"));
            notification.alert.assignee = Some(host);
            for address in resolve(&recipients(&["{owner}", "{assignee}"]), &notification).unwrap_or_default() {
                let text = address.to_string();
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>,;".contains(&byte)), "{text:?}");
            }
        }
    }
}
