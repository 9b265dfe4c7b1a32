//! An LDK node with its `OnionMessenger`, which shares no code with ours.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use lightning::bitcoin::secp256k1::{PublicKey, Secp256k1, Signing, Verification};
use lightning::blinded_path::EmptyNodeIdLookUp;
use lightning::blinded_path::message::{BlindedMessagePath, MessageContext, MessageForwardNode};
use lightning::ln::msgs::DecodeError;
use lightning::ln::peer_handler::{
    ErroringMessageHandler, IgnoringMessageHandler, MessageHandler, PeerManager,
};
use lightning::onion_message::messenger::{
    CustomOnionMessageHandler, Destination, MessageRouter, MessageSendInstructions, OnionMessagePath,
    OnionMessenger, Responder, ResponseInstruction,
};
use lightning::onion_message::packet::OnionMessageContents;
use lightning::sign::{KeysManager, NodeSigner, ReceiveAuthKey, Recipient};
use lightning::util::logger::{Logger, Record};
use lightning::util::ser::{Writeable, Writer};
use lightning_net_tokio::SocketDescriptor;
use oddwire_node::NodeId;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::RECORD;

type Messenger = OnionMessenger<
    Arc<KeysManager>,
    Arc<KeysManager>,
    Arc<Silent>,
    Arc<EmptyNodeIdLookUp>,
    Arc<Router>,
    Arc<IgnoringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<Handler>,
>;

type Manager = PeerManager<
    SocketDescriptor,
    Arc<ErroringMessageHandler>,
    Arc<IgnoringMessageHandler>,
    Arc<Messenger>,
    Arc<Silent>,
    Arc<IgnoringMessageHandler>,
    Arc<KeysManager>,
    Arc<IgnoringMessageHandler>,
>;

/// What LDK's handler was given.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) text: Vec<u8>,
    /// Of the path it came over, if LDK made that path.
    pub(crate) context: Option<Vec<u8>>,
}

/// One LDK node that answers each question with the question, `re: ` in front.
pub(crate) struct LdkNode {
    id: PublicKey,
    manager: Arc<Manager>,
    messenger: Arc<Messenger>,
    router: Arc<Router>,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl LdkNode {
    pub(crate) fn start(seed: u8) -> LdkNode {
        let keys = Arc::new(KeysManager::new(&[seed; 32], 1, 2, true));
        let id = keys.get_node_id(Recipient::Node).unwrap();
        let ignoring = Arc::new(IgnoringMessageHandler {});
        let router = Arc::new(Router { keys: Arc::clone(&keys), via: Mutex::default() });
        let (sink, arrivals) = mpsc::unbounded_channel();
        let messenger = Arc::new(OnionMessenger::new(
            Arc::clone(&keys),
            Arc::clone(&keys),
            Arc::new(Silent),
            Arc::new(EmptyNodeIdLookUp {}),
            Arc::clone(&router),
            Arc::clone(&ignoring),
            Arc::clone(&ignoring),
            Arc::clone(&ignoring),
            Arc::new(Handler { seen: sink }),
        ));
        let handlers = MessageHandler {
            chan_handler: Arc::new(ErroringMessageHandler::new()),
            route_handler: Arc::clone(&ignoring),
            onion_message_handler: Arc::clone(&messenger),
            custom_message_handler: Arc::clone(&ignoring),
            send_only_message_handler: ignoring,
        };
        let manager = Arc::new(PeerManager::new(handlers, 1, &[seed ^ 0xff; 32], Arc::new(Silent), keys));
        LdkNode { id, manager, messenger, router, seen: arrivals }
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId::from_bytes(&self.id.serialize()).unwrap()
    }

    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let manager = Arc::clone(&self.manager);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = stream.into_std().unwrap();
                tokio::spawn(lightning_net_tokio::setup_inbound(Arc::clone(&manager), stream));
            }
        });
        address
    }

    /// Connects to another LDK node.
    pub(crate) async fn connect(&self, other: &LdkNode) {
        let (manager, address) = (Arc::clone(&self.manager), other.listen().await);
        tokio::spawn(lightning_net_tokio::connect_outbound(manager, other.id, address).await.unwrap());
        let connected = async {
            while self.manager.peer_by_node_id(&other.id).is_none()
                || other.manager.peer_by_node_id(&self.id).is_none()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::PATIENCE, connected).await.unwrap();
    }

    /// The next message that LDK's handler was given.
    pub(crate) async fn next(&mut self) -> Seen {
        tokio::time::timeout(crate::PATIENCE, self.seen.recv()).await.unwrap().unwrap()
    }

    /// Sends a text over `via` to `to`, with a path for the answer over the same nodes.
    pub(crate) fn ask(&self, to: NodeId, via: &[NodeId], text: &[u8], context: &[u8]) {
        *self.router.via.lock().unwrap() = via.iter().map(theirs).collect();
        let destination = Destination::Node(theirs(&to));
        let context = MessageContext::Custom(context.to_vec());
        let instructions = MessageSendInstructions::WithReplyPath { destination, context };
        self.messenger.send_onion_message(Text(text.to_vec()), instructions).unwrap();
        self.manager.process_events();
    }
}

