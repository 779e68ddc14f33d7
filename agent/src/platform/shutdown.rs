//! Whether the system is going down, for a program that is asked to end: known, or not known, never guessed.
//!
//! systemd knows (org.freedesktop.systemd1(5), `SystemState`): a shutdown has been ordered before any service is ended for
//! it. The service manager of Windows says it with the control itself, see `service/windows.rs`. launchd ends programs by
//! the same signal either way.

use std::io;

/// What becomes of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes down, or starts anew.
    GoesDown,
    /// It stays up: nobody has ordered otherwise so far.
    StaysUp,
}

/// Why the system could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ShutdownError {
    /// Its message bus fails.
    #[cfg(target_os = "linux")]
    #[error("the system's message bus cannot be used")]
    Bus(#[from] super::message_bus::BusError),
    /// There is no thread to ask on.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The answer takes too long.
    #[error("the system's message bus does not answer in time")]
    Late,
}

/// Elsewhere nobody can be asked.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn fate() -> std::future::Ready<Result<Option<Fate>, ShutdownError>> {
    std::future::ready(Ok(None))
}

#[cfg(target_os = "linux")]
pub use systemd::fate;

#[cfg(target_os = "linux")]
mod systemd {
    use std::path::Path;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::{Fate, ShutdownError};
    use crate::platform::bus_message::{Body, Method};
    use crate::platform::message_bus::{BusError, MessageBus};
    use crate::platform::processes::own_uid;

    /// Longest wait for the whole answer, which takes a millisecond: a system that goes down must not be held up.
    const LIMIT: Duration = Duration::from_millis(500);
    /// There where systemd is the system's manager (sd_booted(3)).
    const BOOTED: &str = "/run/systemd/system";
    const MANAGER: &str = "org.freedesktop.systemd1";

    /// Asks systemd. `None` where another manager runs, or systemd is in a state that says neither.
    ///
    /// # Errors
    /// [`ShutdownError`].
    pub async fn fate() -> Result<Option<Fate>, ShutdownError> {
        if !Path::new(BOOTED).exists() {
            return Ok(None);
        }
        asked(|| MessageBus::system(own_uid().unwrap_or_default(), LIMIT)).await
    }

    /// Asks on a thread of its own: those of the runtime may wait for disks.
    pub(super) async fn asked(
        connect: impl FnOnce() -> Result<MessageBus, BusError> + Send + 'static,
    ) -> Result<Option<Fate>, ShutdownError> {
        let (send, told) = oneshot::channel();
        let ask = move || {
            // Who waited may have gone.
            let _ = send.send(connect().and_then(|mut bus| state(&mut bus)));
        };
        std::thread::Builder::new().name("shutdown".to_owned()).spawn(ask).map_err(ShutdownError::Thread)?;
        match timeout(LIMIT, told).await {
            Ok(Ok(state)) => Ok(meaning(&state?)),
            Ok(Err(_)) | Err(_) => Err(ShutdownError::Late),
        }
    }

    fn state(bus: &mut MessageBus) -> Result<String, BusError> {
        let get = Method {
            destination: MANAGER,
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
        };
        let what = Body::new("ss").text("org.freedesktop.systemd1.Manager").text("SystemState");
        Ok(bus.call(&get, &what)?.text_value()?.to_owned())
    }

    /// What a state means. `maintenance` is that of a system that somebody repairs, and may restart any moment.
    pub(super) fn meaning(state: &str) -> Option<Fate> {
        match state {
            "stopping" => Some(Fate::GoesDown),
            "initializing" | "starting" | "running" | "degraded" => Some(Fate::StaysUp),
            _ => None,
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use super::systemd::{asked, meaning};
    use super::*;
    use crate::platform::bus_message::{HEADER, whole_length};
    use crate::platform::message_bus::MessageBus;

    /// Reads a whole message; nobody says more before it is answered.
    fn take(stream: &mut UnixStream) {
        let mut bytes = vec![0; HEADER];
        stream.read_exact(&mut bytes).unwrap();
        bytes.resize(whole_length(&bytes).unwrap(), 0);
        stream.read_exact(&mut bytes[HEADER..]).unwrap();
    }

    /// The answer to a call, in little-endian order.
    fn answer(serial: u8, signature: &str, body: &[u8]) -> Vec<u8> {
        let mut fields = vec![5, 1, b'u', 0, serial, 0, 0, 0];
        fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap()]);
        fields.extend(signature.bytes().chain([0]));
        let mut bytes = vec![b'l', 2, 1, 1];
        bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
        bytes.extend(fields);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        bytes
    }

    /// A text (`s`) behind so many bytes of what comes before it.
    fn text(before: &[u8], text: &str) -> Vec<u8> {
        let mut bytes = before.to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text.bytes().chain([0]));
        bytes
    }

    /// What is made of a bus that gives this answer; no answer at all if there is none.
    async fn told(last: Option<Vec<u8>>) -> Result<Option<Fate>, ShutdownError> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("bus");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 18];
            stream.read_exact(&mut hello).unwrap();
            assert_eq!(&hello, b"\0AUTH EXTERNAL 30\r");
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(b"OK 0a\r\n").unwrap();
            stream.read_exact(&mut [0; 7]).unwrap();
            take(&mut stream);
            stream.write_all(&answer(1, "s", &text(&[], ":1.7"))).unwrap();
            take(&mut stream);
            if let Some(last) = last {
                stream.write_all(&last).unwrap();
            }
            // Until the other side has had enough.
            let _ = stream.read(&mut [0]);
        });
        let fate = asked(move || MessageBus::at(&path, 0, Duration::from_millis(100))).await;
        peer.join().unwrap();
        fate
    }

    #[tokio::test]
    async fn the_answer_of_the_system_is_taken_and_nothing_else() {
        let state = |state: &str| Some(answer(2, "v", &text(&[1, b's', 0], state)));
        assert_eq!(told(state("stopping")).await.unwrap(), Some(Fate::GoesDown));
        assert_eq!(told(state("degraded")).await.unwrap(), Some(Fate::StaysUp));
        assert_eq!(told(state("maintenance")).await.unwrap(), None);
        let number = answer(2, "v", &[1, b'u', 0, 0, 1, 0, 0, 0]);
        assert!(matches!(told(Some(number)).await, Err(ShutdownError::Bus(_))));
        let silent = told(None).await.unwrap_err();
        assert!(matches!(silent, ShutdownError::Bus(_) | ShutdownError::Late), "{silent:?}");
    }

    #[test]
    fn what_is_not_known_is_no_guess() {
        for state in ["", "maintenance", "offline", "unknown", "Stopping", "stopping "] {
            assert_eq!(meaning(state), None, "{state}");
        }
    }
}
