//! Exchanging an enrolment token for a registered key.
//!
//! The key is on disk before it is offered: if the answer is lost, the next attempt offers the same
//! key, and the collector can tell a repetition from a second device.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use offchannel_shared::device::DeviceFacts;
use offchannel_shared::ids::Epoch;
use offchannel_shared::policy::BundleError;
use offchannel_shared::signing::KeyError;
use offchannel_shared::wire::{EnrolRequest, EnrolResponse, SCHEMA, codes};

use crate::client::{Answer, Client, ClientError, Outcome, Request, Signer};
use crate::clock::Clock;
use crate::identity::{Enrolment, Identity, Pending, Seed, is_another};
use crate::run::{AGENT_VERSION, InForce, bounded};
use crate::state::{Folder, Kept, Loaded, Memory, Record, SealKey, StateError};

/// Longest token file that makes sense, in bytes.
const TOKEN_MAX: u64 = 4096;

/// Why a device is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token cannot be read.
    #[error("cannot read the enrolment token from {0}")]
    Token(String, #[source] std::io::Error),
    /// What was read is no token.
    #[error("{0} does not hold an enrolment token: expected one line of printable ASCII characters")]
    NotAToken(String),
    /// The collector refused.
    #[error("the collector refused the enrolment ({code}): {message}")]
    Refused {
        /// For programs.
        code: String,
        /// What was wrong and what to do.
        message: String,
    },
    /// The collector is busy.
    #[error("the collector is busy or has a fault (status {0}): try again later")]
    Later(u16),
    /// Nobody answered.
    #[error("the collector cannot be reached")]
    Unreachable(#[source] ClientError),
    /// The answer is to something else.
    #[error("the collector answered something else than was asked")]
    Answer,
    /// The policy that came with the enrolment is not signed by the keys that came with it.
    #[error("the collector's policy cannot be used")]
    Policy(#[source] BundleError),
    /// No key can be made.
    #[error("cannot make a key")]
    Key(#[source] KeyError),
    /// No random bytes.
    #[error("cannot get random bytes from the system")]
    Random(#[source] getrandom::Error),
    /// The result cannot be kept.
    #[error("cannot keep the enrolment")]
    State(#[source] StateError),
}

impl EnrolError {
    /// Whether the same attempt may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Later(_) | Self::Unreachable(_))
    }
}

/// A device that was just enrolled, all of it on disk.
#[derive(Debug)]
pub struct Enrolled {
    /// Who it is now.
    pub identity: Identity,
    /// Its state with the policy in force.
    pub memory: Memory,
    /// The same policy, opened.
    pub policy: InForce,
    /// Seconds to the first check-in.
    pub first_check_in: u32,
}

/// An enrolment that the collector has answered. It counts once it is kept.
#[derive(Debug)]
pub struct Granted {
    seed: Seed,
    machine: String,
    answer: EnrolResponse,
}

/// Reads a token from a file.
///
/// # Errors
/// [`EnrolError::Token`] and [`EnrolError::NotAToken`].
pub fn token_from_file(path: &Path) -> Result<String, EnrolError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|cause| EnrolError::Token(name.clone(), cause))?;
    token_from(file, &name)
}

/// Reads a token from anything, which `name` names for messages.
///
/// # Errors
/// [`EnrolError::Token`] and [`EnrolError::NotAToken`].
pub fn token_from(reader: impl Read, name: &str) -> Result<String, EnrolError> {
    let mut text = Vec::new();
    reader
        .take(TOKEN_MAX)
        .read_to_end(&mut text)
        .map_err(|cause| EnrolError::Token(name.to_owned(), cause))?;
    let text = String::from_utf8(text).unwrap_or_default();
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(EnrolError::NotAToken(name.to_owned()));
    }
    Ok(token.to_owned())
}

/// Enrols this device with a fresh state. The folder must be locked by the caller.
///
/// # Errors
/// [`EnrolError`]; until everything has succeeded, an earlier identity stays as it was.
pub async fn enrol(
    client: &Client,
    folder: &Folder,
    token: String,
    facts: DeviceFacts,
    clock: &Clock,
) -> Result<Enrolled, EnrolError> {
    let granted = ask(client, folder, token, facts, clock).await?;
    let epoch = Epoch::from_random(random().map_err(EnrolError::Random)?);
    keep(folder, client, granted, Record::new(epoch))
}

/// Asks the collector for an enrolment. The folder must be locked by the caller; the new key is kept in it.
///
/// # Errors
/// [`EnrolError`].
pub async fn ask(
    client: &Client,
    folder: &Folder,
    token: String,
    facts: DeviceFacts,
    clock: &Clock,
) -> Result<Granted, EnrolError> {
    let Pending { seed, machine } = pending_key(folder, &facts.machine)?;
    let key = seed.key().map_err(EnrolError::Key)?;
    let public_key = key.public().clone();
    let key_id = public_key.to_string();
    let request = EnrolRequest {
        schema: SCHEMA,
        token,
        public_key,
        agent_version: AGENT_VERSION.to_owned(),
        facts: bounded(facts),
    };
    let request = Request::Enrol(Box::new(request));
    let ask = async |now: Timestamp| {
        let signer = Signer { key: &key, key_id: &key_id, now };
        client.exchange(&request, signer).await
    };
    let mut outcome = ask(clock.now()).await;
    if let Outcome::Refused { code, server_time, .. } = &outcome
        && code == codes::CLOCK_SKEW
    {
        outcome = ask(*server_time).await;
    }
    let answer = match outcome {
        Outcome::Accepted(Answer::Enrol(answer)) => *answer,
        Outcome::Accepted(_) => return Err(EnrolError::Answer),
        Outcome::Later { status, .. } => return Err(EnrolError::Later(status)),
        Outcome::Refused { code, message, .. } => return Err(EnrolError::Refused { code, message }),
        Outcome::Unreachable(cause) => return Err(EnrolError::Unreachable(cause)),
    };
    Ok(Granted { seed, machine, answer })
}

/// The key of an earlier attempt, or a new one.
fn pending_key(folder: &Folder, machine: &str) -> Result<Pending, EnrolError> {
    let identity = match folder.identity().map_err(EnrolError::State)? {
        Loaded::Found(identity) => Some(identity),
        Loaded::Absent | Loaded::Damaged(_) => None,
    };
    if let Loaded::Found(pending) = folder.pending().map_err(EnrolError::State)?
        // Left behind by an enrolment that was done: this one is another, with a key of its own.
        && !identity.is_some_and(|identity| identity.has(&pending.seed))
        // In the image that this machine was made from: others have it, too.
        && !is_another(&pending.machine, machine)
    {
        return Ok(pending);
    }
    let seed = new_seed().map_err(EnrolError::Random)?;
    let pending = Pending { seed, machine: machine.to_owned() };
    folder.save_pending(&pending).map_err(EnrolError::State)?;
    Ok(pending)
}

/// A new private key.
///
/// # Errors
/// If the system gives no random bytes.
pub fn new_seed() -> Result<Seed, getrandom::Error> {
    random().map(Seed::from_random)
}

/// A new secret to seal what is remembered with.
///
/// # Errors
/// If the system gives no random bytes.
pub fn new_seal() -> Result<SealKey, getrandom::Error> {
    random().map(SealKey::from_random)
}

fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Checks the answer and saves it with the state to go on with: after a kill at any moment either the enrolment before is
/// whole, or this one.
///
/// # Errors
/// [`EnrolError::Policy`] and [`EnrolError::State`].
pub fn keep(
    folder: &Folder,
    client: &Client,
    granted: Granted,
    mut record: Record,
) -> Result<Enrolled, EnrolError> {
    let Granted { seed, machine, answer } = granted;
    let EnrolResponse { device_id, signing_keys, bundle, next_check_in, server_time, .. } = answer;
    let policy = InForce::offered(&bundle, &signing_keys, 0, server_time).map_err(EnrolError::Policy)?;
    let enrolment = Enrolment { device_id, server: client.server().to_string(), signing_keys };
    // A copy of the device has the one from before.
    let seal = new_seal().map_err(EnrolError::Random)?;
    record.machine.clone_from(&machine);
    record.enrolment = Some(enrolment.clone());
    record.policy_version = policy.bundle.version;
    let identity =
        Identity { seal: Some(seal.clone()), ..Identity::new(seed, enrolment, machine, server_time) };
    let kept = Kept { identity: &identity, record: &record, seal: &seal, policy: &bundle };
    folder.save_enrolment(kept).map_err(EnrolError::State)?;
    let memory = Memory { record, policy: Some(bundle), damaged: Vec::new(), saved: true };
    Ok(Enrolled { identity, memory, policy, first_check_in: next_check_in })
}

/// Removes a token file that was used. It is worth nothing to this device now, and something to
/// others.
pub fn discard(token_file: &Path) {
    if let Err(error) = std::fs::remove_file(token_file) {
        tracing::warn!(file = %token_file.display(), %error, "cannot remove the used enrolment token: remove it by hand");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_one_line_of_ascii() {
        assert_eq!(token_from(b"tok_abc.DEF \n".as_slice(), "x").unwrap(), "tok_abc.DEF");
        for bad in ["", "\n", "a b", "a\nb", "é"] {
            let read = token_from(bad.as_bytes(), "x");
            assert!(matches!(read, Err(EnrolError::NotAToken(_))), "{bad:?}: {read:?}");
        }
        let missing = token_from_file(Path::new("/nonexistent/token")).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/token"), "{missing}");
    }

    proptest! {
        #[test]
        fn any_token_file_is_read_without_panic(bytes: Vec<u8>) {
            let _ = token_from(bytes.as_slice(), "x");
        }
    }
}
