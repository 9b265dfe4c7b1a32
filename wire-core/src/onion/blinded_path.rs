//! Blinded paths (BOLT 4, "Route Blinding"): a route to a node that does not show its name.
//!
//! Its creator names each hop by another key and encrypts to it what it needs to know. Whoever sends over the path knows
//! the first node and nothing more; each hop knows the next one.
//!
//! - [`create`]: a path to ourselves or to others, all hops' data padded to one length.
//! - [`BlindedPath`]: a path as it travels in messages, `blinded_path`.
//! - [`BlindedIdentity`]: who we are as a hop, for one path key.
//! - [`Blinder`]: the steps of creation one by one.

use core::fmt;

use super::{
    encrypted_data::{EncryptedData, padded_len},
    keys::{SharedSecret, Usage},
    stream::under,
};
use crate::{
    cipher::{WrongTag, aead},
    cursor::{NoRoom, Reader, Truncated, Writer},
    curve::{Point, Scalar},
    limits::{KEY_LEN, PUBLIC_KEY_LEN, TAG_LEN},
    message::tlv::TlvWriteError,
    node_id::NodeId,
    secret::{EphemeralKey, Secret, StaticKey},
};

/// Who we are as a hop of a blinded path: what our key and the path key that came with the message make of us.
pub struct BlindedIdentity {
    secret: SharedSecret,
    scalar: Scalar,
    next_path_key: NodeId,
}

impl BlindedIdentity {
    /// Our identity under `path_key`. `None` cannot be brought about by anybody (one in 2^127).
    pub fn new(key: &StaticKey, path_key: &NodeId) -> Option<Self> {
        let point = path_key.point()?;
        let secret = SharedSecret::new(key.ecdh(&point));
        let scalar = key.blinded(&secret.node_id_factor()?)?;
        let next_path_key = secret.blinding_factor(path_key.as_bytes())?.times_point(&point)?;
        Some(Self { secret, scalar, next_path_key: NodeId::from_point(next_path_key) })
    }

    /// The id by which the path names us.
    pub fn node_id(&self) -> NodeId {
        NodeId::from_point(self.scalar.public())
    }

    /// The path key for the next hop, unless our data has another one for it.
    pub fn next_path_key(&self) -> NodeId {
        self.next_path_key
    }

    /// Decrypts `encrypted_recipient_data` where it lies; the plaintext is its front part.
    ///
    /// # Errors
    /// [`WrongTag`]: it is for another hop or another path key, or was altered.
    pub fn open<'d>(&self, encrypted: &'d mut [u8]) -> Result<&'d mut [u8], WrongTag> {
        let (text, tag) = encrypted.split_last_chunk_mut::<TAG_LEN>().ok_or(WrongTag)?;
        aead::open(under(&self.secret.key(Usage::Rho)), &[], text, tag)?;
        Ok(text)
    }

    pub(super) fn ecdh(&self, point: &Point) -> Secret<KEY_LEN> {
        self.scalar.ecdh(point)
    }
}

impl fmt::Debug for BlindedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindedIdentity(redacted)")
    }
}

/// A blinded path in the making: blinds one hop after the other, first hop first.
pub struct Blinder {
    key: EphemeralKey,
}

impl Blinder {
    /// Starts with a fresh key.
    pub fn new(key: EphemeralKey) -> Self {
        Self { key }
    }

    /// The path key with which the next hop will be reached; before the first hop, the path's `first_path_key`.
    pub fn path_key(&self) -> NodeId {
        self.key.public()
    }

    /// Blinds `node` and encrypts the data for it where it lies. What comes back is its blinded id and the tag that
    /// follows the data.
    ///
    /// # Errors
    /// [`CreateError::Degenerate`].
    pub fn blind(&mut self, node: &NodeId, data: &mut [u8]) -> Result<(NodeId, [u8; TAG_LEN]), CreateError> {
        let secret = SharedSecret::new(self.key.ecdh_with_node(node));
        let step = || {
            let blinded = secret.node_id_factor()?.times_point(&node.point()?)?;
            let next = self.key.times(&secret.blinding_factor(self.key.public().as_bytes())?)?;
            Some((NodeId::from_point(blinded), next))
        };
        let (blinded, next) = step().ok_or(CreateError::Degenerate)?;
        self.key = next;
        Ok((blinded, aead::seal(under(&secret.key(Usage::Rho)), &[], data)))
    }
}

impl fmt::Debug for Blinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinder(redacted)")
    }
}

/// A node of a path that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct PathNode<'a> {
    /// Its id.
    pub node: NodeId,
    /// What it is told, but for the next node: [`create`] and [`message::compose`](super::message::compose) name it
    /// if the data names none.
    pub data: EncryptedData<'a>,
}

impl PathNode<'_> {
    /// A node that is told the next node and nothing else.
    pub fn new(node: NodeId) -> Self {
        Self { node, data: EncryptedData::default() }
    }
}

