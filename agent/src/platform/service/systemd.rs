//! systemd, asked by its own program (systemctl(1)): its other door, D-Bus, would need a library of its size.

use std::path::Path;

use super::Standing;
use super::command::{CommandError, run};

/// Where it is on all systems with one `/usr`, and on older ones.
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
/// What makes accounts from a file (systemd-sysusers(8)).
const SYSUSERS: [&str; 2] = ["/usr/bin/systemd-sysusers", "/bin/systemd-sysusers"];

/// A unit as systemd knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// How it stands.
    pub standing: Standing,
    /// The file that it was loaded from, if there is one.
    pub file: Option<String>,
}

/// Whether systemd runs this system: sd_booted(3).
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Makes the accounts that a file names, as far as they are missing.
///
/// # Errors
/// [`CommandError`].
pub fn make_accounts(file: &str) -> Result<(), CommandError> {
    run(&SYSUSERS, &[file]).map(drop)
}

/// Makes systemd read the files of its units anew.
///
/// # Errors
/// [`CommandError`].
pub fn reload() -> Result<(), CommandError> {
    run(&SYSTEMCTL, &["daemon-reload"]).map(drop)
}

/// Starts a unit with the system from now on.
///
/// # Errors
/// [`CommandError`].
pub fn enable(unit: &str) -> Result<(), CommandError> {
    run(&SYSTEMCTL, &["enable", unit]).map(drop)
}

/// Starts a unit, anew if it runs, and waits until it is up.
///
/// # Errors
/// [`CommandError`].
pub fn restart(unit: &str) -> Result<(), CommandError> {
    run(&SYSTEMCTL, &["restart", unit]).map(drop)
}

/// Starts a unit unless it runs, and waits until it is up.
///
/// # Errors
/// [`CommandError`].
pub fn start(unit: &str) -> Result<(), CommandError> {
    run(&SYSTEMCTL, &["start", unit]).map(drop)
}

/// Stops a unit, waits until it has ended, and does not start it with the system any more.
///
/// # Errors
/// [`CommandError`].
pub fn disable_now(unit: &str) -> Result<(), CommandError> {
    run(&SYSTEMCTL, &["disable", "--now", unit]).map(drop)
}

/// How a unit stands. Anybody may ask.
///
/// # Errors
/// [`CommandError`].
pub fn show(unit: &str) -> Result<Unit, CommandError> {
    let properties = "--property=LoadState,UnitFileState,ActiveState,FragmentPath";
    run(&SYSTEMCTL, &["show", properties, unit]).map(|text| read(&text))
}

/// Reads the lines `Property=value` of `systemctl show`; a property that is missing is empty.
fn read(text: &str) -> Unit {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    Unit {
        standing: Standing {
            installed: value("LoadState") == "loaded",
            enabled: matches!(value("UnitFileState"), "enabled" | "enabled-runtime"),
            running: matches!(value("ActiveState"), "active" | "reloading"),
        },
        file: Some(value("FragmentPath")).filter(|file| !file.is_empty()).map(ToOwned::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows_is_understood() {
        // As systemd 252 prints it.
        let runs = "LoadState=loaded\nActiveState=active\nFragmentPath=/lib/systemd/system/ssh.service\n\
                    UnitFileState=enabled\n";
        let unit = read(runs);
        assert_eq!(unit.standing, Standing { installed: true, enabled: true, running: true });
        assert_eq!(unit.file.as_deref(), Some("/lib/systemd/system/ssh.service"));
        let none = read("LoadState=not-found\nActiveState=inactive\nFragmentPath=\nUnitFileState=\n");
        assert_eq!(none.standing, Standing { installed: false, enabled: false, running: false });
        assert_eq!(none.file, None);
        let masked = read("LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n");
        assert_eq!(masked.standing, Standing { installed: false, enabled: false, running: false });
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "(?s).*") {
            read(&text);
        }
    }
}
