//! An onion message of 32 bytes of content: made by the sender for some hops, and taken in by one hop that forwards it. Beside
//! LDK, which does the same work for the same route: each hop is blinded, and told the next one.
//!
//! LDK draws its random keys within the measured time; Oddwire is given keys that are ready, and draws none. What a forwarding
//! hop hands on is measured up to the next onion and its path key.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use lightning::bitcoin::secp256k1::{PublicKey, Secp256k1};
use lightning::blinded_path::EmptyNodeIdLookUp;
use lightning::ln::msgs::DecodeError;
use lightning::onion_message::messenger::{
    CustomOnionMessageHandler, Destination, MessageSendInstructions, OnionMessagePath, Responder,
    ResponseInstruction, create_onion_message, peel_onion_message,
};
use lightning::onion_message::packet::OnionMessageContents;
use lightning::sign::{KeysManager, NodeSigner as _, Recipient};
use lightning::util::logger::{Logger, Record};
use lightning::util::ser::{Writeable, Writer};
use oddwire_benches::{end, settings};
use wire_core::message::tlv::TlvRecord;
use wire_core::onion::blinded_path::PathNode;
use wire_core::onion::message::{Contents, Keys, Received, Route, compose, receive};
use wire_core::secret::{EphemeralKey, StaticKey};

/// Routes of so many hops.
const HOPS: [u8; 3] = [2, 4, 8];
const KIND: u64 = 65_539;
const CONTENT: [u8; 32] = [7; 32];
/// Room for the smaller onion of BOLT 4.
const ROOM: usize = 1400;

fn onions(criterion: &mut Criterion) {
    let settings = settings::within_a_process();
    let mut group = criterion.benchmark_group("onion/compose");
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement).sample_size(settings.samples);
    for hops in HOPS {
        let label = format!("{hops} hops");
        let keys: Vec<StaticKey> = (1..=hops).map(key).collect();
        let nodes: Vec<_> = keys.iter().map(|key| PathNode::new(key.node_id())).collect();
        group.bench_function(BenchmarkId::new("Oddwire", &label), |bencher| {
            let (mut scratch, mut packet) = ([0; ROOM], [0; ROOM]);
            bencher.iter_batched(
                fresh_keys,
                |keys| composed(keys, &nodes, &mut scratch, &mut packet).1,
                BatchSize::SmallInput,
            );
        });
        let ldk = Ldk::new(hops);
        group.bench_function(BenchmarkId::new("LDK", &label), |bencher| bencher.iter(|| ldk.compose()));
    }
    group.finish();

    let mut group = criterion.benchmark_group("onion/forward");
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement).sample_size(settings.samples);
    let keys: Vec<StaticKey> = (1..=4).map(key).collect();
    let nodes: Vec<_> = keys.iter().map(|key| PathNode::new(key.node_id())).collect();
    let (mut scratch, mut packet) = ([0; ROOM], [0; ROOM]);
    let (path_key, len) = composed(fresh_keys(), &nodes, &mut scratch, &mut packet);
    let first = keys.first().expect("four keys");
    group.bench_function(BenchmarkId::new("Oddwire", "one hop"), |bencher| {
        bencher.iter_batched_ref(
            || packet,
            |packet| {
                let packet = packet.get_mut(..len).expect("as long as it was made");
                let received = receive(first, &path_key, packet).expect("it is for this hop");
                matches!(black_box(received), Received::Forward(_))
            },
            BatchSize::SmallInput,
        );
    });
    let ldk = Ldk::new(4);
    let message = ldk.compose();
    group.bench_function(BenchmarkId::new("LDK", "one hop"), |bencher| {
        bencher.iter(|| {
            peel_onion_message(&message, &ldk.secp, Arc::clone(&ldk.first), Arc::new(Silent), Arc::new(Texts))
                .expect("it is for this hop")
        });
    });
    group.finish();
}

fn key(seed: u8) -> StaticKey {
    StaticKey::from_bytes(&end::secret(seed.into())).expect("a valid key")
}

fn fresh_keys() -> Keys {
    let key = |seed| EphemeralKey::from_bytes(end::secret(seed)).expect("a valid key");
    Keys { onion: key(100), path: key(101) }
}

/// The path key for the first hop, and the length of the onion.
fn composed(
    keys: Keys,
    nodes: &[PathNode<'_>],
    scratch: &mut [u8],
    packet: &mut [u8],
) -> (wire_core::node_id::NodeId, usize) {
    let records = [TlvRecord { kind: KIND, value: &CONTENT }];
    let contents = Contents { reply_path: None, records: &records };
    let composed =
        compose(keys, &Route { nodes, path: None }, &contents, scratch, packet).expect("a short message");
    (composed.path_key, composed.packet.len())
}

/// LDK's sender, and its first hop.
struct Ldk {
    sender: Arc<KeysManager>,
    first: Arc<KeysManager>,
    nodes: Vec<PublicKey>,
    secp: Secp256k1<lightning::bitcoin::secp256k1::All>,
}

impl Ldk {
    fn new(hops: u8) -> Ldk {
        let keys = |seed: u8| Arc::new(KeysManager::new(&[seed; 32], 1, 2, true));
        let id = |keys: &KeysManager| keys.get_node_id(Recipient::Node).expect("a node id");
        let nodes = (1..=hops).map(|seed| id(&keys(seed))).collect();
        Ldk { sender: keys(99), first: keys(1), nodes, secp: Secp256k1::new() }
    }

    fn compose(&self) -> lightning::ln::msgs::OnionMessage {
        let (last, before) = self.nodes.split_last().expect("at least one hop");
        let path = OnionMessagePath {
            intermediate_nodes: before.to_vec(),
            destination: Destination::Node(*last),
            first_node_addresses: Vec::new(),
        };
        let lookup = EmptyNodeIdLookUp {};
        let made = create_onion_message(&self.sender, &self.sender, &&lookup, &self.secp, path, Text, None);
        let Ok((_, message, _)) = made else { unreachable!("a short message for known nodes") };
        message
    }
}

#[derive(Debug, Clone)]
struct Text;

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
        writer.write_all(&CONTENT)
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
        _: u64,
        _: &mut R,
    ) -> Result<Option<Text>, DecodeError> {
        Ok(None)
    }

    fn release_pending_custom_messages(&self) -> Vec<(Text, MessageSendInstructions)> {
        Vec::new()
    }
}

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Record<'_>) {}
}

criterion_group!(benches, onions);
criterion_main!(benches);
