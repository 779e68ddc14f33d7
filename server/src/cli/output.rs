//! Printing for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::domain::alert::check_name;
use crate::domain::name::hidden;

/// How a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns and sentences, for people.
    #[default]
    Table,
    /// JSON, for programs.
    Json,
}

/// Rows of text in aligned columns.
#[derive(Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. Names come from devices: control characters in them are shown as `?`, so that
    /// none can move the cursor or forge a line.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints the table, indented by so many spaces.
    ///
    /// # Errors
    /// Those of the output.
    pub fn print(&self, out: &mut dyn Write, indent: usize) -> io::Result<()> {
        let mut widths: Vec<usize> = self.head.iter().map(|head| head.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head: Vec<String> = self.head.iter().map(|head| (*head).to_uppercase()).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The name of a person on the command line, without spaces around it.
///
/// # Errors
/// A text that nobody is called, with what was expected.
pub fn parse_person(text: &str) -> Result<String, String> {
    let name = text.trim();
    check_name(name).map_err(|error| error.to_string())?;
    Ok(name.to_owned())
}

/// An instant on the command line.
///
/// # Errors
/// A text that is none, with what was expected.
pub fn parse_instant(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|_| "expected an instant with its zone, such as 2026-12-01T09:00:00Z".to_owned())
}

/// A text in which every character that controls, hides or turns the direction of writing is replaced.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if hidden(c) { '?' } else { c }).collect()
}

/// ` (text)`, or nothing if there is no text.
pub fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

/// Prints one JSON document and a line break.
///
/// # Errors
/// Those of the output.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)
}

/// Prints rows in CSV (RFC 4180). What a spreadsheet would take for a formula is put behind an apostrophe, as OWASP
/// advises against CSV injection.
///
/// # Errors
/// Those of the output.
pub fn csv<const N: usize>(
    out: &mut dyn Write,
    head: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    writer.write_record(head)?;
    for row in rows {
        writer.write_record(row.map(|cell| inert(&printable(&cell))))?;
    }
    writer.flush()
}

/// A cell that no spreadsheet takes for a formula.
fn inert(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell.to_owned() }
}

/// `1 alert`, `2 alerts`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// An instant to the second, in UTC.
pub fn instant(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_breaks_its_line() {
        let rows = ["=cmd()", "+1", "-1", "@x", "a,\"b\"", "c\r\n=d", "plain"];
        let mut out = Vec::new();
        csv(&mut out, &["cell"], rows.into_iter().map(|cell| [cell.to_owned()])).unwrap();
        let expected = "cell\r\n'=cmd()\r\n'+1\r\n'-1\r\n'@x\r\n\"a,\"\"b\"\"\"\r\nc??=d\r\nplain\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn columns_align_and_hostile_names_cannot_forge_lines() {
        let mut table = Table::new(&["app", "version"]);
        table.row(["Signal".to_owned(), "7".to_owned()]);
        table.row(["a\n\u{202e}b".to_owned(), "10.2".to_owned()]);
        let mut out = Vec::new();
        table.print(&mut out, 2).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "  APP     VERSION\n  Signal  7\n  a??b    10.2\n");
    }
}
