//! The service manager of Windows: installing a service, asking for it, and being one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept,
    ServiceErrorControl, ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo,
    ServiceStartType, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};
use windows_service::{Error, define_windows_service, service_dispatcher};

use super::Standing;
use crate::platform::shutdown::Fate;

/// `ERROR_INVALID_LEVEL`, `ERROR_SERVICE_ALREADY_RUNNING`, `ERROR_SERVICE_DOES_NOT_EXIST`, `ERROR_SERVICE_NOT_ACTIVE` and
/// `ERROR_SERVICE_EXISTS` of winerror.h.
const INVALID_LEVEL: i32 = 124;
const ALREADY_RUNNING: i32 = 1056;
const DOES_NOT_EXIST: i32 = 1060;
const NOT_ACTIVE: i32 = 1062;
const EXISTS: i32 = 1073;
/// Time until a service that ended by itself is started again.
const RESTART_AFTER: Duration = Duration::from_secs(10);
/// Longest time that a service may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Time that a service may take to end before its manager, or who waits for that, takes it to be stuck.
const STOP_HINT: Duration = Duration::from_secs(20);
/// Time between two questions whether it has ended: the manager tells it by no call that is safe, and only a command of an
/// administrator waits for it.
const STOP_POLL: Duration = Duration::from_millis(100);

/// A service as it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Definition<'a> {
    /// Its name for programs.
    pub name: &'a str,
    /// Its name for people.
    pub title: &'a str,
    /// What it does.
    pub about: &'a str,
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [&'a str],
}

/// Why the service manager did not do it.
#[derive(Debug, thiserror::Error)]
pub enum WindowsError {
    /// It refused.
    #[error("the service manager refuses")]
    Refused(#[source] Error),
    /// The service does not end.
    #[error("the service {0} did not end within {seconds} s", seconds = STOP_LIMIT.as_secs())]
    Endless(String),
}

impl From<Error> for WindowsError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Installs a service, or makes one that is there as it is to be; starts it with the system, and after it has failed. It
/// has the rights of the system, for the programs of all users are looked at.
///
/// # Errors
/// [`WindowsError`].
pub fn install(definition: &Definition<'_>) -> Result<(), WindowsError> {
    let manager = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let info = ServiceInfo {
        name: definition.name.into(),
        display_name: definition.title.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: definition.program.to_path_buf(),
        launch_arguments: definition.arguments.iter().map(OsString::from).collect(),
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    // Failure actions that start a service anew need the right to start it.
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = match manager.create_service(&info, access) {
        Err(error) if code(&error) == Some(EXISTS) => {
            let service = manager.open_service(definition.name, access)?;
            service.change_config(&info)?;
            service
        }
        made => made?,
    };
    service.set_description(definition.about)?;
    let again = ServiceAction { action_type: ServiceActionType::Restart, delay: RESTART_AFTER };
    service.update_failure_actions(ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(Duration::from_secs(24 * 3600)),
        reboot_msg: None,
        command: None,
        // The last one holds for every failure after it.
        actions: Some(vec![again]),
    })?;
    match service.set_failure_actions_on_non_crash_failures(true) {
        // Wine: what has failed is then started anew only if it crashed.
        Err(error) if code(&error) == Some(INVALID_LEVEL) => Ok(()),
        set => Ok(set?),
    }
}

/// Starts a service unless it runs.
///
/// # Errors
/// [`WindowsError`].
pub fn start(name: &str) -> Result<(), WindowsError> {
    let service = open(name, ServiceAccess::START)?;
    match service.start(&[] as &[&OsStr]) {
        Err(error) if code(&error) == Some(ALREADY_RUNNING) => Ok(()),
        started => Ok(started?),
    }
}

/// Stops a service and waits until it has ended. One that is not there has.
///
/// # Errors
/// [`WindowsError`].
pub async fn stop(name: &str) -> Result<(), WindowsError> {
    let service = match open(name, ServiceAccess::STOP | ServiceAccess::QUERY_STATUS) {
        Err(error) if code(&error) == Some(DOES_NOT_EXIST) => return Ok(()),
        opened => opened?,
    };
    match service.stop() {
        Err(error) if code(&error) == Some(NOT_ACTIVE) => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    let ended = async {
        while service.query_status()?.current_state != ServiceState::Stopped {
            tokio::time::sleep(STOP_POLL).await;
        }
        Ok(())
    };
    let ended = tokio::time::timeout(STOP_LIMIT, ended).await;
    ended.unwrap_or_else(|_| Err(WindowsError::Endless(name.to_owned())))
}

/// Makes the service manager forget a service; answers whether it was there.
///
/// # Errors
/// [`WindowsError`].
pub fn remove(name: &str) -> Result<bool, WindowsError> {
    match open(name, ServiceAccess::DELETE) {
        Err(error) if code(&error) == Some(DOES_NOT_EXIST) => Ok(false),
        opened => {
            opened?.delete()?;
            Ok(true)
        }
    }
}

/// How a service stands, and the command line that starts it if it is there.
///
/// # Errors
/// [`WindowsError`].
pub fn show(name: &str) -> Result<(Standing, Option<PathBuf>), WindowsError> {
    let service = match open(name, ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG) {
        Err(error) if code(&error) == Some(DOES_NOT_EXIST) => {
            return Ok((Standing { installed: false, enabled: false, running: false }, None));
        }
        opened => opened?,
    };
    let config = service.query_config()?;
    let standing = Standing {
        installed: true,
        enabled: config.start_type == ServiceStartType::AutoStart,
        running: service.query_status()?.current_state == ServiceState::Running,
    };
    Ok((standing, Some(config.executable_path)))
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, Error> {
    ServiceManager::local_computer(None::<&str>, access)
}

fn open(name: &str, access: ServiceAccess) -> Result<Service, Error> {
    manager(ServiceManagerAccess::CONNECT)?.open_service(name, access)
}

/// The number of an error of the system's.
fn code(error: &Error) -> Option<i32> {
    match error {
        Error::Winapi(cause) => cause.raw_os_error(),
        _ => None,
    }
}

/// What asks the body of a service to end.
#[derive(Debug)]
pub struct Stop(watch::Receiver<Option<Fate>>);

impl Stop {
    /// Completes when the service is to end, with what becomes of the system then. The manager says it: it ends services
    /// with another control when the system goes down than when somebody wants it.
    pub async fn asked(&mut self) -> Option<Fate> {
        // Whoever asks lives as long as the process.
        self.0.wait_for(Option::is_some).await.ok().and_then(|fate| *fate)
    }
}

/// What a service does until it is asked to end; answers whether it ended in good order.
pub type Body = Box<dyn FnOnce(Stop) -> bool + Send>;

// The service manager calls a plain function, on a thread of its own, and passes nothing on.
static TASK: Mutex<Option<(String, Body)>> = Mutex::new(None);

define_windows_service!(service_main, main_of_service);

/// Runs the body as a service, for a program that the service manager has started. Returns when the service has ended.
///
/// # Errors
/// If this program was not started by the service manager.
pub fn run(name: &str, body: Body) -> io::Result<()> {
    *TASK.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), body));
    service_dispatcher::start(name, service_main).map_err(io::Error::other)
}

