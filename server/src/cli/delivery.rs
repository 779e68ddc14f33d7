//! `delivery list`, `delivery show`, `delivery retry`.

use std::io::Write;

use clap::Subcommand;
use jiff::Timestamp;
use offchannel_shared::ids::{ChannelName, DeliveryId};
use offchannel_shared::nearest::nearest;
use serde::Serialize;

use super::output::{Format, Table, instant, json, printable};
use super::view::SCHEMA;
use super::{CliError, EXIT_OK};
use crate::app::App;
use crate::channels::text;
use crate::domain::alert::AlertAction;
use crate::domain::delivery::{Delivery, DeliveryState, Notification};
use crate::service::ServiceError;
use crate::store::DeliveryFilter;

#[derive(Debug, Subcommand)]
pub(super) enum DeliveryCommand {
    /// List notifications that are pending or were given up, newest first.
    List {
        /// Delivered and accepted ones too.
        #[arg(long)]
        all: bool,
        /// Only those that were given up.
        #[arg(long, conflicts_with = "all")]
        dead: bool,
        /// Only those to this channel.
        #[arg(long)]
        channel: Option<ChannelName>,
        /// At most so many; 0 for all.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one with everything that is told in it.
    Show {
        /// The delivery's id, as `delivery list` shows it.
        id: DeliveryId,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Try one again that was given up, or all of them.
    Retry {
        /// The delivery's id, as `delivery list` shows it.
        #[arg(required_unless_present = "all")]
        id: Option<DeliveryId>,
        /// All that were given up.
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// Only those to this channel.
        #[arg(long, requires = "all")]
        channel: Option<ChannelName>,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// A delivery.
#[derive(Debug, Serialize)]
struct DeliveryJson<'a> {
    id: &'a str,
    channel: &'a str,
    alert: &'a str,
    action: AlertAction,
    state: DeliveryState,
    attempts: u32,
    created_at: Timestamp,
    due_at: Option<Timestamp>,
    last_error: Option<&'a str>,
    /// With what it is told together.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    /// The id of the message in which it is told together with others.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> From<&'a Delivery> for DeliveryJson<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self {
            id: delivery.id.as_str(),
            channel: delivery.channel.as_str(),
            alert: delivery.alert.as_str(),
            action: delivery.notification.action,
            state: delivery.state,
            attempts: delivery.attempts,
            created_at: delivery.created_at,
            due_at: (delivery.state == DeliveryState::Pending).then_some(delivery.due_at),
            last_error: delivery.last_error.as_deref(),
            digest: delivery.digest.as_ref().map(|digest| digest.group.as_str()),
            message: delivery
                .digest
                .as_ref()
                .and_then(|digest| digest.message.as_ref())
                .map(|id| id.as_str()),
        }
    }
}

/// Nobody delivers to a channel that is not in the configuration.
fn must_be_configured(name: &ChannelName, app: &App) -> Result<(), CliError> {
    let known: Vec<&str> = app.config.channels.iter().map(|channel| channel.name.as_str()).collect();
    if known.contains(&name.as_str()) {
        return Ok(());
    }
    let hint = nearest(name.as_str(), known.iter().copied());
    let hint = hint.map_or(String::new(), |near| format!("; did you mean {near}?"));
    Err(ServiceError::Invalid(format!("the configuration has no channel {name}{hint}")).into())
}

pub(super) async fn run(command: DeliveryCommand, app: &App, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        DeliveryCommand::List { all, dead, channel, limit, format } => {
            let states = match (all, dead) {
                (true, _) => Vec::new(),
                (_, true) => vec![DeliveryState::Dead],
                _ => vec![DeliveryState::Pending, DeliveryState::Dead],
            };
            list(DeliveryFilter { states, channel, limit }, format, app, out).await?;
        }
        DeliveryCommand::Show { id, format } => show(&app.service.delivery(&id).await?, format, out)?,
        DeliveryCommand::Retry { id: None, channel, format, .. } => {
            if let Some(name) = &channel {
                must_be_configured(name, app)?;
            }
            let retried = app.service.retry_deliveries(channel).await?;
            match format {
                Format::Json => {
                    #[derive(Serialize)]
                    struct Retried {
                        schema: u32,
                        retried: u64,
                    }
                    json(out, &Retried { schema: SCHEMA, retried })?;
                }
                Format::Table if retried == 0 => writeln!(out, "No delivery was given up.")?,
                Format::Table => writeln!(
                    out,
                    "Pending again: {retried}, one after the other for each alert; the running collector tries them."
                )?,
            }
        }
        DeliveryCommand::Retry { id: Some(id), format, .. } => {
            let delivery = app.service.retry_delivery(&id).await?;
            match format {
                Format::Json => {
                    #[derive(Serialize)]
                    struct Retried<'a> {
                        schema: u32,
                        delivery: DeliveryJson<'a>,
                    }
                    json(out, &Retried { schema: SCHEMA, delivery: (&delivery).into() })?;
                }
                Format::Table => writeln!(
                    out,
                    "Delivery {id} to {} is pending again; the running collector tries it.",
                    delivery.channel
                )?,
            }
        }
    }
    Ok(EXIT_OK)
}

