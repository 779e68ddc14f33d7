//! Connections to receivers: resolve once, check the addresses, connect to one that was checked.

mod address;
mod host;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use address::{AllowPrivate, Place, PlaceError};
pub use host::{Host, HostError};

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name of the host.
    #[error("the host {host} cannot be resolved")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address may not be reached.
    #[error("the host {host} has the address {address}, which is refused: {why}")]
    Refused {
        /// The host.
        host: String,
        /// One of its addresses.
        address: IpAddr,
        /// Why.
        why: &'static str,
    },
    /// The name has no address.
    #[error("the host {0} has no address")]
    NoAddress(String),
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No TLS connection.
    #[error("the TLS handshake with {host} failed")]
    Handshake {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why connections over TLS cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The file of the receiver's CAs.
    #[error("ca_file has no certificate in PEM that can be used")]
    Authorities,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Connects to a host. Resolves once and connects to the addresses that were checked, so that a second answer of the
/// name service cannot lead elsewhere. `secure` says whether TLS will be spoken: without it only private addresses are
/// reached. Has no time limit of its own.
///
/// # Errors
/// [`DialError`].
pub(super) async fn connect(
    host: &str,
    port: u16,
    secure: bool,
    allow_private: &AllowPrivate,
) -> Result<TcpStream, DialError> {
    let resolved = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| DialError::Resolve { host: host.to_owned(), source })?;
    let mut error = DialError::NoAddress(host.to_owned());
    for address in resolved {
        let ip = address.ip().to_canonical();
        if let Err(why) = allow_private.check(host, ip, secure) {
            error = DialError::Refused { host: host.to_owned(), address: ip, why };
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(source) => error = DialError::Connect { address, source },
        }
    }
    Err(error)
}

/// Speaks TLS on a connection; the receiver's certificate must be for `name`.
///
/// # Errors
/// [`DialError::Handshake`].
pub(super) async fn secured(
    stream: TcpStream,
    name: ServerName<'static>,
    config: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, DialError> {
    let host = name.to_str().into_owned();
    let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    connected.map_err(|source| DialError::Handshake { host, source })
}

/// What TLS connections are made with: the CAs in PEM, or the system's, and the protocols that are offered (ALPN).
///
/// # Errors
/// [`TlsSetupError`].
pub(super) fn tls(ca_pem: Option<&str>, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| TlsSetupError::Authorities)?;
                roots.add(certificate).map_err(|_| TlsSetupError::Authorities)?;
            }
            if roots.is_empty() {
                return Err(TlsSetupError::Authorities);
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            let (added, refused) = roots.add_parsable_certificates(system.certs);
            if added == 0 {
                tracing::warn!(
                    refused,
                    "the system has no CA certificates: no receiver over TLS will be trusted"
                );
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsSetupError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}
