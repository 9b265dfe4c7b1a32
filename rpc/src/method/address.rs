//! Addresses of peers: how results show them, and which are worth showing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::json_writer::ObjectWriter;

/// Adds `type`, `address` and `port`.
pub(crate) fn write_address(entry: &mut ObjectWriter<'_>, address: SocketAddr) {
    entry.string("type", if address.is_ipv4() { "ipv4" } else { "ipv6" });
    entry.string("address", address.ip());
    entry.bare("port", address.port());
}

/// Whether the whole internet can mean the same host by it. A peer on our own network truly sees us at an address that is
/// of no use to anybody else.
pub(super) fn is_public(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        // "This network" (RFC 791), carriers' own (RFC 6598), benchmarks (RFC 2544).
        || first == 0
        || (first == 100 && second & 0xc0 == 64)
        || (first == 198 && second & 0xfe == 18);
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_special = address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        // Documentation (RFC 3849), ORCHID (RFC 4843).
        || (first == 0x2001 && second == 0x0db8)
        || (first == 0x2001 && second & 0xfff0 == 0x0010);
    !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses() {
        for public in [
            "1.1.1.1:1",
            "100.63.0.1:1",
            "100.128.0.1:1",
            "198.20.0.1:1",
            "[2600::1]:1",
            "[::ffff:1.1.1.1]:1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1:1",
            "10.0.0.1:1",
            "192.168.1.1:1",
            "172.31.0.1:1",
            "169.254.0.1:1",
            "0.0.0.1:1",
            "100.127.0.1:1",
            "198.19.0.1:1",
            "192.0.2.1:1",
            "255.255.255.255:1",
            "[::1]:1",
            "[::]:1",
            "[fe80::1]:1",
            "[fd00::1]:1",
            "[2001:db8::1]:1",
            "[2001:10::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
