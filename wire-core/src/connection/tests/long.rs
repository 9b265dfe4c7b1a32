//! Small buffers: messages that are read through, answers that go out in pieces.

use super::*;

/// An open connection that receives messages of up to `longest` bytes whole.
fn small(longest: u16) -> (Side, Scripted) {
    let local = Local { longest_message: longest, ..local(0x22) };
    let mut side = Side::new(Connection::responder(local, None, ephemeral(0x44), START));
    let mut scripted = Scripted::shaken(&mut side);
    side.hear(START, &scripted.say(BARE_INIT));
    assert_eq!(side.take_seen(), [Seen::Open]);
    (side, scripted)
}

/// `fields` and so many zeros that the message has `len` bytes.
fn long(fields: &str, len: usize) -> Vec<u8> {
    let mut message = unhex(fields);
    message.resize(len, 0);
    message
}

/// All that is owed, through a buffer of `room` bytes.
fn transmit_through(side: &mut Side, room: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut room = vec![0; room];
    while let Some(len) = side.connection.poll_transmit(&mut room) {
        assert!(len > 0);
        wire.extend_from_slice(&room[..len]);
    }
    wire
}

#[test]
fn a_message_for_the_driver_is_reported_and_the_connection_lives() {
    let (mut side, mut scripted) = small(100);
    side.hear(START, &scripted.say(&long("7777", 100)));
    side.hear(START, &scripted.say(&long("7777", 101)));
    side.hear(START, &scripted.say(&long("0007", 65_535)));
    side.hear_allowing(START, &scripted.say(&long("8000", 3_000)), &[MessageType::new(0x8000)][..]);
    side.hear(START, &scripted.say(&unhex("777701")));
    assert_eq!(
        side.take_seen(),
        [
            Seen::Message(0x7777, vec![0; 98]),
            Seen::TooLong(0x7777, 101),
            Seen::TooLong(7, 65_535),
            Seen::TooLong(0x8000, 3_000),
            Seen::Message(0x7777, vec![1]),
        ]
    );
    assert_eq!(side.connection.phase(), Phase::Open);
}

#[test]
fn a_long_message_with_a_wrong_tag_ends_the_connection_and_is_not_reported() {
    let (mut side, mut scripted) = small(100);
    let mut frame = scripted.say(&long("7777", 1_000));
    *frame.last_mut().unwrap() ^= 1;
    side.hear(START, &frame);
    assert_eq!(side.take_seen(), []);
    assert!(matches!(side.connection.close_reason(), Some(CloseReason::BadFrame(OpenError::BodyTag))));
}

#[test]
fn what_misuses_the_protocol_does_so_at_any_length() {
    for (message, reason) in [
        ("8000", CloseReason::UnknownEvenType(MessageType::new(0x8000))),
        ("0010", CloseReason::InitRepeated),
        // 200 bytes hold 194 of padding, not 195.
        ("0012000100c3", CloseReason::MessageTooShort(MessageType::PING)),
        ("001300c5", CloseReason::MessageTooShort(MessageType::PONG)),
    ] {
        let (mut side, mut scripted) = small(100);
        let message = long(message, 200);
        side.hear(START, &scripted.say(&message));
        assert_eq!(side.connection.close_reason(), Some(reason));
        // And the peer hears the words that it would hear from a node with more room.
        let (mut roomy, mut other) = open_to_script();
        roomy.hear(START, &other.say(&message));
        assert_eq!(last_word(&side), last_word(&roomy));
        assert!(last_word(&side).is_some());
    }
}

#[test]
fn an_init_that_is_too_long_is_refused() {
    let local = Local { longest_message: 100, ..local(0x22) };
    let mut side = Side::new(Connection::responder(local, None, ephemeral(0x44), START));
    let mut scripted = Scripted::shaken(&mut side);
    side.hear(START, &scripted.say(&long("0010", 101)));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::InitTooLong { len: 101 }));
    let said = scripted.read(&side.transmit());
    assert_eq!(warning_text(&said[0]), "init message of 101 bytes is too long for this node");

    let mut side = Side::new(Connection::responder(super::local(0x22), None, ephemeral(0x44), START));
    side.connection.local.longest_message = 100;
    let mut scripted = Scripted::shaken(&mut side);
    side.hear(START, &scripted.say(&long("7777", 101)));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::InitNotFirst(MessageType::new(0x7777))));
}

