//! Rows of identifiers, sorted by name: packed ones of the built-in catalogue, and an organisation's own.

use super::filter::may_have;
use super::{Row, built_in};
use crate::namespace::Namespace;

/// A built-in row: no pointers, and a sixth of the size of one with them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    /// Where its name begins in the text of all names, in bytes.
    pub(super) start: u32,
    /// How long the name is, in bytes.
    pub(super) length: u16,
    /// One more than the index of the publisher that must be contained; 0 for none.
    pub(super) publisher: u16,
    /// Index of the app.
    pub(super) app: u16,
    /// Whether a version may follow the name.
    pub(super) versioned: bool,
}

/// A row of an organisation's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OwnRow {
    pub(super) namespace: Namespace,
    pub(super) name: String,
    pub(super) publisher: Option<String>,
    pub(super) versioned: bool,
    pub(super) app: usize,
}

/// All rows of one namespace, sorted by name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'c> {
    BuiltIn(Namespace, &'static [Packed]),
    Own(&'c [OwnRow]),
}

impl<'c> Rows<'c> {
    /// The built-in ones: most artefacts are of a namespace with a few hundred, and are not looked up among
    /// thousands.
    pub(super) fn built_in(namespace: Namespace) -> Self {
        // Namespaces are numbered in the order of `Namespace::ALL`, which is that of the table.
        let rows = match built_in::STARTS.get(namespace as usize..namespace as usize + 2) {
            Some([start, end]) => built_in::ROWS.get(*start..*end).unwrap_or_default(),
            _ => &[],
        };
        Self::BuiltIn(namespace, rows)
    }

    /// The first row of exactly this name that fits.
    pub(super) fn find(self, name: &str, fits: impl Fn(&Row<'c>) -> bool) -> Option<Row<'c>> {
        let start = match self {
            Self::BuiltIn(..) if !may_have(&built_in::FILTER, name) => return None,
            Self::BuiltIn(_, rows) => rows.partition_point(|row| text(row) < name),
            Self::Own(rows) => rows.partition_point(|row| row.name.as_str() < name),
        };
        (start..).map_while(|index| self.get(index)).take_while(|row| row.name == name).find(fits)
    }

    /// All of them, in their order.
    pub(super) fn all(self) -> impl Iterator<Item = Row<'c>> {
        (0..).map_while(move |index| self.get(index))
    }

    fn get(self, index: usize) -> Option<Row<'c>> {
        Some(match self {
            Self::BuiltIn(namespace, rows) => {
                let row = rows.get(index)?;
                let publisher = usize::from(row.publisher).checked_sub(1);
                Row {
                    namespace,
                    name: text(row),
                    publisher: publisher.and_then(|index| built_in::PUBLISHERS.get(index)).copied(),
                    versioned: row.versioned,
                    app: row.app.into(),
                }
            }
            Self::Own(rows) => {
                let row = rows.get(index)?;
                Row {
                    namespace: row.namespace,
                    name: &row.name,
                    publisher: row.publisher.as_deref(),
                    versioned: row.versioned,
                    app: row.app,
                }
            }
        })
    }
}

fn text(row: &Packed) -> &'static str {
    let start = row.start as usize;
    built_in::NAMES.get(start..start + usize::from(row.length)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_row_is_found_by_its_name() {
        for namespace in Namespace::ALL {
            for row in Rows::built_in(namespace).all() {
                let found = Rows::built_in(namespace).find(row.name, |found| *found == row);
                assert_eq!(found, Some(row));
            }
        }
    }

    #[test]
    fn most_names_of_no_row_are_told_at_a_glance() {
        let names = (0..10_000).map(|number| format!("library-{number}-dev"));
        let passed = names.filter(|name| may_have(&built_in::FILTER, name)).count();
        assert!(passed < 1_500, "{passed} of 10000 names are looked up for nothing");
        let short = (0..1_000).filter(|number| may_have(&built_in::FILTER, &number.to_string())).count();
        assert!(short < 150, "{short} of 1000 short names");
    }
}
