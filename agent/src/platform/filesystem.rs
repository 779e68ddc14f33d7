//! What kind of file system a path lies on: network ones send no notifications of changes that
//! other machines make.

use std::path::{Path, PathBuf};

/// Whether a path lies on a network file system, or one whose changes may come from elsewhere.
///
/// `false` where it cannot be told: watching then fails or works, and the safety scan stands behind it.
pub fn is_remote(path: &Path) -> bool {
    imp::is_remote(path)
}

/// Where all paths of the running system begin: `/`, or the drive that Windows is installed on.
pub fn root() -> PathBuf {
    imp::root()
}

/// What tells a folder from another one that later has the same name; `None` if it is no folder.
pub fn folder_identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
        Some((about.dev(), about.ino()))
    }
    #[cfg(windows)]
    {
        let folder = winapi_util::Handle::from_path_any(path).ok()?;
        let about = winapi_util::file::information(&folder).ok()?;
        // `FILE_ATTRIBUTE_DIRECTORY` of winnt.h.
        let is_dir = about.file_attributes() & 0x10 != 0;
        is_dir.then(|| (about.volume_serial_number(), about.file_index()))
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::path::{Path, PathBuf};

    pub fn root() -> PathBuf {
        PathBuf::from("/")
    }

    /// `f_type` of statfs(2), from `linux/magic.h` and the file systems' own sources.
    const REMOTE: [u64; 12] = [
        0x0102_1997, // 9p
        0x5346_414F, // AFS, and kAFS
        0x00C3_6400, // Ceph
        0xFF53_4D42, // CIFS
        0x7375_7245, // Coda
        0x6573_5546, // FUSE
        0x0116_1970, // GFS2
        0x0BD0_0BD0, // Lustre
        0x0000_6969, // NFS
        0x7461_636F, // OCFS2
        0xFE53_4D42, // SMB 2 and later
        0x786F_4256, // VirtualBox shared folders
    ];

    pub fn is_remote(path: &Path) -> bool {
        rustix::fs::statfs(path).is_ok_and(|about| {
            // Signed or not, 32 or 64 bits: the field's type differs between architectures.
            #[expect(clippy::cast_sign_loss, reason = "a magic number is a bit pattern")]
            let magic = about.f_type as u64 & 0xFFFF_FFFF;
            REMOTE.contains(&magic)
        })
    }
}

#[cfg(windows)]
mod imp {
    use std::path::{Component, Path, PathBuf, Prefix};

    use crate::platform::registry::{Hive, Key, View};

    /// Where setup puts Windows if nobody asks for another place.
    const USUAL: &str = "C:\\";

    pub fn root() -> PathBuf {
        let path = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";
        let key = Key::open(Hive::LocalMachine, path, View::Bits64);
        let windows = key.and_then(|key| key.text("SystemRoot")).map(PathBuf::from).unwrap_or_default();
        let root: PathBuf = windows.components().take(2).collect();
        if root.is_absolute() { root } else { PathBuf::from(USUAL) }
    }

    /// Whether it is a share (`\\server\share`). A drive letter that stands for one is not told apart.
    pub fn is_remote(path: &Path) -> bool {
        let Some(Component::Prefix(prefix)) = path.components().next() else { return false };
        matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
    }
}

#[cfg(not(any(windows, target_os = "linux")))]
mod imp {
    use std::path::{Path, PathBuf};

    pub fn root() -> PathBuf {
        PathBuf::from("/")
    }

    pub fn is_remote(_path: &Path) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_an_absolute_folder_and_has_no_parent() {
        let root = root();
        assert!(root.is_absolute() && root.is_dir() && root.parent().is_none(), "{}", root.display());
    }

    #[test]
    fn a_folder_is_told_from_its_successor_and_from_a_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a");
        assert_eq!(folder_identity(&folder), None);
        std::fs::create_dir(&folder).unwrap();
        let first = folder_identity(&folder);
        assert!(first.is_some() && first == folder_identity(&folder));
        std::fs::rename(&folder, place.path().join("b")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert_ne!(folder_identity(&folder), first);
        assert_eq!(folder_identity(&place.path().join("b")), first);
        std::fs::write(place.path().join("file"), "").unwrap();
        assert_eq!(folder_identity(&place.path().join("file")), None);
    }

    #[test]
    fn what_is_not_there_is_not_remote() {
        assert!(!is_remote(Path::new("/nonexistent/offchannel")));
        assert!(!is_remote(&root()));
        #[cfg(target_os = "linux")]
        assert!(!is_remote(Path::new("/proc")), "procfs is local");
        #[cfg(windows)]
        assert!(is_remote(Path::new("\\\\server\\share\\folder")));
    }
}
