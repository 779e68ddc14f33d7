//! Whose certificate the collector shows.

use std::path::{Path, PathBuf};

use super::layers::Section;
use super::problem::Problem;

/// Folder of the collector's own CA and certificate in the data folder.
const OWN_FOLDER: &str = "tls";

/// Where certificate and key come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsConfig {
    /// The operator's files, in PEM.
    Files {
        /// The certificate chain, the server's own first.
        cert_file: PathBuf,
        /// The private key.
        key_file: PathBuf,
    },
    /// Made by the collector and kept in this folder.
    Own(PathBuf),
}

pub(super) fn tls(
    main: &mut Section,
    problems: &mut Vec<Problem>,
    data_dir: Option<&Path>,
) -> Option<TlsConfig> {
    let given = |key: &str| main.settings.get(key).map(|setting| setting.origin.clone());
    let (cert, key) = (given("tls.cert_file"), given("tls.key_file"));
    match (cert, key) {
        (None, None) => data_dir.map(|folder| TlsConfig::Own(folder.join(OWN_FOLDER))),
        (Some(origin), None) => {
            main.problem(
                problems,
                "tls.key_file",
                &origin,
                "missing: tls.cert_file is given without its key",
            );
            None
        }
        (None, Some(origin)) => {
            main.problem(
                problems,
                "tls.cert_file",
                &origin,
                "missing: tls.key_file is given without a certificate",
            );
            None
        }
        (Some(_), Some(_)) => {
            let cert_file = main.path(problems, "tls.cert_file");
            let key_file = main.path(problems, "tls.key_file");
            Some(TlsConfig::Files { cert_file: cert_file?, key_file: key_file? })
        }
    }
}
