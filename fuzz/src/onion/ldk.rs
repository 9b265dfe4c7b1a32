//! Onion messages between us and LDK: what one has made the other peels, hop by hop.
//!
//! Held: of a message of ours LDK makes at each hop, byte for byte, what we make of it, and delivers the same payload and
//! reply path; one that was damaged on its way is refused by both. A message that LDK sends over a blinded path of ours comes
//! out at its end with what we called the path.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use lightning::bitcoin::secp256k1::{All, PublicKey, Secp256k1};
use lightning::blinded_path::EmptyNodeIdLookUp;
use lightning::blinded_path::message::{BlindedMessagePath, NextMessageHop};
use lightning::ln::msgs::{self, DecodeError};
use lightning::onion_message::messenger::{
    CustomOnionMessageHandler, Destination, MessageSendInstructions, OnionMessagePath, PeeledOnion,
    Responder, ResponseInstruction, create_onion_message, peel_onion_message,
};
use lightning::onion_message::packet::OnionMessageContents;
use lightning::sign::{EntropySource, KeysManager};
use lightning::util::logger::{Logger, Record};
use lightning::util::ser::{LengthReadable as _, Readable as _, Writeable, Writer};
use wire_core::cursor;
use wire_core::limits::{LARGE_ONION_AREA_LEN, ONION_OVERHEAD};
use wire_core::message::onion_message::OnionMessage;
use wire_core::message::tlv::TlvRecord;
use wire_core::node_id::NodeId;
use wire_core::onion::blinded_path::{PathNode, create};
use wire_core::onion::message::{Contents, Keys, NextHop, Received, Route, compose, receive};
use wire_core::onion::{BlindedPath, EncryptedData};
use wire_core::secret::{Secret, StaticKey};

use super::fresh;
use crate::script::Script;

/// Nodes on the way, each of which is ours and LDK's.
const NODES: usize = 3;
/// Record of the application: odd, and from 65,536 on (BOLT 4).
const KIND: u64 = 65_539;
const LONGEST: usize = ONION_OVERHEAD + LARGE_ONION_AREA_LEN;
/// The path key and the length of the onion in front of it.
const AROUND: usize = 35;

/// How many hops, whether with a reply path, whether and where it is damaged, and the payload.
pub(super) fn ours(script: &mut Script<'_>) {
    let hops = usize::from(script.byte()) % NODES + 1;
    let has_reply = script.byte() & 1 == 1;
    let (place, change) = (usize::from(script.number()), script.byte());
    let payload = script.rest();

    let nodes: Vec<PathNode<'_>> =
        keys()[..hops].iter().map(|keys| PathNode::new(keys.ours.node_id())).collect();
    let mut reply_room = [0; 512];
    let reply_path =
        has_reply.then(|| create(fresh(9), &nodes, &mut reply_room).expect("a short path of three nodes"));
    let records = [TlvRecord { kind: KIND, value: payload }];
    let contents = Contents { reply_path, records: &records };
    let route = Route { nodes: &nodes, path: None };
    let (mut scratch, mut packet) = (vec![0; LONGEST], vec![0; LONGEST]);
    let keys_of_it = Keys { onion: fresh(5), path: fresh(6) };
    let Ok(composed) = compose(keys_of_it, &route, &contents, &mut scratch, &mut packet) else { return };
    let (mut path_key, mut onion) = (composed.path_key, composed.packet.to_vec());

    // The version is in front of what the HMAC covers: LDK does not look at it.
    let place = 1 + place % (onion.len() - 1);
    onion[place] ^= change;
    for (index, node) in keys()[..hops].iter().enumerate() {
        let theirs = in_ldk(&path_key, &onion).map(|message| peel(&message, node));
        match receive(&node.ours, &path_key, &mut onion) {
            Err(refusal) => {
                assert!(change != 0 && index == 0, "{refusal}");
                assert!(!matches!(theirs, Some(Ok(_))), "LDK takes what was damaged");
                return;
            }
            Ok(Received::Forward(forward)) => {
                assert!(change == 0 && index + 1 < hops);
                let Some(Ok(PeeledOnion::Forward(NextMessageHop::NodeId(next), message))) = theirs else {
                    panic!("LDK does not forward at hop {index}");
                };
                assert_eq!(forward.next, NextHop::Node(id(&next)));
                assert_eq!(forward.path_key, id(&message.blinding_point));
                assert_eq!(forward.packet, message.onion_routing_packet.encode());
                path_key = forward.path_key;
            }
            Ok(Received::Deliver(delivery)) => {
                assert!(change == 0 && index + 1 == hops);
                let Some(Ok(PeeledOnion::Custom(Text(text), None, their_reply))) = theirs else {
                    panic!("LDK does not deliver at hop {index}");
                };
                let records: Vec<_> = delivery.records().collect();
                assert_eq!(records, [TlvRecord { kind: KIND, value: payload }]);
                assert_eq!(text, payload);
                assert_eq!(
                    delivery.reply_path.map(|path| bytes(&path)),
                    their_reply.map(|path| path.encode())
                );
            }
        }
    }
}

