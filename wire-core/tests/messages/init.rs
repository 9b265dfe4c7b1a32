//! `init`: BOLT 1, appendix C, and its fields.

use crate::vectors::{hex, load};
use wire_core::{
    cursor::{NoRoom, Truncated, Writer},
    message::{
        address::{self, Address, AddressError},
        features::{Feature, FeatureBit, FeatureSet, MissingDependency},
        init::{Init, InitError, Networks},
        kind::{self, MessageType},
        tlv::{TlvError, ValueFault},
    },
};

fn decode(message: &[u8]) -> Result<Init<'_>, InitError> {
    let (kind, payload) = kind::split(message).unwrap();
    assert_eq!(kind, MessageType::INIT);
    Init::decode(payload)
}

#[test]
fn all_of_appendix_c() {
    #[derive(serde::Deserialize)]
    struct Vector {
        valid: bool,
        hex: String,
        note: String,
    }
    let vectors = load::<Vector>(include_str!("../vectors/bolt01-init-extension.json"));
    assert_eq!(vectors.len(), 5);
    for Vector { valid, hex: text, note } in vectors {
        let expected = match note.as_str() {
            _ if valid => Ok(Init { globalfeatures: &[], features: &[], networks: None, remote_addr: None }),
            "the extension is present but truncated" => Err(TlvError::LengthMissing { kind: 1 }),
            "the extension contains unknown even TLV records (assuming that TLV type 0xca is unknown)" => {
                Err(TlvError::UnknownEvenType { kind: 0xca })
            }
            "the extension TLV stream is invalid (duplicate TLV record type 0xc9)" => {
                Err(TlvError::NotAscending { kind: 0xc9, previous: 0xc9 })
            }
            _ => panic!("unheard-of case {note}"),
        };
        assert_eq!(decode(&hex(&text)), expected.map_err(InitError::Tlv), "{note}");
    }
}

/// Both feature fields, two chains, an address.
#[test]
fn every_field() {
    let message = hex(concat!(
        "0010",
        "00021000",
        "000788a8808a8a59a1",
        "0140",
        "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f",
        "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000",
        "0307017f0000012607",
    ));
    let init = decode(&message).unwrap();
    assert_eq!(init.globalfeatures, [0x10, 0]);
    assert_eq!(init.features, [0x88, 0xa8, 0x80, 0x8a, 0x8a, 0x59, 0xa1]);
    let networks = init.networks.unwrap();
    assert_eq!(networks.iter().map(|hash| hash[0]).collect::<Vec<_>>(), [0x06, 0x6f]);
    assert!(networks.contains(message[49..81].try_into().unwrap()));
    assert!(!networks.contains(&[0; 32]));
    assert_eq!(init.remote_addr, Some(Address::Ipv4 { address: [127, 0, 0, 1], port: 9735 }));

    let mut room = vec![0; message.len()];
    let mut writer = Writer::new(&mut room);
    init.encode(&mut writer).unwrap();
    assert_eq!(writer.into_written(), message);
    for len in 0..message.len() {
        assert!(matches!(init.encode(&mut Writer::new(&mut room[..len])), Err(NoRoom { .. })), "{len}");
    }
}

#[test]
fn an_end_inside_a_feature_field() {
    let truncated = |field, needed, left| Err(InitError::Truncated(Truncated { field, needed, left }));
    assert_eq!(Init::decode(&[]), truncated("globalfeatures", 2, 0));
    assert_eq!(Init::decode(&[0, 1]), truncated("globalfeatures", 1, 0));
    assert_eq!(Init::decode(&[0, 0]), truncated("features", 2, 0));
    assert_eq!(Init::decode(&[0, 0, 0, 3, 1, 2]), truncated("features", 3, 2));
}

#[test]
fn both_feature_fields_count() {
    let init = |globalfeatures, features| {
        Init { globalfeatures, features, networks: None, remote_addr: None }.combined_features()
    };
    // Bit 16 stands in one field and bit 14, which it needs, in the other.
    let both = init(&[0x40, 0], &[1, 0, 0]);
    assert!(both.is_set(FeatureBit::new(14)) && both.is_set(FeatureBit::new(16)));
    assert_eq!(both.missing_dependency(), None);
    let missing = MissingDependency { feature: Feature::BasicMpp, needs: Feature::PaymentSecret };
    assert_eq!(init(&[], &[1, 0, 0]).missing_dependency(), Some(missing));
    assert_eq!(init(&[1, 0, 0], &[]).missing_dependency(), Some(missing));
    assert_eq!(init(&[0x04], &[]).unknown_even(), Some(FeatureBit::new(2)));
    assert_eq!(init(&[], &[0x04]).unknown_even(), Some(FeatureBit::new(2)));
    assert_eq!(init(&[0x10, 0], &[0, 0, 0x40]).to_string(), "1040");
}

