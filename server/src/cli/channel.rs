//! `channel list`, `channel test`: what the configuration says, tried out. Neither needs the database.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use offchannel_shared::ids::ChannelName;
use serde::Serialize;

use super::output::{Format, Table, json, printable};
use super::view::SCHEMA;
use super::{CliError, EXIT_FAILED, EXIT_OK};
use crate::app::{AppError, load_config};
use crate::channels::{self, ChannelConfig, ChannelKind};
use crate::clock::{Clock as _, Stopwatch, SystemClock};
use crate::config::Config;
use crate::domain::delivery::Attempt;
use crate::domain::trial;
use crate::random;
use crate::service::ServiceError;

#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// List the channels of the configuration, and where their secrets come from.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Send a message that is marked as a test through a channel, also one that is not enabled, and show the answer.
    Test {
        /// The channel's name.
        name: ChannelName,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// A channel, without its secrets.
#[derive(Serialize)]
pub(super) struct ChannelJson<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'static str,
    pub(super) enabled: bool,
    /// Where its secrets come from, by their key.
    pub(super) secrets: BTreeMap<&'static str, String>,
    /// What this process was not given.
    pub(super) missing: Option<&'a str>,
}

impl<'a> ChannelJson<'a> {
    /// The shape of a channel.
    pub(super) fn of(config: &'a Config, channel: &'a ChannelConfig) -> Self {
        let own = config.secrets.iter().filter(|secret| secret.channel == channel.name);
        Self {
            name: channel.name.as_str(),
            kind: channel.kind.as_str(),
            enabled: channel.enabled,
            secrets: own.map(|secret| (secret.key, secret.from.to_string())).collect(),
            missing: match &channel.kind {
                ChannelKind::WithoutSecret(missing) => Some(missing),
                _ => None,
            },
        }
    }
}

pub(super) async fn run(
    command: ChannelCommand,
    config: Option<&Path>,
    out: &mut (dyn Write + Send),
) -> Result<u8, CliError> {
    let config = load_config(config).map_err(AppError::Config)?.config;
    match command {
        ChannelCommand::List { format } => list(&config, format, out),
        ChannelCommand::Test { name, format } => test(&config, &name, format, out).await,
    }
}

fn list(config: &Config, format: Format, out: &mut dyn Write) -> Result<u8, CliError> {
    let channels: Vec<ChannelJson<'_>> =
        config.channels.iter().map(|channel| ChannelJson::of(config, channel)).collect();
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                channels: Vec<ChannelJson<'a>>,
            }
            json(out, &List { schema: SCHEMA, channels })?;
        }
        Format::Table if channels.is_empty() => {
            writeln!(out, "No channels: alerts are told to nobody. See docs/channels.md.")?;
        }
        Format::Table => {
            let mut table = Table::new(&["name", "kind", "enabled", "secrets"]);
            for channel in channels {
                let secrets = channel.secrets.iter().map(|(key, from)| format!("{key} from {from}"));
                let secrets: Vec<String> = secrets.collect();
                table.row([
                    channel.name.to_owned(),
                    channel.kind.to_owned(),
                    if channel.enabled { "yes" } else { "no" }.to_owned(),
                    if secrets.is_empty() { "-".to_owned() } else { secrets.join(", ") },
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(EXIT_OK)
}

/// What came of a test.
#[derive(Serialize)]
struct Tested<'a> {
    schema: u32,
    channel: &'a str,
    delivery: String,
    /// `delivered`, `accepted`, `retry` or `refused`.
    outcome: &'static str,
    milliseconds: u64,
    answer: Option<String>,
    error: Option<String>,
}

async fn test(
    config: &Config,
    name: &ChannelName,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<u8, CliError> {
    let Some(found) = config.channels.iter().find(|channel| channel.name == *name) else {
        let known: Vec<&str> = config.channels.iter().map(|channel| channel.name.as_str()).collect();
        let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
        let message = format!("there is no channel {name} in the configuration: {known}");
        return Err(ServiceError::Invalid(message).into());
    };
    let channel = channels::build(found).map_err(AppError::Channel)?;
    let id = random::id().map_err(ServiceError::Random)?;
    let alert = random::id().map_err(ServiceError::Random)?;
    let now = SystemClock.now();
    let delivery = trial::delivery(id, alert, name.clone(), now);
    let watch = Stopwatch::start();
    let tried = channel.try_out(&delivery, now).await;
    let took = watch.elapsed();
    let (outcome, error) = match tried.attempt {
        Attempt::Delivered => ("delivered", None),
        Attempt::Accepted => ("accepted", None),
        Attempt::InPart { error } => ("accepted", Some(error)),
        Attempt::Retry { error, .. } => ("retry", Some(error)),
        Attempt::GiveUp { error } => ("refused", Some(error)),
    };
    let tested = Tested {
        schema: SCHEMA,
        channel: name.as_str(),
        delivery: delivery.id.to_string(),
        outcome,
        milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        answer: tried.said,
        error,
    };
    match format {
        Format::Json => json(out, &tested)?,
        Format::Table => told(&tested, out)?,
    }
    Ok(if tested.error.is_none() { EXIT_OK } else { EXIT_FAILED })
}

fn told(tested: &Tested<'_>, out: &mut dyn Write) -> Result<(), CliError> {
    let what = match tested.outcome {
        "delivered" => "was taken",
        "accepted" => "was accepted; whether it arrived, the receiver does not tell",
        "retry" => "was not taken; an alert would be tried again",
        _ => "was refused; an alert would be given up",
    };
    writeln!(out, "The test message to {} {what}.", tested.channel)?;
    writeln!(out, "  id      {}", tested.delivery)?;
    writeln!(out, "  time    {} ms", tested.milliseconds)?;
    if let Some(answer) = &tested.answer {
        writeln!(out, "  answer  {}", printable(answer))?;
    }
    if let Some(error) = &tested.error {
        writeln!(out, "  error   {}", printable(error))?;
    }
    Ok(())
}
