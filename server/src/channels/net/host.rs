//! A host that a setting names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::ServerName;

/// A host: its name in lower case, or an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    text: String,
    server_name: ServerName<'static>,
}

/// A text that is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither the name of a host nor an IP address")]
pub struct HostError(String);

impl Host {
    /// This machine, where its own name is none that can be used.
    pub fn localhost() -> Self {
        let server_name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
        Self { text: "127.0.0.1".to_owned(), server_name }
    }

    /// The name, or the address without brackets.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.text.parse().ok()
    }

    /// What its certificate is to be for.
    pub(in crate::channels) fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }
}

impl FromStr for Host {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        let lower = text.to_lowercase();
        let server_name =
            ServerName::try_from(lower.as_str()).map_err(|_| HostError(text.chars().take(120).collect()))?;
        Ok(Self { server_name: server_name.to_owned(), text: lower })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_alone() {
        for (text, host) in
            [("Mail.example.org", "mail.example.org"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1")]
        {
            assert_eq!(text.parse::<Host>().unwrap().as_str(), host);
        }
        for bad in ["", "a b", "mail.example.org:25", "smtp://mail", "[::1]", "a\r\nb", "münchen.example"] {
            assert!(bad.parse::<Host>().is_err(), "{bad:?} was taken");
        }
    }
}
