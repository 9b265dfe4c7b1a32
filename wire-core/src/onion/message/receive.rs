//! An onion message at one of its hops: peeled, understood, and ready to be delivered or sent on.

use core::fmt;

use super::{ENCRYPTED_RECIPIENT_DATA, FIRST_PAYLOAD, REPLY_PATH};
use crate::{
    message::{
        bigsize,
        tlv::{TlvError, TlvRecord, TlvStream},
    },
    node_id::NodeId,
    onion::{
        blinded_path::{BlindedIdentity, BlindedPath, PathError},
        encrypted_data::EncryptedData,
        packet::{Packet, PacketError, PeelError, Peeled},
    },
    secret::StaticKey,
};

/// Takes our layer off an onion message and does what its data asks, in place.
///
/// # Errors
/// [`ReceiveError`]: the message is to be ignored (BOLT 4). The bytes are worth nothing then.
pub fn receive<'a>(
    key: &StaticKey,
    path_key: &NodeId,
    packet: &'a mut [u8],
) -> Result<Received<'a>, ReceiveError> {
    let packet = Packet::parse(packet)?;
    let identity = BlindedIdentity::new(key, path_key).ok_or(PeelError::Degenerate)?;
    let secret = packet.blinded_shared_secret(&identity);
    match packet.peel(secret, &[])? {
        Peeled::Deliver(deliver) => deliver_to_us(deliver.into_payload(), &identity).map(Received::Deliver),
        Peeled::Forward(mut forward) => {
            let (next, path_key) = directions(forward.payload(), &identity)?;
            Ok(Received::Forward(Forwarding { next, path_key, packet: forward.into_next() }))
        }
    }
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Received<'a> {
    /// It goes on.
    Forward(Forwarding<'a>),
    /// It is for us.
    Deliver(Delivery<'a>),
}

/// A message for another node.
#[derive(Debug)]
pub struct Forwarding<'a> {
    /// Who it goes to.
    pub next: NextHop,
    /// The path key to send with it.
    pub path_key: NodeId,
    /// The onion to send.
    pub packet: &'a [u8],
}

/// How a hop's data names the next node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// By its id.
    Node(NodeId),
    /// As the other end of a channel of ours.
    Channel(u64),
}

/// A message for us.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// What we called the path when we made it; `None` if the sender chose the way itself.
    pub path_id: Option<&'a [u8]>,
    /// The path for an answer, if one is wanted.
    pub reply_path: Option<BlindedPath<'a>>,
    /// All of `onionmsg_tlv`, known to be a valid stream; the data for us lies in it decrypted.
    stream: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// The application's records, in their order: all but the reply path and the data for us.
    pub fn records(&self) -> impl Iterator<Item = TlvRecord<'a>> + Clone + use<'a> {
        TlvStream::new(self.stream)
            .filter_map(Result::ok)
            .filter(|record| !matches!(record.kind, REPLY_PATH | ENCRYPTED_RECIPIENT_DATA))
    }
}

/// Reads the payload of the last hop.
fn deliver_to_us<'a>(
    payload: &'a mut [u8],
    identity: &BlindedIdentity,
) -> Result<Delivery<'a>, ReceiveError> {
    let place = find_data(payload)?;
    let mut text = 0..0;
    if let Some(place) = &place {
        let encrypted = payload.get_mut(place.clone()).unwrap_or_default();
        let len = identity.open(encrypted).map_err(|_| ReceiveError::DataNotForUs)?.len();
        text = place.start..place.start.saturating_add(len);
    }
    let stream: &'a [u8] = payload;
    let data = EncryptedData::decode(stream.get(text).unwrap_or_default()).map_err(ReceiveError::Data)?;
    refuse_unknown_features(&data)?;
    let (mut reply_path, mut has_payload) = (None, false);
    for record in TlvStream::new(stream) {
        let record = record.map_err(ReceiveError::Payload)?;
        if record.kind == REPLY_PATH {
            reply_path = Some(BlindedPath::decode(record.value).map_err(ReceiveError::ReplyPath)?);
        }
        // BOLT 4: one payload, or nodes that know different ones would read different messages.
        if record.kind >= FIRST_PAYLOAD && core::mem::replace(&mut has_payload, true) {
            return Err(ReceiveError::SeveralPayloads { kind: record.kind });
        }
    }
    Ok(Delivery { path_id: data.path_id, reply_path, stream })
}

