//! Where a device belongs: what people have said of it, what its token says, what its labels say.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::{LABELS_MAX, Label};
use serde::{Deserialize, Serialize};

use super::tree::Tree;
use super::unit::shown;

/// Longest reference to a person, in bytes.
pub const PERSON_MAX: usize = 128;

/// How a device came to its unit. The first of these that gives one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlacedBy {
    /// Somebody said so, of this very device.
    Assigned,
    /// The token that it was enrolled with.
    Token,
    /// One of its labels, which the unit claims.
    Label,
}

impl PlacedBy {
    /// All ways, the strongest first.
    pub const ALL: [Self; 3] = [Self::Assigned, Self::Token, Self::Label];

    /// The name used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Token => "token",
            Self::Label => "label",
        }
    }
}

impl fmt::Display for PlacedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who uses a device, in the organisation's own terms, such as a hashed staff number. Opaque to the collector, and
/// never sent to an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonRef(String);

/// A text that is no reference to a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} is no reference to a person: expected 1 to {PERSON_MAX} bytes in one line, and not \"-\"")]
pub struct PersonError {
    found: String,
}

impl PersonRef {
    /// Checks and takes a text.
    ///
    /// # Errors
    /// [`PersonError`].
    pub fn new(text: impl Into<String>) -> Result<Self, PersonError> {
        let text = text.into();
        let good = text.trim() == text && (1..=PERSON_MAX).contains(&text.len()) && text != CLEAR;
        if good && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(PersonError { found: shown(&text) })
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands in a file where something is to be taken away.
pub const CLEAR: &str = "-";

impl fmt::Display for PersonRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for PersonRef {
    type Err = PersonError;
    fn from_str(text: &str) -> Result<Self, PersonError> {
        Self::new(text)
    }
}

impl TryFrom<String> for PersonRef {
    type Error = PersonError;
    fn try_from(text: String) -> Result<Self, PersonError> {
        Self::new(text)
    }
}

impl From<PersonRef> for String {
    fn from(person: PersonRef) -> Self {
        person.0
    }
}

/// What people have said of a device. What is not said is left to its token and its labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// Its unit.
    pub unit: Option<UnitId>,
    /// Who owns it.
    pub ownership: Option<Ownership>,
    /// Its labels; those of its token are among them from its enrolment on.
    pub labels: BTreeSet<Label>,
    /// Who uses it.
    pub person: Option<PersonRef>,
}

/// A device, as far as placing it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeable {
    /// Its id.
    pub id: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// Whether it is retired.
    pub retired: bool,
    /// The unit of its token.
    pub token_unit: Option<UnitId>,
    /// The ownership of its token.
    pub token_ownership: Ownership,
    /// What people have said of it.
    pub assignment: Assignment,
}

/// Devices, and the units that they may belong to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placing {
    /// The units.
    pub tree: Tree,
    /// The devices, sorted by id.
    pub devices: Vec<Placeable>,
}

/// What a device is named by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKey {
    /// Its id.
    Id(DeviceId),
    /// Its host name, in whatever case.
    Hostname(String),
}

/// What is to be said of a device from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The device.
    pub device: DeviceId,
    /// What is said.
    pub assignment: Assignment,
}

/// One thing that becomes another, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What changes.
    pub field: &'static str,
    /// How it was, if it was.
    pub before: Option<String>,
    /// How it is to be, if it is.
    pub after: Option<String>,
}

impl Difference {
    /// The difference, if there is one.
    pub fn of(field: &'static str, before: Option<String>, after: Option<String>) -> Option<Self> {
        (before != after).then_some(Self { field, before, after })
    }
}

/// Why something cannot be said of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// It has too many labels.
    #[error("{device} would carry {found} labels, at most {LABELS_MAX} are possible")]
    TooManyLabels {
        /// The device.
        device: DeviceId,
        /// How many it would have.
        found: usize,
    },
    /// There is no such label to take away.
    #[error("{device} does not carry the label {label}")]
    NoSuchLabel {
        /// The device.
        device: DeviceId,
        /// The label.
        label: Label,
    },
    /// There is no such device.
    #[error("there is no device {0}")]
    Unknown(DeviceId),
    /// It is in use no more.
    #[error("{0} is retired: nothing is said of it any more")]
    Retired(DeviceId),
}

/// The unit that a device belongs to, and why.
pub fn unit_of(
    tree: &Tree,
    assigned: Option<&UnitId>,
    token: Option<&UnitId>,
    labels: &BTreeSet<Label>,
) -> Option<(UnitId, PlacedBy)> {
    let known = |unit: Option<&UnitId>| unit.filter(|unit| tree.get(unit).is_some()).cloned();
    known(assigned)
        .map(|unit| (unit, PlacedBy::Assigned))
        .or_else(|| known(token).map(|unit| (unit, PlacedBy::Token)))
        .or_else(|| tree.by_label(labels).map(|unit| (unit.clone(), PlacedBy::Label)))
}

impl Placing {
    /// The device with this id, which has to be in use.
    ///
    /// # Errors
    /// [`PlacementError::Unknown`], [`PlacementError::Retired`].
    pub fn active(&self, id: &DeviceId) -> Result<&Placeable, PlacementError> {
        match self.devices.iter().find(|device| device.id == *id) {
            None => Err(PlacementError::Unknown(id.clone())),
            Some(device) if device.retired => Err(PlacementError::Retired(id.clone())),
            Some(device) => Ok(device),
        }
    }
}

impl Placeable {
    /// The unit that it belongs to if this is said of it, and why.
    pub fn unit(&self, tree: &Tree, said: &Assignment) -> Option<(UnitId, PlacedBy)> {
        unit_of(tree, said.unit.as_ref(), self.token_unit.as_ref(), &said.labels)
    }

    /// What changes if this is said of it.
    pub fn differences(&self, tree: &Tree, said: &Assignment) -> Vec<Difference> {
        let unit = |said: &Assignment| {
            self.unit(tree, said).map(|(unit, by)| match by {
                PlacedBy::Assigned => unit.to_string(),
                PlacedBy::Token | PlacedBy::Label => format!("{unit} (by {by})"),
            })
        };
        let ownership = |said: &Assignment| match said.ownership {
            Some(ownership) => ownership.to_string(),
            None => format!("{} (by token)", self.token_ownership),
        };
        let labels = |said: &Assignment| {
            let all: Vec<&str> = said.labels.iter().map(Label::as_str).collect();
            (!all.is_empty()).then(|| all.join(" "))
        };
        let person = |said: &Assignment| said.person.as_ref().map(ToString::to_string);
        let before = &self.assignment;
        [
            Difference::of("unit", unit(before), unit(said)),
            Difference::of("ownership", Some(ownership(before)), Some(ownership(said))),
            Difference::of("labels", labels(before), labels(said)),
            Difference::of("person", person(before), person(said)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What is said of it with these labels added and those taken away.
    ///
    /// # Errors
    /// [`PlacementError`].
    pub fn relabelled(&self, add: &[Label], remove: &[Label]) -> Result<Assignment, PlacementError> {
        let mut said = self.assignment.clone();
        for label in remove {
            if !said.labels.remove(label) {
                return Err(PlacementError::NoSuchLabel { device: self.id.clone(), label: label.clone() });
            }
        }
        said.labels.extend(add.iter().cloned());
        if said.labels.len() > LABELS_MAX {
            let found = said.labels.len();
            return Err(PlacementError::TooManyLabels { device: self.id.clone(), found });
        }
        Ok(said)
    }
}
