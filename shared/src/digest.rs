//! The digest of an inventory, or of what is accepted on a device: one value for one state, on both sides of the wire.
//!
//! Made from length-prefixed fields and not from JSON, so that a field which a newer version adds,
//! or another way to write the same JSON, does not change the digest of what is already known.

use std::fmt;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::inventory::{Health, Inventory};
use crate::wire::Accepted;

/// First bytes of everything that is hashed; a change of the layout gets a new one.
const LAYOUT: &str = "offchannel inventory 1";
/// As [`LAYOUT`], for what is accepted.
const ACCEPTED_LAYOUT: &str = "offchannel accepted 1";

/// SHA-256 of an inventory, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest: expected 64 lower-case hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// The digest of an inventory, which must be normalised.
    pub fn of(inventory: &Inventory) -> Self {
        let mut hash = Fields(Context::new(&SHA256));
        hash.text(LAYOUT);
        hash.count(inventory.sightings.len());
        for sighting in &inventory.sightings {
            hash.text(sighting.app.as_str());
            hash.text(&sighting.source);
            hash.text(sighting.namespace.as_str());
            hash.text(&sighting.identifier);
            hash.text(&sighting.scope.to_string());
            hash.text(sighting.grade.as_str());
            hash.optional(sighting.version.as_deref());
        }
        hash.count(inventory.unlisted.len());
        for unlisted in &inventory.unlisted {
            hash.text(unlisted.app.as_str());
            hash.text(&unlisted.source);
            hash.text(unlisted.namespace.as_str());
            hash.text(&unlisted.identifier);
            hash.text(&unlisted.scope.to_string());
            hash.text(unlisted.grade.as_str());
            hash.optional(unlisted.name.as_deref());
            hash.optional(unlisted.version.as_deref());
            hash.count(unlisted.categories.len());
            for category in &unlisted.categories {
                hash.text(category);
            }
        }
        hash.count(inventory.sources.len());
        for source in &inventory.sources {
            hash.text(&source.source);
            let (health, why) = match &source.health {
                Health::Ok => ("ok", None),
                Health::Absent => ("absent", None),
                Health::Partial(why) => ("partial", Some(why.as_str())),
                Health::Failed(why) => ("failed", Some(why.as_str())),
            };
            hash.text(health);
            hash.optional(why);
        }
        Self(hex(hash.0.finish().as_ref()))
    }

    /// The digest of what is accepted on a device, in this order; none if that is nothing.
    pub fn of_accepted(accepted: &[Accepted]) -> Option<Self> {
        if accepted.is_empty() {
            return None;
        }
        let mut hash = Fields(Context::new(&SHA256));
        hash.text(ACCEPTED_LAYOUT);
        for one in accepted {
            hash.text(one.id.as_str());
            hash.optional(one.rule.as_ref().map(|rule| rule.as_str()));
            hash.optional(one.app.as_ref().map(|app| app.as_str()));
            hash.text(&one.start.to_string());
            hash.text(&one.end.to_string());
        }
        Some(Self(hex(hash.0.finish().as_ref())))
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(text))
        } else {
            Err(DigestError(text.chars().take(80).collect()))
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble & 15), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

struct Fields(Context);

impl Fields {
    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.0.update(&[0]),
            Some(text) => {
                self.0.update(&[1]);
                self.text(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::AppId;
    use crate::inventory::{Grade, Scope, Sighting, SourceHealth};
    use crate::namespace::Namespace;

    fn sightings() -> impl Strategy<Value = Vec<Sighting>> {
        let sighting = ("[a-c]{1,2}", "[a-c]{0,2}", "[a-c]{0,2}", proptest::option::of("[a-c]{0,2}"));
        let make = |(app, source, identifier, version): (String, String, String, Option<String>)| Sighting {
            app: AppId::new(app).unwrap(),
            source,
            namespace: Namespace::Snap,
            identifier,
            scope: Scope::System,
            grade: Grade::Installed,
            version,
        };
        proptest::collection::vec(sighting.prop_map(make), 0..6)
    }

    proptest! {
        #[test]
        fn equal_digests_mean_equal_inventories(a in sightings(), b in sightings()) {
            let make = |sightings| {
                let mut inventory = Inventory { sightings, ..Inventory::default() };
                inventory.normalise();
                inventory
            };
            let (a, b) = (make(a), make(b));
            prop_assert_eq!(a == b, Digest::of(&a) == Digest::of(&b));
        }

        #[test]
        fn the_order_of_finding_does_not_matter(mut list in sightings()) {
            let mut one = Inventory { sightings: list.clone(), ..Inventory::default() };
            list.reverse();
            let mut other = Inventory { sightings: list, ..Inventory::default() };
            one.normalise();
            other.normalise();
            prop_assert_eq!(Digest::of(&one), Digest::of(&other));
        }
    }

    #[test]
    fn the_layout_never_changes() {
        let sources = vec![SourceHealth { source: "dpkg".to_owned(), health: Health::Ok }];
        let inventory = Inventory { sources, ..Inventory::default() };
        // Agents in the field compute this value; a change needs a new layout and a new schema.
        let wanted = "31ccf5b3f28f6756716fdd434142b56ed00c528eef350fb7a1691b746503d271";
        assert_eq!(Digest::of(&inventory).as_str(), wanted);
    }
}
