//! Errors that travel back along the route of an onion (BOLT 4, "Returning Errors").
//!
//! The node where it failed [`create`]s the packet, each node before it [`wrap`]s it once more, and the sender
//! [`unwrap`]s layer by layer until an HMAC holds: that hop is the one that failed. What a failure message says is not
//! read here.

use core::fmt;

use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::{
    keys::{SharedSecret, Usage},
    stream::Stream,
};
use crate::{
    cipher::key_schedule::hmac,
    cursor::{NoRoom, Reader, Writer},
    limits::{ERROR_LAYERS, FAILURE_PADDED_LEN, ONION_HMAC_LEN},
};

/// The two lengths before the message and before the padding, in bytes.
const LENGTHS_LEN: usize = 4;

/// How long the packet for a failure message of `len` bytes is, in bytes. Messages of up to [`FAILURE_PADDED_LEN`] bytes
/// make packets of one length.
pub const fn packet_len(len: usize) -> usize {
    let padded = if len < FAILURE_PADDED_LEN { FAILURE_PADDED_LEN } else { len };
    padded.saturating_add(ONION_HMAC_LEN + LENGTHS_LEN)
}

/// Writes the packet that tells of `failure` at the node where it arose, and returns it. `secret` is what that node shares
/// with the sender. The packet is already encrypted: it is not wrapped once more here.
///
/// # Errors
/// [`NoRoom`] if `packet` has less than [`packet_len`] bytes, or the message more than 65,535.
pub fn create<'p>(
    secret: &SharedSecret,
    failure: &[u8],
    packet: &'p mut [u8],
) -> Result<&'p mut [u8], NoRoom> {
    let mut writer = Writer::new(packet);
    writer.put_zeros(ONION_HMAC_LEN)?;
    writer.put_with_u16_len(failure)?;
    let padding = FAILURE_PADDED_LEN.saturating_sub(failure.len());
    writer.put_u16(u16::try_from(padding).unwrap_or_default())?;
    writer.put_zeros(padding)?;
    let packet = writer.into_written();
    if let Some((tag, text)) = packet.split_first_chunk_mut::<ONION_HMAC_LEN>() {
        *tag = *hmac(&secret.key(Usage::Um), &[text]).expose();
    }
    wrap(secret, packet);
    Ok(packet)
}

/// Adds a node's layer to a packet on its way back. What comes from the next node cannot be checked, only passed on.
pub fn wrap(secret: &SharedSecret, packet: &mut [u8]) {
    Stream::new(secret.key(Usage::Ammag)).apply(packet);
}

/// Opens a packet as the sender, who shares `secrets` with the hops in their order, and finds the hop whose HMAC holds.
///
/// The packet is changed; the message is copied into `room`, which must be as long as the packet. At least
/// [`ERROR_LAYERS`] layers are opened, whichever hop it was, so the time does not tell.
///
/// # Errors
/// [`UnwrapError`].
pub fn unwrap<'r>(
    secrets: &[SharedSecret],
    packet: &mut [u8],
    room: &'r mut [u8],
) -> Result<Failure<'r>, UnwrapError> {
    let (needed, left) = (packet.len(), room.len());
    let room = room.get_mut(..needed).ok_or(UnwrapError::NoRoom(NoRoom { needed, left }))?;
    let (mut found, mut found_at) = (Choice::from(0), 0_u64);
    let none = SharedSecret::default();
    let layers = secrets.len().max(ERROR_LAYERS);
    for (index, secret) in (0_u64..).zip(secrets.iter().chain(core::iter::repeat(&none))).take(layers) {
        wrap(secret, packet);
        let (tag, text) =
            packet.split_first_chunk::<ONION_HMAC_LEN>().ok_or(UnwrapError::TooShort { len: needed })?;
        let real = Choice::from(u8::from(index < secrets.len() as u64));
        let holds = hmac(&secret.key(Usage::Um), &[text]).expose().ct_eq(tag) & real & !found;
        found_at.conditional_assign(&index, holds);
        for (to, from) in room.iter_mut().zip(text) {
            to.conditional_assign(from, holds);
        }
        found |= holds;
    }
    if !bool::from(found) {
        return Err(UnwrapError::Unattributed);
    }
    let hop = usize::try_from(found_at).unwrap_or_default();
    let mut reader = Reader::new(room);
    let message = reader.take_with_u16_len("failuremsg").map_err(|_| UnwrapError::Unreadable { hop })?;
    Ok(Failure { hop, message })
}

/// A failure and where it arose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Which hop it was, 0 for the first.
    pub hop: usize,
    /// `failuremsg`: a failure code of 2 bytes and what belongs to it.
    pub message: &'a [u8],
}

/// Why a failure cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UnwrapError {
    /// Shorter than an HMAC.
    TooShort {
        /// How many bytes there were.
        len: usize,
    },
    /// No hop's HMAC holds: some node altered it on the way.
    Unattributed,
    /// The HMAC of this hop holds, but what it covers has no failure message.
    Unreadable {
        /// Which hop it was, 0 for the first.
        hop: usize,
    },
    /// The buffer is shorter than the packet.
    NoRoom(NoRoom),
}

impl fmt::Display for UnwrapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len } => write!(f, "a returned error of {len} bytes is too short for its HMAC"),
            Self::Unattributed => {
                f.write_str("no hop's HMAC fits the returned error: it was altered on the way")
            }
            Self::Unreadable { hop } => write!(f, "hop {hop} returned an error that has no failure message"),
            Self::NoRoom(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for UnwrapError {}
