//! What could not be read, in words that stay the same from scan to scan.
//!
//! They are part of what is reported, so they name no user and no file of a user: home folders are told by the
//! references that stand for their users, as sightings are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;

use offchannel_shared::inventory::{Health, Scope};

/// Most home folders that one trouble names.
const NAMED_MAX: usize = 4;

/// Why something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The system refuses.
    Denied,
    /// There is more than is looked at.
    TooMany,
    /// A file is larger than is read.
    TooBig,
    /// The format is not the one expected.
    Malformed,
    /// The last changes of a file were begun and not written.
    Unfinished,
    /// It lies on another drive than the image.
    OtherDrive,
    /// The storage fails, links lead in a circle, or anything else.
    Unreadable,
}

impl Trouble {
    /// What an error of the system comes to.
    pub(crate) fn of(error: &io::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library adds kinds at will")]
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::InvalidData => Self::Malformed,
            io::ErrorKind::FileTooLarge => Self::TooBig,
            io::ErrorKind::QuotaExceeded => Self::TooMany,
            _ => Self::Unreadable,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Denied => "permission denied",
            Self::TooMany => "too many entries",
            Self::TooBig => "a file is too large",
            Self::Malformed => "a file is malformed",
            Self::Unfinished => "a file lacks its last changes",
            Self::OtherDrive => "a user's profile lies on another drive",
            Self::Unreadable => "cannot be read",
        }
    }
}

/// A part of the device that a source looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A place of the system, by its path or by what it is.
    System(String),
    /// Somewhere in a home folder.
    Home(Scope),
}

/// Everything that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Troubles {
    system: BTreeMap<String, BTreeSet<Trouble>>,
    homes: BTreeMap<Trouble, BTreeSet<Scope>>,
}

impl Troubles {
    pub(crate) fn add(&mut self, place: &Place, trouble: Trouble) {
        match place {
            Place::System(name) => self.system.entry(name.clone()).or_default().insert(trouble),
            Place::Home(scope) => self.homes.entry(trouble).or_default().insert(scope.clone()),
        };
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (name, troubles) in &other.system {
            self.system.entry(name.clone()).or_default().extend(troubles);
        }
        for (trouble, scopes) in &other.homes {
            self.homes.entry(*trouble).or_default().extend(scopes.iter().cloned());
        }
    }

    /// The health of a source that has these troubles. `present`: something of it exists and was
    /// read. `answered`: at least one place could be asked.
    pub(crate) fn health(&self, present: bool, answered: bool) -> Health {
        if self.system.is_empty() && self.homes.is_empty() {
            return if present { Health::Ok } else { Health::Absent };
        }
        let mut why = String::new();
        let mut push = |text: std::fmt::Arguments<'_>| {
            if !why.is_empty() {
                why.push_str("; ");
            }
            // Writing to a String cannot fail.
            let _ = why.write_fmt(text);
        };
        for (name, troubles) in &self.system {
            for trouble in troubles {
                push(format_args!("{name}: {}", trouble.words()));
            }
        }
        for (trouble, scopes) in &self.homes {
            let (count, plural) = (scopes.len(), if scopes.len() == 1 { "" } else { "s" });
            push(format_args!("{count} home folder{plural} ({}): {}", named(scopes), trouble.words()));
        }
        if present || answered { Health::Partial(why) } else { Health::Failed(why) }
    }
}

/// The first home folders by their users' references, and how many there are beside.
fn named(scopes: &BTreeSet<Scope>) -> String {
    let mut names: Vec<String> = scopes.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if scopes.len() > NAMED_MAX {
        names.push(format!("{} more", scopes.len() - NAMED_MAX));
    }
    names.join(", ")
}

/// Whether a part of a health tells of home folders: `2 home folders (user:u-1, user:u-2): permission denied`. Parts that
/// tell of the system begin with a path or a word, and come first.
pub(crate) fn is_of_homes(part: &str) -> bool {
    let Some((count, what)) = part.split_once(' ') else { return false };
    let count = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
    count && (what.starts_with("home folder (") || what.starts_with("home folders ("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_places_and_count_homes() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.health(false, true), Health::Absent);
        assert_eq!(troubles.health(true, true), Health::Ok);
        troubles.add(&Place::Home(Scope::User("u-1".to_owned())), Trouble::Denied);
        troubles.add(&Place::Home(Scope::User("u-1".to_owned())), Trouble::Denied);
        troubles.add(&Place::Home(Scope::User("u-2".to_owned())), Trouble::Denied);
        troubles.add(&Place::System("/opt".to_owned()), Trouble::TooMany);
        let why = "/opt: too many entries; 2 home folders (user:u-1, user:u-2): permission denied".to_owned();
        assert_eq!(why.split("; ").map(is_of_homes).collect::<Vec<_>>(), [false, true]);
        assert_eq!(troubles.health(false, true), Health::Partial(why.clone()));
        assert_eq!(troubles.health(false, false), Health::Failed(why));
    }

    #[test]
    fn of_many_homes_some_are_named_and_the_others_counted() {
        let mut troubles = Troubles::default();
        for number in 0..60 {
            let scope = Scope::User(format!("u-{number:016x}"));
            troubles.add(&Place::Home(scope.clone()), Trouble::Denied);
            troubles.add(&Place::Home(scope), Trouble::TooMany);
        }
        let Health::Partial(why) = troubles.health(true, true) else { panic!("it is partial") };
        assert_eq!(why.matches("user:u-").count(), 2 * NAMED_MAX);
        assert!(why.starts_with("60 home folders (user:u-0000000000000000, "), "{why}");
        assert!(why.contains(", 56 more): permission denied; 60 home folders ("), "{why}");
        assert!(why.split("; ").all(is_of_homes), "{why}");
        // As many as there are kinds of trouble fit into one text of a report.
        assert!(why.len() / 2 * 7 < offchannel_shared::wire::TEXT_MAX, "{}", why.len());
    }
}