#[test]
fn chains() {
    let with_networks = |len: usize| {
        let mut payload = vec![0, 0, 0, 0, 1, u8::try_from(len).unwrap()];
        payload.resize(6 + len, 7);
        payload
    };
    // An empty list is a list: no chain at all is in common.
    let none = with_networks(0);
    let networks = Init::decode(&none).unwrap().networks.unwrap();
    assert!(!networks.contains(&[7; 32]));
    assert!(Init::decode(&with_networks(64)).unwrap().networks.unwrap().contains(&[7; 32]));
    for len in [1, 31, 33, 63] {
        let error = TlvError::InvalidValue { kind: 1, fault: ValueFault::TooShort };
        assert_eq!(Init::decode(&with_networks(len)), Err(InitError::Tlv(error)), "{len}");
    }
    assert_eq!(Networks::new(&[0; 33]), None);
}

#[test]
fn what_we_send_first() {
    let features = FeatureSet::DEFAULT;
    let init = Init {
        globalfeatures: &[],
        features: features.as_bytes(),
        networks: Networks::new(&[0xab; 32]),
        remote_addr: Some("[2001:db8::1]:9735".parse::<std::net::SocketAddr>().unwrap().into()),
    };
    let mut room = [0; 128];
    let mut writer = Writer::new(&mut room);
    init.encode(&mut writer).unwrap();
    let expected = format!(
        "001000000006{}0120{}0313{}",
        "20000000a202",
        "ab".repeat(32),
        "0220010db80000000000000000000000012607"
    );
    assert_eq!(writer.into_written(), hex(&expected));
}

#[test]
fn a_bad_hint_about_our_address_is_no_reason_to_close() {
    for descriptor in
        ["", "01", "017f000001", "017f0000010000", "0612", "03", "05002607", "0501ff2607", "017f000001260700"]
    {
        let bytes = hex(descriptor);
        assert!(Address::decode(&bytes).is_err(), "{descriptor}");
        let payload = [&[0, 0, 0, 0, 3, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat();
        assert_eq!(Init::decode(&payload).unwrap().remote_addr, None, "{descriptor}");
    }
}

#[test]
fn the_longest_address_has_room() {
    let longest = Address::Dns { hostname: &[b'a'; 255], port: 9735 };
    let mut room = [0; address::MAX_LEN];
    let mut writer = Writer::new(&mut room);
    longest.encode(&mut writer).unwrap();
    assert_eq!(writer.written(), address::MAX_LEN);
    assert_eq!(Address::decode(writer.into_written()), Ok(longest));
    let init = Init { globalfeatures: &[], features: &[], networks: None, remote_addr: Some(longest) };
    assert_eq!(init.encode(&mut Writer::new(&mut [0; 300])), Ok(()));
}

#[test]
fn addresses_of_every_type() {
    let onion = format!("04{}2607", "5a".repeat(35));
    for (descriptor, text) in [
        ("017f0000012607", "127.0.0.1:9735"),
        ("0220010db80000000000000000000000012607", "[2001:db8::1]:9735"),
        (onion.as_str(), &format!("{}:9735", "5a".repeat(35))),
        ("050b6578616d706c652e6f72672607", "example.org:9735"),
        ("05036107622607", "a\\x07b:9735"),
    ] {
        let bytes = hex(descriptor);
        let address = Address::decode(&bytes).unwrap();
        assert_eq!(address.to_string(), text);
        assert_eq!(address.port(), 9735);
        assert_eq!(address.socket_addr(), text.parse().ok());
        let mut room = vec![0; bytes.len()];
        let mut writer = Writer::new(&mut room);
        address.encode(&mut writer).unwrap();
        assert_eq!(writer.into_written(), bytes);
    }
    assert_eq!(Address::decode(&hex("017f0000010000")), Err(AddressError::PortZero));
    assert_eq!(Address::decode(&[3]), Err(AddressError::UnknownType(3)));
    assert_eq!(Address::decode(&hex("05002607")), Err(AddressError::BadHostname));
    assert_eq!(Address::decode(&hex("017f000001260700")), Err(AddressError::TrailingBytes(1)));
}
