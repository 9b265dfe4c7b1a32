//! Onion messages over real sockets: lines of our nodes, and lines in which LDK's `OnionMessenger` is the first, the middle
//! or the last node.
//!
//! Nothing sleeps: each step waits for an event, and a test that waits for something that never comes fails after
//! [`PATIENCE`].

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step of a test is a failed test")]

mod ldk;
mod line;
mod with_ldk;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use oddwire_node::onion::{OnionDestination, OutgoingOnion, Via};
use oddwire_node::{
    Delivery, Event, EventFilter, Identity, Limits, Network, Node, NodeId, OnionMessage, OnionRecord,
    ReplyPath, Secret, Subscription,
};

/// How long anything may take before a test fails. Long, because machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// An odd type that is nobody's.
const RECORD: u64 = 65_539;

async fn start_with(seed: u8, limits: Limits) -> Node {
    Node::builder()
        .identity(Identity::from_secret(&Secret::new([seed; 32])).unwrap())
        .network(Network::Regtest)
        .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .limits(limits)
        .start()
        .await
        .unwrap()
}

/// Nodes that are connected in a line, each to its neighbours only.
async fn line<const N: usize>() -> [Node; N] {
    let mut nodes = Vec::new();
    for seed in 1..=u8::try_from(N).unwrap() {
        nodes.push(start_with(seed, Limits::default()).await);
    }
    for pair in nodes.windows(2) {
        let mut at_next = pair[1].subscribe(EventFilter::connections());
        pair[0].connect(pair[1].id(), pair[1].listening()[0]).await.unwrap();
        // Both sides know before anything is sent.
        assert!(matches!(next(&mut at_next).await, Event::Connected(_)));
    }
    nodes.try_into().unwrap()
}

/// The next event; a gap or the end fails the test.
async fn next(subscription: &mut Subscription) -> Event {
    match tokio::time::timeout(PATIENCE, subscription.next()).await {
        Ok(Some(Delivery::Event(event))) => event,
        other => panic!("no event but {other:?}"),
    }
}

/// The next onion message that was for this node.
async fn arrival(subscription: &mut Subscription) -> Arc<OnionMessage> {
    match next(subscription).await {
        Event::OnionMessage(message) => message,
        other => panic!("no onion message but {other:?}"),
    }
}

/// A message of one record to a node, over others.
fn to_node(to: NodeId, via: &[&Node], text: &[u8]) -> OutgoingOnion {
    let via = Via::Nodes(via.iter().map(|node| node.id()).collect());
    OutgoingOnion { to: OnionDestination::Node(to), via, records: vec![record(text)] }
}

fn to_path(path: &ReplyPath, via: &[&Node], text: &[u8]) -> OutgoingOnion {
    let via = Via::Nodes(via.iter().map(|node| node.id()).collect());
    OutgoingOnion { to: OnionDestination::Path(path.clone()), via, records: vec![record(text)] }
}

fn record(text: &[u8]) -> OnionRecord {
    OnionRecord { kind: RECORD, value: text.to_vec().into() }
}

fn text(message: &OnionMessage) -> &[u8] {
    let [OnionRecord { kind: RECORD, value }] = &message.records[..] else {
        panic!("not the one record: {message:?}")
    };
    value
}
