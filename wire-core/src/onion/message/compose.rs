//! A whole onion message for a route that the sender chose, a blinded path of somebody else, or both in a row.

use core::fmt;

use heapless::Vec;

use super::{ENCRYPTED_RECIPIENT_DATA, FIRST_PAYLOAD, REPLY_PATH};
use crate::{
    cursor::{NoRoom, Writer},
    limits::{LARGE_ONION_AREA_LEN, ONION_AREA_LEN, ONION_OVERHEAD, TAG_LEN},
    message::{
        bigsize,
        tlv::{TlvRecord, TlvWriteError, TlvWriter},
    },
    node_id::NodeId,
    onion::{
        blinded_path::{
            BlindedPath, Blinder, CreateError, Introduction, PathNode, common_len, put_data, told,
        },
        construct::{ConstructError, Hop, construct},
        keys::SharedSecret,
    },
    secret::EphemeralKey,
};

/// The most hops of a message, a blinded path's included: as many fit into the larger onion with room to spare, and the
/// stack has a slot for each.
pub const MAX_HOPS: usize = 32;

/// The way of a message. One of the two parts may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route<'a> {
    /// The nodes that the sender chose, first hop first; without `path`, the last one is the destination. Their data
    /// need not name the next node.
    pub nodes: &'a [PathNode<'a>],
    /// A blinded path behind them, to the destination.
    pub path: Option<BlindedPath<'a>>,
}

/// What the destination gets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contents<'a> {
    /// The path for an answer.
    pub reply_path: Option<BlindedPath<'a>>,
    /// The application's records, with rising types other than 2 and 4; at most one of them from [`FIRST_PAYLOAD`] on.
    pub records: &'a [TlvRecord<'a>],
}

/// The fresh keys of one message.
#[derive(Debug)]
pub struct Keys {
    /// For the onion.
    pub onion: EphemeralKey,
    /// For the blinded part of the route that the sender makes.
    pub path: EphemeralKey,
}

/// A message, ready to be sent to its first hop.
#[derive(Debug, PartialEq, Eq)]
pub struct Composed<'p> {
    /// The first hop.
    pub first: Introduction,
    /// The path key to send with the onion.
    pub path_key: NodeId,
    /// The onion, of one of the two lengths that BOLT 4 names.
    pub packet: &'p [u8],
}

/// Makes a message. `scratch` holds the payloads of all hops meanwhile; as long as `packet`, it is always enough.
///
/// The onion has the smaller area of BOLT 4 if all fits, else the larger one.
///
/// # Errors
/// [`ComposeError`].
pub fn compose<'p>(
    keys: Keys,
    route: &Route<'_>,
    contents: &Contents<'_>,
    scratch: &mut [u8],
    packet: &'p mut [u8],
) -> Result<Composed<'p>, ComposeError> {
    let mut blinder = Blinder::new(keys.path);
    let own = route.nodes.first().map(|node| (Introduction::Node(node.node), blinder.path_key()));
    let theirs = route.path.map(|path| (path.introduction, path.first_path_key));
    let (first, path_key) = own.or(theirs).ok_or(ComposeError::NoHops)?;
    if let Some(second) = contents.records.iter().filter(|record| record.kind >= FIRST_PAYLOAD).nth(1) {
        return Err(ComposeError::SeveralPayloads { kind: second.kind });
    }
    let hops = payloads(&mut blinder, route, contents, scratch)?;

    let taken = hops.iter().fold(0_usize, |sum, hop| sum.saturating_add(hop.len()));
    let area = if taken <= ONION_AREA_LEN { ONION_AREA_LEN } else { LARGE_ONION_AREA_LEN };
    if taken > area {
        return Err(ComposeError::TooLong { len: taken });
    }
    let (needed, left) = (area.saturating_add(ONION_OVERHEAD), packet.len());
    let packet = packet.get_mut(..needed).ok_or(NoRoom { needed, left })?;
    let mut secrets: [SharedSecret; MAX_HOPS] = core::array::from_fn(|_| SharedSecret::default());
    construct(keys.onion, &hops, &[], packet, &mut secrets)?;
    Ok(Composed { first, path_key, packet })
}

/// The hops with their payloads, which are written into `scratch`.
fn payloads<'s>(
    blinder: &mut Blinder,
    route: &Route<'_>,
    contents: &Contents<'_>,
    mut scratch: &'s mut [u8],
) -> Result<Vec<Hop<'s>, MAX_HOPS>, ComposeError> {
    let behind = route.path.as_ref();
    let count = route.nodes.len().saturating_add(behind.map_or(0, BlindedPath::hop_count));
    let too_many = ComposeError::TooManyHops { hops: count };
    let mut hops = Vec::new();
    let mut add = |data_len: usize, fill: &mut dyn FnMut(&mut [u8]) -> Result<NodeId, CreateError>| {
        let last = hops.len().saturating_add(1) == count;
        let nothing = Contents::default();
        let payload = Payload { contents: if last { contents } else { &nothing }, data_len };
        let (needed, left) = (payload.len(), scratch.len());
        let (room, rest) =
            core::mem::take(&mut scratch).split_at_mut_checked(needed).ok_or(NoRoom { needed, left })?;
        scratch = rest;
        let node = payload.write(room, fill)?;
        hops.push(Hop { node, payload: room }).map_err(|_| too_many)
    };

    let sealed = common_len(route.nodes, behind).saturating_add(TAG_LEN);
    for (index, node) in route.nodes.iter().enumerate() {
        let data = told(route.nodes, index, behind);
        add(sealed, &mut |room| put_data(blinder, &node.node, &data, room))?;
    }
    for hop in behind.into_iter().flat_map(BlindedPath::hops) {
        let data = hop.encrypted_recipient_data;
        add(data.len(), &mut |room| {
            room.copy_from_slice(data);
            Ok(hop.node_id)
        })?;
    }
    Ok(hops)
}

