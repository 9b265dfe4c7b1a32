//! From the first byte to the phase open: handshake, `init` both ways, and what must not come before.

use super::*;

#[test]
fn both_sides_open_and_messages_flow_both_ways() {
    let (mut dialer, mut answerer) = open_pair();
    assert_eq!((dialer.connection.phase(), answerer.connection.phase()), (Phase::Open, Phase::Open));
    for len in [2, 3, 64, 1_000, MAX_MESSAGE_LEN] {
        let mut message = vec![0xaa; len];
        message[..2].copy_from_slice(&32_769_u16.to_be_bytes());
        let frame = dialer.sealed(&message);
        answerer.hear(START, &frame);
        let frame = answerer.sealed(&message);
        dialer.hear(START, &frame);
        assert_eq!(answerer.take_seen(), [Seen::Message(32_769, message[2..].to_vec())]);
        assert_eq!(dialer.take_seen(), [Seen::Message(32_769, message[2..].to_vec())]);
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let (mut dialer, mut answerer) = pair_with(local(0x22));
    loop {
        let (there, back) = (dialer.transmit(), answerer.transmit());
        if there.is_empty() && back.is_empty() {
            break;
        }
        answerer.hear_byte_by_byte(&there);
        dialer.hear_byte_by_byte(&back);
    }
    let frame = dialer.sealed(&[0x80, 1, 7]);
    answerer.hear_byte_by_byte(&frame);
    assert_eq!(answerer.seen.last(), Some(&Seen::Message(32_769, vec![7])));
}

#[test]
fn says_how_much_it_wants() {
    let (mut dialer, mut answerer) = open_pair();
    let mut frame = dialer.sealed(&[0x80, 1, 7, 8, 9]);
    let received = answerer.connection.receive(START, &mut frame[..10], &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (0, 8));
    let received = answerer.connection.receive(START, &mut frame[..20], &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (HEADER_LEN, 5 + TAG_LEN - 2));
}

/// No bit in the first field, the second as short as its bits allow, our chain, and nothing about a peer whose address is
/// not known.
#[test]
fn our_init_has_our_features_and_our_chain_and_nothing_else() {
    let scripted = Scripted::shaken(&mut answerer());
    let features = FeatureSet::DEFAULT;
    assert_eq!(scripted.init, [&[0, 16, 0, 0, 0, 6], features.as_bytes(), &[1, 32], &CHAIN].concat());
}

#[test]
fn custom_frames_wait_for_our_init() {
    let (mut dialer, mut answerer) = pair_with(local(0x22));
    answerer.hear(START, &dialer.transmit());
    dialer.hear(START, &answerer.transmit());
    answerer.hear(START, &dialer.transmit());
    // The dialer's init came right behind act three; ours has not been transmitted.
    assert_eq!(answerer.connection.phase(), Phase::Open);
    let mut frame = vec![0; 2 + FRAME_OVERHEAD];
    assert_eq!(answerer.connection.seal(&mut frame), Err(SealRefused::InitFirst));
    answerer.transmit();
    assert_eq!(answerer.connection.seal(&mut frame), Ok(()));
}

#[test]
fn nothing_is_sealed_before_the_connection_is_open() {
    let (mut dialer, _) = pair_with(local(0x22));
    assert_eq!(dialer.connection.seal(&mut [0; 40]), Err(SealRefused::NotOpen));
    // Ours is out, the peer's `init` is due.
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    assert_eq!(side.connection.phase(), Phase::AwaitInit);
    assert_eq!(side.connection.seal(&mut [0; 40]), Err(SealRefused::NotOpen));
    let ping = Ping { num_pong_bytes: 1, byteslen: 0 };
    assert_eq!(side.connection.ping(START, ping), Err(PingRefused::NotOpen));
    assert!(!side.connection.has_transmit());
    side.hear(START, &scripted.say(BARE_INIT));
    assert_eq!(side.connection.seal(&mut [0; 40]), Ok(()));
}

#[test]
fn a_warning_is_heard_even_before_init() {
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    let mut warning = vec![0, 1];
    warning.extend_from_slice(&[0; 32]);
    warning.extend_from_slice(&[0, 1, b'!']);
    side.hear(START, &scripted.say(&warning));
    assert_eq!(side.take_seen(), [Seen::Warning(b"!".to_vec())]);
    assert_eq!(side.connection.phase(), Phase::AwaitInit);
}

/// Every first message that is no acceptable `init`.
#[test]
fn a_bad_first_message_closes_with_a_reason() {
    let zeros = "00".repeat(32);
    let other_chain = format!("0010000000000120{zeros}");
    let cases: &[(&str, CloseReason, &str)] = &[
        ("001200000000", CloseReason::InitNotFirst(MessageType::PING), "18 (WIRE_PING) message before init"),
        ("8001", CloseReason::InitNotFirst(MessageType::new(32_769)), "32769 message before init"),
        (&other_chain, CloseReason::NoCommonChain, "No common network"),
        // Bit 98, required, is assigned to nobody.
        (
            "00100000000d04000000000000000000000000",
            CloseReason::UnknownEvenFeature(FeatureBit::new(98)),
            "Unsupported feature 98",
        ),
        // Bit 17 (basic_mpp) without bit 14 or 15 (payment_secret).
        (
            "001000000003020000",
            CloseReason::MissingFeatureDependency(MissingDependency {
                feature: Feature::BasicMpp,
                needs: Feature::PaymentSecret,
            }),
            "feature basic_mpp is set without payment_secret, which it depends on",
        ),
    ];
    for (message, reason, last_word) in cases {
        let mut side = answerer();
        let mut scripted = Scripted::shaken(&mut side);
        side.hear(START, &scripted.say(&unhex(message)));
        assert_eq!(side.connection.close_reason(), Some(*reason), "{message}");
        let said = scripted.read(&side.transmit());
        assert_eq!(warning_text(&said[0]), *last_word, "{message}");
    }
}

#[test]
fn our_init_goes_out_before_the_warning_about_theirs() {
    let mut theirs = local(0x22);
    theirs.chain_hash = [9; 32];
    let (mut dialer, mut answerer) = pair_with(theirs);
    answerer.hear(START, &dialer.transmit());
    dialer.hear(START, &answerer.transmit());
    // Act three and the unsuitable init come in one piece.
    answerer.hear(START, &dialer.transmit());
    assert_eq!(answerer.connection.phase(), Phase::Closing);
    let wire = answerer.transmit();
    dialer.hear(START, &wire);
    // The dialer closes on our init, which came first; it never saw a warning without an init before it.
    assert_eq!(dialer.connection.close_reason(), Some(CloseReason::NoCommonChain));
}

#[test]
fn an_act_in_one_piece_with_what_follows_is_taken_alone() {
    let (mut dialer, mut answerer) = pair_with(local(0x22));
    let mut input = dialer.transmit();
    input.push(7);
    let received = answerer.connection.receive(START, &mut input[..10], &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (0, 40));
    let received = answerer.connection.receive(START, &mut input, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (50, 0));
    let mut input = answerer.transmit();
    input.push(7);
    let received = dialer.connection.receive(START, &mut input, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (50, 0));
    let mut input = dialer.transmit();
    let received = answerer.connection.receive(START, &mut input, &NoEvenTypes);
    assert_eq!((received.consumed, received.wanted), (66, 0));
}

#[test]
fn no_input_is_no_news_in_any_phase() {
    let nothing = |connection: &mut Connection<Local>, wanted| {
        let received = connection.receive(START, &mut [], &NoEvenTypes);
        assert_eq!((received.consumed, received.wanted), (0, wanted));
        assert!(received.event.is_none());
    };
    let mut side = answerer();
    nothing(&mut side.connection, 50);
    let mut scripted = Scripted::shaken(&mut side);
    nothing(&mut side.connection, HEADER_LEN);
    side.hear(START, &scripted.say(BARE_INIT));
    nothing(&mut side.connection, HEADER_LEN);
    side.connection.drain(START, CloseReason::Shutdown);
    nothing(&mut side.connection, HEADER_LEN);
    side.connection.close_with_warning(START, CloseReason::TooManyPeers);
    nothing(&mut side.connection, 1);
    side.connection.finish();
    nothing(&mut side.connection, 1);
}

#[test]
fn an_error_instead_of_init_is_heard_and_ends_the_connection() {
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    let error = [&[0, 17][..], &[0; 32], &[0, 2], b"no"].concat();
    side.hear(START, &[scripted.say(&error), scripted.say(BARE_INIT)].concat());
    assert_eq!(side.take_seen(), [Seen::Error(b"no".to_vec())]);
    assert_eq!(side.connection.close_reason(), Some(CloseReason::PeerError));
    assert!(!side.connection.has_transmit());
}

#[test]
fn an_init_as_long_as_a_message_can_be_is_read() {
    for (last_byte, reason) in [(2_u8, None), (0, None), (1, Some(FeatureBit::new(65_529 * 8 - 8)))] {
        let mut side = answerer();
        let mut scripted = Scripted::shaken(&mut side);
        let mut init = [&[0, 16, 0, 0][..], &65_529_u16.to_be_bytes()].concat();
        init.resize(MAX_MESSAGE_LEN, 0);
        init[6] = last_byte;
        side.hear(START, &scripted.say(&init));
        assert_eq!(side.connection.close_reason(), reason.map(CloseReason::UnknownEvenFeature));
    }
}

#[test]
fn one_common_chain_among_several_is_enough() {
    for (position, fits) in [(0, true), (1, true), (2, true), (3, false)] {
        let mut side = answerer();
        let mut scripted = Scripted::shaken(&mut side);
        let mut chains = [[9; 32]; 3];
        if let Some(chain) = chains.get_mut(position) {
            *chain = CHAIN;
        }
        side.hear(START, &scripted.say(&[BARE_INIT, &[1, 96], chains.as_flattened()].concat()));
        assert_eq!(side.connection.phase() == Phase::Open, fits);
    }
    // An empty list names no chain, so none is common.
    let mut side = answerer();
    let mut scripted = Scripted::shaken(&mut side);
    side.hear(START, &scripted.say(&[BARE_INIT, &[1, 0]].concat()));
    assert_eq!(side.connection.close_reason(), Some(CloseReason::NoCommonChain));
}

#[test]
fn garbage_instead_of_act_one_is_refused_at_its_first_byte() {
    let mut side = answerer();
    side.hear(START, b"GET / HTTP/1.1\r\n");
    let reason = CloseReason::Handshake(HandshakeError::ActOneBadVersion(b'G'));
    assert_eq!(side.connection.close_reason(), Some(reason));
    assert_eq!(side.connection.phase(), Phase::Closed);
}

/// What our `init` says of where we see the peer.
fn told_address(seen_at: &str) -> Option<SocketAddr> {
    let theirs = local(0x22);
    let their_id = theirs.key.node_id();
    let dialer = Connection::initiator(local(0x11), their_id, ephemeral(0x33), START);
    let answerer = Connection::responder(theirs, Some(seen_at.parse().unwrap()), ephemeral(0x44), START);
    let (mut dialer, mut answerer) = (Side::new(dialer), Side::new(answerer));
    answerer.hear(START, &dialer.transmit());
    dialer.hear(START, &answerer.transmit());
    answerer.hear(START, &dialer.transmit());
    let mut wire = answerer.transmit();
    // The header is consumed together with the body, since both are here.
    let received = dialer.connection.receive(START, &mut wire, &NoEvenTypes);
    let Some(Event::Open(init)) = received.event else { panic!("{received:?}") };
    init.remote_addr.and_then(|address| address.socket_addr())
}

#[test]
fn a_peer_is_told_a_public_address_and_no_private_one() {
    for told in
        ["8.8.8.8:1", "100.63.255.255:1", "100.128.0.0:1", "[2600::1]:65535", "127.0.0.1:9735", "[::1]:9735"]
    {
        assert_eq!(told_address(told), Some(told.parse().unwrap()), "{told}");
    }
    assert_eq!(told_address("[::ffff:8.8.4.4]:9735"), Some("8.8.4.4:9735".parse().unwrap()));
    for kept in [
        "10.1.2.3:9735",
        "192.168.0.1:9735",
        "172.16.0.1:9735",
        "169.254.0.1:9735",
        "100.64.0.0:9735",
        "100.127.255.255:9735",
        "0.0.0.0:9735",
        "255.255.255.255:9735",
        "224.0.0.1:9735",
        "8.8.8.8:0",
        "[::ffff:10.1.2.3]:9735",
        "[fc00::1]:9735",
        "[fe80::1]:9735",
        "[::]:9735",
        "[ff02::1]:9735",
    ] {
        assert_eq!(told_address(kept), None, "{kept}");
    }
}

#[test]
fn state_is_small() {
    let size = size_of::<Connection<&Local>>();
    assert!(size <= 768, "a connection takes {size} bytes");
}
