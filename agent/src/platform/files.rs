//! Looking at files that others control, without being caught by them.
//!
//! A name in somebody's home folder can be a pipe, a device or a link. Nothing but a regular file is
//! ever opened, and opening never waits.

#[cfg(unix)]
use std::ffi::CString;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Tells whether a file or folder changed: two equal stamps mean the same content.
///
/// A write within the clock's grain (4 ms on many kernels) of the one before can leave it equal;
/// [`Stamp::settled_at`] says from when on it can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of what the metadata describe.
    #[cfg(unix)]
    pub fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// The stamp of what the metadata describe.
    #[cfg(not(unix))]
    pub fn of(meta: &Metadata) -> Self {
        let since = |time: io::Result<std::time::SystemTime>| {
            let age = time.ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            age.map_or((0, 0), |age| (age.as_secs().cast_signed(), i64::from(age.subsec_nanos())))
        };
        let modified = since(meta.modified());
        Self { device: 0, inode: 0, size: meta.len(), modified, changed: since(meta.created()).max(modified) }
    }

    /// When the last change is surely over, in microseconds since 1970: a stamp that was taken later
    /// differs after the next change.
    pub fn settled_at(&self) -> i64 {
        const GRAIN: i64 = 50_000;
        let (seconds, nanos) = self.changed.max(self.modified);
        seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000).saturating_add(GRAIN)
    }
}

/// A path that is asked about at every tick, in the form in which the system takes it: to make that form is more than half
/// of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot(#[cfg(unix)] CString, #[cfg(not(unix))] PathBuf);

#[cfg(unix)]
impl Spot {
    /// `None` if nothing can be at this path: no name has a zero byte.
    pub fn new(path: OsString) -> Option<Self> {
        CString::new(std::os::unix::ffi::OsStringExt::into_vec(path)).ok().map(Self)
    }

    /// The stamp of what is here now, or of the link itself; `None` if nothing is or one may not look.
    pub fn stamp(&self, follow: bool) -> Option<Stamp> {
        let path = self.0.as_c_str();
        let stat = if follow { rustix::fs::stat(path) } else { rustix::fs::lstat(path) }.ok()?;
        // The types of these fields differ between systems.
        Some(Stamp {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        })
    }
}

#[cfg(not(unix))]
impl Spot {
    /// Never `None`: to ask for a path that cannot be answers that nothing is there.
    pub fn new(path: OsString) -> Option<Self> {
        Some(Self(path.into()))
    }

    /// The stamp of what is here now, or of the link itself; `None` if nothing is or one may not look.
    pub fn stamp(&self, follow: bool) -> Option<Stamp> {
        let meta = if follow { std::fs::metadata(&self.0) } else { std::fs::symlink_metadata(&self.0) };
        meta.ok().map(|meta| Stamp::of(&meta))
    }
}

/// What [`Path::join`] answers, in one allocation: a thousand paths are made at every scan.
pub fn join(dir: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::with_capacity(dir.as_os_str().len() + 1 + name.len());
    path.push(dir);
    path.push(name);
    path
}

/// Opens a regular file for reading.
///
/// # Errors
/// `InvalidInput` if it is none, `NetworkUnreachable` if its content is elsewhere; else what the system says.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    // Asked first: merely opening some devices has effects (a watchdog starts, a tape winds).
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if is_in_the_cloud(&meta) {
        return Err(io::ErrorKind::NetworkUnreachable.into());
    }
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // The file may have become a pipe since it was asked: do not wait for a writer.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok((file, meta))
}

/// Whether reading a file would fetch its content from iCloud first, however long that takes: `SF_DATALESS` of
/// XNU's `sys/stat.h`.
#[cfg(target_os = "macos")]
fn is_in_the_cloud(meta: &Metadata) -> bool {
    std::os::macos::fs::MetadataExt::st_flags(meta) & 0x4000_0000 != 0
}

/// Elsewhere files do not say so.
#[cfg(not(target_os = "macos"))]
fn is_in_the_cloud(_meta: &Metadata) -> bool {
    false
}

/// Who besides its rightful owner may change what is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The file, or a folder in which it can be replaced.
    pub path: PathBuf,
    /// Who may.
    pub to: Exposed,
}

/// Who may change a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposed {
    /// This user, who owns it.
    User(u32),
    /// Its group.
    Group,
    /// Everybody.
    Everybody,
}

