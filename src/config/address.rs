//! Which network addresses a provider may have.
//!
//! Private addresses and this machine's own are fine: many providers run there, and only the
//! operator names them. What no provider has, but what gives away the credentials of the machine
//! that asks, is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressClass {
    /// No address at all: `0.0.0.0`, `::` (RFC 6890).
    Unspecified,
    /// A group of hosts (RFC 5771; RFC 4291, 2.7).
    Multicast,
    /// Everybody on the network: `255.255.255.255`.
    Broadcast,
    /// A cloud's metadata service, which hands out credentials.
    Metadata,
    /// This network segment only (RFC 3927; RFC 4291, 2.5.6), where metadata services live, too.
    LinkLocal,
}

/// Which addresses of providers are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressRule {
    allow_link_local: bool,
}

/// Metadata services outside the link-local ranges: Alibaba Cloud, Azure and Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The best known one, in the link-local range.
const METADATA_LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Metadata services of AWS (instances, then pods) and of Google Cloud.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

/// Names that clouds resolve to their metadata service.
const METADATA_NAMES: [&str; 4] = ["metadata.google.internal", "metadata.goog", "metadata", "instance-data"];

// === impl AddressRule ===

impl AddressRule {
    /// The rule; `allow_link_local` admits link-local addresses and metadata services.
    #[must_use]
    pub const fn new(allow_link_local: bool) -> Self {
        Self { allow_link_local }
    }

    /// Judges an address that is about to be connected to.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(self, address: IpAddr) -> Result<(), AddressClass> {
        match refused(address) {
            Some(AddressClass::LinkLocal | AddressClass::Metadata) if self.allow_link_local => Ok(()),
            Some(class) => Err(class),
            None => Ok(()),
        }
    }

    /// Judges the host of a URL as far as it can be judged without asking for its address.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check_host(self, host: &Host<&str>) -> Result<(), AddressClass> {
        match host {
            Host::Ipv4(address) => self.check(IpAddr::V4(*address)),
            Host::Ipv6(address) => self.check(IpAddr::V6(*address)),
            Host::Domain(name) => {
                // A dot at the end makes a name absolute; it is the same name.
                let name = name.strip_suffix('.').unwrap_or(name);
                let is_metadata = METADATA_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
                if is_metadata && !self.allow_link_local { Err(AddressClass::Metadata) } else { Ok(()) }
            }
        }
    }
}

fn refused(address: IpAddr) -> Option<AddressClass> {
    match address {
        IpAddr::V4(address) => refused_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(address) => refused_v4(address),
            None => refused_v6(address),
        },
    }
}

fn refused_v4(address: Ipv4Addr) -> Option<AddressClass> {
    if address.is_unspecified() {
        Some(AddressClass::Unspecified)
    } else if address.is_broadcast() {
        Some(AddressClass::Broadcast)
    } else if address.is_multicast() {
        Some(AddressClass::Multicast)
    } else if address == METADATA_LINK_LOCAL || METADATA_V4.contains(&address) {
        Some(AddressClass::Metadata)
    } else {
        address.is_link_local().then_some(AddressClass::LinkLocal)
    }
}

fn refused_v6(address: Ipv6Addr) -> Option<AddressClass> {
    if address.is_unspecified() {
        Some(AddressClass::Unspecified)
    } else if address.is_multicast() {
        Some(AddressClass::Multicast)
    } else if METADATA_V6.contains(&address) {
        Some(AddressClass::Metadata)
    } else {
        address.is_unicast_link_local().then_some(AddressClass::LinkLocal)
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped and compatible (RFC 4291, 2.5.5), and
/// through a translator (RFC 6052, 2.1).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [prefix @ .., high, low] = address.segments();
    match prefix {
        // `::` and `::1` have meanings of their own.
        [0, 0, 0, 0, 0, 0] if high == 0 && low <= 1 => None,
        [0, 0, 0, 0, 0, 0 | 0xffff]
        | [0, 0, 0, 0, 0xffff, 0]
        | [0x0064, 0xff9b, 0, 0, 0, 0]
        | [0x0064, 0xff9b, 1, ..] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::LinkLocal => "a link-local address",
        })
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn what_no_provider_has_is_refused_by_its_class() {
        use AddressClass::{Broadcast, LinkLocal, Metadata, Multicast, Unspecified};
        for (address, class) in [
            ("0.0.0.0", Unspecified),
            ("::", Unspecified),
            ("::ffff:0.0.0.0", Unspecified),
            ("64:ff9b::0.0.0.0", Unspecified),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("ff02::1", Multicast),
            ("::ffff:224.0.0.1", Multicast),
            ("255.255.255.255", Broadcast),
            ("::ffff:255.255.255.255", Broadcast),
            ("169.254.0.0", LinkLocal),
            ("169.254.255.255", LinkLocal),
            ("169.254.170.2", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf:ffff::1", LinkLocal),
            ("::ffff:169.254.1.1", LinkLocal),
            ("::169.254.1.1", LinkLocal),
            ("64:ff9b::169.254.1.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("100.100.100.200", Metadata),
            ("168.63.129.16", Metadata),
            ("fd00:ec2::254", Metadata),
            ("fd00:ec2::23", Metadata),
            ("fd20:ce::254", Metadata),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:a9fe:a9fe", Metadata),
            ("::168.63.129.16", Metadata),
            ("64:ff9b::100.100.100.200", Metadata),
            ("192.0.0.192", Metadata),
            // RFC 8215, RFC 2765 (2.1) and RFC 3056 (2): translators and 6to4.
            ("64:ff9b:1::a9fe:a9fe", Metadata),
            ("::ffff:0:a9fe:a9fe", Metadata),
            ("2002:a9fe:a9fe::1", Metadata),
            ("2002:a9fe:101::1", LinkLocal),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(AddressRule::default().check(address), Err(class), "{address}");
            let is_optional = matches!(class, LinkLocal | Metadata);
            assert_eq!(AddressRule::new(true).check(address).is_ok(), is_optional, "{address}");
        }
    }

    #[test]
    fn public_private_and_loopback_addresses_are_allowed() {
        for address in [
            "8.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.253.255.255",
            "169.255.0.0",
            "168.63.129.17",
            "223.255.255.255",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "2002:808:808::1",
            "192.0.0.193",
            "2001:db8::a9fe:a9fe",
            "fd00:ec2::1",
            "fec0::1",
            "fc00::1",
        ] {
            assert_eq!(AddressRule::default().check(address.parse().unwrap()), Ok(()), "{address}");
        }
    }

    #[test]
    fn every_notation_of_an_address_in_a_url_is_understood() {
        let check = |host: &str| {
            let url = Url::parse(&format!("http://{host}/v1")).unwrap();
            AddressRule::default().check_host(&url.host().unwrap())
        };
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xA9.0xFE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "%31%36%39.254.169.254",
            "[::ffff:169.254.169.254]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "metadata.google.internal",
            "metadata.google.internal.",
            "METADATA.google.Internal:80",
            "metadata",
            "metadata.",
            "instance-data",
        ] {
            assert_eq!(check(host), Err(AddressClass::Metadata), "{host}");
        }
        for host in ["0", "0x0", "[::]"] {
            assert_eq!(check(host), Err(AddressClass::Unspecified), "{host}");
        }
        for host in ["api.openai.com", "localhost", "metadata.example.com", "127.1", "2130706433"] {
            assert_eq!(check(host), Ok(()), "{host}");
        }
    }

    #[test]
    fn metadata_names_are_allowed_where_link_local_addresses_are() {
        assert_eq!(AddressRule::new(true).check_host(&Host::Domain("metadata")), Ok(()));
    }
}
