//! The addresses of a network interface.

use std::io;
use std::net::IpAddr;

/// The addresses of the interface of this name, IPv4 first; none if there is no such interface.
/// Link-local IPv6 addresses are left out: they mean nothing without their zone.
pub(crate) fn addresses(name: &str, ipv6: bool) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = nix::ifaddrs::getifaddrs()?
        .filter(|interface| interface.interface_name == name)
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(|ip| match ip {
            IpAddr::V4(_) => true,
            IpAddr::V6(ip) => ipv6 && !ip.is_unicast_link_local(),
        })
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    Ok(found)
}
