//! An onion that arrived: parsed, peeled, and turned into the one for the next node, all where it lies.
//!
//! ```text
//!  [version 1][ephemeral key 33][area ........................................][HMAC 32]
//!                               [length][payload][HMAC of the next][the rest ..]           after peeling
//! ```
//!
//! Each state consumes the one before: [`Packet`] (the key is a point) -> [`Peeled`] (the HMAC held) ->
//! [`Forward::into_next`] (our payload is gone). Nothing of the area is looked at before the HMAC held.

use core::{fmt, ops::Range};

use super::{
    blinded_path::BlindedIdentity,
    keys::{SharedSecret, Usage},
    stream::Stream,
};
use crate::{
    cipher::key_schedule::hmac,
    cursor::Reader,
    curve::Point,
    limits::{ONION_HMAC_LEN, ONION_OVERHEAD, ONION_VERSION, PUBLIC_KEY_LEN},
    message::bigsize,
    secret::{Secret, StaticKey},
};

/// Lengths of 0 and 1 are reserved: no payload is that short (BOLT 4, "Payload Format").
const SHORTEST_PAYLOAD: u64 = 2;

/// An onion with a version that we know and an ephemeral key that is a point.
#[derive(Debug)]
pub struct Packet<'a> {
    /// At least [`ONION_OVERHEAD`] long.
    bytes: &'a mut [u8],
    ephemeral: Point,
}

impl<'a> Packet<'a> {
    /// Takes an onion, which is changed in place from here on.
    ///
    /// # Errors
    /// [`PacketError`]; the bytes are as they were.
    pub fn parse(bytes: &'a mut [u8]) -> Result<Self, PacketError> {
        let len = bytes.len();
        let fields = Fields::of(bytes).ok_or(PacketError::TooShort { len })?;
        if *fields.version != ONION_VERSION {
            return Err(PacketError::UnknownVersion(*fields.version));
        }
        let ephemeral = Point::from_bytes(fields.ephemeral).ok_or(PacketError::EphemeralKeyNotAPoint)?;
        Ok(Self { bytes, ephemeral })
    }

    /// The secret that the sender shares with the owner of `key`.
    pub fn shared_secret(&self, key: &StaticKey) -> SharedSecret {
        SharedSecret::new(key.ecdh(&self.ephemeral))
    }

    /// The secret that the sender shares with us as a hop of a blinded path.
    pub fn blinded_shared_secret(&self, identity: &BlindedIdentity) -> SharedSecret {
        SharedSecret::new(identity.ecdh(&self.ephemeral))
    }

    /// Checks the HMAC over the area and over `associated`, and takes our layer off.
    ///
    /// # Errors
    /// [`PeelError`]. After [`PeelError::WrongHmac`] the packet is as it was.
    pub fn peel(self, secret: SharedSecret, associated: &[u8]) -> Result<Peeled<'a>, PeelError> {
        let Self { bytes, ephemeral } = self;
        // An onion that is too short was refused by `parse`; one without an HMAC has no right one.
        let Fields { area, hmac: given, ephemeral: ephemeral_bytes, .. } =
            Fields::of(bytes).ok_or(PeelError::WrongHmac)?;
        let expected = hmac(&secret.key(Usage::Mu), &[area, associated]);
        if expected != Secret::new(*given) {
            return Err(PeelError::WrongHmac);
        }
        let mut stream = Stream::new(secret.key(Usage::Rho));
        stream.apply(area);

        let (payload, next_hmac) = first_payload(area)?;
        if next_hmac == [0; ONION_HMAC_LEN] {
            return Ok(Peeled::Deliver(Deliver { bytes, payload, secret }));
        }
        let next_ephemeral = secret
            .blinding_factor(ephemeral_bytes)
            .and_then(|factor| factor.times_point(&ephemeral))
            .ok_or(PeelError::Degenerate)?
            .to_bytes();
        Ok(Peeled::Forward(Forward { bytes, payload, next_ephemeral, next_hmac, stream, secret }))
    }
}

