//! What becomes of the messages of an open connection.

use super::*;

#[test]
fn unknown_odd_is_delivered_and_unknown_even_closes_with_a_warning() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&unhex("8001ff")));
    assert_eq!(side.take_seen(), [Seen::Message(32_769, vec![0xff])]);
    side.hear(START, &scripted.say(&unhex("ad9e0102")));
    assert_eq!(side.take_seen(), []);
    assert_eq!(side.connection.phase(), Phase::Closing);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::UnknownEvenType(MessageType::new(44_446))));
    let said = scripted.read(&side.transmit());
    assert_eq!(said.len(), 1);
    assert_eq!(warning_text(&said[0]), "Invalid unknown even msg ad9e0102");
    side.connection.finish();
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::UnknownEvenType(MessageType::new(44_446))));
}

#[test]
fn a_long_offending_message_is_quoted_in_part() {
    let (mut side, mut scripted) = open_to_script();
    let mut message = vec![0xab; MAX_MESSAGE_LEN];
    message[..2].copy_from_slice(&[0x80, 0]);
    side.hear(START, &scripted.say(&message));
    let said = scripted.read(&side.transmit());
    let expected = format!("Invalid unknown even msg 8000{}...", "ab".repeat(62));
    assert_eq!(warning_text(&said[0]), expected);
}

#[test]
fn an_allowed_even_type_is_delivered() {
    let (mut side, mut scripted) = open_to_script();
    let allowed = [MessageType::new(44_444)];
    let frame = scripted.say(&unhex("ad9c05"));
    side.inbox.extend_from_slice(&frame);
    let received = side.connection.receive(START, &mut side.inbox, allowed.as_slice());
    assert!(matches!(received.event, Some(Event::Message { kind, payload: [5], .. }) if kind == allowed[0]));
    side.inbox.clear();
    side.hear(START, &scripted.say(&unhex("ad9e05")));
    assert_eq!(side.connection.phase(), Phase::Closing);
}

#[test]
fn peer_storage_is_for_the_driver() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&unhex("00070002abcd")));
    side.hear(START, &scripted.say(&unhex("00090002abcd")));
    let payload = unhex("0002abcd");
    assert_eq!(side.take_seen(), [Seen::Message(7, payload.clone()), Seen::Message(9, payload)]);
}

#[test]
fn onion_messages_are_for_the_driver_who_looks_into_them() {
    let (mut side, mut scripted) = open_to_script();
    let message = padded(MessageType::ONION_MESSAGE, &[9; 35]);
    side.hear(START, &scripted.say(&message));
    assert_eq!(side.take_seen(), [Seen::Onion(message[2..].to_vec())]);
    // Without room for its fields it is no message of its type.
    side.hear(START, &scripted.say(&message[..36]));
    assert_eq!(side.take_seen(), []);
    assert_eq!(side.connection.phase(), Phase::Closing);
}

#[test]
fn gossip_is_ignored_and_channel_messages_are_answered() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&padded(MessageType::new(265), &CHAIN)));
    assert_eq!(side.take_seen(), [Seen::Ignored(265)]);
    assert!(!side.connection.has_transmit());

    // open_channel: the chain comes before the temporary channel id.
    let ids = [CHAIN, [0x77; 32]].concat();
    side.hear(START, &scripted.say(&padded(MessageType::OPEN_CHANNEL, &ids)));
    let said = scripted.read(&side.transmit());
    assert_eq!(said[0][..2], MessageType::ERROR.get().to_be_bytes());
    assert_eq!(said[0][2..34], [0x77; 32]);

    // channel_reestablish: a peer with money in a channel must not be driven to close it by force.
    side.hear(START, &scripted.say(&padded(MessageType::CHANNEL_REESTABLISH, &[0x78; 32])));
    let said = scripted.read(&side.transmit());
    assert_eq!(said[0][..2], MessageType::WARNING.get().to_be_bytes());
    assert_eq!(said[0][2..34], [0x78; 32]);
    assert_eq!(side.connection.phase(), Phase::Open);
}

