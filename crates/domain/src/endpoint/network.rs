//! Which IP addresses a callback may point at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 space that is not reachable globally, according to the IANA IPv4 Special-Purpose Address
/// Registry, with multicast.
const NON_GLOBAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),       // "this" network
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // carrier-grade NAT
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local, instance metadata
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // IETF protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // 6to4 relays, deprecated
    v4(192, 168, 0, 0, 16),  // private
    v4(198, 18, 0, 0, 15),   // benchmarking
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved, broadcast
];

/// The only IPv6 space that IANA has allocated for global unicast. Loopback, unique-local,
/// link-local, multicast and NAT64 lie outside it.
const GLOBAL_UNICAST_V6: Ipv6Net = v6(0x2000, 0, 3);

/// The parts of [`GLOBAL_UNICAST_V6`] that are not reachable globally, or that contain an IPv4
/// address.
const NON_GLOBAL_V6: &[Ipv6Net] = &[
    v6(0x2001, 0, 23),      // IETF protocol assignments, Teredo among them
    v6(0x2001, 0x0db8, 32), // documentation
    v6(0x2002, 0, 16),      // 6to4
    v6(0x3fff, 0, 20),      // documentation
];

/// Whether `address` belongs to the public internet: not loopback, private, link-local, metadata,
/// multicast, reserved or documentation space. An IPv4 address mapped into IPv6 is treated as the
/// IPv4 address that it stands for.
pub fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => !NON_GLOBAL_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) => {
            GLOBAL_UNICAST_V6.contains(&ip) && !NON_GLOBAL_V6.iter().any(|net| net.contains(&ip))
        }
    }
}

/// Networks that a stack opens although they are not global, for development.
///
/// Written as CIDR blocks separated by commas, `127.0.0.0/8,::1/128`; the empty
/// text opens none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenNetworks(Vec<IpNet>);

impl OpenNetworks {
    /// Whether no network is opened.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `address` lies in one of the opened networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }
}

impl FromStr for OpenNetworks {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .map(str::trim)
            .filter(|block| !block.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_addresses_are_global() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_global(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for text in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_global(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn open_networks_are_read_from_a_list() {
        let open: OpenNetworks = " 127.0.0.0/8, ::1/128 ".parse().unwrap();
        assert!(open.contains("127.9.9.9".parse().unwrap()));
        assert!(open.contains("::1".parse().unwrap()));
        assert!(open.contains("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!open.contains("10.0.0.1".parse().unwrap()));
        assert_eq!("".parse::<OpenNetworks>().unwrap(), OpenNetworks::default());
        assert!("127.0.0.1/33".parse::<OpenNetworks>().is_err());
        assert!("example.com".parse::<OpenNetworks>().is_err());
    }
}