#[test]
fn the_protocol_answers_what_it_cannot_keep() {
    let (mut side, mut scripted) = small(80);
    // A ping with 65,529 bytes of padding that wants three back.
    side.hear(START, &scripted.say(&long("00120003fff9", 65_535)));
    assert_eq!(scripted.read(&side.transmit()), [unhex("00130003000000")]);

    // open_channel has its id in bytes 34 to 66.
    let mut open_channel = long("0020", 400);
    open_channel[34..66].fill(0x77);
    side.hear(START, &scripted.say(&open_channel));
    let said = scripted.read(&side.transmit());
    assert_eq!((&said[0][..2], &said[0][2..34]), (&[0, 17][..], &[0x77; 32][..]));

    // An error for one channel, a warning, then an error for all.
    side.hear(START, &scripted.say(&long(&format!("0011{}", "01".repeat(32)), 500)));
    side.hear(START, &scripted.say(&long("0001", 500)));
    assert_eq!(side.connection.phase(), Phase::Open);
    side.hear(START, &scripted.say(&long("0011", 500)));
    assert_eq!(
        side.take_seen(),
        [Seen::Ignored(32), Seen::TooLong(17, 500), Seen::TooLong(1, 500), Seen::TooLong(17, 500)]
    );
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PeerError));
}

#[test]
fn a_long_pong_is_still_our_pings_pong() {
    let (mut side, mut scripted) = small(80);
    side.connection.ping(START, Ping { num_pong_bytes: 1_000, byteslen: 0 }).unwrap();
    side.transmit();
    side.hear(START, &scripted.say(&long("001303e8", 1_004)));
    assert_eq!(side.take_seen(), [Seen::Pong(1_004, PingOrigin::Caller)]);
}

#[test]
fn the_longest_pong_and_ping_go_out_through_the_smallest_buffer() {
    let (mut side, mut scripted) = small(80);
    side.hear(START, &scripted.say(&unhex("0012fffb0000")));
    scripted_reads(&mut scripted, &mut side, &[("0013fffb", 65_535)]);

    side.connection.ping(START, Ping { num_pong_bytes: 1, byteslen: MAX_PING_PADDING }).unwrap();
    scripted_reads(&mut scripted, &mut side, &[("00120001fff9", 65_535)]);
    // One that fits, and one that does so just not.
    side.hear(START, &scripted.say(&unhex("001200e00000")));
    side.hear(START, &scripted.say(&unhex("001200e10000")));
    scripted_reads(&mut scripted, &mut side, &[("001300e0", 228), ("001300e1", 229)]);
}

fn scripted_reads(scripted: &mut Scripted, side: &mut Side, messages: &[(&str, usize)]) {
    let wire = transmit_through(side, LEAST_TRANSMIT_ROOM);
    let expected: Vec<_> = messages.iter().map(|(fields, len)| long(fields, *len)).collect();
    assert_eq!(scripted.read(&wire), expected);
}

#[test]
fn nothing_comes_between_the_pieces_of_a_frame() {
    let (mut side, mut scripted) = small(80);
    side.hear(START, &scripted.say(&unhex("001203e80000")));
    let mut room = [0; LEAST_TRANSMIT_ROOM];
    let first = side.connection.poll_transmit(&mut room).unwrap();
    let mut wire = room[..first].to_vec();
    assert!(side.connection.has_transmit());
    assert_eq!(side.connection.seal(&mut [0; 40]), Err(SealRefused::FrameUnfinished));
    // Not even the last word, without which the peer could not read it.
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    wire.extend(transmit_through(&mut side, LEAST_TRANSMIT_ROOM));
    let said = scripted.read(&wire);
    assert_eq!(said.len(), 2);
    assert_eq!((said[0].len(), warning_text(&said[1])), (1_004, "too many peers are connected"));
}

#[test]
fn the_least_room_is_enough_for_the_longest_last_word_and_one_byte_less_is_not() {
    for (room, enough) in [(LEAST_TRANSMIT_ROOM, true), (LEAST_TRANSMIT_ROOM - 1, false)] {
        let (mut side, mut scripted) = small(80);
        side.hear(START, &scripted.say(&unhex("001203e80000")));
        let sent = side.connection.poll_transmit(&mut vec![0; room]);
        assert_eq!(sent.is_some(), enough);
        let ended = (!enough).then_some(CloseReason::NoRoomToTransmit);
        assert_eq!(side.connection.close_reason(), ended);
    }
}
