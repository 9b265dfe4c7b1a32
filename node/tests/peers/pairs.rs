//! Two nodes of ours.

use oddwire_node::{
    ConnectError, Delivery, Direction, DisconnectError, Event, EventFilter, Limits, MessageType, PingError,
    SendError,
};

use crate::{ODD, PATIENCE, address, next, next_end, next_message, send, start, start_with};

#[tokio::test]
async fn connect_talk_disconnect() {
    let (alice, bob) = (start(1).await, start(2).await);
    let (mut at_alice, mut at_bob) = (alice.subscribe(EventFilter::all()), bob.subscribe(EventFilter::all()));
    assert_eq!(alice.send_custom_message(&bob.id(), ODD, b"x"), Err(SendError::NotConnected));

    let info = alice.connect(bob.id(), address(&bob)).await.unwrap();
    assert_eq!((info.id, info.direction, info.address), (bob.id(), Direction::Out, address(&bob)));
    assert_eq!(info.features[..], *bob.features().as_bytes());
    assert!(matches!(next(&mut at_alice).await, Event::Connected(seen) if seen == info));
    let Event::Connected(seen) = next(&mut at_bob).await else { panic!("not connected") };
    assert_eq!((seen.id, seen.direction), (alice.id(), Direction::In));
    assert_eq!(info.seen_as, Some(seen.address), "the dialled side tells where it sees us");
    assert_eq!((alice.peer_count(), bob.peer_count()), (1, 1));

    alice.send_custom_message(&bob.id(), ODD, b"hello").unwrap();
    let Event::CustomMessage { number, peer, kind, payload, .. } = next(&mut at_bob).await else {
        panic!("no message")
    };
    assert_eq!((number, peer, kind, &payload[..]), (1, alice.id(), ODD, &b"hello"[..]));
    bob.send_custom_message(&alice.id(), MessageType::new(65_535), b"").unwrap();
    assert_eq!(next_message(&mut at_alice).await, b"");

    assert_eq!(
        alice.send_custom_message(&bob.id(), MessageType::PING, b""),
        Err(SendError::InternalType(MessageType::PING))
    );
    let too_long = vec![0; 65_534];
    assert_eq!(
        alice.send_custom_message(&bob.id(), ODD, &too_long),
        Err(SendError::TooLong { len: 65_536, limit: 65_535 })
    );
    alice.send_custom_message(&bob.id(), ODD, &too_long[..65_533]).unwrap();
    alice.disconnect(&bob.id()).await.unwrap();
    assert_eq!(next_message(&mut at_bob).await.len(), 65_533, "what was queued goes out first");
    assert_eq!(next_end(&mut at_bob, &alice.id()).await, ("the peer closed the connection".into(), 0));
    assert_eq!(next_end(&mut at_alice, &bob.id()).await.1, 0);
    assert_eq!(alice.disconnect(&bob.id()).await, Err(DisconnectError::NotConnected));
    assert!(alice.peers().is_empty());
    alice.connect(bob.id(), address(&bob)).await.unwrap();
}

#[tokio::test]
async fn pings_are_answered_by_their_length() {
    let (alice, bob) = (start(1).await, start(2).await);
    assert_eq!(alice.ping(&bob.id(), 128, 128).await, Err(PingError::NotConnected));
    alice.connect(bob.id(), address(&bob)).await.unwrap();
    for (len, pongbytes, totlen) in
        [(128, 128, 132), (0, 0, 4), (65_529, 65_531, 65_535), (0, 65_532, 0), (0, 65_535, 0)]
    {
        assert_eq!(alice.ping(&bob.id(), len, pongbytes).await.map(|reply| reply.totlen), Ok(totlen));
    }
    assert_eq!(
        alice.ping(&bob.id(), 65_530, 1).await,
        Err(PingError::Oversize { len: 65_530, limit: 65_529 })
    );
}