/// Makes a blinded path over `nodes` and writes it into `room` as `blinded_path`. The first node is the one that senders
/// must reach by themselves. Each is told the next; all data is padded to one length.
///
/// # Errors
/// [`CreateError`].
pub fn create<'r>(
    key: EphemeralKey,
    nodes: &[PathNode<'_>],
    room: &'r mut [u8],
) -> Result<BlindedPath<'r>, CreateError> {
    let first = nodes.first().ok_or(CreateError::NoNodes)?;
    let count = u8::try_from(nodes.len()).map_err(|_| CreateError::TooManyNodes { nodes: nodes.len() })?;
    let mut blinder = Blinder::new(key);
    let first_path_key = blinder.path_key();

    let sealed = common_len(nodes, None).saturating_add(TAG_LEN);
    let enclen = u16::try_from(sealed).map_err(|_| CreateError::DataTooLong { len: sealed })?;
    let hop_len = sealed.saturating_add(PUBLIC_KEY_LEN + size_of_val(&enclen));
    let (needed, left) = (hop_len.saturating_mul(nodes.len()), room.len());
    let room = room.get_mut(..needed).ok_or(NoRoom { needed, left })?;
    for ((index, node), hop) in nodes.iter().enumerate().zip(room.chunks_exact_mut(hop_len)) {
        let (id, rest) = hop.split_first_chunk_mut().ok_or(NoRoom { needed, left })?;
        let (length, data) = rest.split_first_chunk_mut().ok_or(NoRoom { needed, left })?;
        *id = *put_data(&mut blinder, &node.node, &told(nodes, index, None), data)?.as_bytes();
        *length = enclen.to_be_bytes();
    }
    Ok(BlindedPath { introduction: Introduction::Node(first.node), first_path_key, hops: room, count })
}

/// What the node at `index` is told: its own data, and the next node, which may be the first of the path `behind`.
pub(super) fn told<'a>(
    nodes: &[PathNode<'a>],
    index: usize,
    behind: Option<&BlindedPath<'_>>,
) -> EncryptedData<'a> {
    let mut data = nodes.get(index).map(|node| node.data).unwrap_or_default();
    let next = match nodes.get(index.saturating_add(1)) {
        Some(next) => Some(Introduction::Node(next.node)),
        None => behind.map(|path| {
            data.next_path_key_override = Some(path.first_path_key);
            path.introduction
        }),
    };
    if data.next_node_id.is_none() && data.short_channel_id.is_none() {
        match next {
            Some(Introduction::Node(id)) => data.next_node_id = Some(id),
            Some(Introduction::Channel { short_channel_id, .. }) => {
                data.short_channel_id = Some(short_channel_id);
            }
            None => {}
        }
    }
    data
}

/// The length to which the data of all nodes is padded, in bytes.
pub(super) fn common_len(nodes: &[PathNode<'_>], behind: Option<&BlindedPath<'_>>) -> usize {
    padded_len(&(0..nodes.len()).map(|index| told(nodes, index, behind).encoded_len()))
}

/// Fills `room` with `data`, padded and encrypted to `node`, and returns the node's blinded id.
pub(super) fn put_data(
    blinder: &mut Blinder,
    node: &NodeId,
    data: &EncryptedData<'_>,
    room: &mut [u8],
) -> Result<NodeId, CreateError> {
    let left = room.len();
    let (text, tag) = room.split_last_chunk_mut::<TAG_LEN>().ok_or(NoRoom { needed: TAG_LEN, left })?;
    let len = text.len();
    data.encode(&mut Writer::new(text), len)?;
    let (id, computed) = blinder.blind(node, text)?;
    *tag = computed;
    Ok(id)
}

/// A blinded path as it travels, `blinded_path` of BOLT 4. Its hops are borrowed and known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlindedPath<'a> {
    /// The node where the path begins.
    pub introduction: Introduction,
    /// The path key with which it is to be reached.
    pub first_path_key: NodeId,
    /// Of `blinded_path_hop`, `count` in number, each checked.
    hops: &'a [u8],
    count: u8,
}

