//! A file of rows that is to be taken in whole or not at all, and everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

/// Most bad rows that are shown to people; the first ones tell what is wrong with the others.
const SHOWN_MAX: usize = 100;

/// The rows of a file under the names of their columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sheet {
    /// The columns that the file has, in its order.
    pub columns: Vec<&'static str>,
    /// The rows that could be read.
    pub rows: Vec<Row>,
    /// What could not.
    pub bad: Vec<BadRow>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line of the file that it begins on, from 1.
    pub line: u64,
    /// What stands in each column that the file has, without spaces around it.
    pub cells: BTreeMap<&'static str, String>,
}

impl Row {
    /// What stands in a column: nothing (`Some("")`), or that the file has no such column (`None`).
    pub fn cell(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(String::as_str)
    }

    /// What stands in a column, unless it is nothing.
    pub fn filled(&self, column: &str) -> Option<&str> {
        self.cell(column).filter(|text| !text.is_empty())
    }

    /// Something that is wrong with it.
    pub fn bad(&self, column: &'static str, message: impl fmt::Display) -> BadRow {
        BadRow { line: Some(self.line), column: Some(column), message: message.to_string() }
    }
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadRow {
    /// The line, from 1; none where it is about what the file does not have.
    pub line: Option<u64>,
    /// The column, where it is about one.
    pub column: Option<&'static str>,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "{line}: ")?;
        }
        if let Some(column) = self.column {
            write!(f, "{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a file, in its order; if anything is, nothing of it is taken in.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("{}", self.told())]
pub struct BadRows(pub Vec<BadRow>);

impl BadRows {
    /// What is wrong, in the order of the file.
    pub fn sorted(mut bad: Vec<BadRow>) -> Self {
        bad.sort();
        bad.dedup();
        Self(bad)
    }

    /// Refuses if anything is wrong.
    ///
    /// # Errors
    /// What is wrong.
    pub fn refuse(&self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self.clone()) }
    }

    fn told(&self) -> String {
        let count = self.0.len();
        let mut text = format!(
            "the file has {count} {}, nothing was changed",
            if count == 1 { "error" } else { "errors" }
        );
        for bad in self.0.iter().take(SHOWN_MAX) {
            text.push_str(&format!("\n  {bad}"));
        }
        if count > SHOWN_MAX {
            text.push_str(&format!("\n  and {} more", count - SHOWN_MAX));
        }
        text
    }
}