/// BOLT 1: the id zero stands for all channels, and an `error` for all would end a connection that nothing is wrong with.
#[test]
fn a_message_about_the_channel_zero_is_not_answered() {
    let (mut side, mut scripted) = open_to_script();
    for kind in [MessageType::STFU, MessageType::CHANNEL_REESTABLISH, MessageType::new(128)] {
        side.hear(START, &scripted.say(&padded(kind, &[0; 32])));
        assert_eq!(side.take_seen(), [Seen::Ignored(kind.get())]);
    }
    assert!(!side.connection.has_transmit());
    assert_eq!(side.connection.phase(), Phase::Open);
}

#[test]
fn an_error_for_one_channel_is_heard_and_for_all_it_ends_the_connection() {
    let (mut side, mut scripted) = open_to_script();
    let mut error = vec![0, 17];
    error.extend_from_slice(&[1; 32]);
    error.extend_from_slice(&[0, 2, b'h', b'i']);
    side.hear(START, &scripted.say(&error));
    assert_eq!(side.connection.phase(), Phase::Open);
    error[2..34].fill(0);
    side.hear(START, &scripted.say(&error));
    assert_eq!(side.take_seen(), [Seen::Error(b"hi".to_vec()), Seen::Error(b"hi".to_vec())]);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PeerError));
    assert_eq!(side.connection.phase(), Phase::Closed);
}

/// Every message that must end the connection, the reason, and the last word.
#[test]
fn misuse_closes_with_a_reason() {
    let cases: &[(&str, CloseReason, &str)] = &[
        (
            "",
            CloseReason::NoMessageType { len: 0 },
            "Invalid message of 0 bytes: a message starts with its 2-byte type",
        ),
        (
            "80",
            CloseReason::NoMessageType { len: 1 },
            "Invalid message of 1 bytes: a message starts with its 2-byte type",
        ),
        ("0012", CloseReason::MessageTooShort(MessageType::PING), "Invalid ping 0012"),
        ("0012000000", CloseReason::MessageTooShort(MessageType::PING), "Invalid ping 0012000000"),
        ("00120000000501", CloseReason::MessageTooShort(MessageType::PING), "Invalid ping 00120000000501"),
        ("001300", CloseReason::MessageTooShort(MessageType::PONG), "Invalid WIRE_PONG 001300"),
        ("000100", CloseReason::MessageTooShort(MessageType::WARNING), "Invalid WIRE_WARNING 000100"),
        ("001100", CloseReason::MessageTooShort(MessageType::ERROR), "Invalid WIRE_ERROR 001100"),
        (
            "00800102",
            CloseReason::MessageTooShort(MessageType::new(128)),
            "Invalid WIRE_UPDATE_ADD_HTLC 00800102",
        ),
        ("001000000000", CloseReason::InitRepeated, "init message sent twice"),
    ];
    for (message, reason, last_word) in cases {
        let (mut side, mut scripted) = open_to_script();
        side.hear(START, &scripted.say(&unhex(message)));
        assert_eq!(side.connection.close_reason(), Some(*reason), "{message}");
        let said = scripted.read(&side.transmit());
        assert_eq!(warning_text(&said[0]), *last_word, "{message}");
    }
}

/// A node that has been about for long may leave out fields that were added later.
#[test]
fn the_old_short_channel_reestablish_is_answered() {
    let (mut side, mut scripted) = open_to_script();
    let old = [&[0, 136][..], &[0x78; 32], &[0; 16]].concat();
    side.hear(START, &scripted.say(&old));
    assert_eq!(side.take_seen(), [Seen::Ignored(136)]);
    assert_eq!(scripted.read(&side.transmit())[0][..34], [&[0, 1][..], &[0x78; 32]].concat());
}
