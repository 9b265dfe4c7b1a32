//! The end: misuse, damage, draining, last words.

use super::*;

#[test]
fn misuse_while_draining_is_told_and_the_first_reason_stays() {
    let (mut side, mut scripted) = open_to_script();
    side.connection.drain(START, CloseReason::Shutdown);
    side.hear(START, &scripted.say(&unhex("001200030000")));
    side.hear(START, &[scripted.say(&unhex("8000")), scripted.say(&unhex("8001"))].concat());
    assert_eq!(side.take_seen(), [], "nothing is delivered after the end has begun");
    assert_eq!(side.connection.close_reason(), Some(CloseReason::Shutdown));
    // The pong that was still owed gives way to the last word.
    assert_eq!(last_word(&side).as_deref(), Some("Invalid unknown even msg 8000"));
    let said = scripted.read(&side.transmit());
    assert_eq!(said.len(), 1);
    assert_eq!(warning_text(&said[0]), "Invalid unknown even msg 8000");
    assert_eq!((last_word(&side), side.connection.phase()), (None, Phase::Closing));
    // Whatever comes now, from whomever, changes nothing.
    side.connection.drain(START, CloseReason::LocalDisconnect);
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    side.connection.abort(CloseReason::Transport);
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::Shutdown));
    assert_eq!(side.connection.seal(&mut [0; 40]), Err(SealRefused::NotOpen));
    assert_eq!(side.connection.poll_transmit(&mut [0; 200]), None);
}

#[test]
fn a_last_word_that_nobody_reads_ends_by_itself() {
    let (mut side, _scripted) = open_to_script();
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    let end = after(Deadlines::DEFAULT.drain);
    assert_eq!(side.connection.poll_timeout(), Some(end));
    side.connection.handle_timeout(end);
    assert_eq!((side.connection.phase(), side.connection.has_transmit()), (Phase::Closed, false));
}

#[test]
fn the_longest_last_word_is_whole() {
    let (mut side, mut scripted) = open_to_script();
    let longest = (0..=u16::MAX)
        .map(MessageType::new)
        .filter(|kind| kind.is_internal() && kind.minimum_payload_len() > Some(63))
        .max_by_key(|kind| kind.name().map(str::len))
        .unwrap();
    let mut message = longest.get().to_be_bytes().to_vec();
    message.resize(65, 0xcc);
    side.hear(START, &scripted.say(&message));
    let expected = format!("Invalid {} {:04x}{}...", longest.name().unwrap(), longest.get(), "cc".repeat(62));
    assert_eq!(last_word(&side), Some(expected));
}

#[test]
fn what_came_before_a_damaged_frame_is_delivered() {
    let (mut side, mut scripted) = open_to_script();
    let mut wire = scripted.say(&unhex("8001aa"));
    let good = wire.len();
    wire.extend_from_slice(&scripted.say(&unhex("8003bb")));
    wire[good + HEADER_LEN] ^= 1;
    side.hear(START, &wire);
    assert_eq!(side.take_seen(), [Seen::Message(32_769, vec![0xaa])]);
    assert!(matches!(side.connection.close_reason(), Some(CloseReason::BadFrame(_))));
    assert_eq!(side.connection.phase(), Phase::Closed);
}

#[test]
fn the_bytes_of_a_damaged_frame_are_not_waited_for() {
    let (mut side, _scripted) = open_to_script();
    let mut garbage = [0; 100];
    let received = side.connection.receive(START, &mut garbage, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (0, 0));
    // Bytes behind the end are thrown away.
    let received = side.connection.receive(START, &mut garbage, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (100, 1));
}

#[test]
fn the_driver_may_give_up_at_any_time() {
    let (mut side, _scripted) = open_to_script();
    side.connection.abort(CloseReason::WriteStalled);
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::WriteStalled));
    side.connection.input_ended();
    assert_eq!(side.connection.close_reason(), Some(CloseReason::WriteStalled));
}

#[test]
fn a_replayed_frame_is_refused() {
    let (mut side, mut scripted) = open_to_script();
    let frame = scripted.say(&unhex("8001aa"));
    side.hear(START, &frame);
    side.hear(START, &frame);
    assert_eq!(side.take_seen().len(), 1);
    assert!(matches!(side.connection.close_reason(), Some(CloseReason::BadFrame(_))));
}

#[test]
fn answers_that_are_owed_give_way_to_the_last_word() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&unhex("001200030000")));
    side.connection.ping(START, Ping { num_pong_bytes: 1, byteslen: 0 }).unwrap();
    side.hear(START, &scripted.say(&padded(MessageType::CHANNEL_REESTABLISH, &[0x78; 32])));
    assert!(!side.connection.wants_read());
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    // The peer's bytes are taken and thrown away again, so that it can come to read.
    assert!(side.connection.wants_read());
    let said = scripted.read(&side.transmit());
    assert_eq!(said.len(), 1);
    assert_eq!(warning_text(&said[0]), "too many peers are connected");
}

#[test]
fn draining_still_delivers_and_seals_and_then_ends() {
    let (mut side, mut scripted) = open_to_script();
    side.connection.drain(START, CloseReason::LocalDisconnect);
    assert_eq!(side.connection.phase(), Phase::Draining);
    assert_eq!(
        side.connection.ping(START, Ping { num_pong_bytes: 1, byteslen: 0 }),
        Err(PingRefused::NotOpen)
    );
    side.hear(START, &scripted.say(&unhex("8001aa")));
    assert_eq!(side.take_seen().len(), 1);
    let frame = side.sealed(&unhex("8003bb"));
    assert_eq!(scripted.read(&frame), [unhex("8003bb")]);
    let end = after(Deadlines::DEFAULT.drain);
    assert_eq!(side.connection.poll_timeout(), Some(end));
    side.connection.handle_timeout(end);
    assert_eq!(side.connection.phase(), Phase::Closed);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::LocalDisconnect));
}
