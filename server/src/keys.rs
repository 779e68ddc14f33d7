//! The collector's signing key: made once, kept in the data folder, readable by the collector alone.
//!
//! Agents trust no other key, so a key that is missing is made only where no agent can know one yet.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offchannel_shared::signing::{KeyError, SigningKey};

use crate::files;
use crate::random::{self, RandomError};

/// The file's name in the data folder.
const FILE: &str = "policy-signing.key";

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file cannot be read.
    #[error("cannot read the signing key {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the signing key {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "the signing key {path} cannot be used: restore it from a backup; agents trust no policy signed by another key"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The file is gone, and agents may know the key.
    #[error(
        "the signing key {path} is missing: restore it from a backup; agents trust no policy signed by another key"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// No key could be made.
    #[error("no signing key could be made")]
    Random(#[from] RandomError),
    /// What was made is no key.
    #[error("no signing key could be made")]
    Made(#[source] KeyError),
}

/// The key in this data folder; none if there is no file.
///
/// # Errors
/// [`SigningKeyError`]. A file that cannot be used is left as it is.
pub fn load(data_dir: &Path) -> Result<Option<SigningKey>, SigningKeyError> {
    let path = data_dir.join(FILE);
    let unusable = |source| SigningKeyError::Unusable { path: path.clone(), source };
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let seed = STANDARD.decode(text.trim()).map_err(|_| unusable(KeyError::Malformed))?;
            SigningKey::from_seed(&seed).map_err(unusable).map(Some)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SigningKeyError::Read { path, source }),
    }
}

/// Makes the key of a new collector.
///
/// # Errors
/// [`SigningKeyError::Write`] and [`SigningKeyError::Random`].
pub fn make(data_dir: &Path) -> Result<SigningKey, SigningKeyError> {
    let seed = random::bytes::<32>()?;
    let key = SigningKey::from_seed(&seed).map_err(SigningKeyError::Made)?;
    let path = data_dir.join(FILE);
    let text = format!("{}\n", STANDARD.encode(seed));
    files::write_private(&path, text.as_bytes()).map_err(|source| SigningKeyError::Write { path, source })?;
    Ok(key)
}

/// The error of a key that is not in this data folder, where agents may know it.
pub fn missing(data_dir: &Path) -> SigningKeyError {
    SigningKeyError::Missing { path: data_dir.join(FILE) }
}

/// A key for this process alone, which is never written.
///
/// For admin commands: they hand out no policies, so nobody ever sees what it would sign, and they
/// work without reading the one secret that agents trust.
///
/// # Errors
/// [`SigningKeyError::Random`].
pub fn passing() -> Result<SigningKey, SigningKeyError> {
    SigningKey::from_seed(&random::bytes::<32>()?).map_err(SigningKeyError::Made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap().is_none(), "looking makes no key");
        let made = make(dir.path()).unwrap();
        let read = load(dir.path()).unwrap().unwrap();
        assert_eq!(made.public(), read.public());
    }

    #[test]
    fn a_broken_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "AAAA").unwrap();
        assert!(matches!(load(dir.path()), Err(SigningKeyError::Unusable { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "AAAA");
    }
}
