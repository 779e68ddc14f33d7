//! Certificates that the collector makes, renews, and those that it is given.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use offchannel_shared::span::Span;

use super::*;

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn prepare_own(folder: &Path, host: &str, now: Timestamp) -> Result<Arc<ServerConfig>, TlsError> {
    server_config(&TlsConfig::Own(folder.to_owned()), host, now)
}

fn content(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

fn days(days: u32) -> Span {
    Span::minutes(days * 24 * 60)
}

#[test]
fn the_ca_is_made_once_and_the_certificate_kept_until_a_third_of_its_life_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tls");
    prepare_own(&folder, "collector.example.org", start()).unwrap();
    assert_eq!(ca_file(&TlsConfig::Own(folder.clone())), Some(folder.join("ca.crt")));
    let (ca, cert) = (content(&folder, "ca.crt"), content(&folder, "server.crt"));
    prepare_own(&folder, "collector.example.org", days(240).after(start())).unwrap();
    assert_eq!(content(&folder, "server.crt"), cert, "made anew too early");
    prepare_own(&folder, "collector.example.org", days(250).after(start())).unwrap();
    assert_ne!(content(&folder, "server.crt"), cert, "not made anew");
    assert_eq!(content(&folder, "ca.crt"), ca, "agents pin the CA");
}

#[test]
fn another_name_makes_another_certificate_under_the_same_ca() {
    let dir = tempfile::tempdir().unwrap();
    prepare_own(dir.path(), "one.example.org", start()).unwrap();
    let (ca, cert) = (content(dir.path(), "ca.crt"), content(dir.path(), "server.crt"));
    for host in ["two.example.org", "10.0.0.7", "fd00::7", "localhost"] {
        prepare_own(dir.path(), host, start()).unwrap();
    }
    assert_ne!(content(dir.path(), "server.crt"), cert);
    assert_eq!(content(dir.path(), "ca.crt"), ca);
}

#[test]
fn only_the_collector_reads_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    prepare_own(dir.path(), "localhost", start()).unwrap();
    for key in ["ca.key", "server.key"] {
        let mode = std::fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
}

#[test]
fn a_broken_certificate_is_made_anew_but_a_ca_never() {
    let dir = tempfile::tempdir().unwrap();
    prepare_own(dir.path(), "localhost", start()).unwrap();
    std::fs::write(dir.path().join("server.key"), "rubbish").unwrap();
    prepare_own(dir.path(), "localhost", start()).unwrap();
    std::fs::write(dir.path().join("ca.key"), "rubbish").unwrap();
    let error = prepare_own(dir.path(), "localhost", start()).unwrap_err().to_string();
    assert!(error.contains("ca.key is not a CA's key in PEM: restore it from a backup"), "{error}");
    std::fs::remove_file(dir.path().join("ca.key")).unwrap();
    let error = prepare_own(dir.path(), "localhost", start()).unwrap_err().to_string();
    assert!(error.contains("ca.key is missing beside"), "{error}");
}

#[test]
fn the_operators_files_are_checked_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    prepare_own(&one, "localhost", start()).unwrap();
    prepare_own(&two, "localhost", start()).unwrap();
    let files =
        |cert: &Path, key: &Path| TlsConfig::Files { cert_file: cert.to_owned(), key_file: key.to_owned() };
    server_config(&files(&one.join("server.crt"), &one.join("server.key")), "x", start()).unwrap();
    let mixed = server_config(&files(&one.join("server.crt"), &two.join("server.key")), "x", start());
    assert!(matches!(mixed, Err(TlsError::Pair { .. })), "{mixed:?}");
    let swapped = server_config(&files(&one.join("server.key"), &one.join("server.key")), "x", start());
    assert!(matches!(swapped, Err(TlsError::Pem { .. })), "{swapped:?}");
    let missing = server_config(&files(&one.join("none"), &one.join("server.key")), "x", start());
    assert!(missing.unwrap_err().to_string().contains("none: check tls.cert_file"));
}

#[test]
fn it_is_known_when_a_certificate_expires_whoever_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let own = TlsConfig::Own(dir.path().to_owned());
    server_config(&own, "localhost", start()).unwrap();
    let expected = Some(days(365).after(start()));
    assert_eq!(expires_at(&own).unwrap(), expected);
    let path = |name| dir.path().join(name);
    let files = TlsConfig::Files { cert_file: path("server.crt"), key_file: path("server.key") };
    assert_eq!(expires_at(&files).unwrap(), expected);
    let ca = TlsConfig::Files { cert_file: path("ca.crt"), key_file: path("ca.key") };
    assert_eq!(expires_at(&ca).unwrap(), Some(days(3_653).after(start())));
}
