//! Nodes over real sockets: two of ours, and ours against a scripted peer that does what no honest node would.
//!
//! Tests wait for events, never for time; deadlines that a test is about are made short by [`Limits`]. Every test of a
//! misbehaving peer ends by showing that the node still serves an honest one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step of a test is a failed test"
)]

mod acts;
mod admission;
mod descriptors;
mod flood;
mod hostile;
mod limits;
mod log_lines;
mod onions;
mod pairs;
mod raw_peer;
mod takeover;

use std::net::SocketAddr;
use std::time::Duration;

use oddwire_node::{
    Delivery, Event, EventFilter, Identity, Limits, MessageType, Network, Node, NodeId, Secret, Subscription,
};

/// How long anything may take before a test fails. Long, because machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// An odd type, which every node accepts.
const ODD: MessageType = MessageType::new(32_769);

fn identity(seed: u8) -> Identity {
    Identity::from_secret(&Secret::new([seed; 32])).unwrap()
}

async fn start_with(seed: u8, limits: Limits) -> Node {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let builder =
        Node::builder().identity(identity(seed)).network(Network::Regtest).listen(loopback).limits(limits);
    builder.start().await.unwrap()
}

async fn start(seed: u8) -> Node {
    start_with(seed, Limits::default()).await
}

fn address(node: &Node) -> SocketAddr {
    node.listening()[0]
}

/// The next event; a gap or the end fails the test.
async fn next(subscription: &mut Subscription) -> Event {
    match tokio::time::timeout(PATIENCE, subscription.next()).await {
        Ok(Some(Delivery::Event(event))) => event,
        other => panic!("no event but {other:?}"),
    }
}

/// The payload of the next custom message; other events are passed over.
async fn next_message(subscription: &mut Subscription) -> Vec<u8> {
    loop {
        if let Event::CustomMessage { payload, .. } = next(subscription).await {
            return payload.to_vec();
        }
    }
}

/// Waits until the node tells that `peer` is gone, and returns the reason's text and the number of unsent messages.
async fn next_end(subscription: &mut Subscription, peer: &NodeId) -> (String, usize) {
    loop {
        match next(subscription).await {
            Event::Disconnected { id, reason, unsent } if id == *peer => {
                return (reason.to_string(), unsent.len());
            }
            _ => {}
        }
    }
}

/// Sends as soon as there is room.
async fn send(node: &Node, to: &NodeId, payload: &[u8]) {
    loop {
        match node.send_custom_message(to, ODD, payload) {
            Ok(()) => return,
            Err(oddwire_node::SendError::Full { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends messages to a peer that does not read until its socket and its queue are full; returns how many were accepted.
/// The payload of each is longer by one byte than that of the one before, from 20,000 bytes on.
async fn send_until_stuck(node: &Node, to: &NodeId) -> usize {
    let mut accepted = 0;
    loop {
        if node.send_custom_message(to, ODD, &vec![0; 20_000 + accepted]).is_ok() {
            accepted += 1;
            continue;
        }
        // It may be full because the peer's task had no turn yet; it is stuck when turns do not help.
        let queued = || node.peer(to).map(|info| info.traffic.queued_bytes);
        let before = queued();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if queued() == before {
            return accepted;
        }
    }
}

/// Whatever happened before: another node can connect, and messages pass both ways.
async fn assert_serves_honest_peer(node: &Node) {
    let honest = start(99).await;
    let (mut here, mut there) =
        (node.subscribe(EventFilter::messages()), honest.subscribe(EventFilter::messages()));
    honest.connect(node.id(), address(node)).await.unwrap();
    honest.send_custom_message(&node.id(), ODD, b"from outside").unwrap();
    while next_message(&mut here).await != b"from outside" {}
    node.send_custom_message(&honest.id(), ODD, b"from inside").unwrap();
    assert_eq!(next_message(&mut there).await, b"from inside");
    honest.shutdown().await;
}
