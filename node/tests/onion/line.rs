//! Four of our nodes in a line: a message there, an answer back, and a custom message from afar.

use std::time::Duration;

use oddwire_node::onion::{CUSTOM_MESSAGE_RECORD, OnionDestination, OutgoingOnion, Via, session_key};
use oddwire_node::{
    Event, EventFilter, MessageType, Node, OnionDrop, OnionRecord, OnionSendError, ReplyPath,
};
use wire_core::cursor::Writer;
use wire_core::onion::blinded_path::{self, Blinder, PathNode};
use wire_core::onion::{EncryptedData, Hop, SharedSecret, construct};

use crate::{PATIENCE, arrival, line, next, text, to_node, to_path};

#[tokio::test]
async fn a_question_and_its_answer_over_three_hops() {
    let [a, b, c, d] = line().await;
    let mut at_d = d.subscribe(EventFilter::onions());
    let (mut at_a, mut at_b) = (a.subscribe(EventFilter::onions()), b.subscribe(EventFilter::onions()));
    let question = to_node(d.id(), &[&b, &c], b"who is there?");
    let answered = async {
        let message = arrival(&mut at_d).await;
        assert_eq!(text(&message), b"who is there?");
        assert_eq!(message.path_id, None);
        let path = message.reply_path.as_ref().unwrap();
        // D knows the node next to it and nothing of A.
        assert!(!path.as_bytes().windows(33).any(|bytes| bytes == a.id().as_bytes()));
        d.send_onion_message(&to_path(path, &[], b"D")).await.unwrap();
        path.clone()
    };
    let (answer, path) = tokio::join!(a.ask_over_onion(&question, PATIENCE), answered);
    let answer = answer.unwrap();
    assert_eq!(text(&answer), b"D");
    assert_eq!((answer.path_id.as_ref(), answer.reply_path.as_ref()), (None, None));
    assert_eq!((b.onion_traffic().forwarded, c.onion_traffic().forwarded), (2, 2));
    assert_eq!((a.onion_traffic().delivered, d.onion_traffic().delivered), (1, 1));

    // The path is spent.
    d.send_onion_message(&to_path(&path, &[], b"D again")).await.unwrap();
    match next(&mut at_a).await {
        Event::OnionDropped(dropped) => {
            assert_eq!((dropped.source, dropped.reason), (b.id(), OnionDrop::SpentPath));
        }
        other => panic!("{other:?}"),
    }
    assert!(at_b.try_next().is_none(), "the nodes between saw nothing for them");
}

/// BOLT 4: whoever answers past the path learns nothing of who asked, and whoever uses the path learns nothing either.
#[tokio::test]
async fn an_answer_past_the_path_is_a_message_like_any_other() {
    let [a, b] = line().await;
    let (mut at_a, mut at_b) = (a.subscribe(EventFilter::onions()), b.subscribe(EventFilter::onions()));
    let question = to_node(b.id(), &[], b"?");
    let answered = async {
        let path = arrival(&mut at_b).await.reply_path.clone().unwrap();
        assert_says_a_name_and_nothing_else(&path, &a);
        b.send_onion_message(&to_node(a.id(), &[], b"past it")).await.unwrap();
        let message = arrival(&mut at_a).await;
        assert_eq!((text(&message), message.path_id.as_ref()), (&b"past it"[..], None));
        assert!(message.reply_path.is_none(), "no answer is asked for");
        // A path to A that somebody else made, by a name of as many bytes.
        let mut end = PathNode::new(a.id());
        end.data.path_id = Some(&[7; 32]);
        let mut room = [0; 1000];
        let foreign = blinded_path::create(session_key().unwrap(), &[end], &mut room).unwrap();
        let mut bytes = vec![0; foreign.encoded_len()];
        foreign.encode(&mut Writer::new(&mut bytes)).unwrap();
        b.send_onion_message(&to_path(&ReplyPath::from_bytes(bytes).unwrap(), &[], b"foreign"))
            .await
            .unwrap();
        let message = arrival(&mut at_a).await;
        assert_eq!((text(&message), message.path_id.as_deref()), (&b"foreign"[..], Some(&[7; 32][..])));
        b.send_onion_message(&to_path(&path, &[], b"over it")).await.unwrap();
        path
    };
    let (answer, first) = tokio::join!(a.ask_over_onion(&question, PATIENCE), answered);
    assert_eq!(text(&answer.unwrap()), b"over it");
    assert!(at_a.try_next().is_none(), "who asked gets the answer, and nobody else");

    // Another question, another path: nothing in one says whose the other is.
    let answered = async {
        let path = arrival(&mut at_b).await.reply_path.clone().unwrap();
        b.send_onion_message(&to_path(&path, &[], b"again")).await.unwrap();
        path
    };
    let (answer, second) = tokio::join!(a.ask_over_onion(&question, PATIENCE), answered);
    answer.unwrap();
    let (first, second) = (first.decode().unwrap(), second.decode().unwrap());
    assert_ne!(first.first_path_key, second.first_path_key);
    assert_ne!(first.hops().next().unwrap().node_id, second.hops().next().unwrap().node_id);
}

