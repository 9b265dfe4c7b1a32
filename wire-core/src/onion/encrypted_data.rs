//! `encrypted_data_tlv`: what the creator of a blinded path tells one of its hops (BOLT 4, "Route Blinding").
//!
//! Reading and writing of the plaintext; [`blinded_path`](super::blinded_path) encrypts it.

use crate::{
    cursor::{NoRoom, Writer},
    message::{
        bigsize,
        tlv::{TlvError, TlvRecord, TlvStream, TlvWriteError, TlvWriter, ValueFault},
    },
    node_id::NodeId,
};

const PADDING: u64 = 1;
const SHORT_CHANNEL_ID: u64 = 2;
const NEXT_NODE_ID: u64 = 4;
const PATH_ID: u64 = 6;
const NEXT_PATH_KEY_OVERRIDE: u64 = 8;
const PAYMENT_RELAY: u64 = 10;
const PAYMENT_CONSTRAINTS: u64 = 12;
const ALLOWED_FEATURES: u64 = 14;

/// The data for one hop. Nothing is set in the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncryptedData<'a> {
    /// The channel to the next node, for forwarding.
    pub short_channel_id: Option<u64>,
    /// The next node, for forwarding; it goes before `short_channel_id`.
    pub next_node_id: Option<NodeId>,
    /// What the creator of the path knows it by; for the last hop only.
    pub path_id: Option<&'a [u8]>,
    /// The path key for the next node, in place of the one that follows from ours: another path begins there.
    pub next_path_key_override: Option<NodeId>,
    /// How a payment is to be forwarded.
    pub payment_relay: Option<PaymentRelay>,
    /// Which payments may use the path.
    pub payment_constraints: Option<PaymentConstraints>,
    /// Feature bits that the hop may make use of.
    pub allowed_features: Option<&'a [u8]>,
}

/// The terms for forwarding a payment through a blinded path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentRelay {
    /// In blocks.
    pub cltv_expiry_delta: u16,
    /// In millionths of the amount.
    pub fee_proportional_millionths: u32,
    /// In millisatoshis.
    pub fee_base_msat: u32,
}

/// The bounds of payments through a blinded path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentConstraints {
    /// A height in blocks.
    pub max_cltv_expiry: u32,
    /// In millisatoshis.
    pub htlc_minimum_msat: u64,
}

impl<'a> EncryptedData<'a> {
    /// Reads the decrypted data. Padding is not looked at.
    ///
    /// # Errors
    /// [`TlvError`]; an unknown even type is one.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, TlvError> {
        let mut data = Self::default();
        for record in TlvStream::new(bytes) {
            let record = record?;
            match record.kind {
                PADDING => {}
                SHORT_CHANNEL_ID => data.short_channel_id = Some(u64::from_be_bytes(*record.array()?)),
                NEXT_NODE_ID => data.next_node_id = Some(point(&record)?),
                PATH_ID => data.path_id = Some(record.value),
                NEXT_PATH_KEY_OVERRIDE => data.next_path_key_override = Some(point(&record)?),
                PAYMENT_RELAY => data.payment_relay = Some(PaymentRelay::decode(&record)?),
                PAYMENT_CONSTRAINTS => data.payment_constraints = Some(PaymentConstraints::decode(&record)?),
                ALLOWED_FEATURES => data.allowed_features = Some(record.value),
                _ => record.ignore_unknown()?,
            }
        }
        Ok(data)
    }

    /// How long the data is without padding, in bytes.
    pub fn encoded_len(&self) -> usize {
        let record = |len: usize| len.saturating_add(bigsize::encoded_len(len as u64)).saturating_add(1);
        let point = |point: Option<NodeId>| point.map_or(0, |point| record(point.as_bytes().len()));
        let bytes = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| record(bytes.len()));
        [
            self.short_channel_id.map_or(0, |_| record(size_of::<u64>())),
            point(self.next_node_id),
            bytes(self.path_id),
            point(self.next_path_key_override),
            self.payment_relay.map_or(0, |relay| record(relay.encoded_len())),
            self.payment_constraints.map_or(0, |constraints| record(constraints.encoded_len())),
            bytes(self.allowed_features),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Writes the data, padded to `len` bytes in all.
    ///
    /// # Errors
    /// [`TlvWriteError`] if `writer` has fewer bytes left, or if no padding leads to this length: the data is longer
    /// already, or shorter by 1, or by 255 or 256 bytes.
    pub fn encode(&self, writer: &mut Writer<'_>, len: usize) -> Result<(), TlvWriteError> {
        let own = self.encoded_len();
        let too_short = NoRoom { needed: own, left: len };
        let padding = len.checked_sub(own).ok_or(too_short)?;
        if padding > 0 {
            let zeros = zeros_of(padding).ok_or(too_short)?;
            bigsize::write(writer, PADDING)?;
            bigsize::write(writer, zeros as u64)?;
            writer.put_zeros(zeros)?;
        }
        let mut records = TlvWriter::new(writer);
        if let Some(id) = self.short_channel_id {
            records.record(SHORT_CHANNEL_ID, &id.to_be_bytes())?;
        }
        if let Some(id) = self.next_node_id {
            records.record(NEXT_NODE_ID, id.as_bytes())?;
        }
        if let Some(id) = self.path_id {
            records.record(PATH_ID, id)?;
        }
        if let Some(key) = self.next_path_key_override {
            records.record(NEXT_PATH_KEY_OVERRIDE, key.as_bytes())?;
        }
        if let Some(relay) = self.payment_relay {
            relay.encode(&mut records)?;
        }
        if let Some(constraints) = self.payment_constraints {
            constraints.encode(&mut records)?;
        }
        if let Some(features) = self.allowed_features {
            records.record(ALLOWED_FEATURES, features)?;
        }
        Ok(())
    }
}

