//! Where a request is sent to.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use rustls_pki_types::ServerName;

/// The address of a receiver. Its path may be a secret: only the host is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    tls: bool,
    host: String,
    server_name: ServerName<'static>,
    port: u16,
    path: String,
    host_header: String,
}

/// A text that is no such address. Says nothing of the text, which may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a receiver: expected https://HOST[:PORT]/PATH, without user and password")]
pub struct TargetError;

impl Target {
    /// Whether it is sent over TLS.
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The host: a name in lower case, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// With this path, if it has none of its own.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> Self {
        if self.path == "/" {
            path.clone_into(&mut self.path);
        }
        self
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }

    /// Path and query.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The value of the `host` header.
    pub(super) fn host_header(&self) -> &str {
        &self.host_header
    }
}

impl FromStr for Target {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let uri: Uri = text.parse().map_err(|_| TargetError)?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(TargetError),
        };
        let authority = uri.authority().ok_or(TargetError)?;
        if authority.as_str().contains('@') {
            return Err(TargetError);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_lowercase();
        let server_name = ServerName::try_from(host.as_str()).map_err(|_| TargetError)?.to_owned();
        let port = match authority.port_u16() {
            Some(0) => return Err(TargetError),
            Some(port) => port,
            None if authority.as_str() != authority.host() => return Err(TargetError),
            None if tls => 443,
            None => 80,
        };
        let mut path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        // `https://host?a=b` has no path of its own; a request line needs one.
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        Ok(Self { tls, host, server_name, port, path, host_header: authority.as_str().to_owned() })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}:{})", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_address_is_taken_or_refused_without_panic(text in "(https?://)?\\PC{0,60}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert!(!target.host().is_empty() && target.port() != 0 && target.path().starts_with('/'));
            }
        }
    }

    #[test]
    fn an_address_is_taken_apart() {
        let target: Target = "https://Hooks.example.org/a?b=c".parse().unwrap();
        assert!(target.tls());
        assert_eq!((target.host(), target.port(), target.path()), ("hooks.example.org", 443, "/a?b=c"));
        let target: Target = "https://hooks.example.org?b=c".parse().unwrap();
        assert_eq!(target.path(), "/?b=c");
        let target: Target = "http://[fd00::1]:8080".parse().unwrap();
        assert_eq!((target.host(), target.port(), target.path()), ("fd00::1", 8080, "/"));
        assert_eq!(target.host_header(), "[fd00::1]:8080");
        assert!(!format!("{:?}", "https://h/secret".parse::<Target>().unwrap()).contains("secret"));
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in [
            "",
            "/x",
            "ftp://h/",
            "https://",
            "https://u:p@h/",
            "https://h:0/",
            "https://h:99999/",
            "https://h h/",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad:?} was taken");
        }
    }
}
