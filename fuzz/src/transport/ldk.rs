//! LDK's end of the connection: its `PeerManager` with a socket that is two lists, and a handler that takes every custom
//! message.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};

use lightning::bitcoin::secp256k1::PublicKey;
use lightning::ln::msgs::{DecodeError, Init, LightningError};
use lightning::ln::peer_handler::{
    CustomMessageHandler, ErroringMessageHandler, IgnoringMessageHandler, MessageHandler, PeerManager,
    SocketDescriptor,
};
use lightning::ln::wire::{CustomMessageReader, Type};
use lightning::sign::{KeysManager, NodeSigner as _, Recipient};
use lightning::types::features::{InitFeatures, NodeFeatures};
use lightning::util::logger::{Logger, Record};
use lightning::util::ser::{LengthLimitedRead, Writeable, Writer};
use wire_core::node_id::NodeId;

type Manager = PeerManager<
    Socket,
    Arc<ErroringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<Silent>,
    Arc<Handler>,
    Arc<KeysManager>,
    Arc<IgnoringMessageHandler>,
>;

/// One LDK node with one connection.
pub(super) struct Ldk {
    manager: Manager,
    handler: Arc<Handler>,
    socket: Socket,
    /// The bytes of act one, which LDK hands out in another way than the rest.
    first: Vec<u8>,
    /// It wants to hear no more.
    is_over: bool,
}

impl Ldk {
    /// It has been dialled.
    pub(super) fn listening() -> Self {
        let ldk = Self::new();
        ldk.manager.new_inbound_connection(ldk.socket.clone(), None).expect("a new connection");
        ldk
    }

    /// It dials.
    pub(super) fn dialing(id: &NodeId) -> Self {
        let mut ldk = Self::new();
        let id = PublicKey::from_slice(id.as_bytes()).expect("a node id is a point");
        let dialed = ldk.manager.new_outbound_connection(id, ldk.socket.clone(), None);
        ldk.first = dialed.expect("a new connection");
        ldk
    }

    fn new() -> Self {
        let handler = Arc::<Handler>::default();
        let ignoring = Arc::new(IgnoringMessageHandler {});
        let handlers = MessageHandler {
            chan_handler: Arc::new(ErroringMessageHandler::new()),
            route_handler: Arc::clone(&ignoring),
            onion_message_handler: Arc::clone(&ignoring),
            custom_message_handler: Arc::clone(&handler),
            send_only_message_handler: ignoring,
        };
        let manager = PeerManager::new(handlers, 1, &[7; 32], Arc::new(Silent), Arc::clone(keys()));
        Self { manager, handler, socket: Socket::default(), first: Vec::new(), is_over: false }
    }

    pub(super) fn id() -> NodeId {
        let id = keys().get_node_id(Recipient::Node).expect("a keys manager has a node id");
        NodeId::from_bytes(&id.serialize()).expect("LDK's key is a point of the curve")
    }

    /// Whether the other's `init` has come and nothing has ended the connection.
    pub(super) fn is_connected(&self) -> bool {
        !self.manager.list_peers().is_empty()
    }

    /// It is shown bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        // Its documentation asks for pieces of about 4 KiB.
        for piece in bytes.chunks(4096) {
            if self.is_over || self.socket.wire.borrow().is_closed {
                return;
            }
            let mut socket = self.socket.clone();
            self.is_over = self.manager.read_event(&mut socket, piece).is_err();
            self.manager.process_events();
        }
    }

    /// What it has written goes onto the wire.
    pub(super) fn written(&mut self, wire: &mut VecDeque<u8>) {
        wire.extend(self.first.drain(..));
        wire.extend(self.socket.wire.borrow_mut().written.drain(..));
    }

    /// Sends messages with these payloads to its peer.
    pub(super) fn send(&self, payloads: impl Iterator<Item = Vec<u8>>) {
        let Some(peer) = self.manager.list_peers().first().map(|peer| peer.counterparty_node_id) else {
            return;
        };
        let messages = payloads.map(|payload| (peer, Custom { kind: super::KIND, payload }));
        locked(&self.handler.to_send).extend(messages);
        self.manager.process_events();
    }

    /// The messages that have arrived since it was last asked, with their types.
    pub(super) fn arrived(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *locked(&self.handler.arrived))
    }

    /// LDK's timer: it pings.
    pub(super) fn tick(&self) {
        self.manager.timer_tick_occurred();
        self.manager.process_events();
    }
}

/// Deriving them takes longer than most inputs.
fn keys() -> &'static Arc<KeysManager> {
    static KEYS: OnceLock<Arc<KeysManager>> = OnceLock::new();
    KEYS.get_or_init(|| Arc::new(KeysManager::new(&[42; 32], 1, 2, true)))
}

/// A socket that takes everything. LDK's own back-pressure is not what is looked at.
#[derive(Clone, Default)]
struct Socket {
    wire: Rc<RefCell<Wire>>,
}

#[derive(Default)]
struct Wire {
    written: Vec<u8>,
    is_closed: bool,
}

impl SocketDescriptor for Socket {
    fn send_data(&mut self, data: &[u8], _: bool) -> usize {
        self.wire.borrow_mut().written.extend_from_slice(data);
        data.len()
    }

    fn disconnect_socket(&mut self) {
        self.wire.borrow_mut().is_closed = true;
    }
}

/// There is one.
impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.wire, &other.wire)
    }
}

impl Eq for Socket {}

impl Hash for Socket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Rc::as_ptr(&self.wire).hash(state);
    }
}

/// A message of a type that is not the protocol's.
#[derive(Debug)]
struct Custom {
    kind: u16,
    payload: Vec<u8>,
}

impl Type for Custom {
    fn type_id(&self) -> u16 {
        self.kind
    }
}

impl Writeable for Custom {
    fn write<W: Writer>(&self, writer: &mut W) -> Result<(), lightning::io::Error> {
        writer.write_all(&self.payload)
    }
}

/// LDK's hook for messages of other protocols.
#[derive(Default)]
struct Handler {
    to_send: Mutex<Vec<(PublicKey, Custom)>>,
    arrived: Mutex<Vec<Vec<u8>>>,
}

impl CustomMessageReader for Handler {
    type CustomMessage = Custom;

    fn read<R: LengthLimitedRead>(&self, kind: u16, buffer: &mut R) -> Result<Option<Custom>, DecodeError> {
        let mut payload = vec![0; usize::try_from(buffer.remaining_bytes()).expect("at most 65,533 bytes")];
        buffer.read_exact(&mut payload)?;
        Ok(Some(Custom { kind, payload }))
    }
}

impl CustomMessageHandler for Handler {
    fn handle_custom_message(&self, message: Custom, _: PublicKey) -> Result<(), LightningError> {
        locked(&self.arrived).push([&message.kind.to_be_bytes(), message.payload.as_slice()].concat());
        Ok(())
    }

    fn get_and_clear_pending_msg(&self) -> Vec<(PublicKey, Custom)> {
        std::mem::take(&mut *locked(&self.to_send))
    }

    fn peer_connected(&self, _: PublicKey, _: &Init, _: bool) -> Result<(), ()> {
        Ok(())
    }

    fn peer_disconnected(&self, _: PublicKey) {}

    fn provided_node_features(&self) -> NodeFeatures {
        NodeFeatures::empty()
    }

    fn provided_init_features(&self, _: PublicKey) -> InitFeatures {
        InitFeatures::empty()
    }
}

/// No log.
struct Silent;

impl Logger for Silent {
    fn log(&self, _: Record<'_>) {}
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
