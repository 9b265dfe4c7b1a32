//! What is encoded decodes to the same, and no bytes at all make a decoder panic.

use proptest::{collection::vec, option, prelude::*};
use wire_core::{
    cursor::{NoRoom, Reader, Writer},
    message::{
        address::Address,
        bigsize,
        channel::channel_id_of,
        error::{ErrorMessage, WarningMessage},
        features::{FeatureBit, FeatureSet, Features},
        init::{Init, Networks},
        kind::{self, MessageType},
        ping::{Ping, Pong},
        text::Printable,
        tlv::{TlvRecord, TlvStream, TlvWriter},
    },
};

/// The payload of what `encode` writes, after its type has been compared with `kind`.
fn payload(kind: MessageType, encode: impl FnOnce(&mut Writer<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
    let mut room = vec![0; 70_000];
    let mut writer = Writer::new(&mut room);
    encode(&mut writer).unwrap();
    let (found, payload) = kind::split(writer.into_written()).unwrap();
    assert_eq!(found, kind);
    assert!(payload.len() >= kind.minimum_payload_len().unwrap());
    payload.to_vec()
}

#[derive(Clone, Debug)]
enum OwnedAddress {
    Ipv4([u8; 4]),
    Ipv6([u8; 16]),
    TorV3([u8; 35]),
    Dns(Vec<u8>),
}

impl OwnedAddress {
    fn borrow(&self, port: u16) -> Address<'_> {
        match self {
            Self::Ipv4(address) => Address::Ipv4 { address: *address, port },
            Self::Ipv6(address) => Address::Ipv6 { address: *address, port },
            Self::TorV3(address) => Address::TorV3 { address: *address, port },
            Self::Dns(hostname) => Address::Dns { hostname, port },
        }
    }
}

fn addresses() -> impl Strategy<Value = OwnedAddress> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(OwnedAddress::Ipv4),
        any::<[u8; 16]>().prop_map(OwnedAddress::Ipv6),
        (vec(any::<u8>(), 35)).prop_map(|bytes| OwnedAddress::TorV3(bytes.try_into().unwrap())),
        vec(0_u8..128, 1..256).prop_map(OwnedAddress::Dns),
    ]
}

/// Bytes that get further than random ones: records whose types mostly rise.
fn almost_tlv() -> impl Strategy<Value = Vec<u8>> {
    vec((0_u8..8, vec(any::<u8>(), 0..40), any::<bool>()), 0..6).prop_map(|records| {
        let mut bytes = Vec::new();
        let mut kind = 0_u8;
        for (step, value, lie) in records {
            kind = kind.wrapping_add(step);
            bytes.push(kind);
            bytes.push(u8::try_from(value.len()).unwrap() + u8::from(lie));
            bytes.extend(value);
        }
        bytes
    })
}