fn main_of_service(_arguments: Vec<OsString>) {
    let Some((name, body)) = TASK.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let (asked, stop) = watch::channel(None);
    let known: Arc<OnceLock<ServiceStatusHandle>> = Arc::default();
    let of_handler = Arc::clone(&known);
    let handle = service_control_handler::register(name, move |event| {
        let fate = match event {
            ServiceControl::Stop => Fate::StaysUp,
            ServiceControl::Preshutdown | ServiceControl::Shutdown => Fate::GoesDown,
            ServiceControl::Interrogate => return ServiceControlHandlerResult::NoError,
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        // What the body has to do first takes a moment. It ends also if the manager cannot be told.
        if let Some(handle) = of_handler.get() {
            let _ = handle.set_service_status(ServiceStatus {
                checkpoint: 1,
                wait_hint: STOP_HINT,
                ..status(ServiceState::StopPending, ServiceControlAccept::empty(), ServiceExitCode::NO_ERROR)
            });
        }
        asked.send_replace(Some(fate));
        ServiceControlHandlerResult::NoError
    });
    // Nobody can be told of a service that has no handle; it ends, and the manager says that it failed.
    let Ok(handle) = handle else { return };
    let handle = *known.get_or_init(|| handle);
    // Before the shutdown proper, while the network is there: the last word has to get through.
    let accepted =
        ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN | ServiceControlAccept::SHUTDOWN;
    let runs = status(ServiceState::Running, accepted, ServiceExitCode::NO_ERROR);
    if handle.set_service_status(runs).is_err() {
        return;
    }
    let code = if body(Stop(stop)) { ServiceExitCode::NO_ERROR } else { ServiceExitCode::ServiceSpecific(1) };
    // The process ends now whether or not the manager hears of it.
    let _ = handle.set_service_status(status(ServiceState::Stopped, ServiceControlAccept::empty(), code));
}

/// What the manager is told of the service. `ServiceStatus` has no value to begin with.
fn status(
    current_state: ServiceState,
    controls_accepted: ServiceControlAccept,
    exit_code: ServiceExitCode,
) -> ServiceStatus {
    ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state,
        controls_accepted,
        exit_code,
        checkpoint: 0,
        wait_hint: Duration::ZERO,
        process_id: None,
    }
}
