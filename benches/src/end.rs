//! A node at one end of a connection, Oddwire's or LDK's, doing the same for its user: custom messages out, custom messages
//! in, as many peers as there are.
//!
//! Both keep idle connections silent for as long as a benchmark takes, listen on loopback, and hand each message that comes
//! to one function of the user.

mod ldk;
mod oddwire;

use std::future::Future;
use std::net::SocketAddr;

use oddwire_node::{MessageType, NodeId, Secret};

pub use ldk::Ldk;
pub use oddwire::Oddwire;

/// The type of all messages that are sent: odd, and of the range for experiments (BOLT 1).
pub const KIND: MessageType = MessageType::new(0x8001);

/// What is done with each message that arrives, given what follows its type.
pub trait Handler: Fn(&[u8]) + Send + Sync + 'static {}

impl<F: Fn(&[u8]) + Send + Sync + 'static> Handler for F {}

/// A running node.
pub trait End: Send + Sync + Sized + 'static {
    /// What the benchmark calls it.
    const NAME: &str;
    /// How its user names a peer, ready for use: no key is parsed per message.
    type Peer: Copy + Send + Sync;

    /// Starts a node with this secret. It listens on a port of its own at each of the given addresses.
    fn start(
        secret: &Secret<32>,
        listen: &[SocketAddr],
        handler: impl Handler,
    ) -> impl Future<Output = Self> + Send;

    /// Its node id.
    fn id(&self) -> NodeId;

    /// Where it listens.
    fn listening(&self) -> &[SocketAddr];

    /// Connects to a peer and returns when messages can be sent to it.
    fn connect(&self, id: NodeId, address: SocketAddr) -> impl Future<Output = ()> + Send;

    /// How to name this peer in [`Self::send`].
    fn peer(id: &NodeId) -> Self::Peer;

    /// Queues the message `count` times for a peer, as far as there is room, and answers how often that was. Copies the
    /// payload each time.
    fn send(&self, to: Self::Peer, payload: &[u8], count: usize) -> usize;

    /// How many peers are connected.
    fn peers(&self) -> usize;
}

/// The secret of the `number`th node of a benchmark.
pub fn secret(number: u32) -> Secret<32> {
    let mut bytes = [0x5e; 32];
    bytes[28..].copy_from_slice(&number.to_be_bytes());
    Secret::new(bytes)
}

/// An address of loopback with any free port. The last number makes several: one address has only so many ports.
pub fn loopback(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 0))
}