/// The payload of one hop, `onionmsg_tlv`.
struct Payload<'a> {
    contents: &'a Contents<'a>,
    /// The length of the data for the hop, encrypted, in bytes.
    data_len: usize,
}

impl Payload<'_> {
    /// What it takes, in bytes.
    fn len(&self) -> usize {
        let record = |kind: u64, len: usize| {
            let prefix = bigsize::encoded_len(kind).saturating_add(bigsize::encoded_len(len as u64));
            prefix.saturating_add(len)
        };
        let reply_path = self.contents.reply_path.map_or(0, |path| record(REPLY_PATH, path.encoded_len()));
        let data = record(ENCRYPTED_RECIPIENT_DATA, self.data_len);
        let records = self.contents.records.iter().map(|field| record(field.kind, field.value.len()));
        records.fold(reply_path.saturating_add(data), usize::saturating_add)
    }

    /// Fills `room`, in the order of types; `fill` puts the data for the hop and says by which id it goes.
    fn write(
        &self,
        room: &mut [u8],
        fill: &mut dyn FnMut(&mut [u8]) -> Result<NodeId, CreateError>,
    ) -> Result<NodeId, ComposeError> {
        let mut fields = self.contents.records.iter().copied().peekable();
        let mut previous = None;
        let mut put_below = |writer: &mut Writer<'_>, limit: u64| {
            while let Some(TlvRecord { kind, value }) = fields.next_if(|field| field.kind < limit) {
                if let Some(previous) = previous.replace(kind)
                    && previous >= kind
                {
                    return Err(TlvWriteError::NotAscending { kind, previous });
                }
                TlvWriter::new(writer).record(kind, value)?;
            }
            // A record of this very type is not the application's.
            match fields.peek() {
                Some(field) if field.kind == limit => {
                    Err(TlvWriteError::NotAscending { kind: limit, previous: limit })
                }
                _ => Ok(()),
            }
        };

        let mut writer = Writer::new(room);
        put_below(&mut writer, REPLY_PATH)?;
        if let Some(path) = &self.contents.reply_path {
            bigsize::write(&mut writer, REPLY_PATH)?;
            bigsize::write(&mut writer, path.encoded_len() as u64)?;
            path.encode(&mut writer)?;
        }
        put_below(&mut writer, ENCRYPTED_RECIPIENT_DATA)?;
        bigsize::write(&mut writer, ENCRYPTED_RECIPIENT_DATA)?;
        bigsize::write(&mut writer, self.data_len as u64)?;
        let node = fill(writer.claim(self.data_len)?)?;
        put_below(&mut writer, u64::MAX)?;
        Ok(node)
    }
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ComposeError {
    /// The route has neither nodes nor a path.
    NoHops,
    /// The route has more than [`MAX_HOPS`].
    TooManyHops {
        /// How many it has.
        hops: usize,
    },
    /// What the hops get does not fit into the larger onion either.
    TooLong {
        /// What it takes, in bytes.
        len: usize,
    },
    /// The records of the contents do not rise, or have a type that is not the application's.
    Records {
        /// The type of the first one that is wrong.
        kind: u64,
    },
    /// The contents have a second payload: the destination would ignore the message.
    SeveralPayloads {
        /// The type of that one.
        kind: u64,
    },
    /// A buffer is too small.
    NoRoom(NoRoom),
    /// The blinded part could not be made.
    Path(CreateError),
    /// The onion could not be wrapped.
    Onion(ConstructError),
}

impl From<NoRoom> for ComposeError {
    fn from(error: NoRoom) -> Self {
        Self::NoRoom(error)
    }
}

impl From<TlvWriteError> for ComposeError {
    fn from(error: TlvWriteError) -> Self {
        match error {
            TlvWriteError::NotAscending { kind, .. } => Self::Records { kind },
            TlvWriteError::NoRoom(error) => Self::NoRoom(error),
        }
    }
}

impl From<CreateError> for ComposeError {
    fn from(error: CreateError) -> Self {
        Self::Path(error)
    }
}

impl From<ConstructError> for ComposeError {
    fn from(error: ConstructError) -> Self {
        Self::Onion(error)
    }
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHops => f.write_str("an onion message needs a node or a blinded path to go to"),
            Self::TooManyHops { hops } => {
                write!(f, "an onion message has at most {MAX_HOPS} hops here, not {hops}")
            }
            Self::TooLong { len } => write!(
                f,
                "the message takes {len} bytes of the onion with what its hops need, and the larger area has \
                 {LARGE_ONION_AREA_LEN}"
            ),
            Self::Records { kind } => write!(
                f,
                "a record of type {kind} cannot stand here: types rise, and {REPLY_PATH} and \
                 {ENCRYPTED_RECIPIENT_DATA} are not the application's"
            ),
            Self::SeveralPayloads { kind } => write!(
                f,
                "a second payload, of type {kind}: a message has one record of type {FIRST_PAYLOAD} or above at most"
            ),
            Self::NoRoom(error) => error.fmt(f),
            Self::Path(error) => error.fmt(f),
            Self::Onion(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ComposeError {}
