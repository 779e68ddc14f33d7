//! Ports that no other test uses, also across restarts of what listens on them.
//!
//! A port that the system gives could be given to somebody else while its listener restarts. These lie below the
//! range from which systems give ports, and are reserved with a lock that ends with this process.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what Linux, macOS and Windows give out.
const PORTS: Range<u16> = 21_000..31_000;

/// A reserved port on the loopback address.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves one that is free.
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // A folder that somebody else has made could not be written to.
        let folder = format!("offchannel-tests-ports-{}", rustix::process::geteuid().as_raw());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder for the locks of ports");
        // Processes start at different places, so that they seldom try the same port.
        let start = (std::process::id() % 100) as u16 * 100;
        for _ in PORTS {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
            let number = PORTS.start + offset;
            let path = folder.join(number.to_string());
            let file =
                File::options().create(true).truncate(false).write(true).open(path).expect("a lock file");
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => panic!("a port cannot be reserved: {error}"),
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: file };
            }
        }
        panic!("no port from {PORTS:?} is free");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}
