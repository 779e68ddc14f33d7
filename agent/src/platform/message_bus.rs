//! The message buses of a person's session and of the system: one connection, one call after another (D-Bus specification
//! 0.43). Linux only.
//!
//! ADR 0017 says why this is no library.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::time::Duration;

use super::bus_message::{Body, HEADER, Kind, Malformed, Message, Method, call, parse, whole_length};

/// Where the bus of the system listens ("System message bus"). Only root can listen there.
const SYSTEM: &str = "/run/dbus/system_bus_socket";
/// Longest wait for one piece of an answer in a session. A service that the bus starts first has that long to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line while both sides agree on who we are.
const LINE_MAX: usize = 1_024;
/// Most messages that are read while an answer is waited for: signals that nobody asked for come in between.
const OTHERS_MAX: usize = 64;

/// Why the bus cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Nothing says where it is.
    #[error("there is no session bus here: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set")]
    None,
    /// The address is of a kind that is not known.
    #[error("the address of the session bus, {0:?}, has no unix:path= or unix:abstract=")]
    Address(String),
    /// Nobody listens there.
    #[error("cannot connect to the message bus at {address}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It does not take us for who we are.
    #[error("the message bus refused this account: {0:?}")]
    Refused(String),
    /// It broke off, or does not answer.
    #[error("the message bus does not answer")]
    Io(#[from] io::Error),
    /// It says something that is no D-Bus.
    #[error("the message bus does not speak D-Bus as it should")]
    Malformed(#[from] Malformed),
    /// It sends other messages without end.
    #[error("the message bus sends other messages than the answer")]
    Chatter,
    /// The peer, or the bus in its place, answers with an error.
    #[error("{name}: {message}")]
    Answer {
        /// The error's name, e.g. `org.freedesktop.DBus.Error.ServiceUnknown`.
        name: String,
        /// What it says.
        message: String,
    },
}

/// A connection.
#[derive(Debug)]
pub struct MessageBus {
    stream: UnixStream,
    serial: u32,
    guid: String,
}

impl MessageBus {
    /// Connects to the session's bus as the user `uid`. `addresses` is what `DBUS_SESSION_BUS_ADDRESS` says, `runtime_dir` what `XDG_RUNTIME_DIR`
    /// does.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn session(addresses: Option<&str>, runtime_dir: Option<&Path>, uid: u32) -> Result<Self, BusError> {
        let usual =
            runtime_dir.map(|dir| format!("unix:path={}", escaped(&dir.join("bus").to_string_lossy())));
        let addresses = addresses.map(str::to_owned).or(usual).ok_or(BusError::None)?;
        let places = places(&addresses, runtime_dir);
        let mut failed = BusError::Address(addresses);
        for (address, place) in places {
            match place.and_then(|place| UnixStream::connect_addr(&place)) {
                Ok(stream) => return Self::greet(stream, uid, PATIENCE),
                Err(cause) => failed = BusError::Connect { address, cause },
            }
        }
        Err(failed)
    }

    /// Connects to the system's bus as the user `uid`, with a limit for each piece of an answer.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn system(uid: u32, patience: Duration) -> Result<Self, BusError> {
        Self::at(Path::new(SYSTEM), uid, patience)
    }

    /// Connects to the bus that listens at a path.
    pub(super) fn at(path: &Path, uid: u32, patience: Duration) -> Result<Self, BusError> {
        let address = format!("unix:path={}", escaped(&path.to_string_lossy()));
        let stream = UnixStream::connect(path).map_err(|cause| BusError::Connect { address, cause })?;
        Self::greet(stream, uid, patience)
    }

    /// Agrees on who we are ("Authentication Protocol", mechanism EXTERNAL), and enters the bus.
    fn greet(stream: UnixStream, uid: u32, patience: Duration) -> Result<Self, BusError> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut bus = Self { stream, serial: 0, guid: String::new() };
        let mut hello = "\0AUTH EXTERNAL ".to_owned();
        for digit in uid.to_string().bytes() {
            // Writing to a String cannot fail.
            let _ = write!(hello, "{digit:02x}");
        }
        hello.push_str("\r\n");
        bus.stream.write_all(hello.as_bytes())?;
        let answer = bus.line()?;
        match answer.strip_prefix("OK ") {
            Some(guid) => guid.clone_into(&mut bus.guid),
            None => return Err(BusError::Refused(answer)),
        }
        bus.stream.write_all(b"BEGIN\r\n")?;
        const BUS: &str = "org.freedesktop.DBus";
        let hello =
            Method { destination: BUS, path: "/org/freedesktop/DBus", interface: BUS, member: "Hello" };
        bus.call(&hello, &Body::default())?;
        Ok(bus)
    }

    /// What tells this bus from any other, and from itself after a restart.
    pub fn guid(&self) -> &str {
        &self.guid
    }

    /// Calls a method and waits for its answer. The bus starts a service that is not there yet.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn call(&mut self, method: &Method<'_>, body: &Body) -> Result<Message, BusError> {
        self.serial = self.serial.wrapping_add(1).max(1);
        self.stream.write_all(&call(self.serial, method, body))?;
        for _ in 0..OTHERS_MAX {
            let message = self.receive()?;
            match message.kind {
                Kind::Return if message.answers == self.serial => return Ok(message),
                Kind::Error if message.answers == self.serial => {
                    let text = message.text().unwrap_or("it says no more").to_owned();
                    return Err(BusError::Answer { name: message.error, message: text });
                }
                Kind::Return | Kind::Error | Kind::Other => {}
            }
        }
        Err(BusError::Chatter)
    }

    fn receive(&mut self) -> Result<Message, BusError> {
        let mut bytes = vec![0; HEADER];
        self.stream.read_exact(&mut bytes)?;
        bytes.resize(whole_length(&bytes)?.max(HEADER), 0);
        self.stream.read_exact(bytes.get_mut(HEADER..).unwrap_or_default())?;
        Ok(parse(&bytes)?)
    }

    /// A line, without its end. Byte by byte: what follows it is not ours to take.
    fn line(&mut self) -> Result<String, BusError> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            if line.len() >= LINE_MAX {
                return Err(BusError::Refused(String::from_utf8_lossy(&line).into_owned()));
            }
            self.stream.read_exact(&mut byte)?;
            line.extend(byte);
        }
        line.truncate(line.len() - 2);
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// The places that a list of addresses names, each with its text ("Server Addresses").
fn places(addresses: &str, runtime_dir: Option<&Path>) -> Vec<(String, io::Result<SocketAddr>)> {
    let place = |address: &str| {
        let (transport, pairs) = address.split_once(':')?;
        let value = |wanted: &str| {
            pairs
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == wanted)
                .map(|(_, value)| value)
        };
        if transport != "unix" {
            None
        } else if let Some(path) = value("path") {
            Some(SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(&unescaped(path))))
        } else if let Some(name) = value("abstract") {
            Some(SocketAddr::from_abstract_name(unescaped(name)))
        } else if value("runtime") == Some("yes") {
            Some(SocketAddr::from_pathname(runtime_dir?.join("bus")))
        } else {
            None
        }
    };
    addresses.split(';').filter_map(|address| Some((address.to_owned(), place(address)?))).collect()
}