/// An onion without our layer.
#[derive(Debug)]
pub enum Peeled<'a> {
    /// There is another hop.
    Forward(Forward<'a>),
    /// We are the last.
    Deliver(Deliver<'a>),
}

/// Our payload, and behind it the onion for the next node.
pub struct Forward<'a> {
    bytes: &'a mut [u8],
    /// Where our payload lies in the area.
    payload: Range<usize>,
    next_ephemeral: [u8; PUBLIC_KEY_LEN],
    next_hmac: [u8; ONION_HMAC_LEN],
    /// Stands behind the area, at the bytes that fill up the next one.
    stream: Stream,
    secret: SharedSecret,
}

impl<'a> Forward<'a> {
    /// Our payload, without its length, to be read or decrypted where it lies.
    pub fn payload(&mut self) -> &mut [u8] {
        payload_of(self.bytes, &self.payload)
    }

    /// What we share with the sender; a failure that travels back is encrypted with it.
    pub fn shared_secret(&self) -> &SharedSecret {
        &self.secret
    }

    /// Makes the onion for the next node of the same bytes: our payload is gone, and the end is filled up so that the
    /// length tells nothing.
    pub fn into_next(mut self) -> &'a mut [u8] {
        if let Some(fields) = Fields::of(self.bytes) {
            let shift = self.payload.end.saturating_add(ONION_HMAC_LEN);
            let kept = fields.area.len().saturating_sub(shift);
            fields.area.copy_within(shift.., 0);
            if let Some(tail) = fields.area.get_mut(kept..) {
                // BOLT 4, "Onion Decryption": as if the area had been twice as long, with zeros behind it.
                tail.fill(0);
                self.stream.apply(tail);
            }
            *fields.ephemeral = self.next_ephemeral;
            *fields.hmac = self.next_hmac;
        }
        self.bytes
    }
}

impl fmt::Debug for Forward<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Forward({} bytes of payload)", self.payload.len())
    }
}

/// The payload of the last hop.
pub struct Deliver<'a> {
    bytes: &'a mut [u8],
    /// Where our payload lies in the area.
    payload: Range<usize>,
    secret: SharedSecret,
}

impl<'a> Deliver<'a> {
    /// Our payload, without its length, to be read or decrypted where it lies.
    pub fn payload(&mut self) -> &mut [u8] {
        payload_of(self.bytes, &self.payload)
    }

    /// As [`Deliver::payload`], for as long as the caller's buffer lives.
    pub fn into_payload(self) -> &'a mut [u8] {
        payload_of(self.bytes, &self.payload)
    }

    /// What we share with the sender.
    pub fn shared_secret(&self) -> &SharedSecret {
        &self.secret
    }
}

impl fmt::Debug for Deliver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deliver({} bytes of payload)", self.payload.len())
    }
}

/// The fields of an onion, in their order.
pub(super) struct Fields<'a> {
    pub(super) version: &'a mut u8,
    pub(super) ephemeral: &'a mut [u8; PUBLIC_KEY_LEN],
    pub(super) area: &'a mut [u8],
    pub(super) hmac: &'a mut [u8; ONION_HMAC_LEN],
}

impl<'a> Fields<'a> {
    /// `None` for what is shorter than the fields of fixed length.
    pub(super) fn of(bytes: &'a mut [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_mut()?;
        let (ephemeral, rest) = rest.split_first_chunk_mut()?;
        let (area, hmac) = rest.split_last_chunk_mut()?;
        Some(Self { version, ephemeral, area, hmac })
    }
}

/// Where the first payload of a decrypted area lies, and the HMAC behind it.
fn first_payload(area: &[u8]) -> Result<(Range<usize>, [u8; ONION_HMAC_LEN]), PeelError> {
    let mut reader = Reader::new(area);
    let claimed = bigsize::read(&mut reader).map_err(|_| PeelError::LengthUnreadable)?;
    if claimed < SHORTEST_PAYLOAD {
        return Err(PeelError::LengthReserved(claimed));
    }
    let overlong = PeelError::PayloadTooLong { claimed, area: area.len() };
    let start = area.len().saturating_sub(reader.remaining());
    let len = usize::try_from(claimed).map_err(|_| overlong)?;
    reader.take(len, "payload").map_err(|_| overlong)?;
    let next_hmac = reader.take_array("hmac").map_err(|_| overlong)?;
    Ok((start..start.saturating_add(len), next_hmac))
}

