//! What kind of file system a path lies on: network ones send no notifications of changes that
//! other machines make.

use std::path::Path;

/// Whether a path lies on a network file system, or one whose changes may come from elsewhere.
///
/// `false` where it cannot be told: watching then fails or works, and the safety scan stands behind it.
pub fn is_remote(path: &Path) -> bool {
    imp::is_remote(path)
}

/// What tells a folder from another one that later has the same name; `None` if it is no folder.
pub fn folder_identity(path: &Path) -> Option<(u64, u64)> {
    let about = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Some((about.dev(), about.ino()))
    }
    // Elsewhere the watch itself ends with its folder, and there is nothing to tell apart.
    #[cfg(not(unix))]
    {
        let _ = about;
        Some((0, 0))
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::path::Path;

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

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::path::Path;

    pub fn is_remote(_path: &Path) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::is_remote;

    #[test]
    fn what_is_not_there_is_not_remote() {
        assert!(!is_remote(std::path::Path::new("/nonexistent/offchannel")));
        #[cfg(target_os = "linux")]
        assert!(!is_remote(std::path::Path::new("/proc")), "procfs is local");
    }
}
