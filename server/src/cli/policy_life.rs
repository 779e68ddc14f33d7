//! `policy draft`, `policy republish`, `policy cancel`, `policy diff`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use offchannel_shared::ids::DraftId;
use offchannel_shared::policy::diff::Change;
use serde::Serialize;

use super::output::{Format, Table, instant, json, parse_instant, printable};
use super::policy::{ProblemJson, print_problems, print_published, read};
use super::view::{PolicyVersionJson, SCHEMA};
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::domain::policy_draft::Draft;
use crate::service::{Service, ServiceError, Words};

#[derive(Debug, Subcommand)]
pub(super) enum DraftCommand {
    /// Save a policy file as a draft. It must be one that could be published.
    Save(SaveArgs),
    /// List drafts and proposals, newest first.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the file of a draft or proposal.
    Show {
        /// Its id.
        id: DraftId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Delete a draft, or withdraw a proposal.
    Delete {
        /// Its id.
        id: DraftId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(super) struct SaveArgs {
    /// The policy file; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// What to call it. A draft of this name is replaced.
    #[arg(long, default_value = "")]
    name: String,
    /// Who saves it.
    #[arg(long, default_value = "")]
    author: String,
    /// What it is about.
    #[arg(long, default_value = "")]
    comment: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// By whom, why and from when on something is published.
#[derive(Debug, Args)]
pub(super) struct Publishing {
    /// Who publishes it.
    #[arg(long)]
    pub(super) author: String,
    /// Why it is published.
    #[arg(long, default_value = "")]
    pub(super) comment: String,
    /// Publish only if this is the newest version now that was not cancelled (0: if there is none).
    #[arg(long, value_name = "VERSION")]
    pub(super) if_version: Option<u64>,
    /// When it takes force, such as 2026-12-01T09:00:00Z. At once if not given.
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub(super) effective_from: Option<Timestamp>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct RepublishArgs {
    /// The version.
    version: u64,
    #[command(flatten)]
    publishing: Publishing,
}

/// A draft or proposal.
#[derive(Debug, Serialize)]
pub(super) struct DraftJson<'a> {
    id: &'a str,
    name: &'a str,
    author: &'a str,
    comment: &'a str,
    saved_at: Timestamp,
    /// Whether it waits for somebody to approve it.
    proposed: bool,
    based_on: Option<u64>,
    effective_from: Option<Timestamp>,
}

impl<'a> From<&'a Draft> for DraftJson<'a> {
    fn from(draft: &'a Draft) -> Self {
        Self {
            id: draft.id.as_str(),
            name: &draft.name,
            author: &draft.author,
            comment: &draft.comment,
            saved_at: draft.saved_at,
            proposed: draft.proposal.is_some(),
            based_on: draft.proposal.map(|proposal| proposal.based_on),
            effective_from: draft.proposal.and_then(|proposal| proposal.effective_from),
        }
    }
}

#[derive(Serialize)]
struct One<'a> {
    schema: u32,
    draft: DraftJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    warnings: Vec<ProblemJson<'a>>,
}

pub(super) async fn draft(command: DraftCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        DraftCommand::Save(args) => save(args, app, out).await?,
        DraftCommand::List { format } => list(format, app, out).await?,
        DraftCommand::Show { id, format } => {
            let draft = app.service.draft(&id).await?;
            match format {
                Format::Json => one(&draft, Some(&draft.source), out)?,
                // The bytes as saved, so that the output can be edited and saved again.
                Format::Table => out.write_all(draft.source.as_bytes())?,
            }
        }
        DraftCommand::Delete { id, format } => {
            let draft = app.service.delete_draft(&id).await?;
            match format {
                Format::Json => one(&draft, None, out)?,
                Format::Table => writeln!(out, "{id} is deleted.")?,
            }
        }
    }
    Ok(EXIT_OK)
}

fn one(draft: &Draft, source: Option<&str>, out: &mut dyn Write) -> Result<(), CliError> {
    Ok(json(out, &One { schema: SCHEMA, draft: draft.into(), source, warnings: Vec::new() })?)
}

async fn save(args: SaveArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let source = read(&args.file)?;
    let words = Words { author: args.author, comment: args.comment };
    let (draft, warnings) = match app.service.save_draft(&source, &args.name, words).await {
        Err(ServiceError::Policy(problems)) => {
            return Err(CliError::PolicyFile { path: args.file, problems });
        }
        saved => saved?,
    };
    match args.format {
        Format::Json => {
            let warnings = warnings.iter().map(ProblemJson::from).collect();
            json(out, &One { schema: SCHEMA, draft: (&draft).into(), source: None, warnings })?;
        }
        Format::Table => {
            print_problems(out, &args.file, &warnings)?;
            writeln!(out, "The draft is {}.", draft.id)?;
        }
    }
    Ok(())
}

async fn list(format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let drafts = app.service.drafts().await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                drafts: Vec<DraftJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, drafts: drafts.iter().map(DraftJson::from).collect() })?;
        }
        Format::Table if drafts.is_empty() => writeln!(out, "No drafts.")?,
        Format::Table => {
            let mut table = Table::new(&["id", "name", "saved", "state", "author", "comment"]);
            for draft in &drafts {
                let state = match draft.proposal {
                    None => "draft".to_owned(),
                    Some(proposal) => match proposal.effective_from {
                        None => "to be approved".to_owned(),
                        Some(from) => format!("to be approved, from {}", instant(from)),
                    },
                };
                table.row([
                    draft.id.to_string(),
                    draft.name.clone(),
                    instant(draft.saved_at),
                    state,
                    draft.author.clone(),
                    draft.comment.clone(),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}

pub(super) async fn republish(args: RepublishArgs, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let RepublishArgs { version, publishing } = args;
    let Publishing { author, comment, if_version, effective_from, format } = publishing;
    let words = Words { author, comment };
    let published = app.service.republish_policy(version, words, if_version, effective_from).await?;
    print_published(&published, &format!("version {version}"), format, out)
}

pub(super) async fn cancel(
    version: u64,
    by: &str,
    format: Format,
    app: &App,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let policy = app.service.cancel_policy(version, by).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Cancelled<'a> {
                schema: u32,
                policy: PolicyVersionJson<'a>,
            }
            json(out, &Cancelled { schema: SCHEMA, policy: (&policy).into() })?;
        }
        Format::Table => writeln!(out, "Version {version} is cancelled; it will not take force.")?,
    }
    Ok(EXIT_OK)
}

pub(super) async fn diff(
    before: &str,
    after: &str,
    format: Format,
    app: &App,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let changes = Service::compare(&named(before, app).await?, &named(after, app).await?)?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Diff<'a> {
                schema: u32,
                before: &'a str,
                after: &'a str,
                changes: &'a [Change],
            }
            json(out, &Diff { schema: SCHEMA, before, after, changes: &changes })?;
        }
        Format::Table if changes.is_empty() => writeln!(out, "The two mean the same.")?,
        Format::Table => {
            for line in changes
                .iter()
                .flat_map(|change| change.to_string().lines().map(printable).collect::<Vec<String>>())
            {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(EXIT_OK)
}

/// A policy by what people call it: a version, a draft, a file.
async fn named(name: &str, app: &App) -> Result<String, CliError> {
    if let Ok(version) = name.parse::<u64>() {
        return Ok(app.service.version(version).await?.source);
    }
    if let Ok(draft) = name.parse::<DraftId>() {
        return Ok(app.service.draft(&draft).await?.source);
    }
    read(Path::new(name))
}
