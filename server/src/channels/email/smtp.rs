//! One conversation with a mail server.
//!
//! `lettre` speaks SMTP, over connections that are made here: resolved once, checked and, before anything of ours is
//! sent, secured as those of every channel are. With STARTTLS it speaks on the plain connection up to the server's
//! consent. Then that connection is dropped with everything that was read of it, so that nothing said in the clear,
//! by the server or by somebody between, counts afterwards (RFC 3207, section 6).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error as LettreError;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Starttls};
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::login::Login;
use crate::channels::net::{self, AllowPrivate, DialError, Host};
use crate::channels::text;

/// Most bytes that are read of a server in one conversation.
const READ_MAX: usize = 256 * 1024;
/// Longest time to take leave. Everything is settled then.
const QUIT_TIME: Duration = Duration::from_secs(1);
/// Most characters of a server's words that are shown.
const WORDS_MAX: usize = 200;
/// Stands for the greeting that a server does not repeat after STARTTLS.
const GREETED: &[u8] = b"220 \r\n";

/// How a connection is secured.
#[derive(Debug)]
pub(super) enum Security {
    /// After the server's consent.
    StartTls(Arc<ClientConfig>),
    /// From the first byte.
    Implicit(Arc<ClientConfig>),
    /// Not; only private addresses are reached.
    Never,
}

/// Where and how mails are handed over.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
    /// What this collector calls itself.
    pub(super) hostname: Host,
    pub(super) timeout: Duration,
    pub(super) allow_private: AllowPrivate,
}

/// Why no conversation came to its end. All of it can be put right, by time or by an administrator.
#[derive(Debug, thiserror::Error)]
pub(super) enum SmtpError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// TLS is required.
    #[error("the mail server does not offer STARTTLS: nothing is sent without TLS")]
    NoStartTls,
    /// It asks for something else.
    #[error("the mail server offers neither PLAIN nor LOGIN to sign in with")]
    NoMechanism,
    /// The server refused something, in its own words.
    #[error("the mail server refused {step}: {reply}")]
    Refused {
        /// What.
        step: &'static str,
        /// How.
        reply: Reply,
    },
    /// The server did not keep to the protocol, or went away.
    #[error("the conversation with the mail server broke off at {step}")]
    Broken {
        /// At what.
        step: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Too slow.
    #[error("the mail server did not take the mail within {} s", .0.as_secs_f32())]
    Timeout(Duration),
}

/// What a server said to something that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    permanent: bool,
    pub(super) words: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// What became of a mail, for each of its recipients.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The server took it for these.
    pub(super) taken: Vec<Address>,
    /// Not now.
    pub(super) deferred: Vec<(Address, Reply)>,
    /// Never.
    pub(super) refused: Vec<(Address, Reply)>,
    /// What the server said when it took the mail.
    pub(super) said: Option<String>,
}

impl Outcome {
    fn sort(&mut self, address: Address, reply: Reply) {
        if reply.permanent { &mut self.refused } else { &mut self.deferred }.push((address, reply));
    }
}

impl Relay {
    /// Hands a mail over.
    ///
    /// # Errors
    /// [`SmtpError`] if it was not settled what becomes of it.
    pub(super) async fn deliver(
        &self,
        from: &Address,
        to: &[Address],
        mail: &[u8],
    ) -> Result<Outcome, SmtpError> {
        let talk = async {
            let mut connection = self.open().await?;
            let outcome = converse(&mut connection, from, to, mail).await?;
            Ok((connection, outcome))
        };
        let talked = tokio::time::timeout(self.timeout, talk).await;
        let (mut connection, outcome) = talked.unwrap_or(Err(SmtpError::Timeout(self.timeout)))?;
        // A server that does not say goodbye has taken the mail nevertheless.
        let _ = tokio::time::timeout(QUIT_TIME, connection.quit()).await;
        Ok(outcome)
    }

