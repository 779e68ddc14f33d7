//! Where the collector listens, and what agents are told of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::layers::Section;
use super::problem::Problem;

/// The address under which agents reach the collector: `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    host: String,
}

/// A text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the address of a collector: expected https://HOST or https://HOST:PORT, without a path"
)]
pub struct PublicUrlError(String);

impl PublicUrl {
    /// The address of a host and port.
    pub fn of(host: &str, port: u16) -> Self {
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        Self { text: format!("https://{bracketed}{port}"), host: host.to_owned() }
    }

    /// The address as a text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone: a name, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;
    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let error = || PublicUrlError(text.chars().take(120).collect());
        let uri: http::Uri = text.parse().map_err(|_| error())?;
        let authority = uri.authority().ok_or_else(error)?;
        let bare = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
        if uri.scheme_str() != Some("https") || !bare || authority.host().is_empty() {
            return Err(error());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_lowercase();
        rustls_pki_types::ServerName::try_from(host.as_str()).map_err(|_| error())?;
        let port = match authority.port_u16() {
            Some(0) => return Err(error()),
            Some(port) => port,
            None if authority.as_str().ends_with(authority.host()) => 443,
            None => return Err(error()),
        };
        Ok(Self::of(&host, port))
    }
}

pub(super) fn listen(main: &mut Section, problems: &mut Vec<Problem>) -> Option<SocketAddr> {
    address(main, problems, "listen")
}

pub(super) fn metrics(main: &mut Section, problems: &mut Vec<Problem>) -> Option<SocketAddr> {
    address(main, problems, "metrics.listen")
}

fn address(main: &mut Section, problems: &mut Vec<Problem>, key: &'static str) -> Option<SocketAddr> {
    let (text, origin) = main.text(problems, key)?;
    let address = text.trim().parse();
    if address.is_err() {
        let message = format!(
            "{text:?} is not an address to listen on: expected IP:PORT, such as 0.0.0.0:8443 or [::]:8443"
        );
        main.problem(problems, key, &origin, message);
    }
    address.ok()
}

/// What was given, or what follows from this machine's name and `listen`.
pub(super) fn public_url(
    main: &mut Section,
    problems: &mut Vec<Problem>,
    listen: Option<SocketAddr>,
) -> Option<PublicUrl> {
    if main.settings.contains_key("public_url") {
        return main.parsed(problems, "public_url");
    }
    let listen = listen?;
    let address = Some(listen.ip()).filter(|ip| !ip.is_unspecified()).as_ref().map(IpAddr::to_string);
    let host = address.or_else(host_name).unwrap_or_else(|| "localhost".to_owned());
    Some(PublicUrl::of(&host, listen.port()))
}

/// This machine's name, if it can stand in a certificate.
pub(super) fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    rustls_pki_types::ServerName::try_from(name.as_str()).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_a_host() {
        for (text, normal, host) in [
            ("https://Collector.example.org", "https://collector.example.org", "collector.example.org"),
            ("https://collector.example.org:443/", "https://collector.example.org", "collector.example.org"),
            ("https://10.0.0.1:8443", "https://10.0.0.1:8443", "10.0.0.1"),
            ("https://[::1]:8443", "https://[::1]:8443", "::1"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((url.as_str(), url.host()), (normal, host));
        }
        for bad in [
            "",
            "collector",
            "http://a",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://a:0",
            "https://a:99999",
            "https://a b",
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad:?} was taken");
        }
    }
}
