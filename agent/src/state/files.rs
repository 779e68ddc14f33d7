//! The state folder: atomic writes, reads that tell damage from absence, one process at a time.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::StateError;
use crate::platform::storage::{self, Access};

/// Largest file that is read back, in bytes. Ours are far smaller; another one is damage.
const FILE_MAX: u64 = 16 * 1024 * 1024;
/// The file whose lock says that a process works in the folder.
const LOCK: &str = "lock";
/// Most damaged files of one name that are kept.
const DAMAGED_MAX: u32 = 9;

/// A folder that holds the agent's files.
///
/// It is readable by everybody, and so are the files in it except those that hold a secret: who uses
/// a device has a right to see what is collected, without asking for an administrator's rights.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// The right to write in the folder, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What became of reading a file.
#[derive(Debug)]
pub enum Read {
    /// It is not there.
    Absent,
    /// Its bytes.
    Found(Vec<u8>),
}

impl Folder {
    /// A folder that need not exist.
    pub fn at(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder if it is missing.
    ///
    /// # Errors
    /// [`StateError::Folder`].
    pub fn create(&self) -> Result<(), StateError> {
        storage::create_dir(&self.0).map_err(|cause| StateError::Folder { path: self.shown(), cause })
    }

    /// Takes the folder for this process, whose id is `pid`.
    ///
    /// # Errors
    /// [`StateError::Locked`] with the id of the process that has it; [`StateError::Folder`] if the
    /// folder cannot be written.
    pub fn lock(&self, pid: u32) -> Result<Lock, StateError> {
        let failed = |cause| StateError::Folder { path: self.shown(), cause };
        let path = self.0.join(LOCK);
        let mut file = match storage::create_new(&path, Access::Public) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                File::options().read(true).write(true).open(&path).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it only helps to find it; the lock is what counts.
                let _ = file.take(20).read_to_string(&mut holder);
                let holder =
                    if holder.trim().is_empty() { "unknown".to_owned() } else { holder.trim().to_owned() };
                return Err(StateError::Locked { path: self.shown(), holder });
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{pid}")).map_err(failed)?;
        Ok(Lock { _file: file })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`StateError::Read`] if it is there and cannot be read.
    pub fn read(&self, name: &str) -> Result<Read, StateError> {
        let failed = |cause| StateError::Read { path: self.0.join(name).display().to_string(), cause };
        let file = match File::open(self.0.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Absent),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_MAX).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Read::Found(bytes))
    }

    /// Replaces a file: after a crash at any moment either the old or the new content is there, and
    /// once this has returned, the new one.
    ///
    /// # Errors
    /// [`StateError::Write`]; the old content is then untouched, or, if only the last step failed,
    /// the new one may be there.
    pub fn write(&self, name: &str, access: Access, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.0.join(name);
        let draft = self.0.join(format!(".{name}.new"));
        let write = || -> io::Result<()> {
            // What a killed process left; we hold the lock, so it is nobody's.
            remove_if_there(&draft)?;
            let mut file = storage::create_new(&draft, access)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            drop(file);
            std::fs::rename(&draft, &path)?;
            storage::sync_dir(&self.0)
        };
        write().map_err(|cause| StateError::Write { path: path.display().to_string(), cause })
    }

    /// Removes a file for good, if it is there.
    ///
    /// # Errors
    /// [`StateError::Write`].
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.0.join(name);
        let remove = || {
            remove_if_there(&path)?;
            storage::sync_dir(&self.0)
        };
        remove().map_err(|cause| StateError::Write { path: path.display().to_string(), cause })
    }

    /// Whether a file is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Puts a file of ours in the place of another one, if it is there.
    pub(super) fn put(&self, name: &str, in_place_of: &str) -> Result<(), StateError> {
        let path = self.0.join(in_place_of);
        let put = || match std::fs::rename(self.0.join(name), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.and_then(|()| storage::sync_dir(&self.0)),
        };
        put().map_err(|cause| StateError::Write { path: path.display().to_string(), cause })
    }

    /// Moves a damaged file out of the way, and says under which name it is kept.
    ///
    /// # Errors
    /// [`StateError::Write`].
    pub fn set_aside(&self, name: &str) -> Result<String, StateError> {
        let free = |number: &u32| !self.0.join(damaged(name, *number)).exists();
        // When all names are taken the last one is replaced: the first damage tells most.
        let number = (1..DAMAGED_MAX).find(free).unwrap_or(DAMAGED_MAX);
        let kept = damaged(name, number);
        let path = self.0.join(name);
        std::fs::rename(&path, self.0.join(&kept))
            .and_then(|()| storage::sync_dir(&self.0))
            .map_err(|cause| StateError::Write { path: path.display().to_string(), cause })?;
        Ok(kept)
    }

    fn shown(&self) -> String {
        self.0.display().to_string()
    }
}

fn damaged(name: &str, number: u32) -> String {
    format!("{name}.damaged-{number}")
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(read: Read) -> Vec<u8> {
        match read {
            Read::Found(bytes) => bytes,
            Read::Absent => panic!("the file is not there"),
        }
    }

    #[test]
    fn a_write_replaces_and_leaves_no_draft_behind() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(&place.path().join("a/b"));
        folder.create().unwrap();
        std::fs::write(folder.path().join(".x.new"), b"left by a killed process").unwrap();
        for content in [b"one".as_slice(), b"two"] {
            folder.write("x", Access::Private, content).unwrap();
            assert_eq!(found(folder.read("x").unwrap()), content);
        }
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["x"]);
        assert!(matches!(folder.read("y"), Ok(Read::Absent)));
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_private_and_the_rest_is_public() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(&place.path().join("state"));
        folder.create().unwrap();
        folder.write("secret", Access::Private, b"").unwrap();
        folder.write("open", Access::Public, b"").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("secret")), 0o600);
        assert_eq!(mode(&folder.path().join("open")), 0o644);
        assert_eq!(mode(folder.path()) & 0o022, 0, "nobody else may write in the folder");
    }

    #[test]
    fn a_second_process_is_told_who_has_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        let lock = folder.lock(4711).unwrap();
        let refused = folder.lock(4712).unwrap_err();
        assert!(matches!(&refused, StateError::Locked { holder, .. } if holder == "4711"), "{refused}");
        drop(lock);
        folder.lock(4712).unwrap();
    }

    #[test]
    fn damaged_files_are_kept_under_their_own_names() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        for number in 1..12 {
            folder.write("s", Access::Public, &[number]).unwrap();
            let kept = folder.set_aside("s").unwrap();
            assert_eq!(kept, format!("s.damaged-{}", u32::from(number).min(DAMAGED_MAX)));
        }
        assert_eq!(found(folder.read("s.damaged-1").unwrap()), [1]);
        assert!(matches!(folder.read("s"), Ok(Read::Absent)));
    }
}
