//! Pings, pongs and deadlines.

use super::*;

#[test]
fn ping_is_answered_with_the_pong_it_asks_for() {
    let (mut side, mut scripted) = open_to_script();
    for num_pong_bytes in [0_u16, 1, 128, 65_531] {
        let mut ping = vec![0, 18];
        ping.extend_from_slice(&num_pong_bytes.to_be_bytes());
        ping.extend_from_slice(&[0, 3, 9, 9, 9]);
        side.hear(START, &scripted.say(&ping));
        let said = scripted.read(&side.transmit());
        assert_eq!(said.len(), 1);
        assert_eq!(said[0][..2], [0, 19]);
        assert_eq!(said[0][2..4], num_pong_bytes.to_be_bytes());
        assert_eq!(said[0][4..], vec![0; usize::from(num_pong_bytes)]);
    }
}

#[test]
fn padding_is_owed_until_it_is_transmitted_or_given_up() {
    let (mut side, mut scripted) = open_to_script();
    assert_eq!(side.connection.owed_padding(), 0);
    for num_pong_bytes in [60_000_u16, 0, 7, 65_532] {
        let [a, b] = num_pong_bytes.to_be_bytes();
        side.hear(START, &scripted.say(&[0, 18, a, b, 0, 0]));
    }
    assert_eq!(side.connection.owed_padding(), 60_007);
    scripted.read(&side.transmit());
    assert_eq!(side.connection.owed_padding(), 0);

    side.hear(START, &scripted.say(&[0, 18, 1, 0, 0, 0]));
    side.connection.abort(CloseReason::Transport);
    assert_eq!(side.connection.owed_padding(), 0);
}

#[test]
fn ping_for_65532_pong_bytes_and_more_is_not_answered() {
    let (mut side, mut scripted) = open_to_script();
    for num_pong_bytes in [65_532_u16, 65_533, 65_535] {
        let mut ping = vec![0, 18];
        ping.extend_from_slice(&num_pong_bytes.to_be_bytes());
        ping.extend_from_slice(&[0, 0]);
        side.hear(START, &scripted.say(&ping));
        assert!(!side.connection.has_transmit());
        assert_eq!(side.connection.phase(), Phase::Open);
    }
}

#[test]
fn a_flood_of_pings_stops_being_read_and_every_one_is_answered() {
    let (mut side, mut scripted) = open_to_script();
    let flood: Vec<u8> = (0..1_000).flat_map(|_| scripted.say(&[0, 18, 0, 5, 0, 0])).collect();
    side.hear(START, &flood);
    assert!(!side.connection.wants_read());
    assert!(!side.inbox.is_empty());
    // Whoever shows more input all the same is not heard, and nothing is lost by it.
    let mut rest = side.inbox.clone();
    let received = side.connection.receive(START, &mut rest, &NoEvenTypes);
    assert!((received.consumed, received.wanted) == (0, 0) && received.event.is_none());
    assert_eq!(rest, side.inbox);
    let mut pongs = 0;
    while side.connection.has_transmit() {
        pongs += scripted.read(&side.transmit()).len();
        side.hear(START, &[]);
    }
    assert_eq!(pongs, 1_000);
    assert!(side.inbox.is_empty());
}

#[test]
fn our_ping_finds_its_pong() {
    let (mut dialer, mut answerer) = open_pair();
    let ping = Ping { num_pong_bytes: 128, byteslen: 128 };
    assert_eq!(dialer.connection.ping(START, ping), Ok(PingSent::AwaitingPong));
    assert_eq!(dialer.connection.ping(START, ping), Err(PingRefused::AlreadyPending));
    settle(START, &mut dialer, &mut answerer);
    assert_eq!(dialer.take_seen(), [Seen::Pong(132, PingOrigin::Caller)]);
    let long = Ping { num_pong_bytes: 0, byteslen: 65_530 };
    assert_eq!(answerer.connection.ping(START, long), Err(PingRefused::TooLong));
    let longest = Ping { num_pong_bytes: 0, byteslen: 65_529 };
    assert_eq!(answerer.connection.ping(START, longest), Ok(PingSent::AwaitingPong));
    settle(START, &mut dialer, &mut answerer);
    assert_eq!(answerer.take_seen(), [Seen::Pong(4, PingOrigin::Caller)]);
}

