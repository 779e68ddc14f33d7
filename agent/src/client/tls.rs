//! Whom the agent trusts to be the collector.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Sessions that are remembered, so that a later connection needs no full handshake. rustls rounds
/// this up to what it keeps for one server, and there is only one.
const SESSIONS: usize = 1;

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA file cannot be read.
    #[error("cannot read the CA file {0}")]
    Read(String, #[source] std::io::Error),
    /// It holds no certificate.
    #[error("the CA file {0} holds no certificate: expected PEM with BEGIN CERTIFICATE")]
    Empty(String),
    /// Something in it is not a certificate.
    #[error("the CA file {path} holds something that is not a certificate: {problem}")]
    Malformed {
        /// Which file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The system has no roots.
    #[error("the system has no trusted certificates ({0}); set server.ca_file to the collector's CA")]
    NoRoots(String),
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
}

/// Trusts the one CA of a file, or else the system's roots.
///
/// # Errors
/// [`TlsError`].
pub fn trust(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca_file {
        Some(path) => pinned(path)?,
        None => native()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn pinned(path: &Path) -> Result<RootCertStore, TlsError> {
    let shown = || path.display().to_string();
    let malformed = |problem: String| TlsError::Malformed { path: shown(), problem };
    let pem = std::fs::read(path).map_err(|cause| TlsError::Read(shown(), cause))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| malformed(error.to_string()))?;
        roots.add(certificate).map_err(|error| malformed(error.to_string()))?;
    }
    if roots.is_empty() { Err(TlsError::Empty(shown())) } else { Ok(roots) }
}

fn native() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Stores in the field hold certificates that no modern library takes; the others count.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoRoots(errors.join("; ")));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_must_hold_certificates_and_nothing_broken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        assert!(matches!(trust(Some(&file)), Err(TlsError::Read(..))));
        std::fs::write(&file, "").unwrap();
        assert!(matches!(trust(Some(&file)), Err(TlsError::Empty(_))));
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(trust(Some(&file)), Err(TlsError::Malformed { .. })));
        let good = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&file, good.cert.pem()).unwrap();
        trust(Some(&file)).unwrap();
    }
}
