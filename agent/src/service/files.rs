//! The files of a service: written whole or not at all, compared, removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ServiceError;
use crate::platform::storage::Access;
use crate::state::Folder;

/// A path of the running system, or the same one below a root.
pub fn under(root: Option<&Path>, path: &str) -> PathBuf {
    root.map_or_else(|| PathBuf::from(path), |root| root.join(path.trim_start_matches('/')))
}

/// Makes a file have this text; answers whether it had another one, or was missing.
pub fn write(path: &Path, text: &str) -> Result<bool, ServiceError> {
    if read(path)?.as_deref() == Some(text.as_bytes()) {
        return Ok(false);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(ServiceError::File(path.display().to_string(), io::ErrorKind::InvalidInput.into()));
    };
    let folder = Folder::at(folder);
    folder
        .create()
        .and_then(|()| folder.write(name, Access::Public, text.as_bytes()))
        .map_err(ServiceError::Write)?;
    Ok(true)
}

/// The content of a file, if it is there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, ServiceError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| failed(path, error)),
    }
}

/// Removes a file or link; answers whether it was there.
pub fn remove(path: &Path) -> Result<bool, ServiceError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true).map_err(|error| failed(path, error)),
    }
}

/// The error about a path.
pub fn failed(path: &Path, error: io::Error) -> ServiceError {
    ServiceError::File(path.display().to_string(), error)
}

/// The path of this program, which nobody but root can change; `better` is where it belongs.
pub fn own_program(better: &'static str) -> Result<PathBuf, ServiceError> {
    let program = std::env::current_exe().map_err(ServiceError::Program)?;
    match crate::platform::service::program::changeable(&program).map_err(ServiceError::Program)? {
        None => Ok(program),
        Some(part) => Err(ServiceError::Changeable { part: part.display().to_string(), better }),
    }
}

/// The path of the program in a tree, as the tree's own system will see it: this one's if it is in there, else `usual`.
pub fn program_in(root: &Path, usual: &str) -> Result<PathBuf, ServiceError> {
    let program = std::env::current_exe().map_err(ServiceError::Program)?;
    if let Ok(inside) = fs::canonicalize(root)
        .and_then(|root| program.strip_prefix(root).map(Path::to_path_buf).map_err(io::Error::other))
    {
        return Ok(Path::new("/").join(inside));
    }
    let there = under(Some(root), usual);
    if there.is_file() {
        Ok(PathBuf::from(usual))
    } else {
        Err(ServiceError::NoProgram(there.display().to_string()))
    }
}
