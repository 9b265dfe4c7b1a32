//! Lightning peers on tokio: dial, accept, send and receive custom messages, without a bitcoin backend.
//!
//! [`Node::builder`] starts a node from an [`Identity`]. The node connects to peers and accepts them, keeps the
//! connections alive, sends what [`Node::send_custom_message`] queues and tells its [`Subscription`]s what arrives.
//!
//! Below it, `wire_core` turns bytes into messages and back; this crate adds sockets, clocks, random numbers and the
//! heap. It knows nothing of JSON and parses no field of a message that `wire_core` has a name for.
//!
//! Everything is bounded: see [`Limits`] for every limit, its reason and what happens when it is reached.

pub mod admission;
pub mod builder;
pub mod error;
pub mod even_types;
pub mod events;
pub mod identity;
pub mod limits;
pub mod log;
pub mod network;
pub mod node;
pub mod onion;
pub mod peer;
pub mod policy;
pub mod send_queue;

mod clock;
mod connections;
mod handshakes;
mod registry;
mod stop;
mod system;

// Two attributes, not one: clippy knows test modules by `cfg(test)` alone.
#[cfg(test)]
#[cfg(not(oddwire_loom))]
mod simulation;

pub use admission::{Consideration, Gatekeeper, Verdict};
pub use builder::{NodeBuilder, StartError};
pub use error::{ConnectError, ConnectStage, DisconnectError, PingError, SendError, SystemError};
pub use even_types::EvenTypesGuard;
pub use events::{Delivery, Epoch, Event, EventFilter, ResumeError, Subscription, UnsentMessage};
pub use identity::{Identity, IdentityError};
pub use limits::Limits;
pub use network::{Network, UnknownNetwork};
pub use node::{Node, PingReply};
pub use onion::{
    OnionDrop, OnionDropped, OnionMessage, OnionRecord, OnionSendError, OnionTraffic, ReplyPath,
};
pub use peer::{Direction, PeerInfo, Traffic};
pub use wire_core::connection::CloseReason;
pub use wire_core::message::features::FeatureSet;
pub use wire_core::message::kind::MessageType;
pub use wire_core::node_id::NodeId;
pub use wire_core::secret::Secret;
pub use wire_core::signed_message::{InvalidSignature, RecoverableSignature};

/// The Rust code in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
