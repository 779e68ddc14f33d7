//! The program that runs other programs in the background of a system: systemd, launchd, the service manager of Windows.

#[cfg(unix)]
pub mod command;
#[cfg(unix)]
pub mod launchd;
#[cfg(unix)]
pub mod program;
#[cfg(unix)]
pub mod systemd;
#[cfg(windows)]
pub mod windows;

/// How a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether the manager knows it.
    pub installed: bool,
    /// Whether it is started with the system.
    pub enabled: bool,
    /// Whether it runs now.
    pub running: bool,
}

/// Whether this process may install services.
#[cfg(unix)]
pub fn is_administrator() -> bool {
    rustix::process::geteuid().is_root()
}
