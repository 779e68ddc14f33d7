//! `token api create`, `token api list`, `token api revoke`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use offchannel_shared::ids::ApiTokenId;
use offchannel_shared::span::Span;
use serde::Serialize;

use super::CliError;
use super::output::{Format, Table, instant, json};
use super::token::NewFile;
use super::view::SCHEMA;
use crate::app::App;
use crate::domain::api_token::{ApiToken, Right};
use crate::service::ApiTokenRequest;

#[derive(Debug, Subcommand)]
pub(super) enum ApiTokenCommand {
    /// Make a token for a program. It is shown once.
    Create(CreateArgs),
    /// List tokens for programs, newest first.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revoke a token for a program: the next request with it is refused.
    Revoke {
        /// The token's id, as `token api list` shows it.
        id: ApiTokenId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// What the token is for. What it publishes is said to be by this.
    #[arg(long)]
    label: String,
    /// What it may do: policy:read or policy:publish, which includes reading. Can be repeated.
    #[arg(long = "may", value_name = "RIGHT", required = true)]
    may: Vec<Right>,
    /// How long it lasts.
    #[arg(long, default_value = "90d")]
    expires: Span,
    /// Write the token to a new file that only you can read, instead of showing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct ApiTokenJson<'a> {
    id: &'a str,
    label: &'a str,
    may: Vec<&'static str>,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

impl<'a> From<&'a ApiToken> for ApiTokenJson<'a> {
    fn from(token: &'a ApiToken) -> Self {
        Self {
            id: token.id.as_str(),
            label: &token.label,
            may: token.may.iter().map(|right| right.as_str()).collect(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        }
    }
}

#[derive(Serialize)]
struct One<'a> {
    schema: u32,
    token: ApiTokenJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

pub(super) async fn run(command: ApiTokenCommand, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    match command {
        ApiTokenCommand::Create(args) => create(args, app, out).await,
        ApiTokenCommand::List { format } => list(format, app, out).await,
        ApiTokenCommand::Revoke { id, format } => {
            let token = app.service.revoke_api_token(&id).await?;
            match format {
                Format::Json => json(out, &One { schema: SCHEMA, token: (&token).into(), text: None })?,
                Format::Table => {
                    let at = token.revoked_at.map_or_else(String::new, |at| format!(" at {}", instant(at)));
                    writeln!(out, "API token {id} was revoked{at}.")?;
                }
            }
            Ok(())
        }
    }
}

async fn create(args: CreateArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    // Before the token is made: one that nobody has seen must not stay behind.
    let file = args.out.as_deref().map(NewFile::create).transpose()?;
    let request = ApiTokenRequest { label: args.label, may: args.may, life: args.expires };
    let made = app.service.create_api_token(request).await?;
    if let Some(file) = file
        && let Err(error) = file.write(&format!("{}\n", made.text))
    {
        // The text is lost, so the token must be, too. If that fails as well, the first error counts.
        let _ = app.service.revoke_api_token(&made.token.id).await;
        return Err(error);
    }
    match args.format {
        Format::Json => {
            let text = args.out.is_none().then_some(made.text.as_str());
            json(out, &One { schema: SCHEMA, token: (&made.token).into(), text })?;
        }
        Format::Table => match &args.out {
            None => writeln!(out, "{}", made.text)?,
            Some(path) => {
                let (id, until) = (&made.token.id, instant(made.token.expires_at));
                writeln!(out, "API token {id} is in {}, good until {until}.", path.display())?;
            }
        },
    }
    Ok(())
}

async fn list(format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let tokens = app.service.api_tokens().await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                tokens: Vec<ApiTokenJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, tokens: tokens.iter().map(ApiTokenJson::from).collect() })?;
        }
        Format::Table if tokens.is_empty() => {
            writeln!(out, "No API tokens. Make one with `offchannel-server token api create`.")?;
        }
        Format::Table => {
            let now = app.service.now();
            let mut table = Table::new(&["id", "label", "may", "expires", "state"]);
            for token in &tokens {
                let state = match token.revoked_at {
                    Some(_) => "revoked",
                    None if token.expires_at <= now => "expired",
                    None => "good",
                };
                let may: Vec<&str> = token.may.iter().map(|right| right.as_str()).collect();
                table.row([
                    token.id.to_string(),
                    token.label.clone(),
                    may.join(", "),
                    instant(token.expires_at),
                    state.to_owned(),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}
