//! What `status` and `explain` show: the agent's files, read without any right to change them.

use std::io;

use offchannel_shared::policy::BundleError;

use crate::config::Config;
use crate::run::InForce;
use crate::state::{Folder, Record, StateError};

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The files are closed to this account.
    #[error(
        "this account may not read the agent's files; run the command as the account that the agent runs as, or with sudo"
    )]
    Denied(#[source] StateError),
    /// They cannot be read.
    #[error("cannot read the agent's files")]
    State(#[source] StateError),
    /// The policy cannot be opened.
    #[error("the stored policy cannot be used")]
    Policy(#[source] BundleError),
}

/// The agent's files.
#[derive(Debug)]
pub struct View {
    /// What it remembers; `None` if it was never enrolled.
    pub record: Option<Record>,
    /// The policy in force.
    pub policy: Option<InForce>,
}

impl View {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ViewError`].
    pub fn of(config: &Config) -> Result<Self, ViewError> {
        let (record, bundle) = Folder::at(&config.state_dir).look().map_err(|error| match &error {
            StateError::Read { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                ViewError::Denied(error)
            }
            StateError::Read { .. }
            | StateError::Folder { .. }
            | StateError::Locked { .. }
            | StateError::Write { .. }
            | StateError::Rights { .. }
            | StateError::Encode(..) => ViewError::State(error),
        })?;
        let keys =
            record.as_ref().and_then(|record| record.enrolment.as_ref()).map(|e| e.signing_keys.as_slice());
        let policy = match (bundle, keys) {
            (Some(bundle), Some(keys)) => Some(InForce::kept(&bundle, keys, 0).map_err(ViewError::Policy)?),
            _ => None,
        };
        Ok(Self { record, policy })
    }
}
