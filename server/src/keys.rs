//! The collector's signing key: made once, kept in the data folder, readable by the collector alone.

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
    /// No key could be made.
    #[error("no signing key could be made")]
    Random(#[from] RandomError),
}

/// The key in this data folder; made if there is none.
///
/// # Errors
/// [`SigningKeyError`]. A file that cannot be used is left as it is.
pub fn load_or_make(data_dir: &Path) -> Result<SigningKey, SigningKeyError> {
    let path = data_dir.join(FILE);
    let unusable = |source| SigningKeyError::Unusable { path: path.clone(), source };
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let seed = STANDARD.decode(text.trim()).map_err(|_| unusable(KeyError::Malformed))?;
            SigningKey::from_seed(&seed).map_err(unusable)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let seed = random::bytes::<32>()?;
            let key = SigningKey::from_seed(&seed).map_err(unusable)?;
            let text = format!("{}\n", STANDARD.encode(seed));
            files::write_private(&path, text.as_bytes())
                .map_err(|source| SigningKeyError::Write { path: path.clone(), source })?;
            Ok(key)
        }
        Err(source) => Err(SigningKeyError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let made = load_or_make(dir.path()).unwrap();
        let read = load_or_make(dir.path()).unwrap();
        assert_eq!(made.public(), read.public());
    }

    #[test]
    fn a_broken_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "AAAA").unwrap();
        assert!(matches!(load_or_make(dir.path()), Err(SigningKeyError::Unusable { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "AAAA");
    }
}
