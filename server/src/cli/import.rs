//! What `unit import` and `device import` have in common: a bounded file, changes and bad rows for people and programs.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::CliError;
use super::output::{Format, counted, parse_person, printable};
use crate::domain::placement::Difference;
use crate::domain::sheet::{BadRow, BadRows};
use crate::service::FILE_MAX;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The CSV file; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Who takes it in, for the log.
    #[arg(long, value_name = "NAME", value_parser = parse_person)]
    pub(super) author: String,
    /// Show every change and everything that is wrong, and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// Reads a file, but no more than one that is taken in may have.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let most = FILE_MAX as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// Something that is wrong with a file.
#[derive(Debug, Serialize)]
pub(super) struct ProblemJson<'a> {
    line: Option<u64>,
    column: Option<&'static str>,
    message: &'a str,
}

impl<'a> From<&'a BadRow> for ProblemJson<'a> {
    fn from(bad: &'a BadRow) -> Self {
        Self { line: bad.line, column: bad.column, message: &bad.message }
    }
}

/// What is different, in one line.
pub(super) fn differences(list: &[Difference]) -> String {
    let told = |d: &Difference| match (&d.before, &d.after) {
        (None, after) => format!("{} {}", d.field, after.as_deref().unwrap_or("-")),
        (Some(before), after) => format!("{} {before} -> {}", d.field, after.as_deref().unwrap_or("-")),
    };
    printable(&list.iter().map(told).collect::<Vec<_>>().join(", "))
}

/// Prints what is wrong with a file, as a compiler would, and how it ended.
pub(super) fn outcome(
    out: &mut dyn Write,
    path: &Path,
    (changed, noun): (usize, &str),
    bad: &BadRows,
    applied: bool,
) -> io::Result<()> {
    for bad in &bad.0 {
        let between = if bad.line.is_some() { "" } else { " " };
        writeln!(out, "{}:{between}{}", path.display(), printable(&bad.to_string()))?;
    }
    let what = counted(changed, noun);
    if !bad.0.is_empty() {
        writeln!(out, "Nothing was changed: the file has {}.", counted(bad.0.len(), "error"))
    } else if changed == 0 {
        writeln!(out, "Everything is as the file says already.")
    } else if applied {
        writeln!(out, "{what} changed.")
    } else {
        writeln!(out, "Dry run: {what} would change. Nothing was changed.")
    }
}