    /// A connection that is as safe as it is to be, and signed in.
    async fn open(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let secure = !matches!(self.security, Security::Never);
        let stream = net::connect(self.host.as_str(), self.port, secure, &self.allow_private).await?;
        let peer = stream.peer_addr().map_err(|error| broken("the connection", error))?;
        let mut connection = match &self.security {
            Security::Implicit(tls) => {
                let stream = net::secured(stream, self.host.server_name(), tls).await?;
                self.greet(Wire::new(stream, peer, b"")).await?
            }
            Security::StartTls(tls) => {
                let stream = self.start_tls(stream, peer).await?;
                let stream = net::secured(stream, self.host.server_name(), tls).await?;
                self.greet(Wire::new(stream, peer, GREETED)).await?
            }
            Security::Never => self.greet(Wire::new(stream, peer, b"")).await?,
        };
        if let Some(login) = &self.login {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            if connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
                return Err(SmtpError::NoMechanism);
            }
            let signed_in = connection.auth(&mechanisms, &login.credentials()).await;
            signed_in.map_err(|error| login.hidden_in(told("the user name and password", error)))?;
        }
        Ok(connection)
    }

    async fn greet(&self, wire: impl AsyncTokioStream + 'static) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = match self.hostname.ip() {
            None => ClientId::Domain(self.hostname.to_string()),
            Some(IpAddr::V4(address)) => ClientId::Ipv4(address),
            Some(IpAddr::V6(address)) => ClientId::Ipv6(address),
        };
        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &hello).await;
        greeted.map_err(|error| told("the connection", error))
    }

    /// Asks for TLS, and returns the connection on which the server waits for the handshake.
    async fn start_tls(&self, stream: TcpStream, peer: SocketAddr) -> Result<TcpStream, SmtpError> {
        // Two handles on one connection: `lettre` keeps what it is given.
        let (stream, kept) = twice(stream).map_err(|error| broken("STARTTLS", error))?;
        let mut plain = self.greet(Wire::new(stream, peer, b"")).await?;
        if !plain.can_starttls() {
            return Err(SmtpError::NoStartTls);
        }
        plain.command(Starttls).await.map_err(|error| told("STARTTLS", error))?;
        Ok(kept)
    }
}

fn twice(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let other = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(other)?))
}

/// Names sender and recipients and sends the mail to those that the server takes.
async fn converse(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &[Address],
    mail: &[u8],
) -> Result<Outcome, SmtpError> {
    let begun = connection.command(Mail::new(Some(from.clone()), Vec::new())).await;
    begun.map_err(|error| told("the sender", error))?;
    let mut outcome = Outcome::default();
    for address in to {
        match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
            Ok(_) => outcome.taken.push(address.clone()),
            Err(error) => match reply(&error) {
                Some(reply) => outcome.sort(address.clone(), reply),
                None => return Err(broken("a recipient", error)),
            },
        }
    }
    if outcome.taken.is_empty() {
        return Ok(outcome);
    }
    let sent = match connection.command(Data).await {
        Ok(_) => connection.message(mail).await,
        Err(error) => Err(error),
    };
    match sent {
        Ok(response) => {
            let words: Vec<&str> = response.message().collect();
            outcome.said = Some(text::clean(&format!("{} {}", response.code(), words.join(" ")), WORDS_MAX));
        }
        Err(error) => {
            let Some(reply) = reply(&error) else { return Err(broken("the mail itself", error)) };
            for address in std::mem::take(&mut outcome.taken) {
                outcome.sort(address, reply.clone());
            }
        }
    }
    Ok(outcome)
}

/// What the server said, if the error is that it refused.
fn reply(error: &LettreError) -> Option<Reply> {
    let code = error.status()?.to_string();
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let words = text::clean(&format!("{code} {said}"), WORDS_MAX);
    Some(Reply { permanent: error.is_permanent(), words })
}

fn told(step: &'static str, error: LettreError) -> SmtpError {
    match reply(&error) {
        Some(reply) => SmtpError::Refused { step, reply },
        None => broken(step, error),
    }
}

fn broken(step: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> SmtpError {
    SmtpError::Broken { step, source: Box::new(error) }
}

/// A connection as `lettre` wants it: with an end to what is read, and with a greeting where the server gives none.
struct Wire<S> {
    stream: S,
    peer: SocketAddr,
    greeting: &'static [u8],
    room: usize,
}

impl<S> Wire<S> {
    fn new(stream: S, peer: SocketAddr, greeting: &'static [u8]) -> Self {
        Self { stream, peer, greeting, room: READ_MAX }
    }
}

impl<S> fmt::Debug for Wire<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.peer)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for Wire<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buffer.remaining()));
        if !now.is_empty() {
            buffer.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        match self.room.checked_sub(read) {
            Some(room) => self.room = room,
            None => return Poll::Ready(Err(io::Error::other("the mail server says too much"))),
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
