//! Starting a node.

use core::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Handle;
use wire_core::connection::{ANY_LENGTH, Local};
use wire_core::message::features::{Feature, NotOfferable};

use crate::admission::Gatekeeper;
use crate::clock::Clock;
use crate::connections::Connections;
use crate::even_types::AllowedEvenTypes;
use crate::events::Hub;
use crate::handshakes::Handshakes;
use crate::node::Shared;
use crate::onion::relay::{self, Relay};
use crate::peer::accept::accept_all;
use crate::peer::dial::Attempts;
use crate::peer::turn::LongTurns;
use crate::registry::Registry;
use crate::stop::Stop;
use crate::system::{TcpListener, spawn};
use crate::{FeatureSet, Identity, Limits, Network, Node};

/// What a node is to be. Made by [`Node::builder`].
#[derive(Default)]
pub struct NodeBuilder {
    identity: Option<Identity>,
    network: Network,
    listen: Vec<SocketAddr>,
    limits: Limits,
    features: Option<FeatureSet>,
    gatekeeper: Option<Arc<dyn Gatekeeper>>,
}

impl NodeBuilder {
    /// The feature bits of every node: those that peers demand, and onion messages, which are forwarded for everybody.
    pub const OFFERED: FeatureSet = FeatureSet::DEFAULT.with_optional(Feature::OnionMessages);

    /// Who the node is. Required.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> NodeBuilder {
        self.identity = Some(identity);
        self
    }

    /// The bitcoin network whose peers are welcome; [`Network::Bitcoin`] unless said otherwise.
    #[must_use]
    pub fn network(mut self, network: Network) -> NodeBuilder {
        self.network = network;
        self
    }

    /// Adds an address to listen on; port 0 lets the system choose. Without any the node only connects outwards.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> NodeBuilder {
        self.listen.push(address);
        self
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> NodeBuilder {
        self.limits = limits;
        self
    }

    /// Adds feature bits to those that our `init` offers anyway, which are [`NodeBuilder::OFFERED`].
    #[must_use]
    pub fn features(mut self, features: &FeatureSet) -> NodeBuilder {
        self.features = Some(self.features.unwrap_or(Self::OFFERED).union(features));
        self
    }

    /// Has this gatekeeper asked whether a peer may stay, before it counts as connected. Without one all may.
    #[must_use]
    pub fn gatekeeper(mut self, gatekeeper: Arc<dyn Gatekeeper>) -> NodeBuilder {
        self.gatekeeper = Some(gatekeeper);
        self
    }

    /// Binds the listeners and starts the node on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when the identity is missing, the feature bits break the rules of BOLT 9, or an address cannot be bound.
    pub async fn start(self) -> Result<Node, StartError> {
        let identity = self.identity.ok_or(StartError::NoIdentity)?;
        let features = self.features.unwrap_or(Self::OFFERED);
        features.features().offerable()?;
        let limits = self.limits;
        let mut listeners = Vec::with_capacity(self.listen.len());
        let mut listening = Vec::with_capacity(self.listen.len());
        for address in self.listen {
            let failed = |error| StartError::Listen { address, error };
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            listening.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        let (key, secrets) = identity.into_parts();
        let local = Local {
            key,
            features,
            chain_hash: self.network.chain_hash(),
            deadlines: limits.deadlines(),
            longest_message: ANY_LENGTH,
        };
        let hub = Hub::new(limits.backlog(), limits.history());
        let threads = Handle::current().metrics().num_workers();
        let shared = Arc::new(Shared {
            registry: Registry::new(local.key.node_id(), limits.peers),
            local: Arc::new(local),
            secrets,
            network: self.network,
            limits,
            listening,
            clock: Clock::start(),
            connections: Connections::new(limits.pending()),
            handshakes: Handshakes::new(limits.handshake_pace(), limits.pending_inbound_per_ip),
            attempts: Attempts::new(limits.pending_outbound),
            long_turns: LongTurns::new(threads, Arc::clone(hub.calm())),
            hub,
            even_types: AllowedEvenTypes::none(),
            onions: Relay::new(&limits),
            gatekeeper: self.gatekeeper,
            stop: Stop::default(),
        });
        for listener in listeners {
            spawn(accept_all(Arc::clone(&shared), listener));
        }
        spawn(relay::run(Arc::clone(&shared)));
        Ok(Node::new(shared))
    }
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("identity", &self.identity)
            .field("network", &self.network)
            .field("listen", &self.listen)
            .field("limits", &self.limits)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}

/// A node could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The builder was not told who the node is.
    #[error("the node has no identity: call NodeBuilder::identity")]
    NoIdentity,
    /// The feature bits are not what a node may show.
    #[error("{0}")]
    Features(#[from] NotOfferable),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as it was given.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}
