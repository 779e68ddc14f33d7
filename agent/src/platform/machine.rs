//! What the running system calls the machine that it runs on.

/// An id of the machine, or of the system that is installed on it, that stays the same from start to start.
///
/// Windows: `MachineGuid`, which its setup makes. macOS: the hardware's UUID (`IOPlatformUUID`). `None` where
/// the system does not tell; on Linux, where the id lies in a file, there is nothing to ask.
pub fn id() -> Option<String> {
    imp::id().filter(|id| !id.is_empty())
}

#[cfg(windows)]
mod imp {
    use crate::platform::registry::{Hive, Key, View};

    pub fn id() -> Option<String> {
        let key = Key::open(Hive::LocalMachine, "SOFTWARE\\Microsoft\\Cryptography", View::Bits64).ok()?;
        key.text("MachineGuid").ok()
    }
}

#[cfg(target_os = "macos")]
mod imp {
    pub fn id() -> Option<String> {
        sysinfo::Product::uuid().ok()
    }
}

#[cfg(not(any(windows, target_os = "macos")))]
mod imp {
    pub fn id() -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_id_is_the_same_every_time() {
        let id = super::id();
        assert_eq!(id, super::id());
        assert_eq!(id.is_some(), cfg!(any(windows, target_os = "macos")), "{id:?}");
        // Both are UUIDs.
        assert!(id.is_none_or(|id| id.len() == 36));
    }
}
