//! What a host can look like, and which addresses that means.
//!
//! `127.0.0.1`, `::1`, `[::1]:9735`, `node.example:9735`, `localhost`, `dns:node.example`; and, so that they are refused for
//! what they are, addresses of Tor, of web sockets and of local sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Names;
use crate::limits::MAX_SOCKET_PATH;

#[cfg(test)]
mod tests;

/// The longest name in DNS (RFC 1035).
const MAX_NAME_LEN: usize = 255;
/// Letters and digits of a version 3 onion address, which is base 32.
const ONION_LEN: usize = 56;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// An IP address.
    Address(SocketAddr),
    /// A name; if it has no address, the host was not valid.
    Name(String, u16),
    /// A name that was marked as one; if it has no address, connecting failed.
    MarkedName(String, u16),
    /// Something that is understood but cannot be connected to: what to say of it.
    Unreachable(String),
}

/// Why a host is not usable.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is a thing to listen on, not to connect to.
    NotSimple,
    /// It is wrong.
    Invalid(&'static str),
}

/// One thing to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Connect here.
    Address(SocketAddr),
    /// There is nothing to connect to: what to say of it.
    Unreachable(String),
}

impl Destination {
    pub(super) fn parse(host: &str, default_port: u16) -> Result<Destination, Unusable> {
        if host.starts_with('/') {
            if host.len() > MAX_SOCKET_PATH {
                return Err(Unusable::Invalid("Socket name too long"));
            }
            return Ok(Destination::Unreachable(format!("{host}: not supported")));
        }
        if host.starts_with("autotor:") || host.starts_with("statictor:") {
            return Err(Unusable::NotSimple);
        }
        let (host, is_websocket) = match host.strip_prefix("ws:") {
            Some(host) => (host, true),
            None => (host, false),
        };
        if split_port(host).is_some_and(|(name, _)| name.is_empty()) {
            return Err(Unusable::NotSimple);
        }
        let (host, is_marked) = match host.strip_prefix("dns:") {
            Some(host) => (host, true),
            None => (host, false),
        };
        let (name, port) = split_port(host).ok_or(Unusable::Invalid("Error parsing hostname"))?;
        let port = port.unwrap_or(default_port);
        let destination = match ip_address(name, is_marked) {
            Some(_) if is_marked => return Err(Unusable::Invalid("dns: must be followed by a name")),
            Some(address) => Destination::Address(SocketAddr::new(address, port)),
            None if is_marked && name.len() > MAX_NAME_LEN => {
                return Err(Unusable::Invalid("DNS address too long"));
            }
            None if is_marked => Destination::MarkedName(name.to_owned(), port),
            None => match name.strip_suffix(".onion") {
                Some(onion) if is_onion(onion) => {
                    Destination::Unreachable(format!("{name}:{port}: need a proxy"))
                }
                Some(_) => return Err(Unusable::Invalid("Invalid Tor address")),
                None => Destination::Name(name.to_owned(), port),
            },
        };
        Ok(match destination {
            Destination::Address(address) if is_websocket => {
                Destination::Unreachable(format!("(ws){address}: not supported"))
            }
            other => other,
        })
    }

    /// What there is to try, in turn.
    ///
    /// # Errors
    /// The system's words for why a name has no address.
    pub(super) async fn find(self, names: Names) -> Result<Vec<Place>, String> {
        match self {
            Destination::Address(address) => Ok(vec![Place::Address(address)]),
            Destination::Unreachable(why) => Ok(vec![Place::Unreachable(why)]),
            Destination::Name(name, port) => look_up(&name, port, names).await,
            Destination::MarkedName(name, port) => {
                Ok(look_up(&name, port, names).await.unwrap_or_else(|why| {
                    vec![Place::Unreachable(format!("{name}:{port}: getaddrinfo error '{why}'"))]
                }))
            }
        }
    }
}

async fn look_up(name: &str, port: u16, names: Names) -> Result<Vec<Place>, String> {
    const UNKNOWN: &str = "Name or service not known";
    if names == Names::Refused {
        return Err("it is a name, and names are not looked up (--disable-dns): give an address".to_owned());
    }
    // RFC 6761, section 6.4: such a name has no address, and nobody needs to be asked.
    let last_label = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    if last_label.eq_ignore_ascii_case("invalid") {
        return Err(UNKNOWN.to_owned());
    }
    match tokio::net::lookup_host((name, port)).await {
        Ok(addresses) => {
            let places: Vec<Place> = addresses.map(Place::Address).collect();
            if places.is_empty() { Err(UNKNOWN.to_owned()) } else { Ok(places) }
        }
        Err(error) => Err(reason(&error)),
    }
}

/// The resolver's own words, without those that the standard library puts in front.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("failed to lookup address information: ") {
        Some(reason) => reason.to_owned(),
        None => text,
    }
}

fn ip_address(name: &str, is_marked: bool) -> Option<IpAddr> {
    match name {
        // These two are known without being looked up.
        "localhost" if !is_marked => Some(Ipv4Addr::LOCALHOST.into()),
        "ip6-localhost" if !is_marked => Some(Ipv6Addr::LOCALHOST.into()),
        _ => name.parse().ok(),
    }
}

fn is_onion(label: &str) -> bool {
    label.len() == ONION_LEN
        && label.bytes().all(|byte| matches!(byte.to_ascii_lowercase(), b'a'..=b'z' | b'2'..=b'7'))
}

/// Takes the port off: `host:port`, `[host]:port`. More than one colon without brackets is an IPv6 address without a port.
/// `None` if the port is not a number from 1 to 65535 (Core Lightning takes larger ones modulo 65536) or a bracket is missing.
pub(super) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            (host, rest.split_once(':').map(|(_, port)| port))
        }
        None => match text.split_once(':') {
            Some((host, port)) if !port.is_empty() && !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    let Some(port) = port else { return Some((host, None)) };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port != 0)?;
    Some((host, Some(port)))
}
