//! The service of Windows, which runs as the system, for the programs of all users are looked at.

use std::path::Path;

use super::texts::{LOG_SOURCE, SERVICE};
use super::{Definition, ServiceError, Status};
use crate::platform::service::windows;
use crate::platform::system_log::windows as event_log;

const TITLE: &str = "Offchannel agent";
const ABOUT: &str = "Reports the messaging apps that the organisation asks about.";
/// The second makes `run` answer the service manager.
const ARGUMENTS: [&str; 2] = ["run", "--as-service"];

pub fn install(root: Option<&Path>, configured: bool) -> Result<Vec<String>, ServiceError> {
    no_root(root)?;
    let program = std::env::current_exe().map_err(ServiceError::Program)?;
    let definition = windows::Definition {
        name: SERVICE,
        title: TITLE,
        about: ABOUT,
        program: &program,
        arguments: &ARGUMENTS,
    };
    // First: the service may have something to say as soon as it starts.
    event_log::register(LOG_SOURCE).map_err(ServiceError::LogSource)?;
    windows::install(&definition)?;
    let mut done = vec![format!("{SERVICE} is started with the system, as {}", program.display())];
    if configured {
        windows::start(SERVICE)?;
        done.push(format!("{SERVICE} runs"));
    } else {
        done.push(format!("It is not started now: set server.url, then run: sc start {SERVICE}"));
    }
    Ok(done)
}

pub async fn stop(root: Option<&Path>) -> Result<bool, ServiceError> {
    no_root(root)?;
    windows::stop(SERVICE).await?;
    Ok(windows::show(SERVICE)?.0.installed)
}

pub fn remove(root: Option<&Path>) -> Result<Vec<String>, ServiceError> {
    no_root(root)?;
    let mut done = Vec::new();
    if windows::remove(SERVICE)? {
        done.push(format!("removed the service {SERVICE}"));
    }
    if event_log::unregister(LOG_SOURCE).map_err(ServiceError::LogSource)? {
        done.push(format!("removed the source {LOG_SOURCE} of the Event Log"));
    }
    Ok(done)
}

pub fn status(root: Option<&Path>) -> Result<Status, ServiceError> {
    no_root(root)?;
    let (standing, path) = windows::show(SERVICE)?;
    let definition = match &path {
        None => Definition::Absent,
        Some(path)
            if path.to_str().is_some_and(|path| path.ends_with(&ARGUMENTS.join(" ")))
                && event_log::is_registered(LOG_SOURCE) =>
        {
            Definition::Current
        }
        Some(_) => Definition::Differs,
    };
    let running = Some(standing.running);
    Ok(Status {
        installed: standing.installed,
        enabled: standing.enabled,
        running,
        path,
        definition,
        packaged: false,
    })
}

fn no_root(root: Option<&Path>) -> Result<(), ServiceError> {
    if root.is_some() { Err(ServiceError::NoRoot) } else { Ok(()) }
}
