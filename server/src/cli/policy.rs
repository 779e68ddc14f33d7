//! `policy check`, `policy publish`, `policy show`, `policy list`; the other commands about policies hang here, too.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use offchannel_shared::ids::DraftId;
use offchannel_shared::policy::{Problem, Problems};
use serde::Serialize;

use super::output::{Format, Table, counted, instant, json};
use super::policy_life::{self, DraftCommand, Publishing, RepublishArgs};
use super::policy_whatif::{self, WhatIfArgs};
use super::view::{PolicyVersionJson, SCHEMA};
use super::{CliError, EXIT_FAILED, EXIT_OK};
use crate::app::App;
use crate::clock::{Clock as _, SystemClock};
use crate::service::{PublishRequest, Published, Service, ServiceError, Words, is_utf_16};
use crate::store::StoreError;

/// Longest policy file that is read, in bytes; the parser's own limit is lower.
const FILE_MAX: u64 = 4 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check a policy file. Exit code 1 if it has errors.
    Check(CheckArgs),
    /// Say what a policy would change if it were published now: which devices would be in breach, and why.
    WhatIf(WhatIfArgs),
    /// Publish a policy as the next version. It is in force at once, or from a later time on. Where two have to agree
    /// (`policy.four_eyes`), it is proposed.
    Publish(PublishArgs),
    /// Approve a proposal of somebody else: it is published.
    Approve {
        /// The proposal's id, as `policy draft list` shows it.
        id: DraftId,
        /// Who approves it.
        #[arg(long)]
        author: String,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Publish an older version again, as a new one.
    Republish(RepublishArgs),
    /// Cancel a version that has not taken force yet.
    Cancel {
        /// The version.
        version: u64,
        /// Who cancels it.
        #[arg(long)]
        author: String,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Say what distinguishes two policies, by what they mean. Each is a version, the id of a draft, or a file.
    Diff {
        /// The first.
        before: String,
        /// The second.
        after: String,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Policies that are not published yet.
    #[command(subcommand)]
    Draft(DraftCommand),
    /// Print the policy file in force, or another version.
    Show {
        /// The version; the one in force if not given.
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
    #[arg(long, value_name = "FILE", required_unless_present = "draft", conflicts_with = "draft")]
    file: Option<PathBuf>,
    /// A draft instead; it is a draft no more then.
    #[arg(long, value_name = "ID")]
    draft: Option<DraftId>,
    #[command(flatten)]
    publishing: Publishing,
}

#[derive(Debug, Serialize)]
pub(super) struct ProblemJson<'a> {
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
    let (good, problems) = match Service::check_policy(&source, SystemClock.now()) {
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
                writeln!(out, "{path}: the policy has {}.", Problems(problems).count())?;
            }
        }
    }
    Ok(if good { EXIT_OK } else { EXIT_FAILED })
}

pub(super) async fn run(command: PolicyCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        PolicyCommand::Check(args) => check(&args, out),
        PolicyCommand::WhatIf(args) => policy_whatif::run(&args, app, out).await,
        PolicyCommand::Publish(args) => publish(args, app, out).await,
        PolicyCommand::Approve { id, author, format } => {
            let published = app.service.approve_policy(&id, &author).await?;
            print_published(&published, id.as_str(), format, out)
        }
        PolicyCommand::Republish(args) => policy_life::republish(args, app, out).await,
        PolicyCommand::Cancel { version, author, format } => {
            policy_life::cancel(version, &author, format, app, out).await
        }
        PolicyCommand::Diff { before, after, format } => {
            policy_life::diff(&before, &after, format, app, out).await
        }
        PolicyCommand::Draft(command) => policy_life::draft(command, app, out).await,
        PolicyCommand::Show { version, format } => show(version, format, app, out).await,
        PolicyCommand::List { format } => list(format, app, out).await,
    }
}

async fn publish(args: PublishArgs, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let (source, what) = source(args.file.as_deref(), args.draft.as_ref(), app).await?;
    let request = PublishRequest {
        source,
        words: Words { author: args.publishing.author, comment: args.publishing.comment },
        expected: args.publishing.if_version,
        effective_from: args.publishing.effective_from,
        draft: args.draft,
    };
    match (app.service.publish(request).await, args.file) {
        (Err(ServiceError::Policy(problems)), Some(path)) => Err(CliError::PolicyFile { path, problems }),
        (published, _) => print_published(&published?, &what, args.publishing.format, out),
    }
}

