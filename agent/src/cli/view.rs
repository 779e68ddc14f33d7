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
    /// The collector that the settings name. The agent speaks to this one, wherever it was enrolled.
    pub configured: Option<String>,
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
        Ok(Self { record, policy, configured: config.server.as_ref().map(ToString::to_string) })
    }

    /// The collector that the device reports to; `None` if it is not enrolled.
    pub fn collector(&self) -> Option<&str> {
        let enrolled_with = self.enrolled_with()?;
        Some(self.configured.as_deref().unwrap_or(enrolled_with))
    }

    /// The collector that the last report was sent to; `None` if the address has changed since enrolment, for it may have been
    /// sent to either.
    pub fn sent_to(&self) -> Option<&str> {
        self.enrolled_with().filter(|enrolled_with| self.collector() == Some(enrolled_with))
    }

    fn enrolled_with(&self) -> Option<&str> {
        let enrolment = self.record.as_ref()?.enrolment.as_ref()?;
        Some(&enrolment.server)
    }
}
