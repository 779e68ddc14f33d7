//! Whether a program may be run as a service: whoever can change it would get the rights of the service.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Of a program's own path, links followed, the first part that somebody other than root can change; `None` if there is
/// no such part.
///
/// # Errors
/// What the system says of a part that it cannot tell of.
pub fn changeable(program: &Path) -> io::Result<Option<PathBuf>> {
    for part in fs::canonicalize(program)?.ancestors() {
        let meta = fs::metadata(part)?;
        if meta.uid() != 0 || meta.permissions().mode() & 0o022 != 0 {
            return Ok(Some(part.to_path_buf()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_can_change_is_found() {
        assert_eq!(changeable(Path::new("/bin/sh")).unwrap(), None);
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("agent");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(changeable(&program).unwrap(), Some(fs::canonicalize(&program).unwrap()));
        assert!(changeable(&folder.path().join("nothing")).is_err());
    }
}
