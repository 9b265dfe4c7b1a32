//! Onion messages of a peer that floods, and those that no honest node sends: refused with a reason, counted, and nobody else
//! notices. What is wrong inside an onion in detail is tested where onions are peeled, in `wire-core`.

use oddwire_node::onion::{NextHop, OnionMessageError, ReceiveError};
use oddwire_node::{EventFilter, OnionDrop};
use wire_core::limits::ONION_OVERHEAD;
use wire_core::message::tlv::TlvWriter;
use wire_core::onion::blinded_path::PathNode;
use wire_core::onion::message::{Contents, Keys, Route, compose};
use wire_core::onion::{Hop, PacketError, PeelError, SharedSecret, construct};
use wire_core::secret::EphemeralKey;

use super::*;
use crate::raw_peer::{RawPeer, ping};

fn fresh(seed: u8) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new([seed; 32])).unwrap()
}

/// An `onion_message` with this path key and this onion.
fn message(path_key: &[u8; 33], packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(packet.len()).unwrap();
    [&513_u16.to_be_bytes()[..], path_key, &len.to_be_bytes(), packet].concat()
}

/// A good message for the node at the end of `nodes`, the first of which gets it.
fn good(nodes: &[NodeId], seed: u8) -> Vec<u8> {
    let nodes: Vec<_> = nodes.iter().copied().map(PathNode::new).collect();
    let (mut scratch, mut packet) = (vec![0; 2000], vec![0; 2000]);
    let keys = Keys { onion: fresh(seed), path: fresh(seed + 100) };
    let route = Route { nodes: &nodes, path: None };
    let composed = compose(keys, &route, &Contents::default(), &mut scratch, &mut packet).unwrap();
    message(composed.path_key.as_bytes(), composed.packet)
}

