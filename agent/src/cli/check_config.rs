//! `check-config`: everything that is wrong with the settings, and every setting with its origin.

use std::io;

use clap::Args;

use super::options::{ConfigArgs, Format, json};
use super::{CliError, EXIT_CODES};
use crate::client::trust;
use crate::config::{Origin, Problem, Resolved, Severity};

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
    problems: Vec<String>,
}

#[derive(Debug, serde::Serialize)]
struct Row {
    key: &'static str,
    value: Option<String>,
    origin: String,
}

/// Checks. Warnings fail it too: nobody writes a setting that is meant to do nothing.
pub fn run(args: &CheckConfigArgs, out: &mut dyn io::Write) -> Result<u8, CliError> {
    let mut resolved = args.config.resolve()?;
    let more = beyond_settings(&resolved);
    resolved.problems.extend(more);
    let answer = Answer {
        schema: 1,
        ok: resolved.problems.is_empty(),
        settings: resolved
            .settings
            .iter()
            .map(|s| Row { key: s.key, value: s.value.clone(), origin: s.origin.to_string() })
            .collect(),
        problems: resolved.problems.iter().map(ToString::to_string).collect(),
    };
    match args.format {
        Format::Json => json(out, &answer)?,
        Format::Table => table(out, &answer).map_err(CliError::Output)?,
    }
    Ok(u8::from(!answer.ok))
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
        problems.push(error("server.url", CliError::NoServer.to_string()));
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
    for row in &answer.settings {
        let value = row.value.as_deref().unwrap_or("-");
        writeln!(out, "{:22}  {:36}  {}", row.key, value, row.origin)?;
    }
    writeln!(out)?;
    for problem in &answer.problems {
        writeln!(out, "{problem}")?;
    }
    if answer.ok {
        writeln!(out, "The configuration is in order.")?;
    }
    Ok(())
}
