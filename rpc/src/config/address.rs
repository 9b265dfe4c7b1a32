//! The value of `--addr` and `--bind-addr`, in the forms of Core Lightning that lead to a TCP socket.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::Names;
use super::options::all_addresses;

/// What is wrong with an address to listen on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is empty.
    #[error("the address is empty: give IP[:PORT], [IPV6]:PORT, HOST[:PORT] or :PORT")]
    Empty,
    /// What follows the last colon is no port.
    #[error("the port is not a number from 0 to 65535")]
    Port,
    /// A form that Core Lightning has and this daemon does not.
    #[error("{0} addresses cannot be listened on here: give IP[:PORT], [IPV6]:PORT, HOST[:PORT] or :PORT")]
    Kind(&'static str),
    /// It is a name, and none may be looked up.
    #[error("it is a name, and names are not looked up (--disable-dns): give an IP address")]
    Name,
    /// The host name has no address.
    #[error("the host name cannot be resolved: {0}")]
    Resolve(std::io::Error),
}

/// Reads one address. `:PORT` means all addresses of both families; a host name may have several addresses, the first counts.
pub(super) fn parse(text: &str, default_port: u16, names: Names) -> Result<Vec<SocketAddr>, AddressError> {
    refuse_other_kinds(text)?;
    let (host, port) = split(text)?;
    if host.strip_suffix(".onion").is_some() {
        return Err(AddressError::Kind("Tor"));
    }
    let port = port.unwrap_or(default_port);
    if host.is_empty() {
        return Ok(all_addresses(port).to_vec());
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if names == Names::Refused {
        return Err(AddressError::Name);
    }
    let found = (host, port).to_socket_addrs().map_err(AddressError::Resolve)?.next();
    found
        .map(|address| vec![address])
        .ok_or_else(|| AddressError::Resolve(std::io::ErrorKind::NotFound.into()))
}

fn refuse_other_kinds(text: &str) -> Result<(), AddressError> {
    const KINDS: [(&str, &str); 5] = [
        ("/", "unix socket"),
        ("autotor:", "Tor"),
        ("statictor:", "Tor"),
        ("ws:", "WebSocket"),
        ("dns:", "announcement-only"),
    ];
    match KINDS.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        Some((_, kind)) => Err(AddressError::Kind(kind)),
        None => Ok(()),
    }
}

/// Host and port. Two colons without brackets are an IPv6 address without a port.
fn split(text: &str) -> Result<(&str, Option<u16>), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port_number(port)?))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(AddressError::Port),
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Ok((host, Some(port_number(port)?))),
        None => Ok((text, None)),
    }
}

fn port_number(text: &str) -> Result<u16, AddressError> {
    // `parse` alone would take a plus sign.
    if text.bytes().all(|digit| digit.is_ascii_digit()) { text.parse().ok() } else { None }
        .ok_or(AddressError::Port)
}
