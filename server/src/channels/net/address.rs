//! Which addresses a channel may reach. A collector stands inside the network: whoever may set the address
//! of a receiver, or the name service behind it, must not reach what is not meant for them (SSRF).
//!
//! Public addresses are reached. Private ones (loopback, RFC 1918, RFC 6598, unique local) only if the
//! operator says so. Link-local addresses and the metadata services of clouds only if a network of the
//! list names them. Unspecified, multicast, broadcast and reserved addresses never.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Which addresses may be reached beside public ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowPrivate {
    /// None.
    None,
    /// Every private one.
    Any,
    /// Those in these places.
    Only(Vec<Place>),
}

/// A network, or a host by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All addresses with these first bits; v4 addresses as v6-mapped ones.
    Network {
        /// The first bits, the others 0.
        bits: u128,
        /// How many bits.
        length: u32,
    },
    /// A host, by the name in the receiver's address.
    Host(String),
}

/// A text that is neither network nor host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a network such as 10.1.0.0/16 nor the name of a host")]
pub struct PlaceError(String);

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Private,
    /// Link-local, and metadata services.
    Guarded,
    /// No host has it.
    Unusable,
}

/// Addresses of metadata services outside the link-local networks: Google over IPv6, Alibaba, Oracle, and the host that
/// configures virtual machines of Azure, which looks public. Those of AWS over IPv6 are a network of their own.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

impl AllowPrivate {
    /// Whether a receiver at `host` may be reached at `address`, over TLS or without.
    ///
    /// # Errors
    /// The reason why not.
    pub(super) fn check(&self, host: &str, address: IpAddr, tls: bool) -> Result<(), &'static str> {
        let address = meant(address);
        let listed = match self {
            Self::None | Self::Any => false,
            Self::Only(places) => places.iter().any(|place| place.has(host, address)),
        };
        let by_network = match self {
            Self::None | Self::Any => false,
            Self::Only(places) => places.iter().any(|place| place.has("", address)),
        };
        match class(address) {
            Class::Unusable => Err("no host has this address"),
            Class::Guarded if by_network => Ok(()),
            Class::Guarded => {
                Err("it is link-local or a metadata service, and no network in allow_private has it")
            }
            Class::Private if listed || *self == Self::Any => Ok(()),
            Class::Private => Err("it is private, and allow_private does not have it"),
            Class::Public if tls => Ok(()),
            Class::Public => Err("it is public, and connections without TLS are for private addresses only"),
        }
    }
}

impl Place {
    fn has(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Network { bits, length } => {
                let address = wide(address);
                let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
                address & mask == *bits
            }
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let error = || PlaceError(text.chars().take(120).collect());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| error())?)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            let host = text.to_lowercase();
            rustls_pki_types::DnsName::try_from(host.as_str()).map_err(|_| error())?;
            return Ok(Self::Host(host));
        };
        let (own, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = length.unwrap_or(own);
        if length > own {
            return Err(error());
        }
        let length = length + before;
        let bits = wide(address);
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        // 10.0.0.1/8 is a slip: refuse it instead of guessing which half was meant.
        if bits & !mask != 0 {
            return Err(error());
        }
        Ok(Self::Network { bits, length })
    }
}

/// Where packets for an address go: one of v4 may be written as a v6-mapped one, or be behind a gateway between both worlds
/// (RFC 6052, 2.1), which is how networks without v4 reach all that has no v6.
fn meant(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
                let [.., a, b, c, d] = v6.octets();
                Ipv4Addr::new(a, b, c, d).into()
            }
            _ => v6.into(),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Sorts an address by the special-purpose registries of IANA (RFC 6890).
fn class(address: IpAddr) -> Class {
    if METADATA.contains(&address) {
        return Class::Guarded;
    }
    match address {
        IpAddr::V4(address) => class_4(address),
        IpAddr::V6(address) => class_6(address),
    }
}

fn class_4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, ..] | [224..=255, ..] => Class::Unusable,
        [169, 254, ..] => Class::Guarded,
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        // Protocol assignments, documentation, 6to4 relays, benchmarks.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => {
            Class::Unusable
        }
        _ => Class::Public,
    }
}

fn class_6(address: Ipv6Addr) -> Class {
    if address.is_loopback() {
        return Class::Private;
    }
    match address.segments() {
        // The second is of AWS, for its metadata and what is like it.
        [0xfe80..=0xfebf, ..] | [0xfd00, 0xec2, ..] => Class::Guarded,
        [0xfc00..=0xfdff, ..] => Class::Private,
        // Documentation, tunnels and other assignments that would carry an inner address past this check.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Unusable,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(allow: &AllowPrivate, address: &str) -> bool {
        allow.check("siem.internal", address.parse().unwrap(), true).is_ok()
    }

    #[test]
    fn without_leave_only_public_addresses_are_reached() {
        for public in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"] {
            assert!(check(&AllowPrivate::None, public), "{public} was refused");
        }
        for other in [
            "0.0.0.0",
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::a00:1",
            "64:ff9b:1::101:101",
            "168.63.129.16",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fec0::1",
            "::ffff:0:127.0.0.1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(!check(&AllowPrivate::None, other), "{other} was reached");
        }
    }

    #[test]
    fn leave_for_private_addresses_is_no_leave_for_metadata() {
        for private in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"] {
            assert!(check(&AllowPrivate::Any, private), "{private} was refused");
        }
        for other in [
            "169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "168.63.129.16",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert!(!check(&AllowPrivate::Any, other), "{other} was reached");
        }
    }

    #[test]
    fn a_list_gives_leave_for_what_it_names() {
        let only =
            |places: &[&str]| AllowPrivate::Only(places.iter().map(|text| text.parse().unwrap()).collect());
        let networks = only(&["10.1.0.0/16", "fd00:1::/32", "169.254.10.1"]);
        for (address, reached) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd00:1::5", true),
            ("fd00:2::5", false),
            ("169.254.10.1", true),
            ("169.254.169.254", false),
            ("1.1.1.1", true),
        ] {
            assert_eq!(check(&networks, address), reached, "{address}");
        }
        assert!(check(&only(&["siem.internal"]), "10.2.0.1"));
        assert!(!check(&only(&["other.internal"]), "10.2.0.1"));
        assert!(!check(&only(&["siem.internal"]), "169.254.169.254"), "a name gives no leave for metadata");
        assert!(check(&only(&["0.0.0.0/0"]), "10.2.0.1"));
        assert!(!check(&only(&["0.0.0.0/0"]), "fd00::1"));
    }

    #[test]
    fn without_tls_only_private_addresses_are_reached() {
        let allowed = |address: &str| AllowPrivate::Any.check("h", address.parse().unwrap(), false).is_ok();
        assert!(allowed("10.0.0.1"));
        assert!(!allowed("1.1.1.1"));
    }

    #[test]
    fn slips_in_the_list_are_refused() {
        for bad in ["", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/x", "a b", "/8"] {
            assert!(bad.parse::<Place>().is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn an_address_of_v4_is_the_same_in_every_way_of_writing_it(bits: u32) {
            let plain = Ipv4Addr::from(bits);
            let gateway = u128::from(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)) | u128::from(bits);
            for written in [plain.to_ipv6_mapped(), Ipv6Addr::from(gateway)] {
                for allow in [AllowPrivate::None, AllowPrivate::Any] {
                    prop_assert_eq!(allow.check("h", written.into(), true), allow.check("h", plain.into(), true));
                }
            }
        }

        #[test]
        fn any_text_is_a_place_or_not_without_panic(text: String) {
            let _ = text.parse::<Place>();
        }
    }
}