#[tokio::test]
async fn connecting_fails_with_the_stage_and_the_reason() {
    let (alice, bob) = (start(1).await, start(2).await);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = alice.connect(bob.id(), nobody).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("{nobody}: Connection establishment: Connection refused"));
    let carol = start(3).await.id();
    let wrong_key = alice.connect(carol, address(&bob)).await.unwrap_err();
    assert_eq!(
        wrong_key.to_string(),
        format!("{}: Cryptographic handshake: peer closed connection (wrong key?)", address(&bob))
    );
    assert_eq!(alice.connect(alice.id(), address(&alice)).await, Err(ConnectError::OwnId));
    alice.connect(bob.id(), address(&bob)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_for_one_peer_share_one_attempt() {
    let (alice, bob) = (start(1).await, start(2).await);
    let mut at_bob = bob.subscribe(EventFilter::connections());
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (alice, id, address) = (alice.clone(), bob.id(), address(&bob));
            tokio::spawn(async move { alice.connect(id, address).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(matches!(next(&mut at_bob).await, Event::Connected(_)));
    assert!(at_bob.try_next().is_none(), "more than one connection was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialling_each_other_at_once_leaves_one_good_connection() {
    for round in 0..60 {
        let (alice, bob) = (start(1).await, start(2).await);
        let (mut at_alice, mut at_bob) =
            (alice.subscribe(EventFilter::messages()), bob.subscribe(EventFilter::messages()));
        let (one, other) =
            tokio::join!(alice.connect(bob.id(), address(&bob)), bob.connect(alice.id(), address(&alice)));
        assert!(one.is_ok() && other.is_ok(), "round {round}: {one:?} {other:?}");
        // A message may fall into the moment in which one connection gives way to the other, but then its sender is told,
        // or it moves to the other connection.
        for (from, to, inbox) in [(&alice, &bob, &mut at_bob), (&bob, &alice, &mut at_alice)] {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while let Err(error) = from.send_custom_message(&to.id(), ODD, &[round]) {
                assert!(tokio::time::Instant::now() < deadline, "round {round}: {error}");
                tokio::task::yield_now().await;
            }
            assert_eq!(next_message(inbox).await, [round]);
        }
        tokio::join!(alice.shutdown(), bob.shutdown());
    }
}

/// A payload whose length and content follow from its number.
fn numbered(number: u32) -> Vec<u8> {
    let mix = number.wrapping_mul(2_654_435_761);
    let len = if number.is_multiple_of(97) { 60_000 } else { usize::try_from(mix % 700).unwrap() };
    let body = (0..len).map(|at| u8::try_from((mix >> (at % 4 * 8)) & 0xff).unwrap());
    number.to_be_bytes().into_iter().chain(body).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_each_way_arrive_in_order() {
    const COUNT: u32 = 10_000;
    let mut limits = Limits::default();
    // Nothing may be missed: as large as what is under way at most.
    (limits.backlog_events, limits.backlog_bytes) = (20_000, 64 * 1024 * 1024);
    let (alice, bob) = (start_with(1, limits).await, start_with(2, limits).await);
    alice.connect(bob.id(), address(&bob)).await.unwrap();
    let mut tasks = Vec::new();
    for (from, to) in [(&alice, &bob), (&bob, &alice)] {
        let (from, to, mut inbox) = (from.clone(), to.id(), to.subscribe(EventFilter::messages()));
        tasks.push(tokio::spawn(async move {
            for number in 0..COUNT {
                send(&from, &to, &numbered(number)).await;
            }
        }));
        tasks.push(tokio::spawn(async move {
            for number in 0..COUNT {
                assert!(next_message(&mut inbox).await == numbered(number), "message {number} differs");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let traffic = alice.peer(&bob.id()).unwrap().traffic;
    assert!(traffic.messages_in > u64::from(COUNT) && traffic.messages_out > u64::from(COUNT));
    assert!(traffic.bytes_out > traffic.messages_out * 34);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_echo_each_other_do_not_stall() {
    const COUNT: usize = 1_500;
    let mut limits = Limits::default();
    // Queues far smaller than what is under way, so that both are full most of the time.
    (limits.send_queue_messages, limits.send_queue_bytes) = (4, 4 * 65_569);
    // The echo itself may wait as long as it likes without missing anything.
    limits.backlog_bytes = 64 * 1024 * 1024;
    let (alice, bob) = (start_with(1, limits).await, start_with(2, limits).await);
    alice.connect(bob.id(), address(&bob)).await.unwrap();
    let (mut at_alice, mut at_bob) =
        (alice.subscribe(EventFilter::messages()), bob.subscribe(EventFilter::messages()));
    let (echo, alice_id) = (bob.clone(), alice.id());
    let echoes = tokio::spawn(async move {
        for _ in 0..COUNT {
            let payload = next_message(&mut at_bob).await;
            send(&echo, &alice_id, &payload).await;
        }
    });
    let (sender, bob_id) = (alice.clone(), bob.id());
    let sends = tokio::spawn(async move {
        let payload = vec![7; 30_000];
        for _ in 0..COUNT {
            send(&sender, &bob_id, &payload).await;
        }
    });
    for _ in 0..COUNT {
        assert_eq!(next_message(&mut at_alice).await.len(), 30_000);
    }
    echoes.await.unwrap();
    sends.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_a_busy_node_as_soon_as_what_was_queued_is_sent() {
    let mut limits = Limits::default();
    // Far beyond what the test allows: new messages must not keep the drain going until its deadline.
    limits.drain = 10 * PATIENCE;
    let (alice, bob) = (start_with(1, limits).await, start(2).await);
    let mut at_alice = alice.subscribe(EventFilter::connections());
    alice.connect(bob.id(), address(&bob)).await.unwrap();
    let busy = {
        let (alice, bob) = (alice.clone(), bob.id());
        tokio::spawn(async move {
            loop {
                match alice.send_custom_message(&bob, ODD, &[1; 1_000]) {
                    Ok(()) | Err(SendError::Full { .. }) => tokio::task::yield_now().await,
                    Err(error) => return error,
                }
            }
        })
    };
    assert!(matches!(next(&mut at_alice).await, Event::Connected(_)));
    tokio::time::timeout(PATIENCE, alice.shutdown()).await.unwrap();
    assert!(matches!(busy.await.unwrap(), SendError::Closing | SendError::NotConnected));
    assert!(matches!(next(&mut at_alice).await, Event::Disconnected { .. }));
    assert!(at_alice.next().await.is_none(), "subscriptions end with the node");
    assert!(tokio::net::TcpStream::connect(address(&alice)).await.is_err(), "it still listens");
    assert!(matches!(alice.connect(bob.id(), address(&bob)).await, Err(ConnectError::ShuttingDown)));
    crate::assert_serves_honest_peer(&bob).await;
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_node() {
    let (alice, bob) = (start(1).await, start(2).await);
    let (mut at_alice, mut at_bob) = (alice.subscribe(EventFilter::all()), bob.subscribe(EventFilter::all()));
    alice.connect(bob.id(), address(&bob)).await.unwrap();
    let (listener, alice_id) = (address(&alice), alice.id());
    drop(alice.clone());
    alice.send_custom_message(&bob.id(), ODD, b"last").unwrap();
    drop(alice);
    assert_eq!(next_message(&mut at_bob).await, b"last");
    next_end(&mut at_bob, &alice_id).await;
    while let Some(delivery) = tokio::time::timeout(PATIENCE, at_alice.next()).await.unwrap() {
        assert!(matches!(delivery, Delivery::Event(_)));
    }
    assert!(tokio::net::TcpStream::connect(listener).await.is_err(), "it still listens");
}

#[tokio::test]
async fn one_message_for_many_peers() {
    let (alice, bob, carol, dave) = (start(1).await, start(2).await, start(3).await, start(4).await);
    let (mut at_bob, mut at_carol) = (bob.subscribe(EventFilter::all()), carol.subscribe(EventFilter::all()));
    for peer in [&bob, &carol] {
        alice.connect(peer.id(), address(peer)).await.unwrap();
    }

    let results = alice.broadcast_custom_message([&dave.id(), &bob.id()], ODD, b"to some");
    assert_eq!(results, [(dave.id(), Err(SendError::NotConnected)), (bob.id(), Ok(()))]);
    let mut results = alice.broadcast_custom_message_to_all(ODD, b"to all");
    results.sort_by_key(|(id, _)| *id);
    let mut expected = [(bob.id(), Ok(())), (carol.id(), Ok(()))];
    expected.sort_by_key(|(id, _)| *id);
    assert_eq!(results, expected);
    let refused = Err(SendError::InternalType(MessageType::PING));
    assert!(alice.broadcast_custom_message_to_all(MessageType::PING, b"").iter().all(|(_, r)| *r == refused));

    assert_eq!(next_message(&mut at_bob).await, b"to some");
    assert_eq!(next_message(&mut at_bob).await, b"to all");
    assert_eq!(next_message(&mut at_carol).await, b"to all");
}

#[tokio::test]
async fn a_payload_that_cannot_be_made_is_not_sent() {
    let (alice, bob) = (start(1).await, start(2).await);
    let mut at_bob = bob.subscribe(EventFilter::all());
    alice.connect(bob.id(), address(&bob)).await.unwrap();
    assert_eq!(alice.send_custom_message_with(&bob.id(), ODD, 5, |_| Err("no")), Ok(Err("no")));
    assert_eq!(
        alice.send_custom_message_with(&bob.id(), ODD, 3, |room| {
            room.copy_from_slice(b"yes");
            Ok::<(), ()>(())
        }),
        Ok(Ok(()))
    );
    assert_eq!(next_message(&mut at_bob).await, b"yes", "and not what was given up before it");
}