#[test]
fn no_ping_takes_the_place_of_one_that_still_waits_to_be_transmitted() {
    let (mut side, mut scripted) = open_to_script();
    let silent = Ping { num_pong_bytes: 65_532, byteslen: 1 };
    let ping = Ping { num_pong_bytes: 7, byteslen: 2 };
    assert_eq!(side.connection.ping(START, silent), Ok(PingSent::NoPongExpected));
    assert_eq!(side.connection.ping(START, ping), Err(PingRefused::AlreadyPending));
    assert_eq!(scripted.read(&side.transmit()), [unhex("0012fffc000100")]);
    assert_eq!(side.connection.ping(START, ping), Ok(PingSent::AwaitingPong));
    assert_eq!(scripted.read(&side.transmit()), [unhex("0012000700020000")]);
}

#[test]
fn pings_of_the_caller_and_of_the_keepalive_are_told_apart() {
    let (mut side, mut scripted) = open_to_script();
    let idle = after(Deadlines::DEFAULT.idle_before_ping);
    side.connection.handle_timeout(idle);
    side.connection.ping(idle, Ping { num_pong_bytes: 9, byteslen: 0 }).unwrap();
    let said = scripted.read(&side.transmit());
    assert_eq!(said, [unhex("001200090000"), unhex("001200010000")]);
    side.hear(idle, &scripted.say(&[0, 19, 0, 1, 0]));
    side.hear(idle, &scripted.say(&[&[0, 19, 0, 9][..], &[0; 9]].concat()));
    side.hear(idle, &scripted.say(&[0, 19, 0, 1, 0]));
    assert_eq!(side.take_seen(), [Seen::Pong(5, PingOrigin::Keepalive), Seen::Pong(13, PingOrigin::Caller)]);
}

#[test]
fn an_unasked_or_wrong_pong_is_ignored() {
    let (mut side, mut scripted) = open_to_script();
    side.hear(START, &scripted.say(&[0, 19, 0, 1, 0]));
    side.connection.ping(START, Ping { num_pong_bytes: 4, byteslen: 0 }).unwrap();
    side.hear(START, &scripted.say(&[0, 19, 0, 2, 0, 0]));
    assert_eq!(side.take_seen(), []);
    side.hear(START, &scripted.say(&[0, 19, 0, 4, 0, 0, 0, 0]));
    assert_eq!(side.take_seen(), [Seen::Pong(8, PingOrigin::Caller)]);
}

#[test]
fn each_phase_has_its_deadline() {
    let deadlines = Deadlines::DEFAULT;
    let mut side = answerer();
    assert_eq!(side.connection.poll_timeout(), Some(after(deadlines.handshake)));
    side.connection.handle_timeout(later(1));
    assert_eq!(side.connection.phase(), Phase::Handshake);
    side.connection.handle_timeout(after(deadlines.handshake));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::HandshakeTimeout));
    assert_eq!(side.connection.poll_timeout(), None);

    let mut side = answerer();
    Scripted::shaken(&mut side);
    assert_eq!(side.connection.poll_timeout(), Some(after(deadlines.init)));
    side.connection.handle_timeout(after(deadlines.init));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::InitTimeout));
}

#[test]
fn an_idle_peer_is_pinged_and_a_silent_one_is_dropped() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, mut scripted) = open_to_script();
    let idle = after(deadlines.idle_before_ping);
    assert_eq!(side.connection.poll_timeout(), Some(idle));
    side.connection.handle_timeout(idle);
    assert_eq!(scripted.read(&side.transmit()), [unhex("001200010000")]);
    let dead = idle.after(deadlines.pong);
    assert_eq!(side.connection.poll_timeout(), Some(dead));
    side.connection.handle_timeout(dead);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PingTimeout));
}

