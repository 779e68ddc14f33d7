//! Where alerts are delivered. A channel translates a notification and sends it, nothing else: that it is
//! retried, leased and counted is the business of `jobs` and `domain::delivery`.
//!
//! A new kind of channel is a module here with its settings, a variant of [`ChannelKind`], an arm in
//! [`build`], and its keys in `config/channels`; the compiler finds the places.

pub mod email;
pub mod http;
pub mod net;
pub mod ocsf;
pub mod pagerduty;
pub mod slack;
pub mod splunk;
pub mod syslog;
pub mod teams;
pub mod text;
pub mod token;
pub mod webhook;

#[cfg(test)]
mod samples;

use std::fmt::Debug;
use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;

use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::digest::Digest;

/// A place that hears of alerts.
#[async_trait]
pub trait Channel: Debug + Send + Sync {
    /// The name under which deliveries are queued for it.
    fn name(&self) -> &ChannelName;

    /// Tries once to deliver. Never takes longer than a minute, so that a lease outlives it.
    async fn send(&self, delivery: &Delivery, now: Timestamp) -> Attempt;

    /// As [`Channel::send`] for several changes in one message, if the channel has a form for that.
    async fn send_digest(&self, _: &Digest<'_>, _: Timestamp) -> Attempt {
        Attempt::GiveUp { error: "this kind of channel has no digests".to_owned() }
    }

    /// As [`Channel::send`], with what the receiver said to it, for whoever sets the channel up.
    async fn try_out(&self, delivery: &Delivery, now: Timestamp) -> Tried {
        Tried { attempt: self.send(delivery, now).await, said: None }
    }

    /// How many notifications a second the receiver takes, if it does not take any number.
    fn per_second(&self) -> Option<NonZeroU32> {
        None
    }
}

/// How an attempt went, and what the receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// How it went.
    pub attempt: Attempt,
    /// What the receiver said, in one printable line without secrets; none if it said nothing.
    pub said: Option<String>,
}

/// The settings of one channel.
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    /// Its name.
    pub name: ChannelName,
    /// Whether alerts are queued for it and sent.
    pub enabled: bool,
    /// What it is, with the settings of that kind.
    pub kind: ChannelKind,
}

/// The kinds of channels.
#[derive(Debug, Clone)]
pub enum ChannelKind {
    /// Standard Webhooks.
    Webhook(webhook::Config),
    /// Microsoft Teams.
    Teams(teams::Config),
    /// Slack.
    Slack(slack::Config),
    /// Splunk.
    Splunk(splunk::Config),
    /// PagerDuty.
    PagerDuty(pagerduty::Config),
    /// Findings of OCSF.
    Ocsf(ocsf::Config),
    /// E-mail.
    Email(email::Config),
    /// A syslog receiver.
    Syslog(syslog::Config),
    /// One whose secret this process was not given; says which and why. An admin command can do without.
    WithoutSecret(String),
}

/// A channel that cannot be made from its settings.
#[derive(Debug, thiserror::Error)]
#[error("the channel {name} cannot be used")]
pub struct ChannelError {
    name: ChannelName,
    #[source]
    source: BuildError,
}

impl ChannelKind {
    /// The word for it in the configuration.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Teams(_) => "teams",
            Self::Slack(_) => "slack",
            Self::Splunk(_) => "splunk",
            Self::PagerDuty(_) => "pagerduty",
            Self::Ocsf(_) => "ocsf",
            Self::Email(_) => "email",
            Self::Syslog(_) => "syslog",
            Self::WithoutSecret(_) => "without its secret",
        }
    }

    /// Whether it is people who read it as it comes.
    pub const fn is_read_by_people(&self) -> bool {
        match self {
            Self::Teams(_) | Self::Slack(_) | Self::Email(_) => true,
            Self::Webhook(_)
            | Self::Splunk(_)
            | Self::PagerDuty(_)
            | Self::Ocsf(_)
            | Self::Syslog(_)
            | Self::WithoutSecret(_) => false,
        }
    }

    /// Whether it has a form for several changes in one message: people read that, programs take what happens as it
    /// happens.
    pub const fn has_digests(&self) -> bool {
        match self {
            Self::Webhook(_) | Self::Teams(_) | Self::Slack(_) | Self::Email(_) | Self::WithoutSecret(_) => {
                true
            }
            Self::Splunk(_) | Self::PagerDuty(_) | Self::Ocsf(_) | Self::Syslog(_) => false,
        }
    }
}

/// What is not enough to make a channel.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] net::TlsSetupError),
    /// A secret.
    #[error("{0}")]
    Secret(String),
}

/// Makes a channel, whether it is enabled or not.
///
/// # Errors
/// [`ChannelError`] if its settings are not enough.
pub fn build(config: &ChannelConfig) -> Result<Arc<dyn Channel>, ChannelError> {
    let name = || config.name.clone();
    match &config.kind {
        ChannelKind::Webhook(config) => made(webhook::Webhook::new(name(), config.clone())),
        ChannelKind::Teams(config) => made(teams::Teams::new(name(), config.clone())),
        ChannelKind::Slack(config) => made(slack::Slack::new(name(), config.clone())),
        ChannelKind::Splunk(config) => made(splunk::Splunk::new(name(), config.clone())),
        ChannelKind::PagerDuty(config) => made(pagerduty::PagerDuty::new(name(), config.clone())),
        ChannelKind::Ocsf(ocsf::Config::File(path)) => {
            made(Ok::<_, net::TlsSetupError>(ocsf::Appended::new(name(), path.clone())))
        }
        ChannelKind::Ocsf(ocsf::Config::Post { http, proof }) => {
            made(ocsf::Posted::new(name(), (**http).clone(), proof.clone()))
        }
        ChannelKind::Email(config) => made(email::Email::new(name(), config.clone())),
        ChannelKind::Syslog(config) => made(syslog::Syslog::new(name(), config.clone())),
        ChannelKind::WithoutSecret(missing) => Err(BuildError::Secret(missing.clone())),
    }
    .map_err(|source| ChannelError { name: name(), source })
}

fn made<C: Channel + 'static, E: Into<BuildError>>(
    channel: Result<C, E>,
) -> Result<Arc<dyn Channel>, BuildError> {
    match channel {
        Ok(channel) => Ok(Arc::new(channel)),
        Err(error) => Err(error.into()),
    }
}