async fn dropped(subscription: &mut Subscription) -> OnionDrop {
    match next(subscription).await {
        Event::OnionDropped(dropped) => dropped.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_of_one_peer() {
    const FLOOD: u64 = 10_000;
    let limits = Limits::default();
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::onions());
    let mut loud = RawPeer::open(&node, 50).await;
    let honest = start(2).await;
    honest.connect(node.id(), address(&node)).await.unwrap();

    // Each would be for us; what is over the limit is not even peeled.
    let one = good(&[node.id()], 1);
    for _ in 0..FLOOD {
        loud.send(&one).await;
    }
    loud.send(&ping(1)).await;
    let mut warnings = 0;
    loop {
        let answer = loud.receive().await.expect("the node stays");
        match answer[..2] {
            [0, 19] => break,
            [0, 1] => {
                let text = String::from_utf8(answer[36..].to_vec()).unwrap();
                assert_eq!(text, "Ratelimited onion_message: exceeded one per 100msec");
                warnings += 1;
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!(warnings, 1, "the peer is told once");
    let mut reasons = Vec::new();
    while reasons.is_empty() {
        match next(&mut events).await {
            Event::OnionDropped(dropped) => reasons.push(dropped.reason),
            Event::OnionMessage(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reasons, [OnionDrop::TooFast { interval_ms: 100 }]);

    // Another peer's message arrives all the same.
    let via = oddwire_node::onion::Via::Nodes(Vec::new());
    let records = vec![oddwire_node::OnionRecord { kind: 99, value: b"quiet".to_vec().into() }];
    let to = oddwire_node::onion::OnionDestination::Node(node.id());
    honest.send_onion_message(&oddwire_node::onion::OutgoingOnion { to, via, records }).await.unwrap();
    loop {
        match next(&mut events).await {
            Event::OnionMessage(message) if message.records.len() == 1 => break,
            Event::OnionMessage(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let traffic = node.onion_traffic();
    assert_eq!(traffic.received, FLOOD + 1);
    assert_eq!(traffic.delivered + traffic.dropped, FLOOD + 1);
    // The burst, and one more for each interval that the flood took; far from all.
    assert!(traffic.delivered > u64::from(limits.onion_in_burst));
    assert!(traffic.dropped > FLOOD / 2, "{traffic:?}");
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_loud_peer_does_not_use_up_the_way_to_another() {
    let [b, c, honest] = [start(1).await, start(2).await, start(3).await];
    b.connect(c.id(), address(&c)).await.unwrap();
    honest.connect(b.id(), address(&b)).await.unwrap();
    let mut at_b = b.subscribe(EventFilter::onions());
    let mut at_c = c.subscribe(EventFilter::onions());
    let mut loud = RawPeer::open(&b, 50).await;
    let over_b = good(&[b.id(), c.id()], 1);
    for _ in 0..40 {
        loud.send(&over_b).await;
    }
    // The queue to C is full of these.
    assert_eq!(dropped(&mut at_b).await, OnionDrop::TooFastForNext(c.id()));

    let outgoing = |via: &[NodeId], text: &[u8]| {
        let via = oddwire_node::onion::Via::Nodes(via.to_vec());
        let records = vec![oddwire_node::OnionRecord { kind: 99, value: text.to_vec().into() }];
        let to = oddwire_node::onion::OnionDestination::Node(c.id());
        oddwire_node::onion::OutgoingOnion { to, via, records }
    };
    b.send_onion_message(&outgoing(&[], b"of the node itself")).await.unwrap();
    honest.send_onion_message(&outgoing(&[b.id()], b"of a quiet peer")).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match next(&mut at_c).await {
            Event::OnionMessage(message) => {
                seen.extend(message.records.first().map(|text| text.value.clone()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["of the node itself", "of a quiet peer"]);
    assert!(c.onion_traffic().delivered < 20);
}

#[tokio::test]
async fn nonsense_is_refused_with_its_reason() {
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::onions());
    let mut peer = RawPeer::open(&node, 50).await;
    let point = *node.id().as_bytes();

    let mut cases = vec![
        (message(&[4; 33], &[0; 1366]), OnionDrop::Unreadable(OnionMessageError::PathKeyNotAPoint)),
        (
            message(&point, &[0; 65]),
            OnionDrop::Refused(ReceiveError::Packet(PacketError::TooShort { len: 65 })),
        ),
        (
            message(&point, &[1; 1366]),
            OnionDrop::Refused(ReceiveError::Packet(PacketError::UnknownVersion(1))),
        ),
        (
            message(&point, &[0; 1366]),
            OnionDrop::Refused(ReceiveError::Packet(PacketError::EphemeralKeyNotAPoint)),
        ),
    ];
    let mut altered = good(&[node.id()], 1);
    *altered.last_mut().unwrap() ^= 1;
    cases.push((altered, OnionDrop::Refused(ReceiveError::Peel(PeelError::WrongHmac))));
    let elsewhere = good(&[identity(9).node_id()], 2);
    cases.push((elsewhere, OnionDrop::Refused(ReceiveError::Peel(PeelError::WrongHmac))));
    // A loop, and a node that is not there.
    cases.push((good(&[node.id(), node.id(), identity(9).node_id()], 3), OnionDrop::BackToUs));
    let nobody = identity(9).node_id();
    cases.push((good(&[node.id(), nobody], 4), OnionDrop::NotConnected(nobody)));
    // Back to the sender, whose `init` offers no onion messages.
    cases.push((good(&[node.id(), peer.id], 5), OnionDrop::NotOffered(peer.id)));

    for (message, reason) in &cases {
        peer.send(message).await;
        assert_eq!(dropped(&mut events).await, *reason);
    }
    // What no onion is needed to see the peer is told.
    let warning = peer.receive().await.unwrap();
    let text = core::str::from_utf8(&warning[36..]).unwrap();
    assert!(warning[..2] == [0, 1] && text.starts_with("Bad onion_message: "), "{text}");
    assert_eq!(node.onion_traffic().dropped, u64::try_from(cases.len()).unwrap());
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn data_of_another_hop_and_channels_nobody_has() {
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::onions());
    let mut peer = RawPeer::open(&node, 50).await;
    let nobody = identity(9).node_id();

    let mut by_channel = PathNode::new(node.id());
    by_channel.data.short_channel_id = Some(42);
    let nodes = [by_channel, PathNode::new(nobody)];
    let (mut scratch, mut packet) = (vec![0; 2000], vec![0; 2000]);
    let keys = Keys { onion: fresh(1), path: fresh(2) };
    let route = Route { nodes: &nodes, path: None };
    let composed = compose(keys, &route, &Contents::default(), &mut scratch, &mut packet).unwrap();
    peer.send(&message(composed.path_key.as_bytes(), composed.packet)).await;
    match next(&mut events).await {
        Event::OnionDropped(dropped) => {
            assert_eq!(dropped.reason, OnionDrop::UnknownChannel(42));
            assert_eq!(dropped.path_key, Some(composed.path_key));
            assert_eq!(dropped.incoming, composed.packet);
            let (next, onion) = dropped.outgoing.as_ref().unwrap();
            assert_eq!((*next, onion.len()), (NextHop::Channel(42), composed.packet.len()));
        }
        other => panic!("{other:?}"),
    }

    // Well wrapped for us under this path key, with data that was never ours.
    let key = wire_core::secret::StaticKey::from_bytes(&Secret::new([1; 32])).unwrap();
    let path_key = wire_core::onion::blinded_path::Blinder::new(fresh(3)).path_key();
    let us = wire_core::onion::BlindedIdentity::new(&key, &path_key).unwrap().node_id();
    let mut payload = [0; 60];
    let mut writer = wire_core::cursor::Writer::new(&mut payload);
    TlvWriter::new(&mut writer).record(4, &[7; 50]).unwrap();
    let payload = writer.into_written();
    let mut packet = vec![0; ONION_OVERHEAD + 1300];
    let hops = [Hop { node: us, payload }];
    construct(fresh(4), &hops, &[], &mut packet, &mut [SharedSecret::default()]).unwrap();
    peer.send(&message(path_key.as_bytes(), &packet)).await;
    assert_eq!(dropped(&mut events).await, OnionDrop::Refused(ReceiveError::DataNotForUs));
}

#[tokio::test]
async fn a_replayed_message_does_no_harm() {
    let [a, b] = [start(1).await, start(2).await];
    a.connect(b.id(), address(&b)).await.unwrap();
    let mut at_b = b.subscribe(EventFilter::onions());
    let mut peer = RawPeer::open(&a, 50).await;
    let onion = good(&[a.id(), b.id()], 1);
    for _ in 0..3 {
        peer.send(&onion).await;
        assert!(matches!(next(&mut at_b).await, Event::OnionMessage(_)));
    }
    assert_eq!(a.onion_traffic().forwarded, 3);
}