#[test]
fn other_messages_than_the_pong_keep_a_peer_alive() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, mut scripted) = open_to_script();
    let idle = after(deadlines.idle_before_ping);
    side.connection.handle_timeout(idle);
    side.transmit();
    let heard = idle.after(deadlines.pong / 2);
    side.hear(heard, &scripted.say(&unhex("8001")));
    side.connection.handle_timeout(idle.after(deadlines.pong));
    assert_eq!(side.connection.phase(), Phase::Open);
    assert_eq!(side.connection.poll_timeout(), Some(heard.after(deadlines.idle_before_ping)));
}

#[test]
fn a_frame_that_only_drips_is_no_sign_of_life() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, mut scripted) = open_to_script();
    let frame = scripted.say(&[0x80; 1_000]);
    let idle = after(deadlines.idle_before_ping);
    side.connection.handle_timeout(idle);
    for (second, byte) in (0_u64..).zip(&frame[..30]) {
        side.hear(idle.after(core::time::Duration::from_secs(second)), &[*byte]);
    }
    side.connection.handle_timeout(idle.after(deadlines.pong));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PingTimeout));
}

/// What counts is the order of things, not what the clock showed: two of them may happen in one millisecond, and no clock
/// is better than the one who hands it in.
#[test]
fn a_message_after_the_ping_is_a_sign_of_life_at_the_same_time_and_even_before() {
    for heard in [START.as_millis() + 45_000, START.as_millis() + 44_000] {
        let (mut side, mut scripted) = open_to_script();
        let idle = after(Deadlines::DEFAULT.idle_before_ping);
        side.connection.handle_timeout(idle);
        side.transmit();
        side.hear(Timestamp::from_millis(heard), &scripted.say(&unhex("8001")));
        side.connection.handle_timeout(idle.after(Deadlines::DEFAULT.pong));
        assert_eq!(side.connection.phase(), Phase::Open);
    }
}

#[test]
fn warnings_and_errors_are_signs_of_life() {
    for kind in [1, 17] {
        let (mut side, mut scripted) = open_to_script();
        let message = [&[0, kind][..], &[3; 32], &[0, 0]].concat();
        side.hear(later(9), &scripted.say(&message));
        let idle = later(9).after(Deadlines::DEFAULT.idle_before_ping);
        assert_eq!(side.connection.poll_timeout(), Some(idle));
    }
}

#[test]
fn a_ping_of_the_caller_gives_a_silent_peer_no_more_time() {
    let deadlines = Deadlines::DEFAULT;
    let (mut side, _scripted) = open_to_script();
    let idle = after(deadlines.idle_before_ping);
    side.connection.handle_timeout(idle);
    side.connection.ping(idle.after(deadlines.pong / 2), Ping { num_pong_bytes: 9, byteslen: 0 }).unwrap();
    assert_eq!(side.connection.poll_timeout(), Some(idle.after(deadlines.pong)));
    side.connection.handle_timeout(idle.after(deadlines.pong));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PingTimeout));
}

#[test]
fn time_between_two_points_is_never_negative() {
    assert_eq!(later(7).since(later(2)), core::time::Duration::from_millis(5));
    assert_eq!(later(2).since(later(7)), core::time::Duration::ZERO);
    assert_eq!(later(2).after(core::time::Duration::MAX), Timestamp::from_millis(u64::MAX));
}

#[test]
fn times_at_the_ends_of_the_clock_do_no_harm() {
    let end = Timestamp::from_millis(u64::MAX);
    let mut side = Side::new(Connection::responder(local(0x22), None, ephemeral(0x44), end));
    assert_eq!(side.connection.poll_timeout(), Some(end));
    side.connection.handle_timeout(START);
    assert_eq!(side.connection.phase(), Phase::Handshake);
    side.connection.handle_timeout(end);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::HandshakeTimeout));

    let (mut side, mut scripted) = open_to_script();
    side.hear(end, &scripted.say(&unhex("8001")));
    side.connection.handle_timeout(Timestamp::from_millis(0));
    side.hear(Timestamp::from_millis(0), &scripted.say(&unhex("8001")));
    assert_eq!(side.connection.phase(), Phase::Open);
    assert_eq!(side.connection.poll_timeout(), Some(Timestamp::from_millis(45_000)));
}