/// What the path of one hop tells its owner: a name for the path, and nothing of payments (BOLT 4).
fn assert_says_a_name_and_nothing_else(path: &ReplyPath, owner: &Node) {
    let path = path.decode().unwrap();
    let identity = owner.blinded_identity(&path.first_path_key).unwrap();
    let mut data = path.hops().next().unwrap().encrypted_recipient_data.to_vec();
    let data = EncryptedData::decode(identity.open(&mut data).unwrap()).unwrap();
    assert_eq!(data.path_id.map(<[u8]>::len), Some(32));
    assert_eq!(data, EncryptedData { path_id: data.path_id, ..EncryptedData::default() });
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_does_not_end_the_wait() {
    let [a, b] = line().await;
    let (mut at_a, mut at_b) = (a.subscribe(EventFilter::onions()), b.subscribe(EventFilter::onions()));
    let question = to_node(b.id(), &[], b"?");
    let answered = async {
        let path = arrival(&mut at_b).await.reply_path.clone().unwrap();
        let spoilt = OnionRecord { kind: CUSTOM_MESSAGE_RECORD, value: vec![1].into() };
        let spoilt = OutgoingOnion { records: vec![spoilt], ..to_path(&path, &[], b"") };
        b.send_onion_message(&spoilt).await.unwrap();
        match next(&mut at_a).await {
            Event::OnionDropped(dropped) => assert_eq!(dropped.reason, OnionDrop::NoType),
            other => panic!("{other:?}"),
        }
        b.send_onion_message(&to_path(&path, &[], b"!")).await.unwrap();
    };
    // The longest wait there is, which no clock can name.
    let (answer, ()) = tokio::join!(a.ask_over_onion(&question, Duration::MAX), answered);
    assert_eq!(text(&answer.unwrap()), b"!");
}

#[tokio::test]
async fn a_path_may_begin_at_its_sender_and_ways_do_not_stand_still() {
    let [a, b, c] = line().await;
    let mut at_c = c.subscribe(EventFilter::onions());
    let nodes = [&a, &b, &c].map(|node| PathNode::new(node.id()));
    let mut room = [0; 1000];
    let path = blinded_path::create(session_key().unwrap(), &nodes, &mut room).unwrap();
    let mut bytes = vec![0; path.encoded_len()];
    path.encode(&mut Writer::new(&mut bytes)).unwrap();
    let path = ReplyPath::from_bytes(bytes).unwrap();
    // Its first node peels its own layer.
    let question = OutgoingOnion { via: Via::Auto, ..to_path(&path, &[], b"around?") };
    let answered = async {
        let message = arrival(&mut at_c).await;
        assert_eq!(text(&message), b"around?");
        c.send_onion_message(&to_path(message.reply_path.as_ref().unwrap(), &[&b], b"yes")).await.unwrap();
    };
    // The answer's path begins at A itself, and only A's peers reach that.
    let (answer, ()) = tokio::join!(a.ask_over_onion(&question, PATIENCE), answered);
    assert_eq!(text(&answer.unwrap()), b"yes");

    for (message, node) in [
        (to_path(&path, &[&b, &a], b""), &a),
        (to_node(c.id(), &[&b, &c], b""), &c),
        (to_node(c.id(), &[&b, &b], b""), &b),
    ] {
        assert_eq!(a.send_onion_message(&message).await, Err(OnionSendError::Repeated(node.id())));
    }
}

#[tokio::test]
async fn an_onion_that_no_message_can_carry_is_refused() {
    let [a, b] = line().await;
    let key = || session_key().unwrap();
    let mut blinder = Blinder::new(key());
    let path_key = blinder.path_key();
    let mut data = vec![0; 35];
    data[..2].copy_from_slice(&[4, 33]);
    data[2..].copy_from_slice(b.id().as_bytes());
    let (us, tag) = blinder.blind(&a.id(), &mut data).unwrap();
    data.extend(tag);
    let payload = [&[4, u8::try_from(data.len()).unwrap()][..], &data].concat();
    let hops = [Hop { node: us, payload: &payload }, Hop { node: b.id(), payload: &[4, 0] }];
    let mut onion = vec![0; 70_000];
    construct(key(), &hops, &[], &mut onion, &mut [SharedSecret::default(), SharedSecret::default()])
        .unwrap();
    assert!(matches!(a.inject_onion_message(&path_key, &onion), Err(OnionDrop::Send(_))));
}

#[tokio::test]
async fn a_custom_message_arrives_like_one_from_a_peer() {
    let [a, b, c, d] = line().await;
    let mut at_d = d.subscribe(EventFilter::messages());
    let mut onions_at_d = d.subscribe(EventFilter::onions());
    let send = async |kind: u16, payload: &[u8]| {
        let records = vec![OnionRecord::custom_message(MessageType::new(kind), payload)];
        let via = Via::Nodes(vec![b.id(), c.id()]);
        a.send_onion_message(&OutgoingOnion { to: OnionDestination::Node(d.id()), via, records })
            .await
            .unwrap();
    };
    send(32_769, b"from afar").await;
    match next(&mut at_d).await {
        Event::MessageFromAfar { number, kind, payload, onion } => {
            assert_eq!((number, kind.get(), &payload[..]), (1, 32_769, &b"from afar"[..]));
            assert_eq!(onion.reply_path, None);
        }
        other => panic!("{other:?}"),
    }
    arrival(&mut onions_at_d).await;

    // Even types are for those who know them, and the protocol's own for nobody.
    let mut dropped = async || match next(&mut onions_at_d).await {
        Event::OnionDropped(dropped) => dropped.reason,
        other => panic!("{other:?}"),
    };
    send(32_770, b"even").await;
    assert_eq!(dropped().await, OnionDrop::EvenType(MessageType::new(32_770)));
    send(17, b"an error?").await;
    assert_eq!(dropped().await, OnionDrop::InternalType(MessageType::ERROR));
    let allowed = d.allow_even_types([MessageType::new(32_770)]);
    send(32_770, b"even").await;
    assert!(matches!(next(&mut at_d).await, Event::MessageFromAfar { number: 2, .. }));
    drop(allowed);
}

#[tokio::test]
async fn a_node_that_was_called_before_is_called_again_for_a_message() {
    let [a, b, c] = line().await;
    let mut at_c = c.subscribe(EventFilter::all());
    let mut ends_at_b = b.subscribe(EventFilter::connections());
    c.disconnect(&b.id()).await.unwrap();
    while !matches!(next(&mut ends_at_b).await, Event::Disconnected { .. }) {}
    a.send_onion_message(&to_node(c.id(), &[&b], b"wake up")).await.unwrap();
    loop {
        if let Event::OnionMessage(message) = next(&mut at_c).await {
            assert_eq!(text(&message), b"wake up");
            break;
        }
    }

    // C never called B, so it cannot.
    let mut at_b = b.subscribe(EventFilter::onions());
    c.send_onion_message(&to_node(a.id(), &[&b], b"hello")).await.unwrap();
    arrival(&mut a.subscribe(EventFilter::onions())).await;
    let mut at_a = a.subscribe(EventFilter::connections());
    b.disconnect(&a.id()).await.unwrap();
    while !matches!(next(&mut at_a).await, Event::Disconnected { .. }) {}
    c.send_onion_message(&to_node(a.id(), &[&b], b"hello")).await.unwrap();
    match next(&mut at_b).await {
        Event::OnionDropped(dropped) => {
            assert_eq!((dropped.source, dropped.reason), (c.id(), OnionDrop::NotConnected(a.id())));
            assert!(dropped.outgoing.is_some() && !dropped.incoming.is_empty());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(b.onion_traffic().dropped, 1);
}

#[tokio::test]
async fn a_node_that_was_sent_away_is_not_called_again() {
    let [a, b, c] = line().await;
    let mut at_b = b.subscribe(EventFilter::onions());
    b.disconnect(&c.id()).await.unwrap();
    a.send_onion_message(&to_node(c.id(), &[&b], b"wake up")).await.unwrap();
    match next(&mut at_b).await {
        Event::OnionDropped(dropped) => assert_eq!(dropped.reason, OnionDrop::NotConnected(c.id())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dead_node_is_not_called_for_each_message() {
    let [a, b, c] = line().await;
    let mut at_b = b.subscribe(EventFilter::all());
    c.shutdown().await;
    while !matches!(next(&mut at_b).await, Event::Disconnected { .. }) {}
    let mut calls = 0;
    for _ in 0..3 {
        a.send_onion_message(&to_node(c.id(), &[&b], b"wake up")).await.unwrap();
        loop {
            match next(&mut at_b).await {
                Event::ConnectFailed { .. } => calls += 1,
                Event::OnionDropped(dropped) => {
                    assert_eq!(dropped.reason, OnionDrop::NotReached(c.id()));
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused() {
    let [a, b] = line().await;
    let far = crate::start_with(9, oddwire_node::Limits::default()).await;
    let straight = to_node(far.id(), &[], b"x");
    assert_eq!(a.send_onion_message(&straight).await, Err(OnionSendError::NotConnected(far.id())));
    assert_eq!(
        far.send_onion_message(&OutgoingOnion { via: Via::Auto, ..straight.clone() }).await,
        Ok(far.id())
    );
    let to_b = OutgoingOnion { via: Via::Auto, ..to_node(b.id(), &[], b"x") };
    assert_eq!(far.send_onion_message(&to_b).await, Err(OnionSendError::NoPeer));
    assert_eq!(a.send_onion_message(&to_b).await, Ok(b.id()));
    // A guesses that B knows the way.
    let guess = OutgoingOnion { via: Via::Auto, ..straight };
    let mut at_b = b.subscribe(EventFilter::onions());
    assert_eq!(a.send_onion_message(&guess).await, Ok(b.id()));
    while !matches!(next(&mut at_b).await, Event::OnionDropped(_)) {}
    // Four at once, as many as Core Lightning takes.
    let mut refused = None;
    for _ in 0..4 {
        refused = a.send_onion_message(&to_b).await.err();
    }
    assert_eq!(refused, Some(OnionSendError::FirstHop(OnionDrop::TooFastForNext(b.id()))));
    let even = OnionRecord { kind: 70_000, value: b"x".to_vec().into() };
    let spoilt = OutgoingOnion { records: vec![even], ..to_node(far.id(), &[], b"") };
    let refused = far.send_onion_message(&spoilt).await;
    assert_eq!(refused, Err(OnionSendError::FirstHop(OnionDrop::EvenRecord(70_000))));
}
