//! An end made of `oddwire-node`.

use std::net::SocketAddr;
use std::process;
use std::time::Duration;

use oddwire_node::{
    Delivery, Event, EventFilter, Identity, Limits, Network, Node, NodeBuilder, NodeId, Secret, SendError,
};

use super::{End, Handler, KIND};

/// Longer than any benchmark: an idle peer is to be idle.
const SILENCE: Duration = Duration::from_hours(1);

/// A node, and the task that hands its messages to the user's function.
#[derive(Debug)]
pub struct Oddwire {
    node: Node,
}

impl Oddwire {
    /// A node that takes no messages: one of the many peers of a crowd.
    ///
    /// # Errors
    /// That of [`NodeBuilder::start`], and that `secret` is none.
    pub async fn start_mute(secret: &Secret<32>) -> Result<Node, Box<dyn std::error::Error + Send + Sync>> {
        Ok(builder(secret)?.start().await?)
    }
}

#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
impl End for Oddwire {
    const NAME: &str = "Oddwire";
    type Peer = NodeId;

    async fn start(secret: &Secret<32>, listen: &[SocketAddr], handler: impl Handler) -> Oddwire {
        let builder = builder(secret).expect("a valid key");
        let builder = listen.iter().copied().fold(builder, NodeBuilder::listen);
        let node = builder.start().await.expect("addresses on loopback can be listened on");
        let mut inbox = node.subscribe(EventFilter::messages());
        tokio::spawn(async move {
            while let Some(delivery) = inbox.next().await {
                match delivery {
                    Delivery::Event(Event::CustomMessage { payload, .. }) => handler(&payload),
                    Delivery::Event(_) => {}
                    Delivery::Gap { missed } => {
                        // Then less was done than is counted, and the figure would be wrong.
                        eprintln!("the receiving end was too slow for its backlog: {missed} messages missed");
                        process::exit(1);
                    }
                }
            }
        });
        Oddwire { node }
    }

    fn id(&self) -> NodeId {
        self.node.id()
    }

    fn listening(&self) -> &[SocketAddr] {
        self.node.listening()
    }

    async fn connect(&self, id: NodeId, address: SocketAddr) {
        self.node.connect(id, address).await.expect("the other end listens");
    }

    fn peer(id: &NodeId) -> NodeId {
        *id
    }

    fn send(&self, to: NodeId, payload: &[u8], count: usize) -> usize {
        let is_queued = |_: &usize| match self.node.send_custom_message(&to, KIND, payload) {
            Ok(()) => true,
            Err(SendError::Full { .. }) => false,
            Err(error) => {
                eprintln!("a message could not be sent: {error}");
                process::exit(1);
            }
        };
        (0..count).take_while(is_queued).count()
    }

    fn peers(&self) -> usize {
        self.node.peer_count()
    }
}

fn builder(secret: &Secret<32>) -> Result<NodeBuilder, oddwire_node::IdentityError> {
    let mut limits = Limits::default();
    limits.peers = 20_000;
    limits.idle_before_ping = SILENCE;
    // A crowd that connects all at once takes its time; nobody is to be turned away for that.
    limits.handshake_timeout = SILENCE;
    limits.connect_timeout = SILENCE;
    Ok(Node::builder().identity(Identity::from_secret(secret)?).network(Network::Regtest).limits(limits))
}