/// Reads the payload of a hop before the last: who is next, and the path key for it.
fn directions(payload: &mut [u8], identity: &BlindedIdentity) -> Result<(NextHop, NodeId), ReceiveError> {
    // BOLT 4: nothing but the data for the hop may be in there.
    for record in TlvStream::new(payload) {
        let record = record.map_err(ReceiveError::Payload)?;
        if record.kind != ENCRYPTED_RECIPIENT_DATA {
            return Err(ReceiveError::MoreThanData { kind: record.kind });
        }
    }
    let place = find_data(payload)?.ok_or(ReceiveError::NoData)?;
    let encrypted = payload.get_mut(place).unwrap_or_default();
    let text = identity.open(encrypted).map_err(|_| ReceiveError::DataNotForUs)?;
    let data = EncryptedData::decode(text).map_err(ReceiveError::Data)?;
    refuse_unknown_features(&data)?;
    if data.path_id.is_some() {
        return Err(ReceiveError::PathIdBeforeTheEnd);
    }
    let next = match (data.next_node_id, data.short_channel_id) {
        (Some(node), _) => NextHop::Node(node),
        (None, Some(channel)) => NextHop::Channel(channel),
        (None, None) => return Err(ReceiveError::NoNextNode),
    };
    Ok((next, data.next_path_key_override.unwrap_or_else(|| identity.next_path_key())))
}

/// Where in a payload the data for us lies. The encodings have one form only, so lengths add up.
fn find_data(payload: &[u8]) -> Result<Option<core::ops::Range<usize>>, ReceiveError> {
    let mut end = 0_usize;
    for record in TlvStream::new(payload) {
        let TlvRecord { kind, value } = record.map_err(ReceiveError::Payload)?;
        let start = end
            .saturating_add(bigsize::encoded_len(kind))
            .saturating_add(bigsize::encoded_len(value.len() as u64));
        end = start.saturating_add(value.len());
        if kind == ENCRYPTED_RECIPIENT_DATA {
            return Ok(Some(start..end));
        }
    }
    Ok(None)
}

/// BOLT 4: an unknown bit in `allowed_features`, even an odd one, is an error; none is known for messages.
fn refuse_unknown_features(data: &EncryptedData<'_>) -> Result<(), ReceiveError> {
    let none = data.allowed_features.is_none_or(|features| features.iter().all(|&byte| byte == 0));
    if none { Ok(()) } else { Err(ReceiveError::UnknownFeature) }
}

/// Why an onion message is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReceiveError {
    /// It is no onion.
    Packet(PacketError),
    /// It cannot be peeled.
    Peel(PeelError),
    /// Its payload is no valid `onionmsg_tlv`.
    Payload(TlvError),
    /// Its path for an answer is none.
    ReplyPath(PathError),
    /// There is a second payload in it.
    SeveralPayloads {
        /// The type of that one.
        kind: u64,
    },
    /// It goes on, and there is more in it for us than the data for the hop.
    MoreThanData {
        /// The type of the first record too many.
        kind: u64,
    },
    /// It goes on, and there is no `encrypted_recipient_data`.
    NoData,
    /// `encrypted_recipient_data` was encrypted for another hop, or was altered.
    DataNotForUs,
    /// The decrypted data is no valid `encrypted_data_tlv`.
    Data(TlvError),
    /// The data allows a feature that we do not know.
    UnknownFeature,
    /// It goes on, and its data has a `path_id`, which is for the last hop.
    PathIdBeforeTheEnd,
    /// It goes on, and its data names no next node.
    NoNextNode,
}

impl From<PacketError> for ReceiveError {
    fn from(error: PacketError) -> Self {
        Self::Packet(error)
    }
}

impl From<PeelError> for ReceiveError {
    fn from(error: PeelError) -> Self {
        Self::Peel(error)
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(error) => error.fmt(f),
            Self::Peel(error) => error.fmt(f),
            Self::Payload(error) => write!(f, "the onion's payload is no onionmsg_tlv: {error}"),
            Self::ReplyPath(error) => write!(f, "the reply path cannot be used: {error}"),
            Self::SeveralPayloads { kind } => {
                write!(f, "the message has a second payload, of type {kind}, and may have one only")
            }
            Self::MoreThanData { kind } => {
                write!(f, "a message that is to be forwarded has a record of type {kind} for us")
            }
            Self::NoData => f.write_str("a message that is to be forwarded does not say where to"),
            Self::DataNotForUs => {
                f.write_str("encrypted_recipient_data does not decrypt: it is for another hop")
            }
            Self::Data(error) => write!(f, "encrypted_recipient_data has no valid content: {error}"),
            Self::UnknownFeature => f.write_str("encrypted_recipient_data allows a feature that is unknown"),
            Self::PathIdBeforeTheEnd => f.write_str("a message that is to be forwarded has a path_id"),
            Self::NoNextNode => f.write_str("a message that is to be forwarded names no next node"),
        }
    }
}

impl core::error::Error for ReceiveError {}
