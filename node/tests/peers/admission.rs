//! A gatekeeper between `init` and the peer's being connected.

use std::sync::Arc;
use std::time::Duration;

use oddwire_node::{
    Consideration, Event, EventFilter, FeatureSet, Gatekeeper, Limits, Network, Node, PeerInfo, Verdict,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use wire_core::message::features::FeatureBit;

use crate::raw_peer::{RawPeer, odd, ping};
use crate::{
    ODD, PATIENCE, address, assert_serves_honest_peer, identity, next, next_message, send_until_stuck, start,
};

/// A peer that somebody has to decide on.
type Question = (PeerInfo, oneshot::Sender<Verdict>);

/// Passes every question on to the test.
struct Asking(UnboundedSender<Question>);

impl Gatekeeper for Asking {
    fn consider(&self, peer: &PeerInfo) -> Option<Consideration> {
        let (answer, verdict) = oneshot::channel();
        self.0.send((peer.clone(), answer)).ok()?;
        Some(Box::pin(async { verdict.await.unwrap_or(Verdict::Welcome) }))
    }
}

async fn start_asking(limits: Limits) -> (Node, UnboundedReceiver<Question>) {
    let (asking, questions) = unbounded_channel();
    let builder = Node::builder().identity(identity(1)).network(Network::Regtest).limits(limits);
    let builder = builder.listen(([127, 0, 0, 1], 0).into()).gatekeeper(Arc::new(Asking(asking)));
    (builder.start().await.unwrap(), questions)
}

async fn question(questions: &mut UnboundedReceiver<Question>) -> Question {
    tokio::time::timeout(PATIENCE, questions.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn while_it_is_decided_the_peer_hears_us_and_its_messages_wait() {
    let (node, mut questions) = start_asking(Limits::default()).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(&node, 7).await;
    let (asked, answer) = question(&mut questions).await;
    assert_eq!(asked.id, peer.id);
    // More than is held: the rest waits in the socket.
    for number in 0..100u8 {
        peer.send(&odd(&[number])).await;
    }
    node.send_custom_message(&peer.id, ODD, b"from inside").unwrap();
    assert_eq!(peer.receive().await.unwrap(), odd(b"from inside"));
    assert!(events.try_next().is_none(), "nobody is told of a peer that may not stay");

    answer.send(Verdict::Welcome).unwrap();
    assert!(matches!(next(&mut events).await, Event::Connected(info) if info.id == peer.id));
    for number in 0..100u8 {
        assert_eq!(next_message(&mut events).await, [number]);
    }
}

#[tokio::test]
async fn pings_are_answered_while_it_is_decided() {
    let (node, mut questions) = start_asking(Limits::default()).await;
    let mut peer = RawPeer::open(&node, 7).await;
    let (_, _answer) = question(&mut questions).await;
    peer.send(&odd(b"held")).await;
    peer.send(&ping(3)).await;
    assert_eq!(peer.receive().await.unwrap(), [0, 19, 0, 3, 0, 0, 0]);
}

#[tokio::test]
async fn a_peer_that_may_not_stay_hears_what_was_sent_and_why() {
    let (node, mut questions) = start_asking(Limits::default()).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(&node, 7).await;
    let (asked, answer) = question(&mut questions).await;
    peer.send(&odd(b"never seen")).await;
    node.send_custom_message(&asked.id, ODD, b"last word").unwrap();
    answer.send(Verdict::TurnAway { warning: Some("not today".into()) }).unwrap();
    assert_eq!(peer.receive().await.unwrap(), odd(b"last word"));
    assert_eq!(peer.last_word().await, "not today");

    // The next events are a warning and then the honest peer's: the other one never was connected.
    assert!(matches!(next(&mut events).await, Event::Warning { text, .. } if text == "not today"));
    drop(questions);
    assert_serves_honest_peer(&node).await;
    let Event::Connected(honest) = next(&mut events).await else { panic!("not the honest peer") };
    assert_ne!(honest.id, peer.id);
    assert_eq!(next_message(&mut events).await, b"from outside");
}

/// Nobody was told that it was connected, but what was sent to it was accepted.
#[tokio::test]
async fn what_did_not_go_out_to_a_peer_that_never_came_to_be_one_is_told() {
    let mut limits = Limits::default();
    limits.drain = Duration::from_millis(20);
    let (node, mut questions) = start_asking(limits).await;
    let mut events = node.subscribe(EventFilter::messages().and_unsent());
    let peer = RawPeer::open(&node, 7).await;
    let (_, answer) = question(&mut questions).await;
    // It reads nothing, and so does not get all of it before it is turned away.
    let accepted = send_until_stuck(&node, &peer.id).await;
    answer.send(Verdict::TurnAway { warning: None }).unwrap();
    let Event::Unsent { id, unsent, .. } = next(&mut events).await else { panic!("not told") };
    assert_eq!(id, peer.id);
    // They are numbered by their lengths, and the last of them are there.
    let lengths: Vec<usize> = unsent.iter().map(|message| message.message_len - 20_002).collect();
    assert_eq!(lengths, (accepted - lengths.len()..accepted).collect::<Vec<_>>());
    drop(questions);
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn whoever_wanted_the_connection_is_told_that_it_did_not_last() {
    let (node, mut questions) = start_asking(Limits::default()).await;
    let bob = start(2).await;
    let connecting = node.connect(bob.id(), address(&bob));
    let deciding = async {
        let (_, answer) = question(&mut questions).await;
        answer.send(Verdict::TurnAway { warning: None }).unwrap();
    };
    let (refused, ()) = tokio::join!(connecting, deciding);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.ends_with("disconnected during connection"), "{refused}");
}

#[tokio::test]
async fn a_gatekeeper_that_does_not_answer_is_not_waited_for() {
    let mut limits = Limits::default();
    limits.admission = Duration::from_millis(20);
    let (node, mut questions) = start_asking(limits).await;
    let mut events = node.subscribe(EventFilter::all());
    let peer = RawPeer::open(&node, 7).await;
    let (_, _never_answered) = question(&mut questions).await;
    assert!(matches!(next(&mut events).await, Event::Connected(info) if info.id == peer.id));
}

#[tokio::test]
async fn more_feature_bits_go_out_in_init() {
    let more = FeatureSet::EMPTY.with(FeatureBit::new(201)).unwrap();
    let builder = Node::builder().identity(identity(1)).network(Network::Regtest).features(&more);
    let (node, bob) = (builder.start().await.unwrap(), start(2).await);
    node.connect(bob.id(), address(&bob)).await.unwrap();
    let seen = bob.peer(&node.id()).unwrap().features;
    assert_eq!(seen[..], *node.features().as_bytes());
    assert!(node.features().features().is_set(FeatureBit::new(201)));
    assert!(FeatureSet::DEFAULT.features().bits().all(|bit| node.features().features().is_set(bit)));
}

#[tokio::test]
async fn feature_bits_that_no_node_may_show_are_refused_at_the_start() {
    // Bit 39 is among those of every node; bit 17 builds on bit 14 or 15, and bit 51 on one that is not there.
    for (bit, problem) in [
        (
            38,
            "feature bit 38 (option_onion_messages) is set together with the odd bit of its pair; set one of them",
        ),
        (51, "feature option_zeroconf is set without option_scid_alias, which it depends on"),
    ] {
        let more = FeatureSet::EMPTY.with(FeatureBit::new(bit)).unwrap();
        let started = Node::builder().identity(identity(1)).features(&more).start().await;
        assert_eq!(started.unwrap_err().to_string(), problem);
    }
    let more = FeatureSet::EMPTY.with(FeatureBit::new(17)).unwrap();
    Node::builder().identity(identity(1)).features(&more).start().await.unwrap();
}
