//! The collector's address.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use rustls_pki_types::ServerName;

/// Port of https.
const DEFAULT_PORT: u16 = 443;

/// `https://host` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    name: ServerName<'static>,
    host: String,
    port: u16,
}

/// A text that is no address of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// Not a URL at all.
    #[error("{0:?} is not a URL: expected https://host or https://host:port")]
    Malformed(String),
    /// Unencrypted.
    #[error(
        "{0:?} is not encrypted: expected https://host or https://host:port; agents never speak plain http"
    )]
    Plain(String),
    /// More than host and port.
    #[error("{0:?} says more than host and port: expected https://host or https://host:port")]
    TooMuch(String),
}

impl ServerUrl {
    /// The name that the collector's certificate must carry.
    pub fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// The host to connect to, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as the `host` header has them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == DEFAULT_PORT { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;
    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let shown = || text.chars().take(200).collect::<String>();
        let malformed = || ServerUrlError::Malformed(shown());
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") => return Err(ServerUrlError::Plain(shown())),
            _ => return Err(malformed()),
        }
        let authority = uri.authority().ok_or_else(malformed)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(ServerUrlError::TooMuch(shown()));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // `http` takes any digits after the colon, and gives no port for what is none.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => DEFAULT_PORT,
            Some(rest) => {
                let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
                port.filter(|port| *port != 0).ok_or_else(malformed)?
            }
            None => return Err(malformed()),
        };
        let name = ServerName::try_from(host.clone()).map_err(|_| malformed())?;
        Ok(Self { name, host, port })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("https://{}", self.authority()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_https_with_host_and_port_is_taken() {
        for good in ["https://a.example", "https://a.example:8443", "https://10.0.0.1", "https://[::1]:8443"]
        {
            assert_eq!(good.parse::<ServerUrl>().unwrap().to_string(), good);
        }
        assert_eq!("https://a/".parse::<ServerUrl>().unwrap().to_string(), "https://a");
        assert!(matches!("http://a".parse::<ServerUrl>(), Err(ServerUrlError::Plain(_))));
        for bad in
            ["", "a", "https://", "ftp://a", "https://a:0", "https://a:99999", "https://a b", "https://a:"]
        {
            let read = bad.parse::<ServerUrl>();
            assert!(matches!(read, Err(ServerUrlError::Malformed(_))), "{bad:?}: {read:?}");
        }
        for bad in ["https://a/b", "https://a?b", "https://u:p@a"] {
            let read = bad.parse::<ServerUrl>();
            assert!(matches!(read, Err(ServerUrlError::TooMuch(_))), "{bad:?}: {read:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = text.parse::<ServerUrl>();
            let _ = format!("https://{text}").parse::<ServerUrl>();
        }
    }
}
