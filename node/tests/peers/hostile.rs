//! Peers that break the rules, one rule per test.

use std::time::Duration;

use oddwire_node::{Direction, Event, EventFilter, Limits, MessageType, Node};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::raw_peer::{HalfWay, RawPeer, hung_up, init, odd, ping};
use crate::{
    address, assert_serves_honest_peer, next, next_end, next_message, send_until_stuck, start, start_with,
};

fn hasty() -> Limits {
    let mut limits = Limits::default();
    limits.handshake_timeout = Duration::from_millis(300);
    limits.init_timeout = Duration::from_millis(300);
    limits
}

#[tokio::test]
async fn garbage_instead_of_act_one() {
    let node = start(1).await;
    let not_lightning = b"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: not a lightning node\r\n\r\n";
    for garbage in [&[0; 50][..], &[0xff; 50], not_lightning] {
        let mut stream = TcpStream::connect(address(&node)).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        hung_up(&mut stream).await;
    }
    assert_eq!(node.peer_count(), 0);
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn half_an_act_and_silence() {
    let node = start_with(1, hasty()).await;
    for len in [0, 1, 25, 49] {
        let mut stream = TcpStream::connect(address(&node)).await.unwrap();
        stream.write_all(&[0; 49][..len]).await.unwrap();
        hung_up(&mut stream).await;
    }
    let mut half_way = HalfWay::begin(address(&node), node.id(), 7).await;
    hung_up(&mut half_way.stream).await;
    let mut silent_after_handshake = RawPeer::handshake(&node, 7).await;
    silent_after_handshake.hung_up().await;
    assert_eq!(node.peer_count(), 0);
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn an_act_one_byte_at_a_time_beyond_the_deadline() {
    let node = start_with(1, hasty()).await;
    let mut stream = TcpStream::connect(address(&node)).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let drip = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..50 {
            every.tick().await;
            if writing.write_all(&[0]).await.is_err() {
                return;
            }
        }
        panic!("50 bytes in a second were accepted within a deadline of 300 ms");
    };
    let end = async {
        let mut byte = [0];
        while matches!(tokio::io::AsyncReadExt::read(&mut reading, &mut byte).await, Ok(1..)) {}
    };
    tokio::select! { () = drip => {}, () = end => {} }
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_replayed_act_three() {
    let node = start(1).await;
    let (recorded, mut first) = HalfWay::begin(address(&node), node.id(), 7).await.act_three().await;
    first.stream.write_all(&recorded).await.unwrap();
    first.send(&init()).await;
    assert!(first.receive().await.is_some());
    let (_, mut second) = HalfWay::begin(address(&node), node.id(), 7).await.act_three().await;
    second.stream.write_all(&recorded).await.unwrap();
    second.hung_up().await;
    // The connection whose act was recorded does not suffer.
    first.send(&ping(3)).await;
    assert_eq!(first.receive().await.unwrap(), [0, 19, 0, 3, 0, 0, 0]);
    assert_serves_honest_peer(&node).await;
}

/// Sends `frames` in one piece after `init`, and returns why the node ended the connection and what it delivered before.
async fn ended_by(node: &Node, frames: impl FnOnce(&mut RawPeer) -> Vec<u8>) -> (String, usize) {
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(node, 7).await;
    let bytes = frames(&mut peer);
    peer.stream.write_all(&bytes).await.unwrap();
    peer.stream.shutdown().await.unwrap();
    let mut delivered = 0;
    loop {
        match next(&mut events).await {
            Event::CustomMessage { .. } => delivered += 1,
            Event::Disconnected { reason, .. } => return (reason.to_string(), delivered),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_truncated_frame_after_good_ones() {
    let node = start(1).await;
    for missing in [1, 20, 40] {
        let (_, delivered) = ended_by(&node, |peer| {
            let good: Vec<u8> = (0..10).flat_map(|number| peer.seal(&odd(&[number]))).collect();
            let cut = peer.seal(&odd(&[9; 100]));
            [&good[..], &cut[..cut.len() - missing]].concat()
        })
        .await;
        assert_eq!(delivered, 10);
    }
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_wrong_tag_after_good_frames() {
    let node = start(1).await;
    // In the header, in its tag, in the body, in its tag.
    for damaged in [0, 10, 30, 60] {
        let (reason, delivered) = ended_by(&node, |peer| {
            let good: Vec<u8> = (0..10).flat_map(|number| peer.seal(&odd(&[number]))).collect();
            let mut bad = peer.seal(&odd(&[9; 40]));
            bad[damaged] ^= 1;
            let after = peer.seal(&odd(b"must not be delivered"));
            [good, bad, after].concat()
        })
        .await;
        assert!(reason.contains("frame"), "{reason}");
        assert_eq!(delivered, 10);
    }
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn messages_without_a_whole_type() {
    let node = start(1).await;
    for message in [&[][..], &[0x80]] {
        let (reason, delivered) = ended_by(&node, |peer| {
            let good = peer.seal(&odd(b"good"));
            [good, peer.seal(message)].concat()
        })
        .await;
        assert!(reason.contains(&format!("{} bytes", message.len())), "{reason}");
        assert_eq!(delivered, 1);
    }
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn init_twice() {
    let node = start(1).await;
    let mut peer = RawPeer::open(&node, 7).await;
    peer.send(&init()).await;
    assert!(peer.last_word().await.contains("init"));
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn anything_before_init() {
    let node = start(1).await;
    for early in [ping(1), odd(b"early")] {
        let mut events = node.subscribe(EventFilter::all());
        let mut peer = RawPeer::handshake(&node, 7).await;
        peer.send(&early).await;
        peer.send(&init()).await;
        assert!(peer.last_word().await.contains("before init"));
        assert!(
            !std::iter::from_fn(|| events.try_next())
                .any(|delivery| format!("{delivery:?}").contains("CustomMessage"))
        );
    }
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn an_init_for_another_chain() {
    let node = start(1).await;
    let mut peer = RawPeer::handshake(&node, 7).await;
    let mut other = init();
    other[10] ^= 1;
    peer.send(&other).await;
    assert_eq!(peer.last_word().await, "No common network");
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn even_types_close_unless_somebody_understands_them() {
    let node = start(1).await;
    let even = [&0x8000_u16.to_be_bytes()[..], b"even"].concat();
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(&node, 7).await;
    peer.send(&odd(b"odd")).await;
    assert_eq!(next_message(&mut events).await, b"odd");
    peer.send(&even).await;
    assert_eq!(peer.last_word().await, "Invalid unknown even msg 80006576656e");
    let Event::Warning { direction: Direction::Out, text, .. } = next(&mut events).await else {
        panic!("no warning")
    };
    assert!(text.starts_with("Invalid unknown even msg"), "{text}");
    next_end(&mut events, &peer.id).await;

    let guard = node.allow_even_types([MessageType::new(0x8000)]);
    let mut peer = RawPeer::open(&node, 7).await;
    peer.send(&even).await;
    assert_eq!(next_message(&mut events).await, b"even");
    drop(guard);
    peer.send(&even).await;
    assert!(peer.last_word().await.starts_with("Invalid unknown even msg"));
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_at_the_pace_of_the_reader() {
    const COUNT: usize = 3_000;
    let node = start(1).await;
    let mut peer = RawPeer::open(&node, 7).await;
    // Each asks for an answer 300 times as long as itself: far more than sockets hold.
    let flood: Vec<u8> = (0..COUNT).flat_map(|_| peer.seal(&ping(10_000))).collect();
    let (mut reading, mut writing) = tokio::io::split(&mut peer.stream);
    let mut received = 0;
    let sending = async { writing.write_all(&flood).await.unwrap() };
    let receiving = async {
        let mut buffer = vec![0; 65_536];
        while received < COUNT * (10_004 + 34) {
            let read = tokio::io::AsyncReadExt::read(&mut reading, &mut buffer);
            received += tokio::time::timeout(crate::PATIENCE, read).await.unwrap().unwrap();
        }
    };
    tokio::join!(sending, receiving);
    assert_eq!(node.peer_count(), 1, "a peer that reads its pongs stays");
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_peer_that_asks_for_pongs_and_never_reads() {
    let mut limits = Limits::default();
    limits.write_stall = Duration::from_millis(500);
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::connections());
    let mut peer = RawPeer::open(&node, 7).await;
    let flood: Vec<u8> = (0..3_000).flat_map(|_| peer.seal(&ping(10_000))).collect();
    // The node stops reading at some point, and at last hangs up; both end the write.
    let id = peer.id;
    let (write, (reason, _)) = tokio::join!(peer.stream.write_all(&flood), next_end(&mut events, &id));
    drop(write);
    assert_eq!(reason, "the peer stopped reading");
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_peer_that_reads_late_finds_pongs_and_messages_in_order() {
    let node = start(1).await;
    let mut peer = RawPeer::open(&node, 7).await;
    let accepted = send_until_stuck(&node, &peer.id).await;
    // The pongs fall due while a run of messages is half written.
    for _ in 0..5 {
        peer.send(&ping(7)).await;
    }
    let (mut messages, mut pongs) = (0, 0);
    while messages < accepted || pongs < 5 {
        let message = peer.receive().await.unwrap();
        if message.len() == 4 + 7 {
            pongs += 1;
        } else {
            assert_eq!(message.len(), 2 + 20_000 + messages);
            messages += 1;
        }
    }
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut limits = Limits::default();
    (limits.idle_before_ping, limits.pong_timeout) = (Duration::from_millis(100), Duration::from_millis(200));
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::connections());
    let mut peer = RawPeer::open(&node, 7).await;
    let first = peer.receive().await.unwrap();
    assert_eq!(first, [0, 18, 0, 1, 0, 0], "not the smallest ping");
    peer.send(&[0, 19, 0, 1, 0]).await;
    assert_eq!(peer.receive().await.unwrap()[..2], [0, 18], "no second ping after an answered one");
    assert_eq!(next_end(&mut events, &peer.id).await.0, "Last ping unreturned: hanging up");
    peer.hung_up().await;
    assert_serves_honest_peer(&node).await;
}