/// A part of the area, whose bounds were found by reading it.
fn payload_of<'a>(bytes: &'a mut [u8], part: &Range<usize>) -> &'a mut [u8] {
    Fields::of(bytes).and_then(|fields| fields.area.get_mut(part.clone())).unwrap_or_default()
}

/// Why bytes are no onion. No key is needed to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PacketError {
    /// Shorter than version, key and HMAC together.
    TooShort {
        /// How many bytes there were.
        len: usize,
    },
    /// BOLT 4 calls it `invalid_onion_version`.
    UnknownVersion(u8),
    /// BOLT 4 calls it `invalid_onion_key`.
    EphemeralKeyNotAPoint,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len } => {
                write!(f, "an onion of {len} bytes is too short: it has at least {ONION_OVERHEAD}")
            }
            Self::UnknownVersion(version) => {
                write!(f, "the onion has version {version}, and only 0 is known")
            }
            Self::EphemeralKeyNotAPoint => f.write_str("the onion's ephemeral key is no point of secp256k1"),
        }
    }
}

impl core::error::Error for PacketError {}

/// Why an onion could not be peeled. Nothing of it can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PeelError {
    /// The onion was altered, or is not for us, or not for this associated data. BOLT 4 calls it `invalid_onion_hmac`.
    WrongHmac,
    /// The length before the payload is no BigSize in its shortest form.
    LengthUnreadable,
    /// The length is 0 or 1, which BOLT 4 reserves.
    LengthReserved(u64),
    /// The payload and the HMAC behind it do not fit into the area.
    PayloadTooLong {
        /// The length that the payload claims, in bytes.
        claimed: u64,
        /// The length of the area, in bytes.
        area: usize,
    },
    /// The next ephemeral key is no point. Nobody can bring this about.
    Degenerate,
}

impl fmt::Display for PeelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongHmac => {
                f.write_str("the onion's HMAC is wrong: it was altered, or is for another node")
            }
            Self::LengthUnreadable => f.write_str("the onion's payload has no readable length"),
            Self::LengthReserved(len) => write!(f, "the onion's payload has the reserved length {len}"),
            Self::PayloadTooLong { claimed, area } => {
                write!(
                    f,
                    "the onion's payload claims {claimed} bytes, with its HMAC more than the area of {area}"
                )
            }
            Self::Degenerate => f.write_str("the onion's next ephemeral key is no point of secp256k1"),
        }
    }
}

impl core::error::Error for PeelError {}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    /// What comes of an area of 100 bytes that begins like this.
    fn outcome(front: &[u8]) -> Result<Range<usize>, PeelError> {
        let mut area = vec![0; 100];
        area[..front.len()].copy_from_slice(front);
        first_payload(&area).map(|(payload, _)| payload)
    }

    #[test]
    fn payload_and_hmac_lie_in_the_area() {
        assert_eq!(outcome(&[2]), Ok(1..3));
        assert_eq!(outcome(&[67]), Ok(1..68));
        let too_long = |claimed| Err(PeelError::PayloadTooLong { claimed, area: 100 });
        assert_eq!(outcome(&[68]), too_long(68));
        assert_eq!(outcome(&[99]), too_long(99));
        assert_eq!(outcome(&[100]), too_long(100));
        assert_eq!(outcome(&[0xfd, 0xff, 0xff]), too_long(0xffff));
        assert_eq!(outcome(&[0xff; 9]), too_long(u64::MAX));
    }

    #[test]
    fn reserved_and_unreadable_lengths() {
        assert_eq!(outcome(&[0]), Err(PeelError::LengthReserved(0)));
        assert_eq!(outcome(&[1]), Err(PeelError::LengthReserved(1)));
        assert_eq!(outcome(&[0xfd, 0, 0xfc]), Err(PeelError::LengthUnreadable));
        assert_eq!(first_payload(&[]).err(), Some(PeelError::LengthUnreadable));
        assert_eq!(first_payload(&[0xfe, 1]).err(), Some(PeelError::LengthUnreadable));
    }
}