async fn list(
    filter: DeliveryFilter,
    format: Format,
    app: &App,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let deliveries = app.service.deliveries(filter).await?;
    match format {
        Format::Json => {
            #[derive(Serialize)]
            struct List<'a> {
                schema: u32,
                deliveries: Vec<DeliveryJson<'a>>,
            }
            let deliveries = deliveries.iter().map(DeliveryJson::from).collect();
            json(out, &List { schema: SCHEMA, deliveries })?;
        }
        Format::Table if deliveries.is_empty() => writeln!(out, "No deliveries.")?,
        Format::Table => {
            let mut table = Table::new(&["id", "channel", "what", "state", "tries", "next", "last error"]);
            for delivery in &deliveries {
                let pending = delivery.state == DeliveryState::Pending;
                table.row([
                    delivery.id.to_string(),
                    delivery.channel.to_string(),
                    format!("{} {}", delivery.notification.alert.kind, delivery.notification.action),
                    delivery.state.to_string(),
                    delivery.attempts.to_string(),
                    match (pending, &delivery.digest) {
                        (true, Some(_)) => format!("{}, in a digest", instant(delivery.due_at)),
                        (true, None) => instant(delivery.due_at),
                        (false, _) => "-".to_owned(),
                    },
                    delivery.last_error.clone().unwrap_or_else(|| "-".to_owned()),
                ]);
            }
            table.print(out, 0)?;
        }
    }
    Ok(())
}

/// Most characters of one text of a notification that are shown.
const TEXT_MAX: usize = 400;

fn show(delivery: &Delivery, format: Format, out: &mut dyn Write) -> Result<(), CliError> {
    if format == Format::Json {
        #[derive(Serialize)]
        struct Shown<'a> {
            schema: u32,
            delivery: DeliveryJson<'a>,
            notification: &'a Notification,
        }
        let shown = Shown { schema: SCHEMA, delivery: delivery.into(), notification: &delivery.notification };
        return Ok(json(out, &shown)?);
    }
    let message = text::message(&delivery.notification, TEXT_MAX);
    writeln!(out, "Delivery  {}", delivery.id)?;
    writeln!(out, "Channel   {}", delivery.channel)?;
    writeln!(out, "State     {}, {} tries", delivery.state, delivery.attempts)?;
    writeln!(out, "Queued    {}", instant(delivery.created_at))?;
    match (&delivery.digest, delivery.state == DeliveryState::Pending) {
        (Some(digest), pending) => {
            writeln!(out, "Digest    {}", printable(&digest.group))?;
            if let Some(message) = &digest.message {
                writeln!(out, "Message   {message}")?;
            }
            if pending {
                writeln!(out, "Next      {}", instant(delivery.due_at))?;
            }
        }
        (None, true) => {
            writeln!(
                out,
                "Next      {}, and not before earlier ones of its alert",
                instant(delivery.due_at)
            )?;
        }
        (None, false) => {}
    }
    if let Some(error) = &delivery.last_error {
        writeln!(out, "Error     {}", printable(error))?;
    }
    writeln!(out, "\n{}", message.title)?;
    for (label, value) in &message.facts {
        writeln!(out, "  {label:<13} {value}")?;
    }
    Ok(())
}