/// The least length to which data of all these lengths can be padded, in bytes, so that their hops look alike.
pub(super) fn padded_len(lens: &(impl Iterator<Item = usize> + Clone)) -> usize {
    let mut target = lens.clone().max().unwrap_or(0);
    // A record of padding has some lengths only. Each length rules out three targets, so this ends soon; the
    // bound is for those who read it.
    for _ in 0..=u8::MAX {
        if lens.clone().all(|len| len == target || zeros_of(target.saturating_sub(len)).is_some()) {
            break;
        }
        target = target.saturating_add(1);
    }
    target
}

/// How many zero bytes a record of padding has that takes `padding` bytes in all. None takes 1, 255 or 256.
fn zeros_of(padding: usize) -> Option<usize> {
    /// Type and length of a padding that is counted in one byte, and in three.
    const SHORT: usize = 2;
    const LONG: usize = 4;
    let short = padding.checked_sub(SHORT).filter(|zeros| *zeros < 0xfd);
    let long = || padding.checked_sub(LONG).filter(|zeros| (0xfd..=0xffff).contains(zeros));
    short.or_else(long)
}

fn point(record: &TlvRecord<'_>) -> Result<NodeId, TlvError> {
    NodeId::from_bytes(record.array::<33>()?).map_err(|_| record.invalid(ValueFault::NotValid))
}

/// The fields of fixed length of a record, and what stands behind them as a record of its own.
fn split<'a, const N: usize>(record: &TlvRecord<'a>) -> Result<(&'a [u8; N], TlvRecord<'a>), TlvError> {
    let (fixed, value) =
        record.value.split_first_chunk().ok_or_else(|| record.invalid(ValueFault::TooShort))?;
    Ok((fixed, TlvRecord { kind: record.kind, value }))
}

/// How many bytes a truncated integer has.
fn truncated_len(value: u64) -> usize {
    usize::try_from(u64::BITS.saturating_sub(value.leading_zeros()).div_ceil(8)).unwrap_or_default()
}

impl PaymentRelay {
    fn decode(record: &TlvRecord<'_>) -> Result<Self, TlvError> {
        let ([d0, d1, f0, f1, f2, f3], rest) = split(record)?;
        Ok(Self {
            cltv_expiry_delta: u16::from_be_bytes([*d0, *d1]),
            fee_proportional_millionths: u32::from_be_bytes([*f0, *f1, *f2, *f3]),
            fee_base_msat: rest.tu32()?,
        })
    }

    fn encoded_len(&self) -> usize {
        truncated_len(self.fee_base_msat.into()).saturating_add(6)
    }

    fn encode(&self, records: &mut TlvWriter<'_, '_>) -> Result<(), TlvWriteError> {
        let mut value = [0; 10];
        let mut writer = Writer::new(&mut value);
        writer.put_u16(self.cltv_expiry_delta)?;
        writer.put_u32(self.fee_proportional_millionths)?;
        put_truncated(&mut writer, self.fee_base_msat.into())?;
        records.record(PAYMENT_RELAY, writer.into_written())
    }
}

impl PaymentConstraints {
    fn decode(record: &TlvRecord<'_>) -> Result<Self, TlvError> {
        let (expiry, rest) = split(record)?;
        Ok(Self { max_cltv_expiry: u32::from_be_bytes(*expiry), htlc_minimum_msat: rest.tu64()? })
    }

    fn encoded_len(&self) -> usize {
        truncated_len(self.htlc_minimum_msat).saturating_add(4)
    }

    fn encode(&self, records: &mut TlvWriter<'_, '_>) -> Result<(), TlvWriteError> {
        let mut value = [0; 12];
        let mut writer = Writer::new(&mut value);
        writer.put_u32(self.max_cltv_expiry)?;
        put_truncated(&mut writer, self.htlc_minimum_msat)?;
        records.record(PAYMENT_CONSTRAINTS, writer.into_written())
    }
}

fn put_truncated(writer: &mut Writer<'_>, value: u64) -> Result<(), NoRoom> {
    let bytes = value.to_be_bytes();
    let zeros = bytes.len().saturating_sub(truncated_len(value));
    writer.put(bytes.get(zeros..).unwrap_or_default())
}
