//! `init` (BOLT 1, setup messages): the first message of both sides, with what they can do and on which chains.

use core::fmt;

use super::{
    address::{self, Address},
    features::Features,
    kind::MessageType,
    tlv::{TlvError, TlvStream, TlvWriteError, TlvWriter, ValueFault},
};
use crate::{
    cursor::{NoRoom, Reader, Truncated, Writer},
    limits::CHAIN_HASH_LEN,
};

/// Type of the TLV record with the chains.
const NETWORKS: u64 = 1;
/// Type of the TLV record with the address that the sender sees us come from.
const REMOTE_ADDR: u64 = 3;

/// An `init`, type 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Init<'a> {
    /// The first of the two feature fields, as it came. Nodes of today leave it empty.
    pub globalfeatures: &'a [u8],
    /// The second of the two feature fields, as it came. Only both together are the features: see
    /// [`Init::combined_features`].
    pub features: &'a [u8],
    /// The chains that the sender cares about; `None` if it does not say.
    pub networks: Option<Networks<'a>>,
    /// The address that the sender sees its peer at. `None` if it does not say, and also if what it says is no usable
    /// address: a bad hint is no reason to close a connection.
    pub remote_addr: Option<Address<'a>>,
}

impl<'a> Init<'a> {
    /// Reads the payload of an `init`.
    ///
    /// Which features and chains are acceptable is not looked at here.
    ///
    /// # Errors
    /// [`InitError`]; the connection is to be closed.
    pub fn decode(payload: &'a [u8]) -> Result<Self, InitError> {
        let mut reader = Reader::new(payload);
        let globalfeatures = reader.take_with_u16_len("globalfeatures")?;
        let features = reader.take_with_u16_len("features")?;
        let mut init = Self { globalfeatures, features, networks: None, remote_addr: None };
        for record in TlvStream::new(reader.rest()) {
            let record = record?;
            match record.kind {
                NETWORKS => {
                    let networks = Networks::new(record.value).ok_or(record.invalid(ValueFault::TooShort))?;
                    init.networks = Some(networks);
                }
                REMOTE_ADDR => init.remote_addr = Address::decode(record.value).ok(),
                _ => record.ignore_unknown()?,
            }
        }
        Ok(init)
    }

    /// Writes the message, type included.
    ///
    /// # Errors
    /// [`NoRoom`] if `writer` has too little, or for a feature field of more than 65,535 bytes.
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.put_u16(MessageType::INIT.get())?;
        writer.put_with_u16_len(self.globalfeatures)?;
        writer.put_with_u16_len(self.features)?;
        self.encode_tlvs(writer).map_err(|error| match error {
            TlvWriteError::NoRoom(error) => error,
            // Not reached: the two types are constants and rise.
            TlvWriteError::NotAscending { .. } => NoRoom { needed: 0, left: 0 },
        })
    }

    /// The features that the sender has set, in either field (BOLT 1: the receiver combines the two with OR).
    pub const fn combined_features(&self) -> Features<'a> {
        Features::union(self.globalfeatures, self.features)
    }

    fn encode_tlvs(&self, writer: &mut Writer<'_>) -> Result<(), TlvWriteError> {
        let mut tlvs = TlvWriter::new(writer);
        if let Some(networks) = self.networks {
            tlvs.record(NETWORKS, networks.as_bytes())?;
        }
        if let Some(remote_addr) = self.remote_addr {
            let mut room = [0; address::MAX_LEN];
            let mut value = Writer::new(&mut room);
            remote_addr.encode(&mut value)?;
            tlvs.record(REMOTE_ADDR, value.into_written())?;
        }
        Ok(())
    }
}

/// A list of chains, each named by the hash of its first block in the byte order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Networks<'a>(&'a [u8]);

impl<'a> Networks<'a> {
    /// The chains whose hashes stand one behind the other in `bytes`; `None` if the last one is cut short. A list of one
    /// is the hash itself.
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len().is_multiple_of(CHAIN_HASH_LEN) { Some(Self(bytes)) } else { None }
    }

    /// The hashes, one behind the other.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The hashes one by one, in the sender's order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8; CHAIN_HASH_LEN]> + use<'a> {
        let (hashes, _) = self.0.as_chunks();
        hashes.iter()
    }

    /// Whether the chain with this hash is among them. False for every chain if the list is empty.
    pub fn contains(&self, chain_hash: &[u8; CHAIN_HASH_LEN]) -> bool {
        self.iter().any(|hash| hash == chain_hash)
    }
}

/// Why an `init` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InitError {
    /// It ends inside one of the feature fields.
    Truncated(Truncated),
    /// The TLV stream behind the feature fields is not valid.
    Tlv(TlvError),
}

impl From<Truncated> for InitError {
    fn from(error: Truncated) -> Self {
        Self::Truncated(error)
    }
}

impl From<TlvError> for InitError {
    fn from(error: TlvError) -> Self {
        Self::Tlv(error)
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)
    }
}

impl InitError {
    /// What `Display` shows, without formatting.
    pub(crate) fn say(&self, to: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Truncated(error) => error.say(to),
            Self::Tlv(error) => error.say(to),
        }
    }
}

impl core::error::Error for InitError {}