/// Who besides root and a user may change an open file or put another one in its place; the file is judged by its
/// metadata, so that nobody can exchange it meanwhile. Of the folders above, the one that it is in counts, and the one
/// that a link leads to: whoever may write further up can do worse. Access control lists of Linux show as rights of the
/// group here, those of macOS do not.
///
/// # Errors
/// What the system says of a folder.
#[cfg(unix)]
pub fn exposure(path: &Path, meta: &Metadata, owner: u32) -> io::Result<Option<Exposure>> {
    use std::os::unix::fs::MetadataExt;
    /// In such a folder files are replaced by their owners only (`S_ISVTX`).
    const STICKY: u32 = 0o1000;
    let of = |path: &Path, meta: &Metadata| {
        let is_sticky = meta.is_dir() && meta.mode() & STICKY != 0;
        let to = match meta.mode() {
            _ if ![0, owner].contains(&meta.uid()) => Exposed::User(meta.uid()),
            mode if mode & 0o002 != 0 && !is_sticky => Exposed::Everybody,
            mode if mode & 0o020 != 0 && !is_sticky => Exposed::Group,
            _ => return None,
        };
        Some(Exposure { path: path.to_path_buf(), to })
    };
    if let Some(found) = of(path, meta) {
        return Ok(Some(found));
    }
    for at in [path, &std::fs::canonicalize(path)?] {
        // A name alone is one in the working folder.
        let folder = at.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some(found) = of(folder, &std::fs::metadata(folder)?) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Where files have no such rights, nothing is known: `None`.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn exposure(_path: &Path, _meta: &Metadata, _owner: u32) -> io::Result<Option<Exposure>> {
    Ok(None)
}

/// The number of the user who owns a file; `None` where users have no numbers.
#[cfg(unix)]
pub fn owner(meta: &Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::uid(meta))
}

/// The number of the user who owns a file; `None` where users have no numbers.
#[cfg(not(unix))]
pub fn owner(_meta: &Metadata) -> Option<u32> {
    None
}

/// Whether any execute bit is set; always so where files have no such bits.
#[cfg(unix)]
pub fn is_executable(meta: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o111 != 0
}

/// Whether any execute bit is set; always so where files have no such bits.
#[cfg(not(unix))]
pub fn is_executable(_meta: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_content_changes_the_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "a").unwrap();
        let before = Stamp::of(&std::fs::metadata(&path).unwrap());
        std::fs::write(&path, "ab").unwrap();
        assert_ne!(before, Stamp::of(&std::fs::metadata(&path).unwrap()));
    }

    #[test]
    fn a_joined_path_is_that_of_the_standard_library() {
        for dir in ["/home/alice", "/", "", "/home/alice/"] {
            for name in ["x", ".config/y", "", "/etc"] {
                let dir = Path::new(dir);
                assert_eq!(join(dir, name).as_os_str(), dir.join(name).as_os_str(), "{dir:?} {name:?}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_at_a_path_with_a_zero_byte() {
        assert_eq!(Spot::new("/tmp/a\0b".into()), None);
    }

    #[test]
    fn both_ways_to_a_stamp_agree() {
        let stamp = |path: &Path, follow| Spot::new(path.into()).unwrap().stamp(follow);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(stamp(&path, true), None);
        std::fs::write(&path, "a").unwrap();
        for path in [path.as_path(), dir.path(), Path::new("/")] {
            assert_eq!(stamp(path, true), Some(Stamp::of(&std::fs::metadata(path).unwrap())));
            assert_eq!(stamp(path, false), Some(Stamp::of(&std::fs::symlink_metadata(path).unwrap())));
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/null")] {
            let error = open_regular(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{} was opened", path.display());
        }
    }
    #[cfg(unix)]
    #[test]
    fn whoever_may_change_a_file_or_replace_it_is_found() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        let path = inner.join("x");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(&path, "a").unwrap();
        let set = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let us = owner(&std::fs::metadata(&path).unwrap()).unwrap();
        let look = |path: &Path, owner: u32| {
            let meta = std::fs::metadata(path).unwrap();
            exposure(path, &meta, owner).unwrap().map(|found| (found.path, found.to))
        };
        let inner_folder = || inner.clone();
        for (file, folder, found) in [
            (0o644, 0o755, None),
            (0o664, 0o755, Some((path.clone(), Exposed::Group))),
            (0o646, 0o755, Some((path.clone(), Exposed::Everybody))),
            (0o644, 0o775, Some((inner_folder(), Exposed::Group))),
            (0o644, 0o757, Some((inner_folder(), Exposed::Everybody))),
            (0o644, 0o1777, None),
        ] {
            set(&path, file);
            set(&inner, folder);
            assert_eq!(look(&path, us), found, "{file:o} {folder:o}");
        }
        // A link is as good as the folder that it leads to.
        set(&inner, 0o757);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let target = std::fs::canonicalize(&inner).unwrap();
        assert_eq!(look(&link, us), Some((target, Exposed::Everybody)));
        if us != 0 {
            set(&inner, 0o755);
            assert_eq!(look(&path, 0), Some((path.clone(), Exposed::User(us))));
        }
    }
}
