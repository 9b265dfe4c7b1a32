//! Every message decoder, on whole messages: type first.
//!
//! Held: what decodes encodes to a message that decodes to the same; text of a peer is printable when shown; the questions
//! about a type have answers that fit each other.

use wire_core::cursor::Writer;
use wire_core::limits::{MAX_MESSAGE_LEN, MAX_PING_PADDING, NO_PONG_BYTES};
use wire_core::message::channel::channel_id_of;
use wire_core::message::error::{ErrorMessage, WarningMessage};
use wire_core::message::kind::{MessageType, split};
use wire_core::message::onion_message::OnionMessage;
use wire_core::message::ping::{Ping, Pong};

/// The bytes are one message.
pub fn run(data: &[u8]) {
    let Some((kind, payload)) = split(data) else {
        assert!(data.len() < 2);
        return;
    };
    about(kind, payload);
    match kind {
        MessageType::ERROR => error(payload),
        MessageType::WARNING => warning(payload),
        MessageType::PING => ping(payload),
        MessageType::PONG => pong(payload),
        MessageType::INIT => crate::init::decode(payload),
        MessageType::ONION_MESSAGE => onion_message(payload),
        _ => {}
    }
}

fn about(kind: MessageType, payload: &[u8]) {
    assert_ne!(kind.is_odd(), kind.is_even());
    assert_eq!(kind.is_known(), kind.name().is_some());
    assert!(kind.is_known() || !kind.is_internal(), "{kind} is refused, so it has a name to say");
    if let Some(id) = channel_id_of(kind, payload) {
        assert!(payload.windows(id.len()).any(|window| window == id));
    }
}

fn error(payload: &[u8]) {
    let Ok(message) = ErrorMessage::decode(payload) else { return };
    is_printable(&message.text().to_string());
    again(|writer| message.encode(writer), |payload| assert_eq!(ErrorMessage::decode(payload), Ok(message)));
}

fn warning(payload: &[u8]) {
    let Ok(message) = WarningMessage::decode(payload) else { return };
    is_printable(&message.text().to_string());
    again(
        |writer| message.encode(writer),
        |payload| assert_eq!(WarningMessage::decode(payload), Ok(message)),
    );
}

fn ping(payload: &[u8]) {
    let Ok(ping) = Ping::decode(payload) else { return };
    assert_eq!(ping.expects_pong(), ping.num_pong_bytes < NO_PONG_BYTES);
    match ping.reply() {
        None => assert!(!ping.expects_pong()),
        Some(reply) => {
            assert_eq!(reply.byteslen, ping.num_pong_bytes);
            again(|writer| reply.encode(writer), |payload| assert_eq!(Pong::decode(payload), Ok(reply)));
        }
    }
    assert!(ping.byteslen <= MAX_PING_PADDING || payload.len() + 2 > MAX_MESSAGE_LEN);
    again(|writer| ping.encode(writer), |payload| assert_eq!(Ping::decode(payload), Ok(ping)));
}

fn pong(payload: &[u8]) {
    let Ok(pong) = Pong::decode(payload) else { return };
    again(|writer| pong.encode(writer), |payload| assert_eq!(Pong::decode(payload), Ok(pong)));
}

fn onion_message(payload: &[u8]) {
    let Ok(message) = OnionMessage::decode(payload) else { return };
    again(|writer| message.encode(writer), |payload| assert_eq!(OnionMessage::decode(payload), Ok(message)));
}

/// Encodes into a buffer of a message's greatest size and hands the payload on.
pub(crate) fn again<E: std::fmt::Debug>(
    encode: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
    check: impl FnOnce(&[u8]),
) {
    let mut room = vec![0; MAX_MESSAGE_LEN];
    let mut writer = Writer::new(&mut room);
    if encode(&mut writer).is_ok() {
        let message = writer.into_written();
        let (_, payload) = split(message).expect("an encoded message has a type");
        check(payload);
    }
}

fn is_printable(text: &str) {
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
}
