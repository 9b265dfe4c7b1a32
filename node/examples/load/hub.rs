//! The node that is put to the proof, and a program that answers every message with the same bytes.

use std::net::SocketAddr;
use std::process::ExitCode;

use oddwire_node::{
    Delivery, Event, EventFilter, Identity, Limits, MessageType, Network, Node, Secret, SendError,
};
use wire_core::limits::MAX_FRAME_LEN;

use crate::player;

/// Messages to the hub are of this type, and so are its answers.
pub(crate) const KIND: MessageType = MessageType::new(32_769);

/// One address of loopback has some 28,000 ports for connections to one listener; with several there is no lack of them.
const LISTENERS: u8 = 4;

/// Small enough that what thousands of wolves leave unread is no small part of it.
const SEND_QUEUE_BYTES: usize = 128 * 1024;

/// What beside queues and backlogs an open connection may come to hold: its task, a frame that is not whole yet, and a pong
/// that is half written with what else is owed by then.
const PER_CONNECTION: usize = 3 * MAX_FRAME_LEN;

/// What the allocator may keep of memory that came and went.
const SLACK: u64 = 64 << 20;

fn limits(peers: u32) -> Limits {
    let mut limits = Limits::default();
    limits.peers = peers as usize;
    limits.send_queue_bytes = SEND_QUEUE_BYTES;
    limits
}

/// Bytes that so many wolves of each kind can make the hub hold, as its limits have it: full send queues for those who do
/// not read, and for two kinds of three a frame that is not whole; then the one subscription and the history.
pub(crate) fn budget(hostile: u32) -> u64 {
    let limits = limits(0);
    let flooder = limits.send_queue_bytes + PER_CONNECTION;
    let dripping = PER_CONNECTION;
    let of_all = limits.backlog_bytes + limits.history_bytes;
    u64::from(hostile) * (flooder + dripping) as u64 + of_all as u64 + SLACK
}

/// Plays the part, for at most so many peers at a time.
pub(crate) fn play(peers: u32) -> ExitCode {
    player::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let identity = Identity::from_secret(&Secret::new([1; 32])).expect("a valid key");
        let builder = Node::builder().identity(identity).network(Network::Regtest).limits(limits(peers));
        let addresses = (1..=LISTENERS).map(|last| SocketAddr::from(([127, 0, 0, last], 0)));
        let node =
            addresses.fold(builder, oddwire_node::NodeBuilder::listen).start().await.expect("free ports");
        let listening: Vec<String> = node.listening().iter().map(SocketAddr::to_string).collect();
        player::say(&format!("{} {}", node.id(), listening.join(" ")));
        tokio::spawn(answer(node.clone()));
        tokio::task::spawn_blocking(|| player::commands().for_each(drop)).await.expect("it reads to the end");
    });
    // Ten thousand goodbyes are of no interest.
    std::process::exit(0);
}

async fn answer(node: Node) {
    let mut inbox = node.subscribe(EventFilter::messages().of_types([KIND]));
    let mut missed_in_all = 0;
    while let Some(delivery) = inbox.next().await {
        match delivery {
            Delivery::Event(Event::CustomMessage { peer, payload, .. }) => {
                match node.send_custom_message(&peer, KIND, &payload) {
                    // A wolf that does not read, or that is gone.
                    Ok(()) | Err(SendError::Full { .. } | SendError::NotConnected | SendError::Closing) => {}
                    Err(error) => panic!("an answer cannot be sent: {error}"),
                }
            }
            Delivery::Event(_) => {}
            Delivery::Gap { missed } => {
                if missed_in_all == 0 {
                    eprintln!("the hub's program does not keep up, and is told so: wolves' messages go");
                }
                missed_in_all += missed;
            }
        }
    }
}
