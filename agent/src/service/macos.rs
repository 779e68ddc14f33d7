//! The service of macOS: a job of launchd that runs as root, for the applications of all users are looked at.

use std::path::{Path, PathBuf};

use super::files::{own_program, program_in, read, remove as remove_file, under, write};
use super::texts::{LABEL, PLIST_PROGRAM, is_plist, plist};
use super::{Definition, ServiceError, Status};
use crate::platform::service::{is_administrator, launchd};

/// The property list of the job.
const FILE: &str = "/Library/LaunchDaemons/eu.offchannel.agent.plist";
/// What shows why the service does not start.
const LOG: &str = "launchctl print system/eu.offchannel.agent";

pub fn install(root: Option<&Path>, configured: bool) -> Result<Vec<String>, ServiceError> {
    let program = match root {
        Some(root) => program_in(root, PLIST_PROGRAM)?,
        None => {
            check_account()?;
            own_program(PLIST_PROGRAM)?
        }
    };
    let text = plist(&program)
        .ok_or_else(|| ServiceError::Odd { path: program.display().to_string(), better: PLIST_PROGRAM })?;
    let path = file(root);
    let changed = write(&path, &text)?;
    let mut done =
        vec![format!("{} {}", if changed { "wrote" } else { "found as it should be:" }, path.display())];
    if root.is_some() {
        return Ok(done);
    }
    if !configured {
        done.push(format!(
            "It is not started now: set server.url, then run: launchctl bootstrap system {FILE}"
        ));
        return Ok(done);
    }
    let loaded = launchd::show(LABEL)?.installed;
    if loaded && changed {
        launchd::bootout(LABEL)?;
    }
    if !loaded || changed {
        launchd::bootstrap(LABEL, FILE).map_err(|error| ServiceError::Start(LOG, error))?;
    }
    done.push(format!("{LABEL} runs, and is started with the system"));
    Ok(done)
}

// The other systems wait for something here.
#[expect(clippy::unused_async, reason = "one signature for all systems")]
pub async fn stop(root: Option<&Path>) -> Result<bool, ServiceError> {
    if root.is_none() {
        check_account()?;
        if launchd::show(LABEL)?.installed {
            launchd::bootout(LABEL)?;
        }
    }
    Ok(read(&file(root))?.is_some())
}

pub fn remove(root: Option<&Path>) -> Result<Vec<String>, ServiceError> {
    let path = file(root);
    let removed = remove_file(&path)?;
    Ok(removed.then(|| format!("removed {}", path.display())).into_iter().collect())
}

pub fn status(root: Option<&Path>) -> Result<Status, ServiceError> {
    let path = file(root);
    let text = read(&path)?;
    let definition = match &text {
        None => Definition::Absent,
        Some(text) if std::str::from_utf8(text).is_ok_and(is_plist) => Definition::Current,
        Some(_) => Definition::Differs,
    };
    let installed = text.is_some();
    let running = if root.is_none() { Some(launchd::show(LABEL)?.running) } else { None };
    // launchd starts what lies in its folder.
    Ok(Status {
        installed,
        enabled: installed,
        running,
        path: installed.then_some(path),
        definition,
        packaged: false,
    })
}

fn check_account() -> Result<(), ServiceError> {
    if is_administrator() { Ok(()) } else { Err(ServiceError::NotRoot) }
}

fn file(root: Option<&Path>) -> PathBuf {
    under(root, FILE)
}