/// A policy out of a file or a draft, and what to call it.
pub(super) async fn source(
    file: Option<&Path>,
    draft: Option<&DraftId>,
    app: &App,
) -> Result<(String, String), CliError> {
    match (file, draft) {
        (Some(path), _) => Ok((read(path)?, path.display().to_string())),
        (None, Some(draft)) => Ok((app.service.draft(draft).await?.source, draft.to_string())),
        // The command line does not let it come so far.
        (None, None) => Err(ServiceError::Invalid("name a file or a draft".to_owned()).into()),
    }
}

/// What came of a publication.
pub(super) fn print_published(
    published: &Published,
    what: &str,
    format: Format,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let (Published::Version { warnings, .. } | Published::Proposed { warnings, .. }) = published;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct PublishedJson<'a> {
                schema: u32,
                policy: Option<PolicyVersionJson<'a>>,
                proposal: Option<policy_life::DraftJson<'a>>,
                overtaken: &'a [u64],
                warnings: Vec<ProblemJson<'a>>,
            }
            let (policy, proposal, overtaken) = match published {
                Published::Version { policy, overtaken, .. } => (Some(policy.into()), None, &overtaken[..]),
                Published::Proposed { draft, .. } => (None, Some(draft.into()), &[][..]),
            };
            let warnings = warnings.iter().map(ProblemJson::from).collect();
            json(out, &PublishedJson { schema: SCHEMA, policy, proposal, overtaken, warnings })?;
        }
        Format::Table => {
            print_problems(out, Path::new(what), warnings)?;
            match published {
                Published::Proposed { draft, .. } => writeln!(
                    out,
                    "It is proposed as {id}. Somebody else publishes it with `offchannel-server policy approve {id} --author NAME`.",
                    id = draft.id
                )?,
                Published::Version { policy, overtaken, .. } => {
                    let version = policy.version;
                    match policy.effective_from {
                        None => writeln!(
                            out,
                            "Version {version} is in force; agents take it at their next check-in."
                        )?,
                        Some(from) => writeln!(
                            out,
                            "Version {version} takes force at {}, unless a newer one does before.",
                            instant(from)
                        )?,
                    }
                    for old in overtaken {
                        writeln!(
                            out,
                            "Version {old}, which was scheduled, will not take force: version {version} is newer."
                        )?;
                    }
                }
            }
        }
    }
    Ok(EXIT_OK)
}

async fn show(version: Option<u64>, format: Format, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    let missing =
        || ServiceError::Store(StoreError::NotFound { what: "policy version", id: "in force".to_owned() });
    let policy = match version {
        Some(version) => app.service.version(version).await?,
        None => app.service.policy_in_force().await?.ok_or_else(missing)?,
    };
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
    let in_force = app.service.policy_in_force().await?.map_or(0, |policy| policy.version);
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                in_force: u64,
                policies: Vec<PolicyVersionJson<'a>>,
            }
            let policies = policies.iter().map(PolicyVersionJson::from).collect();
            json(out, &List { schema: SCHEMA, in_force, policies })?;
        }
        Format::Table if policies.is_empty() => {
            writeln!(
                out,
                "Nothing published yet. Publish with `offchannel-server policy publish --file FILE`."
            )?;
        }
        Format::Table => {
            let mut table =
                Table::new(&["version", "published", "state", "from", "author", "approved by", "comment"]);
            for policy in &policies {
                let since = policy.in_force_since.or(policy.effective_from).map_or("-".to_owned(), instant);
                table.row([
                    policy.version.to_string(),
                    instant(policy.published_at),
                    policy.state(in_force).as_str().to_owned(),
                    since,
                    policy.author.clone(),
                    policy.approved_by.clone().unwrap_or_else(|| "-".to_owned()),
                    policy.comment.clone(),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(EXIT_OK)
}

pub(super) fn print_problems(out: &mut dyn Write, path: &Path, problems: &[Problem]) -> std::io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(out, "{}:{problem}", path.display()))
}

pub(super) fn read(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(FILE_MAX).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(FILE_MAX).read_to_end(&mut bytes).map_err(failed)?;
    }
    // One that is too long is cut, maybe within a character; that it is too long is told by whoever parses it.
    if bytes.len() as u64 >= FILE_MAX {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let encoding = |found| CliError::Encoding { path: path.to_owned(), found };
    if is_utf_16(&bytes) {
        return Err(encoding("UTF-16"));
    }
    String::from_utf8(bytes).map_err(|_| encoding("another encoding"))
}
