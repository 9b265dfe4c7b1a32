//! Peers that send as fast as they can, and a program that gets what they send.

use oddwire_node::{Delivery, EventFilter, Limits, MessageType};
use tokio::io::AsyncWriteExt as _;

use crate::raw_peer::{RawPeer, odd};
use crate::{assert_serves_honest_peer, next_message, start_with};

/// The type of the last message.
const END: MessageType = MessageType::new(32_771);

/// Far more than the backlog holds.
const COUNT: u32 = 50_000;

/// All frames of it, so that nothing but the node sets the pace.
fn flood(peer: &mut RawPeer) -> Vec<u8> {
    (0..COUNT).flat_map(|number| peer.seal(&odd(&number.to_be_bytes()))).collect()
}

/// What the program does with each message: it takes longer than reading one, and far less than a tenth of a millisecond.
fn work() {
    let sum = (0..500_u32).fold(0, |sum: u32, number| std::hint::black_box(sum ^ number).rotate_left(5));
    std::hint::black_box(sum);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_reads_misses_nothing() {
    let mut limits = Limits::default();
    limits.backlog_events = 8_192;
    let node = start_with(1, limits).await;
    let mut inbox = node.subscribe(EventFilter::messages());
    let mut peer = RawPeer::open(&node, 7).await;
    let frames = flood(&mut peer);
    let sending = tokio::spawn(async move {
        peer.stream.write_all(&frames).await.unwrap();
        peer
    });
    for number in 0..COUNT {
        work();
        match inbox.next().await {
            Some(Delivery::Event(event)) => drop(event),
            other => panic!("{other:?} instead of message {number}"),
        }
    }
    drop(sending.await.unwrap());
    assert_serves_honest_peer(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_read_is_not_waited_for_in_the_end() {
    let mut limits = Limits::default();
    limits.backlog_events = 4_096;
    let node = start_with(1, limits).await;
    let mut stuck = node.subscribe(EventFilter::messages());
    let mut end = node.subscribe(EventFilter::messages().of_types([END]));
    let mut peer = RawPeer::open(&node, 7).await;
    let frames = flood(&mut peer);
    peer.stream.write_all(&frames).await.unwrap();
    peer.send(&END.get().to_be_bytes()).await;
    assert_eq!(next_message(&mut end).await, b"");
    // Told in its place: at the end, since nothing fitted any more.
    for number in 0..limits.backlog_events {
        assert!(matches!(stuck.try_next(), Some(Delivery::Event(_))), "message {number} is missing");
    }
    let missed = u64::from(COUNT) + 1 - 4_096;
    assert!(matches!(stuck.try_next(), Some(Delivery::Gap { missed: told }) if told == missed));
    assert_serves_honest_peer(&node).await;
}
