//! Notices by the session's notification service (Desktop Notifications Specification 1.2).

use offchannel_shared::policy::Severity;

use crate::platform::bus_message::{Body, Method};
use crate::platform::message_bus::{BusError, MessageBus};

/// The service's name on the bus, and that of its interface.
const SERVICE: &str = "org.freedesktop.Notifications";
/// Errors by which the bus says that there is no such service and none can be started.
const ABSENT: [&str; 3] = [
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn",
];

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum DesktopError {
    /// Nobody shows notices in this session.
    #[error("no notification service runs in this session, and none can be started")]
    NoService(#[source] BusError),
    /// The bus or the service fails.
    #[error("the session's notification service cannot be used")]
    Bus(#[from] BusError),
}

/// The notification service.
#[derive(Debug)]
pub struct Desktop {
    bus: MessageBus,
    server: String,
    takes_markup: bool,
}

impl Desktop {
    /// Finds the service on the bus, and asks what it can do.
    ///
    /// # Errors
    /// [`DesktopError`].
    pub fn new(mut bus: MessageBus) -> Result<Self, DesktopError> {
        let answer =
            bus.call(&method("GetCapabilities"), &Body::default()).map_err(|error| match &error {
                BusError::Answer { name, .. } if ABSENT.iter().any(|absent| name.starts_with(absent)) => {
                    DesktopError::NoService(error)
                }
                _ => DesktopError::Bus(error),
            })?;
        let takes_markup = answer.texts().map_err(BusError::from)?.contains(&"body-markup");
        // The bus's own id and the service's name on it, which the bus never gives to another one.
        let server = format!("{}/{}", bus.guid(), answer.sender);
        Ok(Self { bus, server, takes_markup })
    }

    /// What tells this service from every other, and from itself after a restart.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Shows a notice in the place of the one with the number `replaces`, if that is not 0. Returns its number.
    ///
    /// # Errors
    /// [`DesktopError`].
    pub fn show(
        &mut self,
        replaces: u32,
        summary: &str,
        body: &str,
        urgency: u8,
    ) -> Result<u32, DesktopError> {
        let body = if self.takes_markup { escaped(body) } else { body.to_owned() };
        let arguments = Body::new("susssasa{sv}i")
            .text("Offchannel")
            .number(replaces)
            .text("dialog-warning")
            .text(summary)
            .text(&body)
            .no_texts()
            .table_of_byte("urgency", urgency)
            // How long it is shown is the service's business.
            .signed(-1);
        let answer = self.bus.call(&method("Notify"), &arguments)?;
        Ok(answer.number().map_err(BusError::from)?)
    }
}

fn method(member: &'static str) -> Method<'static> {
    Method { destination: SERVICE, path: "/org/freedesktop/Notifications", interface: SERVICE, member }
}

/// The urgency that the specification knows: 0 low, 1 normal, 2 critical, which stays until it is dismissed.
pub fn urgency(severity: Severity) -> u8 {
    match severity {
        Severity::Info | Severity::Low => 0,
        Severity::Medium | Severity::High => 1,
        Severity::Critical => 2,
    }
}

/// A text of which no part is markup ("Markup"): names of apps and texts of the policy are data.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_wrote_is_markup() {
        assert_eq!(escaped("<a href=\"x\">R&D</a>"), "&lt;a href=\"x\"&gt;R&amp;D&lt;/a&gt;");
    }
}
