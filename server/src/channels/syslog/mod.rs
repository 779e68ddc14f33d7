//! Syslog (RFC 5424) over TCP and TLS, each message with its length before it (RFC 6587 and RFC 5425).
//!
//! Syslog has no answers: that a message was written says nothing about what became of it. It is called accepted once
//! the receiver has closed its side after us without a reset, or has kept silent for `CLOSE_TIME`.

mod cef;
mod json;
mod message;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::ChannelName;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub use message::{Body, ENTERPRISE_DEFAULT, Facility, OCTETS_DEFAULT, OCTETS_RANGE, Shape};

use super::Channel;
use super::net::{self, AllowPrivate, DialError, Host, TlsSetupError};
use crate::domain::delivery::{Attempt, Delivery};

/// The usual port over TLS (RFC 5425).
pub const PORT_TLS: u16 = 6514;
/// The usual port over TCP alone; RFC 6587 assigns none, and this is the one of old.
pub const PORT_TCP: u16 = 514;
/// How long it is waited for the receiver to close its side.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// Most bytes that are read of a receiver that talks.
const HEARD_MAX: usize = 16 * 1024;

/// The settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The receiver.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken; without it only private addresses are reached.
    pub tls: bool,
    /// How messages are made.
    pub shape: Shape,
    /// The CAs of the receiver in PEM, instead of the system's.
    pub ca_pem: Option<String>,
    /// Longest time for one attempt, all in all.
    pub timeout: Duration,
    /// Which addresses may be reached beside public ones.
    pub allow_private: AllowPrivate,
}

/// A channel to a syslog receiver.
#[derive(Debug)]
pub struct Syslog {
    name: ChannelName,
    host: Host,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    shape: Shape,
    timeout: Duration,
    allow_private: AllowPrivate,
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
enum SyslogError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It broke off.
    #[error("the receiver broke the connection off")]
    Broken(#[source] io::Error),
    /// Too slow.
    #[error("the receiver did not take the message within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

impl Syslog {
    /// Makes the channel.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        let Config { host, port, tls, shape, ca_pem, timeout, allow_private } = config;
        let tls = if tls { Some(net::tls(ca_pem.as_deref(), &[])?) } else { None };
        Ok(Self { name, host, port, tls, shape, timeout, allow_private })
    }

    async fn write(&self, frame: &[u8]) -> Result<(), SyslogError> {
        let (host, secure) = (self.host.as_str(), self.tls.is_some());
        let stream = net::connect(host, self.port, secure, &self.allow_private).await?;
        match &self.tls {
            None => exchange(stream, frame).await,
            Some(tls) => exchange(net::secured(stream, self.host.server_name(), tls).await?, frame).await,
        }
        .map_err(SyslogError::Broken)
    }
}

/// Writes, says that nothing more comes, and waits for the other side to close, so that a reset is noticed.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, frame: &[u8]) -> io::Result<()> {
    stream.write_all(frame).await?;
    stream.shutdown().await?;
    let mut heard = [0; 512];
    let mut room = HEARD_MAX;
    let closed = async {
        while room > 0 {
            match stream.read(&mut heard).await {
                Ok(0) => break,
                Ok(read) => room = room.saturating_sub(read),
                // A receiver that speaks TLS and closes without saying so has read all there was.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    tokio::time::timeout(CLOSE_TIME, closed).await.unwrap_or(Ok(()))
}

#[async_trait]
impl Channel for Syslog {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    async fn send(&self, delivery: &Delivery, _: Timestamp) -> Attempt {
        let frame = match self.shape.frame(delivery) {
            Ok(frame) => frame,
            Err(error) => {
                return Attempt::GiveUp {
                    error: format!("the notification cannot be written as JSON: {error}"),
                };
            }
        };
        let written = tokio::time::timeout(self.timeout, self.write(&frame)).await;
        match written.unwrap_or(Err(SyslogError::Timeout(self.timeout))) {
            Ok(()) => Attempt::Accepted,
            Err(error) => Attempt::Retry { error: error_chain(&error).to_string(), after: None },
        }
    }
}
