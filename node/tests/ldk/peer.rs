//! A Lightning peer made of LDK's own parts: `PeerManager` (BOLT 8, `init`, ping), `lightning-net-tokio`
//! (sockets) and `KeysManager` (keys).
//!
//! Ours are only a handler that takes custom messages, a log that can be waited for, and a socket that
//! listens.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use lightning::bitcoin::secp256k1::PublicKey;
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
use oddwire_node::NodeId;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::traffic::Message;

type Manager = PeerManager<
    SocketDescriptor,
    Arc<ErroringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<Log>,
    Arc<Custom>,
    Arc<KeysManager>,
    Arc<IgnoringMessageHandler>,
>;

/// What the LDK side saw, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The peer's `init` was accepted; its features, big-endian.
    Connected {
        id: NodeId,
        dialled_us: bool,
        features: Vec<u8>,
    },
    Message {
        from: NodeId,
        message: Message,
    },
    Disconnected {
        id: NodeId,
    },
}

/// Which custom types LDK's side knows. LDK ignores an unknown odd type and disconnects on an unknown even
/// one.
#[derive(Clone, Copy)]
pub(crate) enum Knows {
    EveryType,
    NoType,
}

/// One LDK node. Its listeners end with it.
pub(crate) struct LdkPeer {
    id: NodeId,
    manager: Arc<Manager>,
    custom: Arc<Custom>,
    log: Arc<Log>,
    seen: mpsc::UnboundedReceiver<Seen>,
    listeners: Vec<AbortHandle>,
}

impl LdkPeer {
    /// `seed` decides the node's keys; two peers in one test need two seeds.
    pub(crate) fn start(seed: u8, knows: Knows) -> LdkPeer {
        let (notes, what_is_seen) = mpsc::unbounded_channel();
        let custom = Arc::new(Custom {
            knows,
            to_send: Mutex::default(),
            seen: notes,
            received: watch::Sender::new(0),
        });
        let keys = Arc::new(KeysManager::new(&[seed; 32], 1, 2, true));
        let id = keys.get_node_id(Recipient::Node).expect("a keys manager has a node id");
        let log = Arc::new(Log { lines: Mutex::default(), count: watch::Sender::new(0) });
        let ignoring = Arc::new(IgnoringMessageHandler {});
        let handlers = MessageHandler {
            chan_handler: Arc::new(ErroringMessageHandler::new()),
            route_handler: Arc::clone(&ignoring),
            onion_message_handler: Arc::clone(&ignoring),
            custom_message_handler: Arc::clone(&custom),
            send_only_message_handler: ignoring,
        };
        let manager = Arc::new(PeerManager::new(handlers, 1, &[seed ^ 0xff; 32], Arc::clone(&log), keys));
        LdkPeer { id: ours(&id), manager, custom, log, seen: what_is_seen, listeners: Vec::new() }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// Accepts connections on a port of the kernel's choice.
    pub(crate) async fn listen(&mut self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("the address just bound");
        let manager = Arc::clone(&self.manager);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = stream.into_std().expect("a tokio stream is a std stream");
                tokio::spawn(lightning_net_tokio::setup_inbound(Arc::clone(&manager), stream));
            }
        });
        self.listeners.push(accepting.abort_handle());
        address
    }

    /// Dials; the connection then runs on its own. The handshake's outcome is seen as [`Seen::Connected`].
    pub(crate) async fn dial(&self, id: NodeId, address: SocketAddr) {
        let connected =
            lightning_net_tokio::connect_outbound(Arc::clone(&self.manager), theirs(&id), address).await;
        tokio::spawn(connected.expect("the address is ours and listens"));
    }

    pub(crate) fn send(&self, to: NodeId, messages: impl IntoIterator<Item = Message>) {
        self.sender().send(to, messages);
    }

    /// The part that sends, to be used beside [`LdkPeer::next`].
    pub(crate) fn sender(&self) -> LdkSender {
        LdkSender { manager: Arc::clone(&self.manager), custom: Arc::clone(&self.custom) }
    }

    /// LDK's timer: it pings every peer, and disconnects those that left the last ping without an answer.
    pub(crate) fn timer_tick(&self) {
        self.manager.timer_tick_occurred();
    }

    pub(crate) fn disconnect(&self, id: NodeId) {
        self.manager.disconnect_by_node_id(theirs(&id));
    }

    /// What happened next, as soon as it happens.
    pub(crate) async fn next(&mut self) -> Seen {
        self.seen.recv().await.expect("the handler lives as long as this peer")
    }

    /// The number of custom messages that arrived, to be waited on by a sender that must not run ahead.
    pub(crate) fn received(&self) -> watch::Receiver<usize> {
        self.custom.received.subscribe()
    }

    /// Returns once LDK has logged `times` lines with this text; lines logged before count, too.
    pub(crate) async fn logged(&self, text: &str, times: usize) {
        self.log.wait_for(text, times).await;
    }
}

