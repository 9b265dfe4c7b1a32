//! What happens at a limit.

use std::time::Duration;

use oddwire_node::{ConnectError, Event, EventFilter, Identity, Limits, Network, Node, Secret, SendError};
use tokio::net::TcpStream;

use crate::raw_peer::{RawPeer, hung_up};
use crate::{ODD, PATIENCE, address, assert_serves_honest_peer, next, send_until_stuck, start, start_with};

#[tokio::test]
async fn strangers_beyond_the_cap_push_out_the_oldest() {
    let mut limits = Limits::default();
    // Longer than the test waits, so that only the cap can end them.
    limits.handshake_timeout = 10 * PATIENCE;
    limits.pending_inbound = 2;
    let node = start_with(1, limits).await;
    let mut oldest = TcpStream::connect(address(&node)).await.unwrap();
    let _second = TcpStream::connect(address(&node)).await.unwrap();
    let _third = TcpStream::connect(address(&node)).await.unwrap();
    hung_up(&mut oldest).await;
    // While the cap is reached, an honest peer gets in.
    assert_serves_honest_peer(&node).await;
}

/// As a test engineer does it: everybody at once, from one address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_honest_peers_beyond_the_cap_is_served() {
    const PEERS: u16 = 300;
    let mut limits = Limits::default();
    (limits.pending_inbound, limits.pending_inbound_per_ip) = (8, 4);
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::connections());
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..PEERS {
        let (id, address) = (node.id(), address(&node));
        calls.spawn(async move {
            let [high, low] = number.to_be_bytes();
            let mut secret = [0x11; 32];
            (secret[0], secret[1]) = (high, low);
            let identity = Identity::from_secret(&Secret::new(secret)).unwrap();
            let peer = Node::builder().identity(identity).network(Network::Regtest).start().await.unwrap();
            peer.connect(id, address).await.map(|_| peer)
        });
    }
    let mut peers = Vec::new();
    while let Some(peer) = calls.join_next().await {
        peers.push(peer.unwrap().unwrap());
    }
    for _ in 0..PEERS {
        assert!(matches!(next(&mut events).await, Event::Connected(_)));
    }
    assert_eq!(node.peer_count(), usize::from(PEERS));
}

#[tokio::test]
async fn one_peer_too_many_is_told_so() {
    let mut limits = Limits::default();
    limits.peers = 1;
    let node = start_with(1, limits).await;
    let first = start(2).await;
    first.connect(node.id(), address(&node)).await.unwrap();
    let mut second = RawPeer::handshake(&node, 7).await;
    second.send(&crate::raw_peer::init()).await;
    assert_eq!(second.last_word().await, "too many peers are connected");
    let third = start(3).await;
    assert_eq!(node.connect(third.id(), address(&third)).await, Err(ConnectError::TooManyPeers { limit: 1 }));
    // The one that is there may come again.
    first.disconnect(&node.id()).await.unwrap();
    first.connect(node.id(), address(&node)).await.unwrap();
    first.shutdown().await;
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_peer_that_never_reads_fills_its_queue_and_is_closed() {
    let mut limits = Limits::default();
    limits.write_stall = Duration::from_millis(500);
    (limits.send_queue_messages, limits.send_queue_bytes) = (100, 1_000_000);
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::connections());
    let peer = RawPeer::open(&node, 7).await;
    let accepted = send_until_stuck(&node, &peer.id).await;
    let full = node.send_custom_message(&peer.id, ODD, &vec![0; 20_000 + accepted]);
    assert!(
        matches!(full, Err(SendError::Full { limit_messages: 100, limit_bytes: 1_000_000, .. })),
        "{full:?}"
    );
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let Event::Disconnected { reason, unsent, .. } = next(&mut events).await else {
        panic!("not disconnected")
    };
    assert_eq!(reason.to_string(), "the peer stopped reading");
    // All that was accepted and not written is there, in order, and but for one write's worth with its payload.
    let lengths: Vec<usize> = unsent.iter().map(|message| message.message_len - 20_002).collect();
    assert_eq!(lengths, (lengths[0]..accepted).collect::<Vec<_>>());
    assert!(lengths[0] > 0 && unsent.iter().all(|message| message.kind == ODD));
    assert!(unsent.iter().filter(|message| message.payload.is_none()).count() <= 64);
    assert!(unsent.last().unwrap().payload.is_some());
    assert_serves_honest_peer(&node).await;
}

/// So that the rest counts, and can be told as unsent.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_system_keeps_little_that_it_cannot_send() {
    /// The low mark for what is unsent, the one packet that may pass it, and what a busy system has under way.
    const MOST: usize = 256 * 1024;
    let mut limits = Limits::default();
    (limits.send_queue_messages, limits.send_queue_bytes) = (10_000, 32_000_000);
    let node = start_with(1, limits).await;
    let peer = RawPeer::open(&node, 7).await;
    let written = || node.peer(&peer.id).unwrap().traffic.bytes_out;
    let before = written();
    send_until_stuck(&node, &peer.id).await;
    // Loopback: what was sent is with the peer's system, which holds what the peer has not read.
    let sent = rustix::io::ioctl_fionread(&peer.stream).unwrap();
    let unsent = usize::try_from(written() - before - sent).unwrap();
    assert!(unsent <= MOST, "{unsent} bytes are kept unsent, beside {sent} that the peer has not read");
}

#[tokio::test]
async fn an_end_that_has_a_deadline_tells_what_it_left_unsent() {
    let mut limits = Limits::default();
    limits.drain = PATIENCE;
    (limits.send_queue_messages, limits.send_queue_bytes) = (100, 1_000_000);
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::messages().and_unsent());
    let peer = RawPeer::open(&node, 7).await;
    send_until_stuck(&node, &peer.id).await;
    let end = node.shutdown_within(Duration::from_millis(100));
    tokio::time::timeout(PATIENCE / 2, end).await.unwrap();
    let Event::Disconnected { id, unsent, .. } = next(&mut events).await else { panic!("not disconnected") };
    assert_eq!(id, peer.id);
    assert!(!unsent.is_empty());
    assert!(events.next().await.is_none(), "the node has ended");
}

#[tokio::test]
async fn who_waits_in_line_is_sent_last_and_a_pong_before_all_that_is_queued() {
    let mut limits = Limits::default();
    (limits.send_queue_messages, limits.send_queue_bytes) = (100, 1_000_000);
    let node = start_with(1, limits).await;
    let mut peer = RawPeer::open(&node, 7).await;
    let accepted = send_until_stuck(&node, &peer.id).await;
    let waiting = {
        let (node, id) = (node.clone(), peer.id);
        tokio::spawn(async move { node.send_custom_message_in_turn(&id, ODD, &vec![7; 30_000]).await })
    };
    peer.send(&crate::raw_peer::ping(4)).await;

    let (mut seen, mut before_pong) = (0, None);
    loop {
        let message = peer.receive().await.unwrap();
        if message.starts_with(&19_u16.to_be_bytes()) {
            before_pong = Some(seen);
            continue;
        }
        if message.len() == 30_002 {
            break;
        }
        seen += 1;
    }

    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(seen, accepted, "the one that waited comes behind all that were there");
    // Behind what was sealed already, and before the rest of the megabyte in the queue.
    assert!(before_pong.unwrap() + 30 < accepted, "{before_pong:?} of {accepted}");
}