/// Finds the ways that a test names.
pub(crate) struct Router {
    keys: Arc<KeysManager>,
    via: Mutex<Vec<PublicKey>>,
}

impl MessageRouter for Router {
    fn find_path(
        &self,
        _sender: PublicKey,
        _peers: Vec<PublicKey>,
        destination: Destination,
    ) -> Result<OnionMessagePath, ()> {
        // An answer goes straight to the first node of its path.
        let intermediate_nodes = match destination {
            Destination::Node(_) => self.via.lock().unwrap().clone(),
            Destination::BlindedPath(_) => Vec::new(),
        };
        Ok(OnionMessagePath { intermediate_nodes, destination, first_node_addresses: Vec::new() })
    }

    fn create_blinded_paths<T: Signing + Verification>(
        &self,
        recipient: PublicKey,
        local_node_receive_key: ReceiveAuthKey,
        context: MessageContext,
        _peers: Vec<MessageForwardNode>,
        secp: &Secp256k1<T>,
    ) -> Result<Vec<BlindedMessagePath>, ()> {
        let via = self.via.lock().unwrap();
        let nodes: Vec<_> = (via.iter().rev())
            .map(|id| MessageForwardNode { node_id: *id, short_channel_id: None })
            .collect();
        let keys = Arc::clone(&self.keys);
        Ok(vec![BlindedMessagePath::new(&nodes, recipient, local_node_receive_key, context, keys, secp)])
    }
}

pub(crate) struct Handler {
    seen: mpsc::UnboundedSender<Seen>,
}

/// A text under [`RECORD`].
#[derive(Debug, Clone)]
pub(crate) struct Text(Vec<u8>);

impl OnionMessageContents for Text {
    fn tlv_type(&self) -> u64 {
        RECORD
    }

    fn msg_type(&self) -> &'static str {
        "Text"
    }
}

impl Writeable for Text {
    fn write<W: Writer>(&self, writer: &mut W) -> Result<(), lightning::io::Error> {
        writer.write_all(&self.0)
    }
}

impl CustomOnionMessageHandler for Handler {
    type CustomMessage = Text;

    fn handle_custom_message(
        &self,
        Text(text): Text,
        context: Option<Vec<u8>>,
        responder: Option<Responder>,
    ) -> Option<(Text, ResponseInstruction)> {
        let answer = [b"re: ", &text[..]].concat();
        self.seen.send(Seen { text, context }).unwrap();
        responder.map(|responder| (Text(answer), responder.respond()))
    }

    fn read_custom_message<R: lightning::io::Read>(
        &self,
        kind: u64,
        buffer: &mut R,
    ) -> Result<Option<Text>, DecodeError> {
        if kind != RECORD {
            return Ok(None);
        }
        let (mut text, mut byte) = (Vec::new(), [0]);
        while buffer.read(&mut byte)? > 0 {
            text.push(byte[0]);
        }
        Ok(Some(Text(text)))
    }

    fn release_pending_custom_messages(&self) -> Vec<(Text, MessageSendInstructions)> {
        Vec::new()
    }
}

/// Shown when a test fails.
pub(crate) struct Silent;

impl Logger for Silent {
    fn log(&self, record: Record<'_>) {
        println!("LDK: {} {}", record.level, record.args);
    }
}

fn theirs(id: &NodeId) -> PublicKey {
    PublicKey::from_slice(id.as_bytes()).unwrap()
}
