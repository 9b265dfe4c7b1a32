//! Our node and an LDK node, over TCP on loopback: LDK is an implementation of BOLT 8 and BOLT 1 that shares
//! no code with ours.
//!
//! The LDK side is in `ldk/peer.rs`, the messages in `ldk/traffic.rs`. Nothing here sleeps: each step waits
//! for what the other side saw, and a test that waits for something that never comes fails after
//! [`PATIENCE`].

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test fails, in its helpers too")]

#[path = "ldk/peer.rs"]
mod peer;
#[path = "ldk/traffic.rs"]
mod traffic;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use oddwire_node::{
    CloseReason, Delivery, Direction, Event, EventFilter, Identity, Limits, MessageType, Network, Node,
    NodeId, Secret, SendError, Subscription,
};
use peer::{Knows, LdkPeer, Seen};
use tokio::sync::Semaphore;
use traffic::{EVEN_TYPES, MESSAGES, Message, Traffic};

/// Longer than any of these tests takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// LDK stops reading while twelve messages wait in its buffer; with fewer on their way it reads and writes at
/// the same time.
const LDK_WINDOW: usize = 8;

/// Room for a few of the longest messages: our queue is full again and again while an exchange runs.
const SEND_QUEUE_BYTES: usize = 256 * 1024;

/// Seeds of the two streams of messages.
const OURS: u64 = 1;
const LDKS: u64 = 2;

/// A custom type that nobody registered.
const UNKNOWN_EVEN: u16 = 40_002;
const UNKNOWN_ODD: u16 = 40_003;

#[derive(Clone, Copy)]
enum Dials {
    Ldk,
    We,
}

/// Our node and an LDK node that are connected.
struct Pair {
    node: Node,
    events: Subscription,
    ldk: LdkPeer,
}

impl Pair {
    async fn connected(dials: Dials, knows: Knows) -> Pair {
        Pair::connected_within(dials, knows, Limits::default()).await
    }

    async fn connected_within(dials: Dials, knows: Knows, limits: Limits) -> Pair {
        let node = Node::builder()
            .identity(Identity::from_secret(&Secret::new([7; 32])).expect("a valid secret"))
            .network(Network::Regtest)
            .limits(limits)
            .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .start()
            .await
            .expect("a node on loopback");
        let mut pair =
            Pair { events: node.subscribe(EventFilter::all()), node, ldk: LdkPeer::start(8, knows) };
        match dials {
            Dials::Ldk => pair.ldk.dial(pair.node.id(), pair.node.listening()[0]).await,
            Dials::We => {
                let address = pair.ldk.listen().await;
                let info = pair.node.connect(pair.ldk.id(), address).await.expect("LDK accepts us");
                assert_eq!((info.id, info.direction, info.address), (pair.ldk.id(), Direction::Out, address));
            }
        }
        pair.meets(dials).await;
        pair
    }

    /// Both sides see the other one, and each saw the features that it asks for.
    async fn meets(&mut self, dials: Dials) {
        let Event::Connected(info) = self.event().await else { panic!("the first event is the connection") };
        let direction = match dials {
            Dials::Ldk => Direction::In,
            Dials::We => Direction::Out,
        };
        assert_eq!((info.id, info.direction), (self.ldk.id(), direction));

        let seen = self.ldk.next().await;
        let Seen::Connected { id, dialled_us, features } = seen else {
            panic!("LDK saw {seen:?} before the connection")
        };
        assert_eq!((id, dialled_us), (self.node.id(), matches!(dials, Dials::We)));
        let offered = self.node.features();
        assert_eq!(features, offered.as_bytes(), "LDK reads the features that we offer");
    }

    async fn event(&mut self) -> Event {
        event(&mut self.events).await
    }

    async fn disconnected(&mut self) -> CloseReason {
        match self.event().await {
            Event::Disconnected { id, reason, unsent } => {
                assert_eq!(id, self.ldk.id());
                assert!(unsent.is_empty(), "nothing was waiting to be sent");
                reason
            }
            other => panic!("not the end of the connection: {other:?}"),
        }
    }

    async fn ldk_disconnected(&mut self) {
        assert_eq!(self.ldk.next().await, Seen::Disconnected { id: self.node.id() });
    }

    /// One message each way: the connection works.
    async fn talks(&mut self) {
        let message = Message { kind: UNKNOWN_ODD, payload: b"still here".to_vec() };
        send(&self.node, self.ldk.id(), &message).expect("an empty queue");
        assert_eq!(self.ldk.next().await, Seen::Message { from: self.node.id(), message: message.clone() });
        self.ldk.send(self.node.id(), [message.clone()]);
        assert_eq!(received(self.event().await), message);
    }
}

