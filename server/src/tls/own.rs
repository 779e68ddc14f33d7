//! The collector's own CA and certificate, in a folder of the data folder.
//!
//! Agents pin the CA, so it is made once and kept. The certificate under it is made anew at a start when less than a
//! third of its life is left, when its names are others than wanted, and when it cannot be read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{TlsError, certificates, private_key, provider, read, server};
use crate::files;

pub(super) const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
pub(super) const CERT: &str = "server.crt";
const KEY: &str = "server.key";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the CA is valid, in days: agents know no other.
const CA_DAYS: u32 = 3_653;
/// How long a certificate is valid, in days.
const CERT_DAYS: u32 = 365;
/// A certificate with fewer days left is made anew at start.
const RENEW_DAYS: u32 = CERT_DAYS / 3;
/// Clocks of agents may be behind ours: certificates are valid from a day before.
const BACKDATED: Duration = DAY;

const RESTORE: &str = "restore it from a backup; agents trust no other CA";

/// A CA that can sign.
struct Ca {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

pub(super) fn prepare(
    folder: &Path,
    public_host: &str,
    now: Timestamp,
) -> Result<Arc<ServerConfig>, TlsError> {
    files::make_private_dir(folder).map_err(|source| TlsError::Write { path: folder.to_owned(), source })?;
    let file = |name| folder.join(name);
    let ca = load_or_make_ca(&file(CA_CERT), &file(CA_KEY), now)?;
    let names = names(public_host);
    let (cert_file, key_file) = (file(CERT), file(KEY));
    if let Some(config) = usable(&ca, &names, &cert_file, &key_file, now) {
        return Ok(config);
    }
    make_certificate(&ca, &names, &cert_file, &key_file, now)?;
    let advice = "remove it, and start again";
    let chain = certificates(&cert_file, "a certificate", advice)?;
    server(chain, private_key(&key_file, "a private key", advice)?, &cert_file, &key_file)
}

/// Every name under which an agent, or somebody on this machine, may reach the collector.
fn names(public_host: &str) -> Vec<String> {
    let mut names = vec![public_host.to_owned()];
    for name in ["localhost", "127.0.0.1", "::1"] {
        if name != public_host {
            names.push(name.to_owned());
        }
    }
    names
}

fn load_or_make_ca(cert_file: &Path, key_file: &Path, now: Timestamp) -> Result<Ca, TlsError> {
    match (cert_file.exists(), key_file.exists()) {
        (true, true) => {
            let pem = read(cert_file, "the CA's certificate", RESTORE)?;
            let pem = String::from_utf8_lossy(&pem).into_owned();
            let what = "a CA's certificate";
            let broken = |path: &Path, what| TlsError::Pem { what, path: path.to_owned(), advice: RESTORE };
            let certificate =
                CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| broken(cert_file, what))?;
            let key = read(key_file, "the CA's key", RESTORE)?;
            let key = KeyPair::from_pem(&String::from_utf8_lossy(&key));
            let key = key.map_err(|_| broken(key_file, "a CA's key"))?;
            Ok(Ca { certificate, pem, key })
        }
        (true, false) => Err(half(key_file, cert_file)),
        // The key is written first: a start that was cut off between the two leaves it alone, unused.
        (false, _) => make_ca(cert_file, key_file, now),
    }
}

fn half(missing: &Path, present: &Path) -> TlsError {
    TlsError::HalfCa { missing: missing.to_owned(), present: present.to_owned() }
}

fn make_ca(cert_file: &Path, key_file: &Path, now: Timestamp) -> Result<Ca, TlsError> {
    let failed = |source| TlsError::Make { names: "the CA".to_owned(), source };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = ca_params(&key);
    set_validity(&mut params, now, CA_DAYS);
    let certificate = params.self_signed(&key).map_err(failed)?;
    let pem = certificate.pem();
    write(key_file, key.serialize_pem().as_bytes())?;
    write(cert_file, pem.as_bytes())?;
    tracing::info!(ca = %cert_file.display(), "made a certificate authority for agents to pin");
    Ok(Ca { certificate: certificate.der().clone(), pem, key })
}

/// What identifies the CA as an issuer: the same for the same key, so that nothing has to be read back
/// from its certificate.
fn ca_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
    let short: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    name.push(DnType::CommonName, format!("Offchannel collector CA {short}"));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The TLS of the certificate on disk, if it is still good: it and its key can be read and belong together,
/// and an agent that pins the CA would accept it under every name until it is time to renew.
fn usable(
    ca: &Ca,
    names: &[String],
    cert_file: &Path,
    key_file: &Path,
    now: Timestamp,
) -> Option<Arc<ServerConfig>> {
    let chain = certificates(cert_file, "a certificate", "").ok()?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate.clone()).ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()?;
    let (own, rest) = chain.split_first()?;
    let now = u64::try_from(now.as_second()).ok()?;
    let later = now.checked_add(u64::from(RENEW_DAYS).checked_mul(DAY.as_secs())?)?;
    for at in [now, later] {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        for name in names {
            let name = ServerName::try_from(name.as_str()).ok()?;
            verifier.verify_server_cert(own, rest, &name, &[], at).ok()?;
        }
    }
    let key = private_key(key_file, "a private key", "").ok()?;
    server(chain, key, cert_file, key_file).ok()
}

fn make_certificate(
    ca: &Ca,
    names: &[String],
    cert_file: &Path,
    key_file: &Path,
    now: Timestamp,
) -> Result<(), TlsError> {
    let failed = |source| TlsError::Make { names: names.join(", "), source };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Offchannel collector");
    params.distinguished_name = name;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, CERT_DAYS);
    let issuer_params = ca_params(&ca.key);
    let issuer = Issuer::from_params(&issuer_params, &ca.key);
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    // Cut off between the two writes, certificate and key do not belong together and are made anew.
    write(key_file, key.serialize_pem().as_bytes())?;
    write(cert_file, format!("{}{}", certificate.pem(), ca.pem).as_bytes())?;
    tracing::info!(certificate = %cert_file.display(), names = %names.join(", "), days = CERT_DAYS, "made a TLS certificate");
    Ok(())
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, days: u32) {
    // Up to the year 9892: the certificate's own dates end with 9999.
    let now = u64::try_from(now.as_second()).unwrap_or(0).min(250_000_000_000);
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now);
    params.not_before = now - BACKDATED;
    params.not_after = now + DAY * days;
}

fn write(path: &Path, content: &[u8]) -> Result<(), TlsError> {
    let failed = |source| TlsError::Write { path: PathBuf::from(path), source };
    files::write_private(path, content).map_err(failed)
}