/// Takes `%2f` for what it stands for; a `%` that stands for nothing stays.
fn unescaped(value: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits =
            behind.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    bytes
}

/// Writes what may not stand in a value of an address as `%2f`.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_of_addresses_names_the_places_that_are_known() {
        let all = "tcp:host=localhost,port=1;unix:path=/run/user/1%2c000/bus,guid=0a;unix:abstract=/tmp/x;unix:runtime=yes;x";
        let places = places(all, Some(Path::new("/run/user/7")));
        let paths: Vec<_> = places
            .iter()
            .map(|(_, place)| place.as_ref().unwrap().as_pathname().map(Path::to_path_buf))
            .collect();
        assert_eq!(paths, [Some("/run/user/1,000/bus".into()), None, Some("/run/user/7/bus".into())]);
        assert_eq!(places[1].1.as_ref().unwrap().as_abstract_name(), Some(b"/tmp/x".as_slice()));
    }

    #[test]
    fn what_is_no_bus_is_said() {
        let none = MessageBus::session(None, None, 1).unwrap_err();
        assert!(none.to_string().contains("there is no session bus here"), "{none}");
        let tcp = MessageBus::session(Some("tcp:host=a,port=1"), None, 1).unwrap_err();
        assert!(matches!(&tcp, BusError::Address(_)), "{tcp}");
        let place = tempfile::tempdir().unwrap();
        let gone = MessageBus::session(None, Some(place.path()), 1).unwrap_err();
        assert!(matches!(&gone, BusError::Connect { .. }), "{gone}");
    }

    #[test]
    fn a_peer_that_refuses_or_talks_nonsense_is_told_from_one_that_is_silent() {
        for (says, expected) in [
            ("REJECTED EXTERNAL\r\n", "refused this account: \"REJECTED EXTERNAL\""),
            ("OK 0a\r\nHTTP/1.1 400 Bad Request\r\n\r\n", "does not speak D-Bus"),
            ("OK 0a", "does not answer"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(place.path().join("bus")).unwrap();
            let peer = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(says.as_bytes()).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut all = Vec::new();
                // What it was told matters only as far as it came.
                let _ = stream.read_to_end(&mut all);
                all
            });
            let failed = MessageBus::session(None, Some(place.path()), 1000).unwrap_err().to_string();
            assert!(failed.contains(expected), "{failed}");
            assert!(peer.join().unwrap().starts_with(b"\0AUTH EXTERNAL 31303030\r\n"));
        }
    }

    proptest! {
        #[test]
        fn a_path_survives_its_address(path in "/[ -~é]{0,30}") {
            prop_assert_eq!(unescaped(&escaped(&path)), path.into_bytes());
        }

        #[test]
        fn any_address_is_taken_apart_without_panic(text: String) {
            let _ = places(&text, None);
        }
    }
}
