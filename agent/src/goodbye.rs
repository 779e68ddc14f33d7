//! The last word to the collector when the agent is removed, so that its silence is told from that of a device that is off.

use std::time::Duration;

use jiff::Timestamp;
use offchannel_shared::signing::KeyError;
use offchannel_shared::wire::{GoodbyeReason, GoodbyeRequest, SCHEMA, codes};
use tokio::time::timeout;

use crate::client::{Client, ClientError, Outcome, Request, Signer};
use crate::identity::Identity;

/// Longest wait for the collector: a removal must not be held up.
const LIMIT: Duration = Duration::from_secs(5);

/// Why the collector was not told.
#[derive(Debug, thiserror::Error)]
pub enum GoodbyeError {
    /// The device's key is of no use.
    #[error("the device's key cannot be used")]
    Key(#[source] KeyError),
    /// It refused.
    #[error("the collector refused the goodbye ({code}): {message}")]
    Refused {
        /// For programs.
        code: String,
        /// What was wrong.
        message: String,
    },
    /// It is busy.
    #[error("the collector is busy or has a fault (status {0})")]
    Busy(u16),
    /// Nobody answered.
    #[error("the collector cannot be reached")]
    Unreachable(#[source] ClientError),
    /// Nobody answered in time.
    #[error("the collector did not answer within {} s", LIMIT.as_secs())]
    Silent,
}

/// Tells the collector that the agent is being removed, within a few seconds or not at all.
///
/// # Errors
/// [`GoodbyeError`].
pub async fn uninstalled(client: &Client, identity: &Identity, now: Timestamp) -> Result<(), GoodbyeError> {
    timeout(LIMIT, say(client, identity, now)).await.unwrap_or(Err(GoodbyeError::Silent))
}

async fn say(client: &Client, identity: &Identity, now: Timestamp) -> Result<(), GoodbyeError> {
    let key = identity.seed.key().map_err(GoodbyeError::Key)?;
    let reason = GoodbyeReason::Uninstall;
    let request = Request::Goodbye(GoodbyeRequest { schema: SCHEMA, reason, stays_up: false });
    let signer = |now| Signer { key: &key, key_id: identity.enrolment.device_id.as_str(), now };
    let mut outcome = client.exchange(&request, signer(now)).await;
    if let Outcome::Refused { code, server_time, .. } = &outcome
        && code == codes::CLOCK_SKEW
    {
        let server_time = *server_time;
        outcome = client.exchange(&request, signer(server_time)).await;
    }
    match outcome {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Refused { code, message, .. } => Err(GoodbyeError::Refused { code, message }),
        Outcome::Later { status, .. } => Err(GoodbyeError::Busy(status)),
        Outcome::Unreachable(cause) => Err(GoodbyeError::Unreachable(cause)),
    }
}
