//! The public key that names a node.
//!
//! A [`NodeId`] is always a valid point of secp256k1 in compressed form: whoever holds one need not check it
//! again. It is public; nothing here is constant time, and nothing needs wiping.

use core::{borrow::Borrow, fmt, str::FromStr};

use crate::{curve::Point, limits::PUBLIC_KEY_LEN};

/// Two hex digits per byte.
const HEX_LEN: usize = 2 * PUBLIC_KEY_LEN;

/// A node's public key: 33 bytes, compressed, always a point of the curve. Shown as lower-case hex.
///
/// The order is that of the bytes, which is how BOLT 7 orders the two ends of a channel.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; PUBLIC_KEY_LEN]);

/// Why some bytes or digits are not a node id.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InvalidNodeId {
    /// Not 33 bytes.
    WrongLength {
        /// How many bytes there were.
        len: usize,
    },
    /// Not 66 hex digits.
    WrongDigitCount {
        /// How many bytes of text there were.
        len: usize,
    },
    /// Something other than a hex digit.
    NotHex {
        /// Where in the text, counted from 0.
        position: usize,
    },
    /// The first byte is neither 02 nor 03, or no point of the curve has this x coordinate.
    NotAPoint,
}

impl NodeId {
    /// Takes 33 bytes that encode a point of the curve in compressed form.
    ///
    /// # Errors
    /// [`InvalidNodeId::WrongLength`] and [`InvalidNodeId::NotAPoint`].
    pub fn from_bytes(bytes: &[u8]) -> Result<NodeId, InvalidNodeId> {
        let bytes: [u8; PUBLIC_KEY_LEN] =
            bytes.try_into().map_err(|_| InvalidNodeId::WrongLength { len: bytes.len() })?;
        Point::from_bytes(&bytes).ok_or(InvalidNodeId::NotAPoint)?;
        Ok(NodeId(bytes))
    }

    /// The key in compressed form, as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }

    /// The encoding of a point that is already known to be one.
    pub(crate) fn from_point(point: Point) -> NodeId {
        NodeId(point.to_bytes())
    }

    /// The point itself. It takes a square root, so it is not kept: the handshake needs it once. `None`
    /// cannot happen, by the invariant of the type.
    pub(crate) fn point(&self) -> Option<Point> {
        Point::from_bytes(&self.0)
    }
}

/// Equal, ordered and hashed as its bytes are: so a map of node ids can be asked about bytes that nobody has validated.
impl Borrow<[u8; PUBLIC_KEY_LEN]> for NodeId {
    fn borrow(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    /// Reads 66 hex digits of either case, without a prefix and without spaces.
    fn from_str(text: &str) -> Result<NodeId, InvalidNodeId> {
        let text = text.as_bytes();
        if text.len() != HEX_LEN {
            return Err(InvalidNodeId::WrongDigitCount { len: text.len() });
        }
        let mut bytes = [0; PUBLIC_KEY_LEN];
        let (pairs, _) = text.as_chunks::<2>();
        for ((index, &[high, low]), byte) in pairs.iter().enumerate().zip(&mut bytes) {
            let high = hex_value(high).ok_or(InvalidNodeId::NotHex { position: 2 * index })?;
            let low = hex_value(low).ok_or(InvalidNodeId::NotHex { position: 2 * index + 1 })?;
            *byte = high << 4 | low;
        }
        NodeId::from_bytes(&bytes)
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for NodeId {
    fn format(&self, f: defmt::Formatter<'_>) {
        for byte in self.0 {
            defmt::write!(f, "{=u8:02x}", byte);
        }
    }
}

impl fmt::Display for InvalidNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongLength { len } => write!(f, "a node id has {PUBLIC_KEY_LEN} bytes, not {len}"),
            Self::WrongDigitCount { len } => write!(f, "a node id has {HEX_LEN} hex digits, not {len}"),
            Self::NotHex { position } => {
                write!(
                    f,
                    "a node id is written in hex digits; there is something else at position {position}"
                )
            }
            Self::NotAPoint => f.write_str(
                "a node id is a public key that starts with 02 or 03; this one is no point of secp256k1",
            ),
        }
    }
}

impl core::error::Error for InvalidNodeId {}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString};

    use super::*;

    const ID: &str = "028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7";

    #[test]
    fn text_goes_in_and_out_in_either_case() {
        let id: NodeId = ID.parse().unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(format!("{id:?}"), ID);
        assert_eq!(ID.to_uppercase().parse(), Ok(id));
        assert_eq!(NodeId::from_bytes(id.as_bytes()), Ok(id));
    }

    #[test]
    fn what_is_not_a_point_is_refused() {
        let mut bytes = *ID.parse::<NodeId>().unwrap().as_bytes();
        for first in [0x00, 0x01, 0x04, 0x05, 0xff] {
            bytes[0] = first;
            assert_eq!(NodeId::from_bytes(&bytes), Err(InvalidNodeId::NotAPoint));
        }
        // An x coordinate that is not below the field's prime.
        assert_eq!(NodeId::from_bytes(&[&[2_u8][..], &[0xff; 32]].concat()), Err(InvalidNodeId::NotAPoint));
        // x = 5 is on no point of the curve: 5^3 + 7 has no square root.
        let mut five = [0; 33];
        (five[0], five[32]) = (2, 5);
        assert_eq!(NodeId::from_bytes(&five), Err(InvalidNodeId::NotAPoint));
    }

    #[test]
    fn wrong_sizes_and_digits_are_named() {
        assert_eq!(NodeId::from_bytes(&[2; 32]), Err(InvalidNodeId::WrongLength { len: 32 }));
        assert_eq!(NodeId::from_bytes(&[]), Err(InvalidNodeId::WrongLength { len: 0 }));
        assert_eq!(ID[2..].parse::<NodeId>(), Err(InvalidNodeId::WrongDigitCount { len: 64 }));
        for (position, digit) in [(0, "g"), (65, " "), (30, "+"), (31, "x")] {
            let mut text = ID.to_string();
            text.replace_range(position..=position, digit);
            assert_eq!(text.parse::<NodeId>(), Err(InvalidNodeId::NotHex { position }));
        }
        // 66 bytes, but not 66 characters: no slicing inside a character.
        let text = format!("{}é", &ID[..64]);
        assert_eq!(text.parse::<NodeId>(), Err(InvalidNodeId::NotHex { position: 64 }));
    }
}
