//! TLS of the collector: the operator's certificate, or its own CA and a certificate that it makes anew in
//! time. Either is read at start only.

mod expiry;
mod own;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use expiry::watch as watch_expiry;

use crate::config::TlsConfig;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {what} {path}: {advice}")]
    Read {
        /// What it was to be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not {what} in PEM: {advice}")]
    Pem {
        /// What it was to be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// Certificate and key do not go together, or cannot be used.
    #[error("the certificate {cert} cannot be used with the key {key}: check that they belong together")]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: the collector needs a data folder that it may write to")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No certificate could be made.
    #[error("no certificate could be made for {names}")]
    Make {
        /// The names it was to be for.
        names: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// One half of the CA is gone.
    #[error(
        "{missing} is missing beside {present}: restore it from a backup; or remove both, and every agent must be told the new CA"
    )]
    HalfCa {
        /// What is not there.
        missing: PathBuf,
        /// What is there.
        present: PathBuf,
    },
    /// TLS itself.
    #[error("TLS cannot be set up")]
    Config(#[source] rustls::Error),
}

/// The file of the CA that agents pin, in PEM; none if the operator's certificate is used.
pub fn ca_file(config: &TlsConfig) -> Option<PathBuf> {
    match config {
        TlsConfig::Files { .. } => None,
        TlsConfig::Own(folder) => Some(folder.join(own::CA_CERT)),
    }
}

/// Loads certificate and key, making or renewing them where that is the collector's task.
///
/// # Errors
/// [`TlsError`]; it names the file and what to do.
pub fn server_config(
    config: &TlsConfig,
    public_host: &str,
    now: Timestamp,
) -> Result<Arc<ServerConfig>, TlsError> {
    match config {
        TlsConfig::Files { cert_file, key_file } => {
            let advice = "check tls.cert_file and tls.key_file";
            let chain = certificates(cert_file, "a certificate chain", advice)?;
            let key = private_key(key_file, "a private key", advice)?;
            server(chain, key, cert_file, key_file)
        }
        TlsConfig::Own(folder) => own::prepare(folder, public_host, now),
    }
}

/// When the first certificate of the chain that is shown expires; none if no date is known.
///
/// # Errors
/// [`TlsError`] if the chain cannot be read.
pub fn expires_at(config: &TlsConfig) -> Result<Option<Timestamp>, TlsError> {
    let (path, advice) = match config {
        TlsConfig::Files { cert_file, .. } => (cert_file.clone(), "check tls.cert_file"),
        TlsConfig::Own(folder) => (folder.join(own::CERT), "remove it, and start again"),
    };
    let chain = certificates(&path, "a certificate chain", advice)?;
    Ok(chain.iter().filter_map(expiry::of).min())
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    cert_file: &Path,
    key_file: &Path,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Config)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Pair { cert: cert_file.to_owned(), key: key_file.to_owned(), source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A check-in over a new connection costs mostly the handshake: tickets let agents resume.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::Config)?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(path: &Path, what: &'static str, advice: &'static str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { what, path: path.to_owned(), advice, source })
}

fn certificates(
    path: &Path,
    what: &'static str,
    advice: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path, what, advice)?;
    let broken = || TlsError::Pem { what, path: path.to_owned(), advice };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(broken)
}

fn private_key(
    path: &Path,
    what: &'static str,
    advice: &'static str,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(path, what, advice)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::Pem { what, path: path.to_owned(), advice })
}

#[cfg(test)]
mod tests;
