//! Files that must survive a crash, and who may read them.

use std::fs::File;
use std::io;
use std::path::Path;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only the account that wrote it.
    Private,
    /// Everybody on the device; only the account that wrote it may change it.
    Public,
}

/// Makes a file that must not be there yet.
///
/// # Errors
/// As [`File::create_new`].
pub fn create_new(path: &Path, access: Access) -> io::Result<File> {
    imp::create_new(path, access)
}

/// Makes a folder and its parents; what was not there before is readable by all, writable by us.
///
/// # Errors
/// As [`std::fs::create_dir_all`].
pub fn create_dir(path: &Path) -> io::Result<()> {
    imp::create_dir(path)
}

/// Makes names that were added to or removed from a folder survive a power cut.
///
/// # Errors
/// If the folder cannot be opened or the disk refuses.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    imp::sync_dir(path)
}

/// Whether other accounts may read or change a file or folder, beyond what `access` allows. Where rights come from
/// the folder, and the installer sets them, never.
///
/// # Errors
/// If the system does not tell.
pub fn is_open_to_others(path: &Path, access: Access) -> io::Result<bool> {
    imp::is_open_to_others(path, access)
}

/// Takes a file's rights from everybody but its owner.
///
/// # Errors
/// If the system refuses.
pub fn close_to_others(path: &Path) -> io::Result<()> {
    imp::close_to_others(path)
}

#[cfg(unix)]
mod imp {
    use std::fs::{DirBuilder, File, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
    use std::path::Path;

    use super::Access;

    pub fn create_new(path: &Path, access: Access) -> io::Result<File> {
        // Private from the first moment; made public only once it is ours.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if access == Access::Public {
            file.set_permissions(Permissions::from_mode(0o644))?;
        }
        Ok(file)
    }

    pub fn create_dir(path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o755).create(path)
    }

    pub fn sync_dir(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    pub fn is_open_to_others(path: &Path, access: Access) -> io::Result<bool> {
        let others = match access {
            Access::Private => 0o077,
            Access::Public => 0o022,
        };
        Ok(std::fs::metadata(path)?.permissions().mode() & others != 0)
    }

    pub fn close_to_others(path: &Path) -> io::Result<()> {
        std::fs::set_permissions(path, Permissions::from_mode(0o600))
    }
}

#[cfg(not(unix))]
mod imp {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use super::Access;

    // Rights come from the folder, whose list of rights the installer sets.
    pub fn create_new(path: &Path, _access: Access) -> io::Result<File> {
        File::create_new(path)
    }

    pub fn create_dir(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    pub fn is_open_to_others(_path: &Path, _access: Access) -> io::Result<bool> {
        Ok(false)
    }

    pub fn close_to_others(_path: &Path) -> io::Result<()> {
        Ok(())
    }

    // Folders cannot be opened as files here; the file system keeps names in its own journal.
    pub fn sync_dir(_path: &Path) -> io::Result<()> {
        Ok(())
    }
}