/// How many hops the path has, what we call it, and the payload; LDK sends it.
pub(super) fn theirs(script: &mut Script<'_>) {
    let hops = usize::from(script.byte()) % NODES + 1;
    let before = usize::from(script.byte()) % 2;
    let path_id = script.bytes(32);
    let payload = script.rest();

    let mut nodes: Vec<PathNode<'_>> =
        keys()[..hops].iter().map(|keys| PathNode::new(keys.ours.node_id())).collect();
    if let Some(last) = nodes.last_mut() {
        last.data = EncryptedData { path_id: Some(path_id), ..EncryptedData::default() };
    }
    let mut room = [0; 1024];
    let path = create(fresh(9), &nodes, &mut room).expect("a short path of three nodes");
    let path = BlindedMessagePath::read(&mut bytes(&path).as_slice()).expect("our path is one for LDK");
    // Perhaps over a node that LDK itself chooses.
    let chosen = &keys()[NODES];
    let way = OnionMessagePath {
        intermediate_nodes: vec![theirs_of(&chosen.ours.node_id()); before],
        destination: Destination::BlindedPath(path),
        first_node_addresses: Vec::new(),
    };
    let sender = Arc::new(KeysManager::new(&[99; 32], 1, 2, true));
    let contents = Text(payload.to_vec());
    let random = Random(Cell::new(1));
    let made = create_onion_message(&&random, &sender, &&EmptyNodeIdLookUp {}, secp(), way, contents, None);
    let Ok((_, message, _)) = made else { return };

    let mut path_key = id(&message.blinding_point);
    let mut onion = message.onion_routing_packet.encode();
    let way = keys()[NODES..].iter().take(before).chain(&keys()[..hops]);
    for (index, node) in way.enumerate() {
        match receive(&node.ours, &path_key, &mut onion).expect("LDK's onion is right") {
            Received::Forward(forward) => {
                assert!(index + 1 < before + hops);
                path_key = forward.path_key;
            }
            Received::Deliver(delivery) => {
                assert_eq!(index + 1, before + hops);
                assert_eq!(delivery.path_id, Some(path_id));
                let records: Vec<_> = delivery.records().collect();
                assert_eq!(records, [TlvRecord { kind: KIND, value: payload }]);
            }
        }
    }
}

/// One node, as both see it.
struct NodeKeys {
    ours: StaticKey,
    theirs: Arc<KeysManager>,
}

/// The hops, and one more. Deriving LDK's keys takes longer than most inputs.
fn keys() -> &'static [NodeKeys] {
    static KEYS: OnceLock<Vec<NodeKeys>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let keys = (1..=4).map(|seed| {
            let theirs = Arc::new(KeysManager::new(&[seed; 32], 1, 2, true));
            let secret = Secret::new(theirs.get_node_secret_key().secret_bytes());
            NodeKeys { ours: StaticKey::from_bytes(&secret).expect("LDK's key is a key"), theirs }
        });
        keys.collect()
    })
}

fn secp() -> &'static Secp256k1<All> {
    static SECP: OnceLock<Secp256k1<All>> = OnceLock::new();
    SECP.get_or_init(Secp256k1::new)
}

/// The message as LDK decodes it from the wire; `None` if it refuses it there already.
fn in_ldk(path_key: &NodeId, packet: &[u8]) -> Option<msgs::OnionMessage> {
    let mut room = vec![0; packet.len() + AROUND];
    let mut writer = cursor::Writer::new(&mut room);
    OnionMessage { path_key: *path_key, packet }.encode_payload(&mut writer).expect("there is room");
    msgs::OnionMessage::read_from_fixed_length_buffer(&mut &room[..]).ok()
}

fn peel(message: &msgs::OnionMessage, node: &NodeKeys) -> Result<PeeledOnion<Text>, ()> {
    peel_onion_message(message, secp(), Arc::clone(&node.theirs), Arc::new(Silent), Arc::new(Texts))
}

fn bytes(path: &BlindedPath<'_>) -> Vec<u8> {
    let mut room = vec![0; path.encoded_len()];
    path.encode(&mut cursor::Writer::new(&mut room)).expect("it has said how long it is");
    room
}

fn id(key: &PublicKey) -> NodeId {
    NodeId::from_bytes(&key.serialize()).expect("LDK's key is a point of the curve")
}

fn theirs_of(id: &NodeId) -> PublicKey {
    PublicKey::from_slice(id.as_bytes()).expect("a node id is a point of the curve")
}

/// Random numbers for LDK that are the same for each input.
struct Random(Cell<u8>);

impl EntropySource for Random {
    fn get_secure_random_bytes(&self) -> [u8; 32] {
        let next = self.0.get();
        self.0.set(next.wrapping_add(1));
        [next; 32]
    }
}

/// A payload.
#[derive(Debug, Clone)]
struct Text(Vec<u8>);

impl OnionMessageContents for Text {
    fn tlv_type(&self) -> u64 {
        KIND
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

struct Texts;

impl CustomOnionMessageHandler for Texts {
    type CustomMessage = Text;

    fn handle_custom_message(
        &self,
        _: Text,
        _: Option<Vec<u8>>,
        _: Option<Responder>,
    ) -> Option<(Text, ResponseInstruction)> {
        None
    }

    fn read_custom_message<R: lightning::io::Read>(
        &self,
        kind: u64,
        buffer: &mut R,
    ) -> Result<Option<Text>, DecodeError> {
        assert_eq!(kind, KIND);
        let (mut text, mut piece) = (Vec::new(), [0; 1024]);
        loop {
            match buffer.read(&mut piece)? {
                0 => return Ok(Some(Text(text))),
                len => text.extend_from_slice(&piece[..len]),
            }
        }
    }

    fn release_pending_custom_messages(&self) -> Vec<(Text, MessageSendInstructions)> {
        Vec::new()
    }
}

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Record<'_>) {}
}
