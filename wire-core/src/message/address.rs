//! Addresses as nodes tell them to each other: BOLT 7's address descriptors, one byte of type and then its data.
//!
//! In this crate they occur in `remote_addr` of [`init`](super::init): where a node sees its peer come from. They are
//! hints of a stranger; whether one may be believed or dialled is for others to decide.

use core::{fmt, net};

use super::text::Printable;
use crate::cursor::{NoRoom, Reader, Truncated, Writer};

/// The longest descriptor, in bytes: type, length, a host name of 255 bytes, port.
pub const MAX_LEN: usize = 1 + 1 + 255 + 2;

/// Length of a version 3 onion address, in bytes: Ed25519 key, checksum, version.
pub const TOR_V3_LEN: usize = 32 + 2 + 1;

/// One address descriptor (BOLT 7, `node_announcement`). The ports are never 0 when it was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Address<'a> {
    /// Type 1.
    Ipv4 {
        /// The four bytes of the address.
        address: [u8; 4],
        /// The TCP port.
        port: u16,
    },
    /// Type 2.
    Ipv6 {
        /// The sixteen bytes of the address.
        address: [u8; 16],
        /// The TCP port.
        port: u16,
    },
    /// Type 4: an onion service of version 3.
    TorV3 {
        /// What the base32 text before `.onion` stands for.
        address: [u8; TOR_V3_LEN],
        /// The virtual port of the service.
        port: u16,
    },
    /// Type 5: a name in the DNS.
    Dns {
        /// The host name: ASCII, 1 to 255 bytes.
        hostname: &'a [u8],
        /// The TCP port.
        port: u16,
    },
}

const IPV4: u8 = 1;
const IPV6: u8 = 2;
const TOR_V3: u8 = 4;
const DNS: u8 = 5;

impl<'a> Address<'a> {
    /// Reads one descriptor, which has to be all of `bytes`.
    ///
    /// # Errors
    /// [`AddressError`]; BOLT 7 has such addresses ignored.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, AddressError> {
        let mut reader = Reader::new(bytes);
        let address = match reader.u8("type")? {
            IPV4 => Self::Ipv4 { address: reader.take_array("ipv4_addr")?, port: reader.u16("port")? },
            IPV6 => Self::Ipv6 { address: reader.take_array("ipv6_addr")?, port: reader.u16("port")? },
            TOR_V3 => Self::TorV3 { address: reader.take_array("onion_addr")?, port: reader.u16("port")? },
            DNS => {
                let len = reader.u8("hostname_len")?;
                let hostname = reader.take(usize::from(len), "hostname")?;
                if hostname.is_empty() || !hostname.is_ascii() {
                    return Err(AddressError::BadHostname);
                }
                Self::Dns { hostname, port: reader.u16("port")? }
            }
            kind => return Err(AddressError::UnknownType(kind)),
        };
        if address.port() == 0 {
            return Err(AddressError::PortZero);
        }
        if !reader.is_empty() {
            return Err(AddressError::TrailingBytes(reader.remaining()));
        }
        Ok(address)
    }

    /// Writes the descriptor, at most [`MAX_LEN`] bytes.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has fewer, or for a host name of more than 255 bytes.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        match self {
            Self::Ipv4 { address, .. } => {
                writer.put_u8(IPV4)?;
                writer.put(address)?;
            }
            Self::Ipv6 { address, .. } => {
                writer.put_u8(IPV6)?;
                writer.put(address)?;
            }
            Self::TorV3 { address, .. } => {
                writer.put_u8(TOR_V3)?;
                writer.put(address)?;
            }
            Self::Dns { hostname, .. } => {
                let Ok(len) = u8::try_from(hostname.len()) else {
                    return Err(NoRoom { needed: hostname.len(), left: usize::from(u8::MAX) });
                };
                writer.put_u8(DNS)?;
                writer.put_u8(len)?;
                writer.put(hostname)?;
            }
        }
        writer.put_u16(self.port())
    }

    /// The port, whatever the kind of address.
    pub const fn port(&self) -> u16 {
        match *self {
            Self::Ipv4 { port, .. }
            | Self::Ipv6 { port, .. }
            | Self::TorV3 { port, .. }
            | Self::Dns { port, .. } => port,
        }
    }

    /// The socket address, if it is an IP address.
    pub const fn socket_addr(&self) -> Option<net::SocketAddr> {
        match *self {
            Self::Ipv4 { address: [a, b, c, d], port } => {
                Some(net::SocketAddr::V4(net::SocketAddrV4::new(net::Ipv4Addr::new(a, b, c, d), port)))
            }
            Self::Ipv6 { address, port } => {
                let address = net::Ipv6Addr::from_bits(u128::from_be_bytes(address));
                Some(net::SocketAddr::V6(net::SocketAddrV6::new(address, port, 0, 0)))
            }
            Self::TorV3 { .. } | Self::Dns { .. } => None,
        }
    }
}

impl From<net::SocketAddr> for Address<'static> {
    /// The descriptor of an IP address. An IPv6 zone or flow label has no place in it and is left out.
    fn from(address: net::SocketAddr) -> Self {
        match address {
            net::SocketAddr::V4(v4) => Self::Ipv4 { address: v4.ip().octets(), port: v4.port() },
            net::SocketAddr::V6(v6) => Self::Ipv6 { address: v6.ip().octets(), port: v6.port() },
        }
    }
}

impl fmt::Display for Address<'_> {
    /// `1.2.3.4:9735`, `[2001:db8::1]:9735`, `name:9735`; an onion address as 70 hex digits, since making its usual
    /// text takes base32.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.socket_addr() {
            return address.fmt(f);
        }
        match self {
            Self::TorV3 { address, .. } => address.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?,
            Self::Dns { hostname, .. } => Printable::new(hostname).fmt(f)?,
            Self::Ipv4 { .. } | Self::Ipv6 { .. } => {}
        }
        write!(f, ":{}", self.port())
    }
}

/// Why bytes are no address that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AddressError {
    /// They end too early.
    Truncated(Truncated),
    /// The type is one that BOLT 7 does not define or has given up (3, onion services of version 2).
    UnknownType(u8),
    /// A host name is empty or not ASCII.
    BadHostname,
    /// The port is 0.
    PortZero,
    /// This many bytes follow the descriptor.
    TrailingBytes(usize),
}

impl From<Truncated> for AddressError {
    fn from(error: Truncated) -> Self {
        Self::Truncated(error)
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(error) => error.fmt(f),
            Self::UnknownType(kind) => write!(f, "address type {kind} is unknown"),
            Self::BadHostname => f.write_str("the host name is empty or not ASCII"),
            Self::PortZero => f.write_str("the port is 0"),
            Self::TrailingBytes(count) => write!(f, "{count} bytes follow the address"),
        }
    }
}

impl core::error::Error for AddressError {}
