//! An end made of LDK's own parts, put together as its documentation does: `PeerManager`, `lightning-net-tokio` and a
//! handler of custom messages.
//!
//! What LDK leaves to its user is done the cheapest way: the log is thrown away, gossip and channels are ignored, and
//! messages wait in a plain vector until the manager fetches them. LDK has no bound of its own for what a user sends, so
//! the benchmarks limit what is under way, for both ends alike.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lightning::bitcoin::secp256k1::PublicKey;
use lightning::io;
use lightning::ln::msgs::{DecodeError, Init, LightningError};
use lightning::ln::peer_handler::{
    CustomMessageHandler, ErroringMessageHandler, IgnoringMessageHandler, MessageHandler, PeerManager,
};
use lightning::ln::wire::{CustomMessageReader, Type};
use lightning::sign::{KeysManager, NodeSigner, Recipient};
use lightning::types::features::{InitFeatures, NodeFeatures};
use lightning::util::logger::{Logger, Record};
use lightning::util::ser::{LengthLimitedRead, Writeable, Writer};
use lightning_net_tokio::SocketDescriptor;
use oddwire_node::{NodeId, Secret};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{End, Handler, KIND};

type Manager = PeerManager<
    SocketDescriptor,
    Arc<ErroringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<Silence>,
    Arc<Custom>,
    Arc<KeysManager>,
    Arc<IgnoringMessageHandler>,
>;

/// A peer manager with its listeners.
pub struct Ldk {
    id: NodeId,
    manager: Arc<Manager>,
    custom: Arc<Custom>,
    listening: Vec<SocketAddr>,
}

#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]
impl End for Ldk {
    const NAME: &str = "LDK";
    type Peer = PublicKey;

    async fn start(secret: &Secret<32>, listen: &[SocketAddr], handler: impl Handler) -> Ldk {
        let keys = Arc::new(KeysManager::new(secret.expose(), 1, 2, true));
        let id = keys.get_node_id(Recipient::Node).expect("a keys manager has a node id");
        let custom = Arc::new(Custom {
            to_send: Mutex::default(),
            handler: Box::new(handler),
            peers: watch::Sender::new(0),
        });
        let ignoring = Arc::new(IgnoringMessageHandler {});
        let handlers = MessageHandler {
            chan_handler: Arc::new(ErroringMessageHandler::new()),
            route_handler: Arc::clone(&ignoring),
            onion_message_handler: Arc::clone(&ignoring),
            custom_message_handler: Arc::clone(&custom),
            send_only_message_handler: ignoring,
        };
        let manager = Arc::new(PeerManager::new(handlers, 1, &[0x3c; 32], Arc::new(Silence), keys));
        let mut listening = Vec::new();
        for address in listen {
            let listener = TcpListener::bind(address).await.expect("a port on loopback");
            listening.push(listener.local_addr().expect("the address just bound"));
            let manager = Arc::clone(&manager);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).expect("an option of TCP");
                    let stream = stream.into_std().expect("a tokio stream is a std stream");
                    tokio::spawn(lightning_net_tokio::setup_inbound(Arc::clone(&manager), stream));
                }
            });
        }
        Ldk { id: ours(&id), manager, custom, listening }
    }

    fn id(&self) -> NodeId {
        self.id
    }

    fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    async fn connect(&self, id: NodeId, address: SocketAddr) {
        let mut peers = self.custom.peers.subscribe();
        let before = *peers.borrow_and_update();
        let stream = TcpStream::connect(address).await.expect("the other end listens");
        stream.set_nodelay(true).expect("an option of TCP");
        let stream = stream.into_std().expect("a tokio stream is a std stream");
        tokio::spawn(lightning_net_tokio::setup_outbound(Arc::clone(&self.manager), theirs(&id), stream));
        let opened = tokio::time::timeout(Duration::from_secs(30), peers.wait_for(|count| *count > before));
        opened.await.expect("the other end answers").expect("the handler lives as long as this end");
    }

    fn peer(id: &NodeId) -> PublicKey {
        theirs(id)
    }

    fn send(&self, to: PublicKey, payload: &[u8], count: usize) -> usize {
        let messages = (0..count).map(|_| (to, Message { payload: payload.to_vec() }));
        self.custom.to_send.lock().expect("no panic while locked").extend(messages);
        self.manager.process_events();
        count
    }

    fn peers(&self) -> usize {
        *self.custom.peers.borrow()
    }
}

/// A message of the one type that is sent here.
#[derive(Debug)]
struct Message {
    payload: Vec<u8>,
}

impl Type for Message {
    fn type_id(&self) -> u16 {
        KIND.get()
    }
}

impl Writeable for Message {
    fn write<W: Writer>(&self, writer: &mut W) -> Result<(), io::Error> {
        writer.write_all(&self.payload)
    }
}

/// LDK's hook for messages of other protocols.
struct Custom {
    to_send: Mutex<Vec<(PublicKey, Message)>>,
    handler: Box<dyn Handler>,
    peers: watch::Sender<usize>,
}

impl CustomMessageReader for Custom {
    type CustomMessage = Message;

    fn read<R: LengthLimitedRead>(&self, kind: u16, buffer: &mut R) -> Result<Option<Message>, DecodeError> {
        if kind != KIND.get() {
            return Ok(None);
        }
        let len = usize::try_from(buffer.remaining_bytes()).map_err(|_| DecodeError::InvalidValue)?;
        let mut payload = vec![0; len];
        buffer.read_exact(&mut payload)?;
        Ok(Some(Message { payload }))
    }
}

impl CustomMessageHandler for Custom {
    fn handle_custom_message(&self, message: Message, _: PublicKey) -> Result<(), LightningError> {
        (self.handler)(&message.payload);
        Ok(())
    }

    #[expect(clippy::expect_used, reason = "nothing panics while the lock is held")]
    fn get_and_clear_pending_msg(&self) -> Vec<(PublicKey, Message)> {
        std::mem::take(&mut *self.to_send.lock().expect("no panic while locked"))
    }

    fn peer_connected(&self, _: PublicKey, _: &Init, _: bool) -> Result<(), ()> {
        self.peers.send_modify(|count| *count += 1);
        Ok(())
    }

    fn peer_disconnected(&self, _: PublicKey) {
        self.peers.send_modify(|count| *count -= 1);
    }

    fn provided_node_features(&self) -> NodeFeatures {
        NodeFeatures::empty()
    }

    fn provided_init_features(&self, _: PublicKey) -> InitFeatures {
        InitFeatures::empty()
    }
}

/// A log that nobody reads and that costs nothing.
struct Silence;

impl Logger for Silence {
    fn log(&self, _: Record<'_>) {}
}

#[expect(clippy::expect_used, reason = "LDK's keys are points of the curve")]
fn ours(id: &PublicKey) -> NodeId {
    NodeId::from_bytes(&id.serialize()).expect("LDK's key is a point of the curve")
}

#[expect(clippy::expect_used, reason = "node ids are points of the curve")]
fn theirs(id: &NodeId) -> PublicKey {
    PublicKey::from_slice(id.as_bytes()).expect("a node id is a point of the curve")
}
