//! The daemon with plugins as processes: right ones, and every kind of wrong one.
//!
//! The plugins are made of one script (`scripted.py`, plain Python) that does what a test tells it to do.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails, in its helpers too")]

mod fixture;
mod hooks;
mod hostile;
mod lifecycle;
mod methods;
mod onions;
#[path = "../process/running.rs"]
mod running;
mod rust;
mod slow_readers;

use oddwire_node::{Identity, MessageType, Network, Node, NodeId, Secret, SendError};

use fixture::Home;

/// A peer of the test's own, connected to the daemon.
async fn peer_of(home: &Home) -> (Node, NodeId) {
    peer_with_key(home, 7).await
}

/// Another one.
async fn peer_with_key(home: &Home, seed: u8) -> (Node, NodeId) {
    let identity = Identity::from_secret(&Secret::new([seed; 32])).unwrap();
    let node = Node::builder().identity(identity).network(Network::Regtest).start().await.unwrap();
    let port = home.call(&["getinfo"])["binding"][0]["port"].as_u64().unwrap();
    let id: NodeId = home.daemon.id.parse().unwrap();
    node.connect(id, format!("127.0.0.1:{port}").parse().unwrap()).await.unwrap();
    (node, id)
}

/// Sends as soon as there is room.
async fn send(node: &Node, to: &NodeId, kind: u16, payload: &[u8]) {
    loop {
        match node.send_custom_message(to, MessageType::new(kind), payload) {
            Ok(()) => return,
            Err(SendError::Full { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}
