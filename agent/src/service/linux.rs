//! The service of Linux: a unit of systemd, and the account that it runs as.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::files::{failed, own_program, program_in, read, remove as remove_file, under, write};
use super::texts::{ACCOUNT_TEXT, UNIT, UNIT_PROGRAM, is_unit, unit};
use super::{Definition, ServiceError, Status};
use crate::platform::service::{is_administrator, systemd};

/// Where an administrator's units are.
const UNITS: &str = "/etc/systemd/system";
/// Where units of packages are; the second on systems where that is not the same folder.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
/// The account, for systemd-sysusers.
const ACCOUNT: &str = "/etc/sysusers.d/offchannel-agent.conf";
/// What `WantedBy=multi-user.target` makes when the unit is enabled.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
/// What shows why the service does not start.
const LOG: &str = "journalctl -u offchannel-agent";

pub fn install(root: Option<&Path>, configured: bool) -> Result<Vec<String>, ServiceError> {
    let program = match root {
        Some(root) => program_in(root, UNIT_PROGRAM)?,
        None => {
            check_system()?;
            own_program(UNIT_PROGRAM)?
        }
    };
    if let Some(packaged) = packaged(root) {
        return Err(ServiceError::Packaged(packaged.display().to_string(), "enable"));
    }
    let text = unit(&program)
        .ok_or_else(|| ServiceError::Odd { path: program.display().to_string(), better: UNIT_PROGRAM })?;
    let mut done = Vec::new();
    put(&under(root, ACCOUNT), ACCOUNT_TEXT, &mut done)?;
    let changed = put(&unit_file(root), &text, &mut done)?;
    if let Some(root) = root {
        link(&under(Some(root), WANTS).join(UNIT), &mut done)?;
        done.push(format!("Make the account with: systemd-sysusers --root={}", root.display()));
        return Ok(done);
    }
    systemd::make_accounts(ACCOUNT)?;
    systemd::reload()?;
    systemd::enable(UNIT)?;
    done.push(format!("{UNIT} is started with the system"));
    if !configured {
        done.push(
            "It is not started now: set server.url, then run: systemctl start offchannel-agent".to_owned(),
        );
    } else {
        let running = systemd::show(UNIT)?.standing.running;
        if running && changed { systemd::restart(UNIT) } else { systemd::start(UNIT) }
            .map_err(|error| ServiceError::Start(LOG, error))?;
        done.push(format!("{UNIT} runs"));
    }
    Ok(done)
}

// The other systems wait for something here.
#[expect(clippy::unused_async, reason = "one signature for all systems")]
pub async fn stop(root: Option<&Path>) -> Result<bool, ServiceError> {
    if root.is_none() {
        check_system()?;
    }
    // Its own unit goes also where a package has come since, whose unit it hides.
    if read(&unit_file(root))?.is_none() {
        return packaged(root).map_or(Ok(false), |packaged| {
            Err(ServiceError::Packaged(packaged.display().to_string(), "remove"))
        });
    }
    if root.is_none() {
        systemd::disable_now(UNIT)?;
    }
    Ok(true)
}

pub fn remove(root: Option<&Path>) -> Result<Vec<String>, ServiceError> {
    let mut done = Vec::new();
    for path in [under(root, WANTS).join(UNIT), unit_file(root), under(root, ACCOUNT)] {
        if remove_file(&path)? {
            done.push(format!("removed {}", path.display()));
        }
    }
    if root.is_none() {
        systemd::reload()?;
    }
    Ok(done)
}

pub fn status(root: Option<&Path>) -> Result<Status, ServiceError> {
    let (path, enabled, running) = if root.is_none() {
        if !systemd::is_running() {
            return Err(ServiceError::NoSystemd);
        }
        let unit = systemd::show(UNIT)?;
        (unit.file.map(PathBuf::from), unit.standing.enabled, Some(unit.standing.running))
    } else {
        let own = unit_file(root);
        let path = if own.exists() { Some(own) } else { packaged(root) };
        let enabled = fs::symlink_metadata(under(root, WANTS).join(UNIT)).is_ok();
        (path.clone(), enabled && path.is_some(), None)
    };
    let text = path.as_deref().map(read).transpose()?.flatten();
    let definition = match &text {
        None => Definition::Absent,
        Some(text) if std::str::from_utf8(text).is_ok_and(is_unit) => Definition::Current,
        Some(_) => Definition::Differs,
    };
    let packaged = path.is_some() && path == packaged(root);
    Ok(Status { installed: text.is_some(), enabled, running, path, definition, packaged })
}

fn check_system() -> Result<(), ServiceError> {
    if !systemd::is_running() {
        return Err(ServiceError::NoSystemd);
    }
    if is_administrator() { Ok(()) } else { Err(ServiceError::NotRoot) }
}

fn unit_file(root: Option<&Path>) -> PathBuf {
    under(root, UNITS).join(UNIT)
}

/// The unit of a package, if one brought it.
fn packaged(root: Option<&Path>) -> Option<PathBuf> {
    PACKAGED.iter().map(|folder| under(root, folder).join(UNIT)).find(|path| path.exists())
}

/// Writes a file and says so; answers whether it changed.
fn put(path: &Path, text: &str, done: &mut Vec<String>) -> Result<bool, ServiceError> {
    let changed = write(path, text)?;
    done.push(format!("{} {}", if changed { "wrote" } else { "found as it should be:" }, path.display()));
    Ok(changed)
}

/// Enables the unit as `systemctl enable` does.
fn link(path: &Path, done: &mut Vec<String>) -> Result<(), ServiceError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    match symlink(Path::new(UNITS).join(UNIT), path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(|error| failed(path, error))?,
    }
    done.push(format!("{UNIT} is started with the system"));
    Ok(())
}
