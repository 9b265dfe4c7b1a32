//! Message types against the list of all that are defined.

use crate::vectors::load;
use std::collections::BTreeMap;
use wire_core::message::{
    channel::channel_id_of,
    kind::{self, MessageType, TypeRange},
};

#[derive(serde::Deserialize)]
struct Row {
    #[serde(rename = "type")]
    number: u16,
    name: String,
    bolt: Option<String>,
    internal: bool,
}

fn table() -> BTreeMap<u16, Row> {
    load::<Row>(include_str!("../vectors/message-types.json"))
        .into_iter()
        .map(|row| (row.number, row))
        .collect()
}

fn all() -> impl Iterator<Item = MessageType> {
    (0..=u16::MAX).map(MessageType::new)
}

#[test]
fn names_and_who_handles_them() {
    let table = table();
    assert_eq!(table.len(), 52);
    for kind in all() {
        let row = table.get(&kind.get());
        assert_eq!(kind.name(), row.map(|row| row.name.as_str()), "{kind}");
        assert_eq!(kind.is_known(), row.is_some(), "{kind}");
        assert_eq!(kind.is_internal(), row.is_some_and(|row| row.internal), "{kind}");
        assert_eq!(kind.minimum_payload_len().is_some(), row.is_some(), "{kind}");
    }
    assert_eq!(all().filter(|kind| kind.is_internal()).count(), 50);
    for kind in [MessageType::PEER_STORAGE, MessageType::PEER_STORAGE_RETRIEVAL] {
        assert!(kind.is_known() && !kind.is_internal());
    }
}

/// Fields of today's BOLTs that older nodes leave out: type of the message, first such field, bytes from there on.
const JOINED_LATER: [(u16, &str, usize); 3] =
    [(77, "splice_txid", 32), (136, "your_last_per_commitment_secret", 65), (258, "htlc_maximum_msat", 8)];

/// The least payload is the sum of the fields that the BOLTs give the message and that have always been in it.
#[test]
fn least_lengths() {
    #[derive(serde::Deserialize)]
    struct Message {
        #[serde(rename = "type")]
        number: u16,
        name: String,
        fields: Vec<(String, usize)>,
    }
    let messages = load::<Message>(include_str!("../vectors/message-fields.json"));
    // Core Lightning's own two, types 0 and 137, are in no BOLT.
    assert_eq!(messages.len(), 50);
    for Message { number, name, fields } in messages {
        let kind = MessageType::new(number);
        assert_eq!(kind.name(), Some(format!("WIRE_{}", name.to_uppercase()).as_str()));
        let mut least: usize = fields.iter().map(|(_, len)| len).sum();
        if let Some((_, first, len)) = JOINED_LATER.iter().find(|(of, ..)| *of == number) {
            let later = fields.iter().skip_while(|(name, _)| name != first);
            assert_eq!(later.map(|(_, len)| len).sum::<usize>(), *len, "{kind}");
            least -= len;
        }
        assert_eq!(kind.minimum_payload_len(), Some(least), "{kind}");
    }
}

#[test]
fn constants_are_what_they_are_called() {
    for (kind, name) in [
        (MessageType::WARNING, "WIRE_WARNING"),
        (MessageType::STFU, "WIRE_STFU"),
        (MessageType::PEER_STORAGE, "WIRE_PEER_STORAGE"),
        (MessageType::PEER_STORAGE_RETRIEVAL, "WIRE_PEER_STORAGE_RETRIEVAL"),
        (MessageType::INIT, "WIRE_INIT"),
        (MessageType::ERROR, "WIRE_ERROR"),
        (MessageType::PING, "WIRE_PING"),
        (MessageType::PONG, "WIRE_PONG"),
        (MessageType::OPEN_CHANNEL, "WIRE_OPEN_CHANNEL"),
        (MessageType::OPEN_CHANNEL2, "WIRE_OPEN_CHANNEL2"),
        (MessageType::CHANNEL_REESTABLISH, "WIRE_CHANNEL_REESTABLISH"),
        (MessageType::ONION_MESSAGE, "WIRE_ONION_MESSAGE"),
    ] {
        assert_eq!(kind.name(), Some(name));
    }
    assert_eq!(MessageType::PING.to_string(), "18 (WIRE_PING)");
    assert_eq!(MessageType::new(32_769).to_string(), "32769");
}

#[test]
fn ranges_and_parity() {
    for (first, last, range) in [
        (0, 31, TypeRange::SetupAndControl),
        (32, 127, TypeRange::Channel),
        (128, 255, TypeRange::Commitment),
        (256, 511, TypeRange::Routing),
        (512, 32_767, TypeRange::Unassigned),
        (32_768, u16::MAX, TypeRange::Custom),
    ] {
        for number in first..=last {
            let kind = MessageType::new(number);
            assert_eq!(kind.range(), range, "{kind}");
            assert_eq!((kind.is_odd(), kind.is_even()), (number & 1 == 1, number & 1 == 0), "{kind}");
        }
    }
}

/// Every known BOLT 2 message has room for its id in its least payload, and no other type has an id.
#[test]
fn channels() {
    let table = table();
    for kind in all() {
        let is_bolt_2 = table.get(&kind.get()).is_some_and(|row| row.bolt.as_deref() == Some("02"));
        // 137 is Core Lightning's, but shaped like its neighbours.
        assert_eq!(kind.concerns_channel(), is_bolt_2 || kind.get() == 137, "{kind}");
        let offset = if matches!(kind.get(), 32 | 64) { 32 } else { 0 };
        let mut payload = vec![7; kind.minimum_payload_len().unwrap_or(64)];
        if let Some(id) = payload.get_mut(offset..offset + 32) {
            id.fill(9);
        }
        let expected = kind.concerns_channel().then_some([9; 32]);
        assert_eq!(channel_id_of(kind, &payload), expected, "{kind}");
        assert_eq!(channel_id_of(kind, payload.get(..offset + 31).unwrap_or_default()), None, "{kind}");
    }
}

#[test]
fn parting_a_message() {
    assert_eq!(kind::split(&[]), None);
    assert_eq!(kind::split(&[0x77]), None);
    assert_eq!(kind::split(&[0x77, 0x01]), Some((MessageType::new(0x7701), &[][..])));
    assert_eq!(kind::split(&[0x77, 0x01, 5]), Some((MessageType::new(0x7701), &[5][..])));
}
