//! `check-config`: everything that is wrong with the settings, and every setting with its origin.

use std::io;

use clap::Args;

use super::columns::columns;
use super::options::{ConfigArgs, Format, json};
use super::{CliError, EXIT_CODES};
use crate::client::trust;
use crate::config::{DEFAULT_PATH, Origin, Problem, Resolved, Setting, Severity, Written};

/// Arguments of `check-config`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CheckConfigArgs {
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, serde::Serialize)]
struct Answer {
    schema: u32,
    ok: bool,
    settings: Vec<Row>,
    problems: Vec<Wrong>,
}

#[derive(Debug, serde::Serialize)]
struct Row {
    key: &'static str,
    value: Option<String>,
    /// What kind of place it stands in, a word.
    source: &'static str,
    origin: String,
    overrides: Vec<Lost>,
}

#[derive(Debug, serde::Serialize)]
struct Lost {
    value: String,
    source: &'static str,
    origin: String,
}

#[derive(Debug, serde::Serialize)]
struct Wrong {
    severity: String,
    source: &'static str,
    origin: String,
    key: String,
    message: String,
}

/// Checks. Warnings fail it too: nobody writes a setting that is meant to do nothing.
pub fn run(args: &CheckConfigArgs, out: &mut dyn io::Write) -> Result<u8, CliError> {
    let mut resolved = args.config.resolve();
    let more = beyond_settings(&resolved);
    resolved.problems.extend(more);
    show(&resolved, args.format, out)
}

fn show(resolved: &Resolved, format: Format, out: &mut dyn io::Write) -> Result<u8, CliError> {
    let answer = answer(resolved);
    match format {
        Format::Json => json(out, &answer)?,
        Format::Table => table(out, &answer).map_err(CliError::Output)?,
    }
    Ok(u8::from(!answer.ok))
}

fn answer(resolved: &Resolved) -> Answer {
    let lost = |written: &Written| Lost {
        value: written.value.clone(),
        source: written.origin.source(),
        origin: written.origin.to_string(),
    };
    let row = |setting: &Setting| Row {
        key: setting.key,
        value: setting.value.clone(),
        source: setting.origin.source(),
        origin: setting.origin.to_string(),
        overrides: setting.overrides.iter().map(lost).collect(),
    };
    let wrong = |problem: &Problem| Wrong {
        severity: problem.severity.to_string(),
        source: problem.origin.source(),
        origin: problem.origin.to_string(),
        key: problem.key.clone(),
        message: problem.message.clone(),
    };
    Answer {
        schema: 1,
        ok: resolved.problems.is_empty(),
        settings: resolved.settings.iter().map(row).collect(),
        problems: resolved.problems.iter().map(wrong).collect(),
    }
}

/// What only shows when the settings are used.
fn beyond_settings(resolved: &Resolved) -> Vec<Problem> {
    let Ok(config) = resolved.clone().config() else { return Vec::new() };
    let origin = |key: &str| {
        resolved
            .settings
            .iter()
            .find(|setting| setting.key == key)
            .map_or(Origin::Default, |s| s.origin.clone())
    };
    let error = |key: &str, message: String| Problem {
        severity: Severity::Error,
        origin: origin(key),
        key: key.to_owned(),
        message,
    };
    let mut problems = Vec::new();
    if config.server.is_none() {
        let where_to = format!("not set: write it into {DEFAULT_PATH}, or give --server-url");
        problems.push(error("server.url", where_to));
    }
    if let Err(cause) = trust(config.ca_file.as_deref()) {
        problems
            .push(error("server.ca_file", offchannel_shared::error_chain::error_chain(&cause).to_string()));
    }
    if !config.scan_root.is_dir() {
        problems.push(error("scan.root", format!("{} is not a folder", config.scan_root.display())));
    }
    problems
}

fn table(out: &mut dyn io::Write, answer: &Answer) -> io::Result<()> {
    let mut rows = vec![["SETTING", "VALUE", "FROM"].map(str::to_owned)];
    for row in &answer.settings {
        let value = row.value.as_deref().map_or("-".to_owned(), plain);
        rows.push([row.key.to_owned(), value, plain(&row.origin)]);
        for lost in &row.overrides {
            rows.push(["  overrides".to_owned(), plain(&lost.value), plain(&lost.origin)]);
        }
    }
    columns(out, &rows)?;
    writeln!(out)?;
    for Wrong { severity, origin, key, message, .. } in &answer.problems {
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        writeln!(out, "{}", plain(&format!("{severity}: {origin}: {key}{message}")))?;
    }
    if answer.ok {
        writeln!(out, "The configuration is in order.")?;
    }
    Ok(())
}

/// A text that cannot steer a terminal, whoever wrote it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

// Paths of other systems look different.
#[cfg(test)]
#[cfg(unix)]
mod tests;
