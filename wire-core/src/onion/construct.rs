//! To wrap an onion (BOLT 4, "Packet Construction").
//!
//! From the last hop to the first: make room, put the payload and the HMAC of what follows, encrypt, take the HMAC. What
//! each hop will fill in at the end is known beforehand, so the last HMAC can cover it: the filler. It is computed where it
//! will lie, so no other buffer is needed.

use core::fmt;

use super::{
    keys::{SharedSecret, Usage, derive},
    packet::Fields,
    stream::Stream,
};
use crate::{
    cipher::key_schedule::hmac,
    cursor::Writer,
    limits::{ONION_HMAC_LEN, ONION_OVERHEAD, ONION_VERSION},
    message::bigsize,
    node_id::NodeId,
    secret::EphemeralKey,
};

/// One node on the route and what it is told.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// Its id, or the blinded id by which a path names it.
    pub node: NodeId,
    /// Its payload, without the length in front. BOLT 4 reserves the lengths 0 and 1: who peels refuses them.
    pub payload: &'a [u8],
}

impl Hop<'_> {
    /// What the hop takes of the area, in bytes: length, payload and the HMAC behind it.
    pub const fn len(&self) -> usize {
        // A usize is never longer than a u64, and a buffer never comes near either's end.
        let prefix = bigsize::encoded_len(self.payload.len() as u64);
        prefix.saturating_add(self.payload.len()).saturating_add(ONION_HMAC_LEN)
    }

    /// Never: a hop without a payload has its length and an HMAC.
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// Wraps an onion for `hops`, first hop first, that fills `packet`; the area is what `packet` has beyond
/// [`ONION_OVERHEAD`]. The HMACs also cover `associated`, which does not travel in the onion. `session` must be fresh; the
/// same arguments give the same onion.
///
/// The secret shared with each hop is left in `secrets`, in the order of the hops, for [`failure::unwrap`].
///
/// [`failure::unwrap`]: super::failure::unwrap
///
/// # Errors
/// [`ConstructError`]; `packet` and `secrets` then hold nothing of use.
pub fn construct(
    session: EphemeralKey,
    hops: &[Hop<'_>],
    associated: &[u8],
    packet: &mut [u8],
    secrets: &mut [SharedSecret],
) -> Result<(), ConstructError> {
    let (last, before) = hops.split_last().ok_or(ConstructError::NoHops)?;
    let secrets = secrets.get_mut(..hops.len()).ok_or(ConstructError::TooFewSecrets { hops: hops.len() })?;
    let len = packet.len();
    let fields = Fields::of(packet).ok_or(ConstructError::PacketTooShort { len })?;
    let payloads = hops.iter().fold(0_usize, |sum, hop| sum.saturating_add(hop.len()));
    let Some(filler_start) =
        fields.area.len().checked_sub(payloads).map(|unused| unused.saturating_add(last.len()))
    else {
        return Err(ConstructError::PayloadsTooLong { payloads, area: fields.area.len() });
    };
    *fields.version = ONION_VERSION;
    *fields.ephemeral = *session.public().as_bytes();
    // Drawn from the session key, as Core Lightning and the vectors do; BOLT 4 asks for random bytes.
    fields.area.fill(0);
    Stream::new(derive(Usage::Pad, session.to_secret().expose())).apply(fields.area);
    share_secrets(session, hops, secrets)?;

    let area_len = fields.area.len();
    if let Some(filler) = fields.area.get_mut(filler_start..) {
        fill(filler, area_len, before, secrets);
    }
    let mut next_hmac = [0; ONION_HMAC_LEN];
    // The layer of the last hop leaves the filler alone, those of the others cover it.
    let mut layer_end = filler_start;
    for (hop, secret) in hops.iter().zip(&*secrets).rev() {
        wrap(fields.area.get_mut(..layer_end).unwrap_or_default(), hop, secret, &next_hmac)?;
        next_hmac = *hmac(&secret.key(Usage::Mu), &[fields.area, associated]).expose();
        layer_end = area_len;
    }
    *fields.hmac = next_hmac;
    Ok(())
}

/// The secrets along the route: for each hop the ephemeral key is the one before times a factor that its hop can compute.
fn share_secrets(
    session: EphemeralKey,
    hops: &[Hop<'_>],
    secrets: &mut [SharedSecret],
) -> Result<(), ConstructError> {
    let mut ephemeral = session;
    for (hop, secret) in hops.iter().zip(secrets) {
        *secret = SharedSecret::new(ephemeral.ecdh_with_node(&hop.node));
        ephemeral = secret
            .blinding_factor(ephemeral.public().as_bytes())
            .and_then(|factor| ephemeral.times(&factor))
            .ok_or(ConstructError::Degenerate)?;
    }
    Ok(())
}

/// What the hops but the last will have added at the end when the onion is at the last one (BOLT 4, "Filler Generation").
fn fill(filler: &mut [u8], area: usize, before: &[Hop<'_>], secrets: &[SharedSecret]) {
    filler.fill(0);
    let mut so_far = 0_usize;
    for (hop, secret) in before.iter().zip(secrets) {
        let offset = area.saturating_sub(so_far);
        so_far = so_far.saturating_add(hop.len());
        if let Some(added) = filler.get_mut(..so_far) {
            Stream::starting_at(secret.key(Usage::Rho), offset).apply(added);
        }
    }
}

/// Puts one hop's payload in front of what is there, whose end falls off, and encrypts all of it.
fn wrap(
    area: &mut [u8],
    hop: &Hop<'_>,
    secret: &SharedSecret,
    next_hmac: &[u8; ONION_HMAC_LEN],
) -> Result<(), ConstructError> {
    let too_long = ConstructError::PayloadsTooLong { payloads: hop.len(), area: area.len() };
    let kept = area.len().checked_sub(hop.len()).ok_or(too_long)?;
    area.copy_within(..kept, hop.len());
    let mut writer = Writer::new(area);
    bigsize::write(&mut writer, hop.payload.len() as u64).map_err(|_| too_long)?;
    writer.put(hop.payload).map_err(|_| too_long)?;
    writer.put(next_hmac).map_err(|_| too_long)?;
    Stream::new(secret.key(Usage::Rho)).apply(area);
    Ok(())
}

/// Why there is no onion for these hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConstructError {
    /// An onion has at least one hop.
    NoHops,
    /// There is not a slot for each hop's secret.
    TooFewSecrets {
        /// How many hops there are.
        hops: usize,
    },
    /// The buffer has no room for version, key and HMAC.
    PacketTooShort {
        /// Its length, in bytes.
        len: usize,
    },
    /// The payloads, with a length and an HMAC for each, take more than the area.
    PayloadsTooLong {
        /// What they take, in bytes.
        payloads: usize,
        /// The length of the area, in bytes.
        area: usize,
    },
    /// The session key meets a node at no point: one draw in 2^127. Draw again.
    Degenerate,
}

impl fmt::Display for ConstructError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHops => f.write_str("an onion needs at least one hop"),
            Self::TooFewSecrets { hops } => {
                write!(f, "room for {hops} shared secrets is needed, one for each hop")
            }
            Self::PacketTooShort { len } => {
                write!(
                    f,
                    "a buffer of {len} bytes is too short for an onion: it takes {ONION_OVERHEAD} and the area"
                )
            }
            Self::PayloadsTooLong { payloads, area } => {
                write!(f, "the payloads take {payloads} bytes, and the onion's area has {area}")
            }
            Self::Degenerate => f.write_str("the session key cannot be used with these nodes; draw another"),
        }
    }
}

impl core::error::Error for ConstructError {}
