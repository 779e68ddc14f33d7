//! E-mail, handed to a mail server over SMTP.
//!
//! The server answers for each recipient alone. What a mail comes to is therefore:
//!
//! - taken for all: accepted; it passes mails on, and tells the sender's mailbox if that fails.
//! - taken for some and refused for good (5xx) for the others: accepted, with the server's words kept.
//! - not now (4xx) for some: tried again, for these only.
//! - refused for good for all: given up with the server's words.
//!
//! Whatever comes before the recipients - the connection, TLS, the password, the sender - is a matter of this
//! collector's settings or of the server's health, and is tried again.

mod address;
mod body;
mod login;
mod message;
mod progress;
mod smtp;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lettre::Address;
use lettre::message::Mailbox;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::{ChannelName, DeliveryId};

pub use address::{Recipient, RecipientError, address};
pub use login::{Login, Password, PasswordError};

use self::progress::Progress;
use self::smtp::{Relay, Security};
use super::net::{self, AllowPrivate, Host, TlsSetupError};
use super::{Channel, Tried};
use crate::domain::delivery::{Attempt, Delivery, Notification};
use crate::domain::digest::Digest;

/// How the connection is secured. There is no "if the server offers it": whoever is between could take the offer out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secured {
    /// With STARTTLS, or not at all.
    StartTls,
    /// With TLS from the first byte.
    Implicit,
    /// Not; for private addresses only.
    Never,
}

impl Secured {
    /// All ways.
    pub const ALL: [Self; 3] = [Self::StartTls, Self::Implicit, Self::Never];

    /// The word for it in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
            Self::Never => "none",
        }
    }

    /// The usual port.
    pub const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::Never => 25,
        }
    }
}

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The mail server.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub secured: Secured,
    /// User name and password, if it asks for them.
    pub login: Option<Login>,
    /// Whose mails they are.
    pub from: Mailbox,
    /// Whom they go to.
    pub to: Vec<Recipient>,
    /// What this collector calls itself.
    pub hostname: Host,
    /// The CAs of the mail server in PEM, instead of the system's.
    pub ca_pem: Option<String>,
    /// Longest time for one attempt, all in all.
    pub timeout: Duration,
    /// Which addresses may be reached beside public ones.
    pub allow_private: AllowPrivate,
}

/// A channel by e-mail.
#[derive(Debug)]
pub struct Email {
    name: ChannelName,
    from: Mailbox,
    to: Vec<Recipient>,
    relay: Relay,
    progress: Progress,
}

impl Email {
    /// Makes the channel.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the mail server cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        let tls = || net::tls(config.ca_pem.as_deref(), &[]);
        let security = match config.secured {
            Secured::StartTls => Security::StartTls(tls()?),
            Secured::Implicit => Security::Implicit(tls()?),
            Secured::Never => Security::Never,
        };
        let relay = Relay {
            host: config.host,
            port: config.port,
            security,
            login: config.login,
            hostname: config.hostname,
            timeout: config.timeout,
            allow_private: config.allow_private,
        };
        Ok(Self { name, from: config.from, to: config.to, relay, progress: Progress::default() })
    }
}

#[async_trait]
impl Channel for Email {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    async fn send(&self, delivery: &Delivery, now: Timestamp) -> Attempt {
        self.try_out(delivery, now).await.attempt
    }

    async fn try_out(&self, delivery: &Delivery, _: Timestamp) -> Tried {
        let write = |all: &[Address]| message::write(delivery, &self.from, all, self.relay.hostname.as_str());
        self.mail(&delivery.id, &delivery.notification, write).await
    }

    async fn send_digest(&self, digest: &Digest<'_>, _: Timestamp) -> Attempt {
        // All parts go to the same people: what goes to the owner of a unit is gathered for each owner.
        let Some(first) = digest.parts.first() else { return Attempt::Delivered };
        let write =
            |all: &[Address]| message::write_digest(digest, &self.from, all, self.relay.hostname.as_str());
        self.mail(digest.id, &first.notification, write).await.attempt
    }
}

impl Email {
    /// Sends the mail with this id to those whom a notification goes to.
    async fn mail(
        &self,
        id: &DeliveryId,
        notification: &Notification,
        write: impl FnOnce(&[Address]) -> Result<Vec<u8>, lettre::error::Error>,
    ) -> Tried {
        let give_up = |error| Tried { attempt: Attempt::GiveUp { error }, said: None };
        let all = match address::resolve(&self.to, notification) {
            Ok(all) => all,
            Err(error) => return give_up(error),
        };
        let mail = match write(&all) {
            Ok(mail) => mail,
            Err(error) => return give_up(format!("the mail cannot be written: {}", error_chain(&error))),
        };
        let left = self.progress.left(id, &all);
        match self.relay.deliver(&self.from.email, &left, &mail).await {
            Ok(outcome) => {
                let said = outcome.said.clone();
                Tried { attempt: self.progress.after(id, outcome), said }
            }
            Err(error) => Tried {
                attempt: Attempt::Retry { error: error_chain(&error).to_string(), after: None },
                said: None,
            },
        }
    }
}
