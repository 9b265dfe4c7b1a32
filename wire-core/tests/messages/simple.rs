//! `error`, `warning`, `ping` and `pong`, and how a peer's text is shown.

use wire_core::{
    cursor::{NoRoom, Truncated, Writer},
    limits::{MAX_MESSAGE_LEN, MAX_PING_PADDING},
    message::{
        error::{ALL_CHANNELS, ErrorMessage, WarningMessage},
        init::Init,
        kind::{self, MessageType},
        ping::{Ping, Pong},
        text::Printable,
    },
};

fn encoded(encode: impl FnOnce(&mut Writer<'_>) -> Result<(), NoRoom>) -> Vec<u8> {
    let mut room = vec![0xee; MAX_MESSAGE_LEN];
    let mut writer = Writer::new(&mut room);
    encode(&mut writer).unwrap();
    writer.into_written().to_vec()
}

#[test]
fn ping_and_pong_on_the_wire() {
    let ping = Ping { num_pong_bytes: 5, byteslen: 3 };
    assert_eq!(encoded(|writer| ping.encode(writer)), [0, 18, 0, 5, 0, 3, 0, 0, 0]);
    assert_eq!(encoded(|writer| ping.reply().unwrap().encode(writer)), [0, 19, 0, 5, 0, 0, 0, 0, 0]);
    // Padding is never looked at, and bytes behind it belong to some later extension.
    assert_eq!(Ping::decode(&[0, 5, 0, 3, 1, 2, 3, 4]), Ok(ping));
    assert_eq!(Pong::decode(&[0, 1, 9, 9]), Ok(Pong { byteslen: 1 }));
}

#[test]
fn short_pings_and_pongs() {
    let truncated = |field, needed, left| Truncated { field, needed, left };
    assert_eq!(Ping::decode(&[0]), Err(truncated("num_pong_bytes", 2, 1)));
    assert_eq!(Ping::decode(&[0, 0, 0]), Err(truncated("byteslen", 2, 1)));
    assert_eq!(Ping::decode(&[0, 0, 0, 2, 0]), Err(truncated("ignored", 2, 1)));
    assert_eq!(Pong::decode(&[]), Err(truncated("byteslen", 2, 0)));
    assert_eq!(Pong::decode(&[0, 1]), Err(truncated("ignored", 1, 0)));
}

/// BOLT 1: from 65,532 on, no pong is wanted. One less is the largest that fits into a message.
#[test]
fn the_limits_of_padding() {
    for num_pong_bytes in [0, 1, 65_531] {
        let ping = Ping { num_pong_bytes, byteslen: 0 };
        assert!(ping.expects_pong());
        let reply = ping.reply().unwrap();
        assert_eq!(reply.byteslen, num_pong_bytes);
        assert_eq!(encoded(|writer| reply.encode(writer)).len(), usize::from(num_pong_bytes) + 4);
    }
    for num_pong_bytes in [65_532, 65_535] {
        let ping = Ping { num_pong_bytes, byteslen: 0 };
        assert!(!ping.expects_pong());
        assert_eq!(ping.reply(), None);
    }
    let longest = Ping { num_pong_bytes: 0, byteslen: MAX_PING_PADDING };
    assert_eq!(encoded(|writer| longest.encode(writer)).len(), MAX_MESSAGE_LEN);
    let longer = Ping { num_pong_bytes: 0, byteslen: MAX_PING_PADDING + 1 };
    assert!(longer.encode(&mut Writer::new(&mut vec![0; MAX_MESSAGE_LEN])).is_err());
}

#[test]
fn errors_and_warnings_on_the_wire() {
    let error = ErrorMessage { channel_id: [7; 32], data: b"no" };
    let message = encoded(|writer| error.encode(writer));
    assert_eq!(message, [&[0, 17][..], &[7; 32], &[0, 2], b"no"].concat());
    let (kind, payload) = kind::split(&message).unwrap();
    assert_eq!(kind, MessageType::ERROR);
    assert_eq!(ErrorMessage::decode(payload), Ok(error));
    assert!(!error.is_for_all_channels());

    let warning = WarningMessage { channel_id: ALL_CHANNELS, data: b"" };
    let message = encoded(|writer| warning.encode(writer));
    assert_eq!(message, [&[0, 1][..], &[0; 34]].concat());
    let (kind, payload) = kind::split(&message).unwrap();
    assert_eq!(kind, MessageType::WARNING);
    assert_eq!(WarningMessage::decode(payload), Ok(warning));
    assert!(warning.is_for_all_channels());
    // Bytes behind the data belong to some later extension.
    assert_eq!(WarningMessage::decode(&[&[0; 34][..], b"more"].concat()), Ok(warning));
}

#[test]
fn short_errors_and_warnings() {
    for len in 0..36 {
        let mut payload = [0; 36];
        payload[33] = 2;
        let payload = &payload[..len];
        let field = if len < 32 { "channel_id" } else { "data" };
        assert_eq!(ErrorMessage::decode(payload).unwrap_err().field, field, "{len}");
        assert_eq!(WarningMessage::decode(payload).unwrap_err().field, field, "{len}");
    }
}

/// Each of the five decodes from its least payload, zeros, and from nothing shorter.
#[test]
fn least_payloads() {
    for (kind, decodes) in [
        (MessageType::INIT, (|payload| Init::decode(payload).is_ok()) as fn(&[u8]) -> bool),
        (MessageType::ERROR, |payload| ErrorMessage::decode(payload).is_ok()),
        (MessageType::WARNING, |payload| WarningMessage::decode(payload).is_ok()),
        (MessageType::PING, |payload| Ping::decode(payload).is_ok()),
        (MessageType::PONG, |payload| Pong::decode(payload).is_ok()),
    ] {
        let least = kind.minimum_payload_len().unwrap();
        for len in 0..=least {
            assert_eq!(decodes(&vec![0; len]), len == least, "{kind}: {len}");
        }
    }
}

#[test]
fn text_of_a_peer() {
    let text = |bytes| Printable::new(bytes).to_string();
    assert_eq!(text(b"channel ~ is \"bad\""), "channel ~ is \"bad\"");
    assert_eq!(text(b"a\n\x1b[31m\x7f\xc3\xa9\0"), "a\\x0a\\x1b[31m\\x7f\\xc3\\xa9\\x00");
    assert_eq!(text(b""), "");
    let error = ErrorMessage { channel_id: ALL_CHANNELS, data: b"\rok" };
    assert_eq!(error.text().to_string(), "\\x0dok");
}

#[test]
fn long_text_of_a_peer_is_cut() {
    assert_eq!(Printable::new(&[b'a'; Printable::MAX_LEN]).to_string(), "a".repeat(1024));
    let longest = Printable::new(&vec![0; 65_499]).to_string();
    assert!(longest.ends_with("\\x00... (64475 more bytes)"));
    assert!(longest.len() < 4200, "{}", longest.len());
}
