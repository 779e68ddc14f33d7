//! Units: the nodes of the organisation, each with somebody who answers for it.

use offchannel_shared::ids::UnitId;
use offchannel_shared::label::Label;

/// Most units of an organisation.
pub const UNITS_MAX: usize = 50_000;
/// Most units on the way from a unit up to the top, both counted: a device's bundle carries all of them.
pub const DEPTH_MAX: usize = 20;
/// Longest name of a unit or of an owner, in characters.
pub const NAME_MAX: usize = 200;
/// Longest address of an owner, in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
pub const EMAIL_MAX: usize = 254;

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its id, which policies and files name it by; never changed.
    pub id: UnitId,
    /// Its name for people.
    pub name: String,
    /// The unit that it is part of; none for a unit at the top.
    pub parent: Option<UnitId>,
    /// Who answers for it, where that is not the same as for the unit above.
    pub owner: Option<Owner>,
    /// Devices with this label, which nobody and no token has put elsewhere, belong to the unit.
    pub label: Option<Label>,
}

/// Who answers for a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name of a person or a role.
    pub name: String,
    /// Where to reach them.
    pub email: Option<String>,
}

/// Why the organisation cannot be changed as was asked. Nothing is written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no such unit.
    #[error("there is no unit {unit}{}", did_you_mean(.near.as_ref()))]
    Missing {
        /// What was asked for.
        unit: UnitId,
        /// What was probably meant.
        near: Option<UnitId>,
    },
    /// There is one already.
    #[error("there is a unit {0} already: use `unit change` or `unit move`")]
    Exists(UnitId),
    /// It would be below itself.
    #[error("{unit} cannot be part of {parent}, which is {unit} itself or a part of it")]
    Cycle {
        /// The unit.
        unit: UnitId,
        /// What it was to be part of.
        parent: UnitId,
    },
    /// Too many units above it.
    #[error("{0} would have more than {most} units above it", most = DEPTH_MAX - 1)]
    Deep(UnitId),
    /// Too many units.
    #[error("an organisation has at most {UNITS_MAX} units")]
    Many,
    /// It cannot be removed as long as something belongs to it.
    #[error("{unit} cannot be removed without saying where to: it has {held}")]
    InUse {
        /// The unit.
        unit: UnitId,
        /// What belongs to it.
        held: Held,
    },
    /// What belongs to a unit cannot go to a part of it.
    #[error("what belongs to {unit} cannot go to {heir}, which is {unit} itself or a part of it")]
    Heir {
        /// The unit that is removed.
        unit: UnitId,
        /// Where things were to go.
        heir: UnitId,
    },
    /// A text that cannot be taken.
    #[error("{0}")]
    Text(String),
}

fn did_you_mean(near: Option<&UnitId>) -> String {
    near.map_or(String::new(), |near| format!("; did you mean {near}?"))
}

/// What belongs to a unit itself, not to the units below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Devices that are not retired.
    pub devices: u64,
    /// Enrolment tokens that may still be used.
    pub tokens: u64,
    /// Units.
    pub units: u64,
}

impl Held {
    /// Whether nothing does.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = |count: u64, noun: &str| {
            (count > 0).then(|| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        };
        let all = [
            counted(self.devices, "device"),
            counted(self.units, "unit"),
            counted(self.tokens, "enrolment token"),
        ];
        f.write_str(&all.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// Checks a name for people.
///
/// # Errors
/// What was expected.
pub fn check_name(text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if text.trim().is_empty() || length > NAME_MAX || text.chars().any(char::is_control) {
        return Err(format!(
            "expected a text of 1 to {NAME_MAX} characters in one line, found {}",
            shown(text)
        ));
    }
    Ok(())
}

/// Checks an address: that it can be one, not that it is.
///
/// # Errors
/// What was expected.
pub fn check_email(text: &str) -> Result<(), String> {
    let parts = text.rsplit_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty());
    let odd = |c: char| c.is_control() || c.is_whitespace() || "<>,;\"()".contains(c);
    if !parts || text.len() > EMAIL_MAX || text.chars().any(odd) {
        return Err(format!("expected an address such as sam@example.org, found {}", shown(text)));
    }
    Ok(())
}

/// A text in a message: quoted, and not longer than a line.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short:?} and more") } else { format!("{short:?}") }
}

impl Unit {
    /// Checks its texts.
    ///
    /// # Errors
    /// [`UnitError::Text`].
    pub fn check(&self) -> Result<(), UnitError> {
        let named = |what: &'static str| move |why| UnitError::Text(format!("the {what}: {why}"));
        check_name(&self.name).map_err(named("name"))?;
        if let Some(owner) = &self.owner {
            check_name(&owner.name).map_err(named("owner"))?;
            if let Some(email) = &owner.email {
                check_email(email).map_err(named("owner's address"))?;
            }
        }
        Ok(())
    }
}