impl Drop for LdkPeer {
    fn drop(&mut self) {
        self.manager.disconnect_all_peers();
        for listener in &self.listeners {
            listener.abort();
        }
        // Shown only when the test fails.
        self.log.print_end();
    }
}

/// Sends for an [`LdkPeer`].
pub(crate) struct LdkSender {
    manager: Arc<Manager>,
    custom: Arc<Custom>,
}

impl LdkSender {
    /// Hands messages to LDK, which buffers all of them at once, without a bound.
    pub(crate) fn send(&self, to: NodeId, messages: impl IntoIterator<Item = Message>) {
        let to = theirs(&to);
        self.custom
            .to_send
            .lock()
            .expect("no panic while locked")
            .extend(messages.into_iter().map(|message| (to, message)));
        self.manager.process_events();
    }
}

/// LDK's hook for messages of other protocols: takes them all and notes them.
struct Custom {
    knows: Knows,
    to_send: Mutex<Vec<(PublicKey, Message)>>,
    seen: mpsc::UnboundedSender<Seen>,
    received: watch::Sender<usize>,
}

impl Custom {
    fn note(&self, seen: Seen) {
        // The receiver is gone only when the test is over.
        let _ = self.seen.send(seen);
    }
}

impl CustomMessageReader for Custom {
    type CustomMessage = Message;

    fn read<R: LengthLimitedRead>(&self, kind: u16, buffer: &mut R) -> Result<Option<Message>, DecodeError> {
        match self.knows {
            Knows::NoType => Ok(None),
            Knows::EveryType => {
                let len = usize::try_from(buffer.remaining_bytes()).expect("at most 65,533 bytes");
                let mut payload = vec![0; len];
                buffer.read_exact(&mut payload)?;
                Ok(Some(Message { kind, payload }))
            }
        }
    }
}

impl CustomMessageHandler for Custom {
    fn handle_custom_message(&self, message: Message, from: PublicKey) -> Result<(), LightningError> {
        self.note(Seen::Message { from: ours(&from), message });
        self.received.send_modify(|count| *count += 1);
        Ok(())
    }

    fn get_and_clear_pending_msg(&self) -> Vec<(PublicKey, Message)> {
        std::mem::take(&mut *self.to_send.lock().expect("no panic while locked"))
    }

    fn peer_connected(&self, id: PublicKey, init: &Init, inbound: bool) -> Result<(), ()> {
        // LDK keeps features little-endian; `encode` gives a length of two bytes and then the order of the
        // wire.
        let features = init.features.encode()[2..].to_vec();
        self.note(Seen::Connected { id: ours(&id), dialled_us: inbound, features });
        Ok(())
    }

    fn peer_disconnected(&self, id: PublicKey) {
        self.note(Seen::Disconnected { id: ours(&id) });
    }

    fn provided_node_features(&self) -> NodeFeatures {
        NodeFeatures::empty()
    }

    /// What an LDK node with channels asks of every peer (`ChannelManager`'s own choice): one that lacks any
    /// of these bits is disconnected after `init`.
    fn provided_init_features(&self, _: PublicKey) -> InitFeatures {
        let mut features = InitFeatures::empty();
        features.set_data_loss_protect_required();
        features.set_variable_length_onion_required();
        features.set_static_remote_key_required();
        features.set_payment_secret_required();
        features.set_channel_type_required();
        features
    }
}

impl Type for Message {
    fn type_id(&self) -> u16 {
        self.kind
    }
}

impl Writeable for Message {
    fn write<W: Writer>(&self, writer: &mut W) -> Result<(), lightning::io::Error> {
        writer.write_all(&self.payload)
    }
}

/// LDK's log, kept: some things LDK does, such as taking a pong, show nowhere else.
struct Log {
    lines: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
}

impl Log {
    async fn wait_for(&self, text: &str, times: usize) {
        let matches = |_: &usize| {
            let lines = self.lines.lock().expect("no panic while locked");
            lines.iter().filter(|line| line.contains(text)).count() >= times
        };
        self.count.subscribe().wait_for(matches).await.expect("the log holds its sender");
    }

    /// What LDK did last.
    fn print_end(&self) {
        let lines = self.lines.lock().expect("no panic while locked");
        for line in lines.iter().skip(lines.len().saturating_sub(20)) {
            println!("LDK: {line}");
        }
    }
}

impl Logger for Log {
    fn log(&self, record: Record<'_>) {
        self.lines.lock().expect("no panic while locked").push(format!("{} {}", record.level, record.args));
        self.count.send_modify(|count| *count += 1);
    }
}

fn ours(id: &PublicKey) -> NodeId {
    NodeId::from_bytes(&id.serialize()).expect("LDK's key is a point of the curve")
}

fn theirs(id: &NodeId) -> PublicKey {
    PublicKey::from_slice(id.as_bytes()).expect("a node id is a point of the curve")
}
