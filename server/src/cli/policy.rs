//! `policy check`, `policy publish`, `policy show`, `policy list`.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use offchannel_shared::policy::Problem;
use serde::Serialize;

use super::output::{Format, Table, counted, instant, json};
use super::view::{PolicyVersionJson, SCHEMA};
use super::{CliError, EXIT_FAILED, EXIT_OK};
use crate::app::App;
use crate::service::{Service, ServiceError};
use crate::store::StoreError;

/// Longest policy file that is read, in bytes; the parser's own limit is lower.
const FILE_MAX: u64 = 4 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a policy file. Exit code 1 if it has errors.
    Check(CheckArgs),
    /// Publish a policy file as the next version. It is in force at once.
    Publish(PublishArgs),
    /// Print the policy file in force, or an older version.
    Show {
        /// The version; the newest if not given.
        #[arg(long)]
        version: Option<u64>,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// List all versions, newest first.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The policy file; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// The policy file; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Who publishes it.
    #[arg(long)]
    author: String,
    /// Why it is published.
    #[arg(long, default_value = "")]
    comment: String,
    /// Publish only if this is the newest version now (0: if there is none).
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct ProblemJson<'a> {
    line: usize,
    column: usize,
    level: &'static str,
    key: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Problem> for ProblemJson<'a> {
    fn from(problem: &'a Problem) -> Self {
        let level = match problem.level {
            offchannel_shared::policy::Level::Error => "error",
            offchannel_shared::policy::Level::Warning => "warning",
        };
        let Problem { line, column, key, message, .. } = problem;
        Self { line: *line, column: *column, level, key, message }
    }
}

pub(super) fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let source = read(&args.file)?;
    let (good, problems) = match Service::check_policy(&source) {
        Ok(parsed) => (true, parsed.warnings),
        Err(ServiceError::Policy(problems)) => (false, problems.0),
        Err(error) => return Err(error.into()),
    };
    match args.format {
        Format::Json => {
            #[derive(Serialize)]
            struct Checked<'a> {
                schema: u32,
                good: bool,
                problems: Vec<ProblemJson<'a>>,
            }
            let problems = problems.iter().map(ProblemJson::from).collect();
            json(out, &Checked { schema: SCHEMA, good, problems })?;
        }
        Format::Table => {
            print_problems(out, &args.file, &problems)?;
            let path = args.file.display();
            if good {
                writeln!(
                    out,
                    "{path}: the policy can be published ({}).",
                    counted(problems.len(), "warning")
                )?;
            } else {
                let errors =
                    problems.iter().filter(|p| p.level == offchannel_shared::policy::Level::Error).count();
                writeln!(out, "{path}: the policy has {}.", counted(errors, "error"))?;
            }
        }
    }
    Ok(if good { EXIT_OK } else { EXIT_FAILED })
}

pub(super) async fn run(command: PolicyCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        PolicyCommand::Check(args) => check(&args, out),
        PolicyCommand::Publish(args) => publish(&args, app, out).await,
        PolicyCommand::Show { version, format } => show(version, format, app, out).await,
        PolicyCommand::List { format } => list(format, app, out).await,
    }
}

async fn publish(args: &PublishArgs, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let source = read(&args.file)?;
    let published = app.service.publish_policy(&source, &args.author, &args.comment, args.if_version).await;
    let (published, warnings) = match published {
        Err(ServiceError::Policy(problems)) => {
            return Err(CliError::PolicyFile { path: args.file.clone(), problems });
        }
        other => other?,
    };
    match args.format {
        Format::Json => {
            #[derive(Serialize)]
            struct Published<'a> {
                schema: u32,
                policy: PolicyVersionJson<'a>,
                warnings: Vec<ProblemJson<'a>>,
            }
            let warnings = warnings.iter().map(ProblemJson::from).collect();
            json(out, &Published { schema: SCHEMA, policy: (&published).into(), warnings })?;
        }
        Format::Table => {
            print_problems(out, &args.file, &warnings)?;
            writeln!(
                out,
                "Version {} is in force; agents take it at their next check-in.",
                published.version
            )?;
        }
    }
    Ok(EXIT_OK)
}

async fn show(version: Option<u64>, format: Format, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let id = version.map_or_else(|| "in force".to_owned(), |version| version.to_string());
    let missing = || ServiceError::Store(StoreError::NotFound { what: "policy version", id });
    let policy = app.service.policy(version).await?.ok_or_else(missing)?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Shown<'a> {
                schema: u32,
                #[serde(flatten)]
                policy: PolicyVersionJson<'a>,
                source: &'a str,
            }
            json(out, &Shown { schema: SCHEMA, policy: (&policy).into(), source: &policy.source })?;
        }
        // The bytes as published, so that the output can be edited and published again.
        Format::Table => out.write_all(policy.source.as_bytes())?,
    }
    Ok(EXIT_OK)
}

async fn list(format: Format, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let policies = app.service.policies().await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                policies: Vec<PolicyVersionJson<'a>>,
            }
            let policies = policies.iter().map(PolicyVersionJson::from).collect();
            json(out, &List { schema: SCHEMA, policies })?;
        }
        Format::Table if policies.is_empty() => {
            writeln!(
                out,
                "Nothing published yet. Publish with `offchannel-server policy publish --file FILE`."
            )?;
        }
        Format::Table => {
            let mut table = Table::new(&["version", "published", "author", "comment"]);
            for policy in &policies {
                let at = instant(policy.published_at);
                table.row([policy.version.to_string(), at, policy.author.clone(), policy.comment.clone()]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(EXIT_OK)
}

fn print_problems(out: &mut dyn Write, path: &Path, problems: &[Problem]) -> std::io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(out, "{}:{problem}", path.display()))
}

fn read(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(text)
}