proptest! {
    #[test]
    fn bigsize_round_trip(value in any::<u64>(), shift in 0_u32..64) {
        let value = value >> shift;
        let mut room = [0; bigsize::MAX_LEN];
        let mut writer = Writer::new(&mut room);
        bigsize::write(&mut writer, value).unwrap();
        let bytes = writer.into_written();
        prop_assert_eq!(bytes.len(), bigsize::encoded_len(value));
        let mut reader = Reader::new(bytes);
        prop_assert_eq!(bigsize::read(&mut reader), Ok(value));
        prop_assert!(reader.is_empty());
    }

    /// Whatever bytes decode are the ones that encoding gives back: no number has two forms.
    #[test]
    fn bigsize_has_one_form(bytes in vec(any::<u8>(), 0..10), first in 0xfc_u8..) {
        for bytes in [bytes.clone(), [&[first][..], &bytes].concat()] {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = bigsize::read(&mut reader) {
                let mut room = [0; bigsize::MAX_LEN];
                let mut writer = Writer::new(&mut room);
                bigsize::write(&mut writer, value).unwrap();
                prop_assert_eq!(&*writer.into_written(), &bytes[..bytes.len() - reader.remaining()]);
            }
        }
    }

    #[test]
    fn tlv_round_trip(records in proptest::collection::btree_map(any::<u64>(), vec(any::<u8>(), 0..300), 0..8)) {
        let mut room = [0; 4096];
        let mut writer = Writer::new(&mut room);
        let mut tlvs = TlvWriter::new(&mut writer);
        for (&kind, value) in &records {
            tlvs.record(kind, value).unwrap();
        }
        let decoded: Result<Vec<_>, _> = TlvStream::new(writer.into_written()).collect();
        let expected: Vec<_> = records.iter().map(|(&kind, value)| TlvRecord { kind, value }).collect();
        prop_assert_eq!(decoded, Ok(expected));
    }

    #[test]
    fn truncated_integer_round_trip(value in any::<u64>(), shift in 0_u32..64) {
        let value = value >> shift;
        let mut room = [0; 16];
        let mut writer = Writer::new(&mut room);
        TlvWriter::new(&mut writer).truncated_integer(7, value).unwrap();
        let record = TlvStream::new(writer.into_written()).next().unwrap().unwrap();
        prop_assert_eq!(record.tu64(), Ok(value));
        prop_assert_eq!(record.tu32().ok(), u32::try_from(value).ok());
        prop_assert_eq!(record.tu16().ok(), u16::try_from(value).ok());
    }

    #[test]
    fn init_round_trip(
        globalfeatures in vec(any::<u8>(), 0..20),
        features in vec(any::<u8>(), 0..200),
        chains in option::of(vec(any::<[u8; 32]>(), 0..4)),
        address in option::of((addresses(), 1_u16..)),
    ) {
        let chains = chains.map(|chains| chains.concat());
        let init = Init {
            globalfeatures: &globalfeatures,
            features: &features,
            networks: chains.as_deref().and_then(Networks::new),
            remote_addr: address.as_ref().map(|(address, port)| address.borrow(*port)),
        };
        let payload = payload(MessageType::INIT, |writer| init.encode(writer));
        prop_assert_eq!(Init::decode(&payload), Ok(init));
    }

    #[test]
    fn error_and_warning_round_trip(channel_id in any::<[u8; 32]>(), data in vec(any::<u8>(), 0..500)) {
        let error = ErrorMessage { channel_id, data: &data };
        let bytes = payload(MessageType::ERROR, |writer| error.encode(writer));
        prop_assert_eq!(ErrorMessage::decode(&bytes), Ok(error));
        let warning = WarningMessage { channel_id, data: &data };
        let bytes = payload(MessageType::WARNING, |writer| warning.encode(writer));
        prop_assert_eq!(WarningMessage::decode(&bytes), Ok(warning));
    }

    #[test]
    fn ping_round_trip(num_pong_bytes in any::<u16>(), byteslen in any::<u16>()) {
        let ping = Ping { num_pong_bytes, byteslen };
        let bytes = payload(MessageType::PING, |writer| ping.encode(writer));
        prop_assert_eq!(Ping::decode(&bytes), Ok(ping));
        let pong = Pong { byteslen };
        let bytes = payload(MessageType::PONG, |writer| pong.encode(writer));
        prop_assert_eq!(Pong::decode(&bytes), Ok(pong));
    }

    /// The union of two fields against a model: sets of bit numbers.
    #[test]
    fn features_are_sets_of_bits(first in vec(any::<u8>(), 0..12), second in vec(any::<u8>(), 0..12)) {
        let bits = |field: &[u8]| -> std::collections::BTreeSet<usize> {
            (0..field.len() * 8).filter(|bit| field[field.len() - 1 - bit / 8] >> (bit % 8) & 1 == 1).collect()
        };
        let union = Features::union(&first, &second);
        let expected: Vec<_> = bits(&first).union(&bits(&second)).copied().collect();
        prop_assert_eq!(union.bits().map(FeatureBit::get).collect::<Vec<_>>(), expected);
        let bytes: Vec<u8> = union.bytes().collect();
        prop_assert_ne!(bytes.first(), Some(&0));
        prop_assert_eq!(Features::new(&bytes), union);
        let set = FeatureSet::from_features(union).unwrap();
        prop_assert_eq!(set.as_bytes(), &bytes);
        prop_assert_eq!(set.to_string(), union.to_string());
    }

    #[test]
    fn no_bytes_panic(message in vec(any::<u8>(), 0..400), tlvs in almost_tlv()) {
        let init = [&[0, 0, 0, 0][..], &tlvs].concat();
        for bytes in [&message, &tlvs, &init] {
            look_at_everything(bytes);
        }
    }
}

fn look_at_everything(bytes: &[u8]) {
    let _ = bigsize::read(&mut Reader::new(bytes));
    for record in TlvStream::new(bytes).flatten() {
        let _ = (record.tu16(), record.tu32(), record.tu64(), record.array::<8>(), record.ignore_unknown());
    }
    if let Ok(init) = Init::decode(bytes) {
        let features = init.combined_features();
        let _ = (features.unknown_even(), features.missing_dependency(), features.to_string());
        let _ = init.networks.map(|networks| networks.iter().count());
        let _ = init.remote_addr.map(|address| address.to_string());
    }
    if let Ok(address) = Address::decode(bytes) {
        assert_ne!(address.port(), 0);
    }
    let _ = (Ping::decode(bytes), Pong::decode(bytes), WarningMessage::decode(bytes));
    if let Ok(error) = ErrorMessage::decode(bytes) {
        assert!(error.text().to_string().is_ascii());
    }
    assert!(Printable::new(bytes).to_string().bytes().all(|byte| (32..127).contains(&byte)));
    if let Some((kind, payload)) = kind::split(bytes) {
        let _ = (kind.range(), channel_id_of(kind, payload));
    }
    for number in (0..=600).map(MessageType::new) {
        let _ = channel_id_of(number, bytes);
    }
}