async fn event(events: &mut Subscription) -> Event {
    match events.next().await.expect("the node runs") {
        Delivery::Event(event) => event,
        Delivery::Gap { missed } => panic!("{missed} events are missing"),
    }
}

fn received(event: Event) -> Message {
    let Event::CustomMessage { kind, payload, .. } = event else { panic!("not a message: {event:?}") };
    Message { kind: kind.get(), payload: payload.to_vec() }
}

fn send(node: &Node, to: NodeId, message: &Message) -> Result<(), SendError> {
    node.send_custom_message(&to, MessageType::new(message.kind), &message.payload)
}

fn even_types() -> impl Iterator<Item = MessageType> {
    EVEN_TYPES.into_iter().map(MessageType::new)
}

/// Runs a test, and ends it when it waits for something that does not come.
async fn patiently(test: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, test).await.expect("the test waits for something that does not come");
}

/// How the LDK side hands its messages over.
#[derive(Clone, Copy)]
enum LdkSends {
    /// A few at a time, so that it keeps reading: both directions move at once.
    InAWindow,
    /// All in one go: it does not read until it has written nearly all of them, so that we must go on reading
    /// while our own queue is full.
    AllAtOnce,
}

async fn exchange(dials: Dials, sends: LdkSends) {
    let mut limits = Limits::default();
    limits.send_queue_bytes = SEND_QUEUE_BYTES;
    let Pair { node, mut events, mut ldk } = Pair::connected_within(dials, Knows::EveryType, limits).await;
    let _even_types = node.allow_even_types(even_types());
    let (our_id, ldk_id) = (node.id(), ldk.id());
    let mut received_by_ldk = ldk.received();
    let window = Semaphore::new(LDK_WINDOW);

    let we_send = async {
        let mut times_full = 0;
        for message in Traffic::new(OURS).take(MESSAGES) {
            loop {
                // Marked as seen before the attempt: when the queue is full, LDK has yet to receive what is
                // in it, and that is a change.
                received_by_ldk.borrow_and_update();
                match send(&node, ldk_id, &message) {
                    Ok(()) => break,
                    Err(SendError::Full { .. }) => {
                        times_full += 1;
                        received_by_ldk.changed().await.expect("LDK runs");
                    }
                    Err(error) => panic!("{message:?} refused: {error}"),
                }
            }
        }
        assert!(times_full > 0, "the messages outran our send queue");
    };
    let we_receive = async {
        for (index, expected) in Traffic::new(LDKS).take(MESSAGES).enumerate() {
            let message = received(event(&mut events).await);
            window.add_permits(1);
            assert!(
                message == expected,
                "message {index} from LDK: {message:?} instead of {expected:?}, or other bytes"
            );
        }
    };
    let ldk_sender = ldk.sender();
    let ldk_sends = async {
        let messages = Traffic::new(LDKS).take(MESSAGES);
        match sends {
            LdkSends::AllAtOnce => ldk_sender.send(our_id, messages),
            LdkSends::InAWindow => {
                for message in messages {
                    window.acquire().await.expect("the window stays open").forget();
                    ldk_sender.send(our_id, [message]);
                }
            }
        }
    };
    let ldk_receives = async {
        for (index, expected) in Traffic::new(OURS).take(MESSAGES).enumerate() {
            let Seen::Message { from, message } = ldk.next().await else {
                panic!("LDK lost us at message {index}")
            };
            assert_eq!(from, our_id);
            assert!(
                message == expected,
                "message {index} from us: {message:?} instead of {expected:?}, or other bytes"
            );
        }
    };
    tokio::join!(we_send, we_receive, ldk_sends, ldk_receives);

    Pair { node, events, ldk }.talks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldk_dials_and_2500_messages_go_each_way_at_once() {
    patiently(exchange(Dials::Ldk, LdkSends::InAWindow)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_dial_and_2500_messages_go_each_way_at_once() {
    patiently(exchange(Dials::We, LdkSends::InAWindow)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldk_that_does_not_read_before_it_has_written_does_not_stall_us() {
    patiently(exchange(Dials::We, LdkSends::AllAtOnce)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_answer_ldks_pings() {
    patiently(async {
        let mut pair = Pair::connected(Dials::Ldk, Knows::EveryType).await;
        // A tick that finds the last ping without an answer sends no other, and in the end disconnects.
        for pongs in 1..=6 {
            pair.ldk.timer_tick();
            pair.ldk.logged("Received message Pong", pongs).await;
            // LDK logs a message before it acts on it; after the next one it has.
            pair.talks().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldk_answers_our_pings() {
    patiently(async {
        let mut pair = Pair::connected(Dials::We, Knows::EveryType).await;
        let ldk = pair.ldk.id();
        for (len, pongbytes, totlen) in [(0, 0, 4), (128, 128, 132), (65_529, 65_531, 65_535), (0, 65_532, 0)]
        {
            let reply = pair.node.ping(&ldk, len, pongbytes).await.expect("LDK answers");
            assert_eq!(reply.totlen, totlen, "ping of {len} bytes for {pongbytes}");
        }
        pair.talks().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldk_disconnects_us() {
    patiently(async {
        let mut pair = Pair::connected(Dials::Ldk, Knows::EveryType).await;
        pair.ldk.disconnect(pair.node.id());
        assert_eq!(pair.disconnected().await, CloseReason::PeerClosed);
        assert_eq!(pair.node.peer_count(), 0);
        let message = Message { kind: UNKNOWN_ODD, payload: Vec::new() };
        assert_eq!(send(&pair.node, pair.ldk.id(), &message), Err(SendError::NotConnected));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn we_disconnect_ldk_after_everything_queued_has_gone_out() {
    patiently(async {
        let mut pair = Pair::connected(Dials::We, Knows::EveryType).await;
        let messages: Vec<Message> = Traffic::new(OURS).take(50).collect();
        for message in &messages {
            send(&pair.node, pair.ldk.id(), message).expect("room for 50 messages");
        }
        pair.node.disconnect(&pair.ldk.id()).await.expect("LDK is connected");
        assert_eq!(pair.disconnected().await, CloseReason::LocalDisconnect);
        for expected in messages {
            assert_eq!(pair.ldk.next().await, Seen::Message { from: pair.node.id(), message: expected });
        }
        pair.ldk_disconnected().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_even_type_from_ldk_is_answered_with_a_warning_and_the_end() {
    patiently(async {
        let mut pair = Pair::connected(Dials::Ldk, Knows::EveryType).await;
        let kind = MessageType::new(UNKNOWN_EVEN);
        pair.ldk.send(pair.node.id(), [Message { kind: kind.get(), payload: vec![0xab, 0xcd] }]);

        let Event::Warning { id, direction: Direction::Out, text } = pair.event().await else {
            panic!("we warn first")
        };
        assert_eq!(id, pair.ldk.id());
        assert!(text.contains("Invalid unknown even msg"), "{text}");
        assert_eq!(pair.disconnected().await, CloseReason::UnknownEvenType(kind));
        pair.ldk.logged("Got warning message from", 1).await;
        pair.ldk.logged("Invalid unknown even msg", 1).await;
        pair.ldk_disconnected().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_even_type_is_accepted_for_as_long_as_somebody_registered_it() {
    patiently(async {
        let mut pair = Pair::connected(Dials::Ldk, Knows::EveryType).await;
        let message = Message { kind: UNKNOWN_EVEN, payload: vec![1, 2, 3] };
        let guard = pair.node.allow_even_types([MessageType::new(UNKNOWN_EVEN)]);
        pair.ldk.send(pair.node.id(), [message.clone()]);
        assert_eq!(received(pair.event().await), message);

        drop(guard);
        pair.ldk.send(pair.node.id(), [message]);
        let Event::Warning { direction: Direction::Out, .. } = pair.event().await else {
            panic!("we warn first")
        };
        assert_eq!(pair.disconnected().await, CloseReason::UnknownEvenType(MessageType::new(UNKNOWN_EVEN)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldk_closes_on_an_even_type_it_does_not_know_and_we_report_that() {
    patiently(async {
        let mut pair = Pair::connected(Dials::We, Knows::NoType).await;
        let odd = Message { kind: UNKNOWN_ODD, payload: vec![1; 10] };
        send(&pair.node, pair.ldk.id(), &odd).expect("an empty queue");
        pair.ldk.logged("Received unknown odd message", 1).await;
        assert_eq!(pair.node.peer_count(), 1, "LDK only ignores an unknown odd type");

        let even = Message { kind: UNKNOWN_EVEN, payload: vec![1; 10] };
        send(&pair.node, pair.ldk.id(), &even).expect("an empty queue");
        pair.ldk.logged("Received unknown even message", 1).await;
        assert_eq!(pair.disconnected().await, CloseReason::PeerClosed);
        pair.ldk_disconnected().await;
    })
    .await;
}