impl<'a> BlindedPath<'a> {
    /// Reads a path, which fills `bytes`.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, PathError> {
        let mut reader = Reader::new(bytes);
        let introduction = match reader.u8("first_node_id")? {
            direction @ (0 | 1) => {
                Introduction::Channel { direction, short_channel_id: reader.u64("first_node_id")? }
            }
            first => {
                let mut id = [first; PUBLIC_KEY_LEN];
                let rest = reader.take_array::<{ PUBLIC_KEY_LEN - 1 }>("first_node_id")?;
                id.iter_mut().skip(1).zip(rest).for_each(|(to, from)| *to = from);
                Introduction::Node(point(&id, "first_node_id")?)
            }
        };
        let first_path_key = point(reader.take(PUBLIC_KEY_LEN, "first_path_key")?, "first_path_key")?;
        let count = reader.u8("num_hops")?;
        if count == 0 {
            return Err(PathError::NoHops);
        }
        let path = Self { introduction, first_path_key, hops: reader.clone().rest(), count };
        for _ in 0..count {
            BlindedHop::read(&mut reader)?;
        }
        match reader.remaining() {
            0 => Ok(path),
            left => Err(PathError::BytesLeft { left }),
        }
    }

    /// Writes the path: `first_node_id`, `first_path_key`, `num_hops`, `path`.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has less than [`BlindedPath::encoded_len`] bytes left.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        match self.introduction {
            Introduction::Node(id) => writer.put(id.as_bytes())?,
            Introduction::Channel { direction, short_channel_id } => {
                writer.put_u8(direction)?;
                writer.put_u64(short_channel_id)?;
            }
        }
        writer.put(self.first_path_key.as_bytes())?;
        writer.put_u8(self.count)?;
        writer.put(self.hops)
    }

    /// What [`BlindedPath::encode`] puts, in bytes.
    pub fn encoded_len(&self) -> usize {
        let introduction = match self.introduction {
            Introduction::Node(_) => PUBLIC_KEY_LEN,
            Introduction::Channel { .. } => 1 + size_of::<u64>(),
        };
        self.hops.len().saturating_add(introduction).saturating_add(PUBLIC_KEY_LEN + 1)
    }

    /// The hops in their order, the introduction node first; at least one.
    pub fn hops(&self) -> impl Iterator<Item = BlindedHop<'a>> + Clone + use<'a> {
        let mut reader = Reader::new(self.hops);
        core::iter::from_fn(move || BlindedHop::read(&mut reader).ok())
    }

    /// How many hops there are.
    pub fn hop_count(&self) -> usize {
        self.count.into()
    }
}

/// Where a blinded path begins, `sciddir_or_pubkey` of BOLT 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// At this node.
    Node(NodeId),
    /// At one end of a channel.
    Channel {
        /// 0 for the end with the smaller node id, 1 for the other.
        direction: u8,
        /// The channel.
        short_channel_id: u64,
    },
}

/// A hop of a blinded path, `blinded_path_hop` of BOLT 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlindedHop<'a> {
    /// The id by which the path names it.
    pub node_id: NodeId,
    /// What it is told; only it can read that.
    pub encrypted_recipient_data: &'a [u8],
}

impl<'a> BlindedHop<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, PathError> {
        let node_id = point(reader.take(PUBLIC_KEY_LEN, "blinded_node_id")?, "blinded_node_id")?;
        let encrypted_recipient_data = reader.take_with_u16_len("encrypted_recipient_data")?;
        Ok(Self { node_id, encrypted_recipient_data })
    }
}

fn point(bytes: &[u8], field: &'static str) -> Result<NodeId, PathError> {
    NodeId::from_bytes(bytes).map_err(|_| PathError::NotAPoint { field })
}

/// Why bytes are no blinded path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PathError {
    /// They end inside a field.
    Truncated(Truncated),
    /// A field is no point of the curve.
    NotAPoint {
        /// Its name in BOLT 4.
        field: &'static str,
    },
    /// The path has no hops.
    NoHops,
    /// There is something behind the last hop.
    BytesLeft {
        /// How many bytes.
        left: usize,
    },
}

impl From<Truncated> for PathError {
    fn from(error: Truncated) -> Self {
        Self::Truncated(error)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(error) => write!(f, "the blinded path's {error}"),
            Self::NotAPoint { field } => write!(f, "`{field}` of the blinded path is no point of secp256k1"),
            Self::NoHops => f.write_str("the blinded path has no hops"),
            Self::BytesLeft { left } => write!(f, "{left} bytes stand behind the blinded path"),
        }
    }
}

impl core::error::Error for PathError {}

/// Why a blinded path could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CreateError {
    /// A path has at least one node.
    NoNodes,
    /// More nodes than a path can name, which is 255.
    TooManyNodes {
        /// How many there are.
        nodes: usize,
    },
    /// The data for a node, encrypted, is longer than 65,535 bytes.
    DataTooLong {
        /// Its length in bytes, the longest padded as it is.
        len: usize,
    },
    /// The buffer is too small.
    NoRoom(NoRoom),
    /// The key meets a node at no point: one draw in 2^127. Draw again.
    Degenerate,
}

impl From<NoRoom> for CreateError {
    fn from(error: NoRoom) -> Self {
        Self::NoRoom(error)
    }
}

impl From<TlvWriteError> for CreateError {
    fn from(error: TlvWriteError) -> Self {
        match error {
            TlvWriteError::NoRoom(error) => Self::NoRoom(error),
            // The records are written in one fixed order.
            TlvWriteError::NotAscending { .. } => Self::NoRoom(NoRoom { needed: 0, left: 0 }),
        }
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodes => f.write_str("a blinded path needs at least one node"),
            Self::TooManyNodes { nodes } => write!(f, "a blinded path has at most 255 nodes, not {nodes}"),
            Self::DataTooLong { len } => {
                write!(f, "the data for a node of a blinded path has at most 65535 bytes, not {len}")
            }
            Self::NoRoom(error) => error.fmt(f),
            Self::Degenerate => f.write_str("the path's key cannot be used with these nodes; draw another"),
        }
    }
}

impl core::error::Error for CreateError {}
