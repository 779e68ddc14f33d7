//! `token create`, `token list`, `token revoke`; `token api` hangs here, too.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{TokenId, UnitId};
use offchannel_shared::label::Label;
use offchannel_shared::span::Span;
use serde::Serialize;

use super::api_token::{self, ApiTokenCommand};
use super::output::{Format, Table, instant, json};
use super::view::{SCHEMA, TokenJson};
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::service::TokenRequest;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token that enrols devices. It is shown once.
    Create(CreateArgs),
    /// Tokens for programs of the organisation, such as one that publishes policies from a repository.
    #[command(subcommand)]
    Api(ApiTokenCommand),
    /// List tokens, newest first.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revoke a token: no further device enrols with it; those that have stay enrolled.
    Revoke {
        /// The token's id, as `token list` shows it.
        id: TokenId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// What the token is for, in your words.
    #[arg(long, default_value = "")]
    label: String,
    /// How many devices may be enrolled with it.
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// How long it lasts.
    #[arg(long, default_value = "24h")]
    expires: Span,
    /// Who owns the devices: corporate or personal.
    #[arg(long, default_value = "corporate")]
    ownership: Ownership,
    /// The unit that the devices belong to.
    #[arg(long)]
    unit: Option<UnitId>,
    /// A label that the devices carry: KEY or KEY=VALUE; repeat it for more.
    #[arg(long = "device-label", value_name = "LABEL")]
    device_labels: Vec<Label>,
    /// Write the token to a new file that only you can read, instead of showing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn run(command: TokenCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        TokenCommand::Create(args) => create(args, app, out).await?,
        TokenCommand::Api(command) => api_token::run(command, app, out).await?,
        TokenCommand::List { format } => list(format, app, out).await?,
        TokenCommand::Revoke { id, format } => revoke(&id, format, app, out).await?,
    }
    Ok(EXIT_OK)
}

async fn revoke(id: &TokenId, format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let token = app.service.revoke_token(id).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct Revoked<'a> {
                schema: u32,
                token: TokenJson<'a>,
            }
            json(out, &Revoked { schema: SCHEMA, token: (&token).into() })?;
        }
        Format::Table => {
            let at = token.revoked_at.map_or_else(String::new, |at| format!(" at {}", instant(at)));
            writeln!(out, "Token {id} was revoked{at}. Devices that enrolled with it stay enrolled.")?;
        }
    }
    Ok(())
}

/// A file that was made for a token, and is removed again unless the token is in it.
pub(super) struct NewFile {
    file: File,
    path: PathBuf,
    written: bool,
}

impl NewFile {
    /// Makes the file, which only its owner can read. One that exists is left alone.
    pub(super) fn create(path: &Path) -> Result<Self, CliError> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| CliError::Write { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned(), written: false })
    }

    pub(super) fn write(mut self, text: &str) -> Result<(), CliError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        self.written = written.is_ok();
        written.map_err(|source| CliError::Write { path: self.path.clone(), source })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.written {
            // Empty or cut off, so of no use; the error that counts is told already.
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn create(args: CreateArgs, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    // Before the token is made: one that nobody has seen must not stay behind.
    let file = args.out.as_deref().map(NewFile::create).transpose()?;
    let request = TokenRequest {
        label: args.label,
        ownership: args.ownership,
        unit: args.unit,
        labels: args.device_labels.into_iter().collect(),
        max_uses: args.uses,
        life: args.expires,
    };
    let made = app.service.create_token(request).await?;
    if let Some(file) = file
        && let Err(error) = file.write(&format!("{}\n", made.text))
    {
        // The text is lost, so the token must be, too. If that fails as well, the first error counts:
        // nobody has the text, and `token list` shows the token.
        let _ = app.service.revoke_token(&made.token.id).await;
        return Err(error);
    }
    match args.format {
        Format::Json => {
            #[derive(Serialize)]
            struct Created<'a> {
                schema: u32,
                token: TokenJson<'a>,
                #[serde(skip_serializing_if = "Option::is_none")]
                text: Option<&'a str>,
            }
            let text = args.out.is_none().then_some(made.text.as_str());
            json(out, &Created { schema: SCHEMA, token: (&made.token).into(), text })?;
        }
        Format::Table => {
            let uses = made.token.max_uses;
            let until = instant(made.token.expires_at);
            match &args.out {
                None => writeln!(out, "{}", made.text)?,
                Some(path) => {
                    writeln!(
                        out,
                        "Token {} is in {}, good for {uses} uses until {until}.",
                        made.token.id,
                        path.display()
                    )?;
                }
            }
        }
    }
    Ok(())
}

async fn list(format: Format, app: &App, out: &mut dyn Write) -> Result<(), CliError> {
    let tokens = app.service.tokens().await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                tokens: Vec<TokenJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, tokens: tokens.iter().map(TokenJson::from).collect() })?;
        }
        Format::Table if tokens.is_empty() => {
            writeln!(out, "No tokens. Make one with `offchannel-server token create`.")?;
        }
        Format::Table => {
            let now = app.service.now();
            let mut table = Table::new(&["id", "label", "uses", "expires", "state", "unit"]);
            for token in &tokens {
                let state = match token.revoked_at {
                    Some(_) => "revoked",
                    None if token.expires_at <= now => "expired",
                    None if token.uses >= token.max_uses => "spent",
                    None => "good",
                };
                let unit = token.unit.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
                table.row([
                    token.id.to_string(),
                    token.label.clone(),
                    format!("{} of {}", token.uses, token.max_uses),
                    instant(token.expires_at),
                    state.to_owned(),
                    unit,
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}
