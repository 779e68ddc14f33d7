//! The agent as a service of its system: installed by its own command, where no package does that.
//!
//! Files are written by the agent; the programs of the system do the rest, each with fixed arguments. The daemon never
//! starts a program; only these commands do, for an administrator who called them.

mod texts;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod imp;
#[cfg(windows)]
#[path = "windows.rs"]
mod imp;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "elsewhere.rs"]
mod imp;

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod files;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

#[cfg(any(windows, target_os = "macos"))]
pub use texts::LOG_SOURCE;
#[cfg(windows)]
pub use texts::SERVICE;

use crate::state::StateError;

/// Why the service is not installed, removed or looked at.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Not as this account.
    #[error("only root may do this: run the command with sudo")]
    NotRoot,
    /// Another manager runs this system, or none: a container, for example.
    #[error(
        "systemd does not run this system: let what starts its services run `offchannel-agent run`, or give --root DIR to \
         deal with the service's files below a folder and nothing else"
    )]
    NoSystemd,
    /// A package brought it.
    #[error("{0} belongs to a package: {1} it with the package manager, or with systemctl")]
    Packaged(String, &'static str),
    /// The program's own path cannot be told.
    #[error("cannot tell where this program is")]
    Program(#[source] io::Error),
    /// The program would not be the administrator's alone.
    #[error(
        "somebody other than root can change {part}, and so what runs as the service: copy the program to {better}, and run \
         the command from there"
    )]
    Changeable {
        /// What can be changed.
        part: String,
        /// Where the program belongs.
        better: &'static str,
    },
    /// The path has characters with a meaning in the file of the service.
    #[error(
        "{path} cannot be written into the file of a service: copy the program to {better}, and run the command from there"
    )]
    Odd {
        /// The path.
        path: String,
        /// Where the program belongs.
        better: &'static str,
    },
    /// There is no program in the tree.
    #[error("there is no program {0}: put it there first, then install the service")]
    NoProgram(String),
    /// A file cannot be written.
    #[error("cannot install a file of the service")]
    Write(#[source] StateError),
    /// A file or link cannot be made, read or removed.
    #[error("cannot use {0}")]
    File(String, #[source] io::Error),
    /// A program of the system failed.
    #[cfg(unix)]
    #[error("the system does not do it")]
    Command(#[from] crate::platform::service::command::CommandError),
    /// It is installed and does not come up.
    #[cfg(unix)]
    #[error("the service is installed and does not start: {0} shows why")]
    Start(&'static str, #[source] crate::platform::service::command::CommandError),
    /// The service manager failed.
    #[cfg(windows)]
    #[error("the system does not do it: run the command as an administrator")]
    Windows(#[from] crate::platform::service::windows::WindowsError),
    /// The viewer of the Event Log cannot be made to know the agent, or to forget it.
    #[cfg(windows)]
    #[error("the registry does not take the source of the Event Log: run the command as an administrator")]
    LogSource(#[source] io::Error),
    /// There is no code for this system.
    #[error(
        "services of this system cannot be installed: let what starts its services run `offchannel-agent run`"
    )]
    Unsupported,
    /// There are no files to write.
    #[error("--root is for systems whose services are files")]
    NoRoot,
}

/// Whether the file of the service is the one that this version would write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Definition {
    /// It is, whatever the path of the program in it.
    Current,
    /// It is another one: an older version's, or changed by hand.
    Differs,
    /// There is none.
    Absent,
}

/// How the service stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether the system knows it.
    pub installed: bool,
    /// Whether it is started with the system.
    pub enabled: bool,
    /// Whether it runs; `None` of a tree that is not the running system.
    pub running: Option<bool>,
    /// The file of the service, or on Windows the command line.
    pub path: Option<PathBuf>,
    /// Whether that is as of this version.
    pub definition: Definition,
    /// Whether a package brought it.
    pub packaged: bool,
}

impl Status {
    /// Whether everything is as it should be.
    pub fn is_in_order(&self) -> bool {
        self.installed
            && self.enabled
            && self.running != Some(false)
            && self.definition == Definition::Current
    }
}

/// Installs the service; answers what was done, step by step. Without `configured` it is not started, for it could only
/// fail. With a `root` only files below it are written.
///
/// # Errors
/// [`ServiceError`]. What was done so far stays, and the same command goes on from there.
pub fn install(root: Option<&Path>, configured: bool) -> Result<Vec<String>, ServiceError> {
    imp::install(root, configured)
}

/// Ends the service, and lets it not start any more; answers whether it was installed by [`install`].
///
/// # Errors
/// [`ServiceError`].
pub async fn stop(root: Option<&Path>) -> Result<bool, ServiceError> {
    imp::stop(root).await
}

/// Removes what [`install`] made; answers what was done, step by step.
///
/// # Errors
/// [`ServiceError`].
pub fn remove(root: Option<&Path>) -> Result<Vec<String>, ServiceError> {
    imp::remove(root)
}

/// How the service stands. Anybody may ask.
///
/// # Errors
/// [`ServiceError`].
pub fn status(root: Option<&Path>) -> Result<Status, ServiceError> {
    imp::status(root)
}
