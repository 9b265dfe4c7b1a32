use std::time::SystemTime;

use wire_core::secret::Secret;

use super::backlog::BacklogLimits;
use super::*;
use crate::{EventFilter, Identity};

fn peer(seed: u8) -> NodeId {
    Identity::from_secret(&Secret::new([seed; 32])).unwrap().node_id()
}

fn send(feed: &mut Feed, from: &NodeId, kind: u16, payload: &[u8]) {
    let kind = MessageType::new(kind);
    feed.deliver(&IncomingMessage { peer: from, kind, payload, received: SystemTime::UNIX_EPOCH });
}

/// Messages as `number:payload length`, gaps as `-missed`.
fn drain(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.try_next())
        .map(|delivery| match delivery {
            Delivery::Event(Event::CustomMessage { number, payload, .. }) => {
                format!("{number}:{}", payload.len())
            }
            Delivery::Event(other) => format!("{other:?}"),
            Delivery::Gap { missed } => format!("-{missed}"),
        })
        .collect()
}

#[test]
fn overflow_is_counted_and_told_in_its_place() {
    let hub = Hub::new(BacklogLimits { events: 2, bytes: 1_000 });
    let mut subscription = hub.subscribe(EventFilter::all());
    let mut feed = Feed::new(&hub);
    let from = peer(1);
    for len in 1..=5 {
        send(&mut feed, &from, 32_769, &vec![0; len]);
    }
    assert_eq!(drain(&mut subscription), ["1:1", "2:2", "-3"]);
    for len in 6..=8 {
        send(&mut feed, &from, 32_769, &vec![0; len]);
    }
    let Some(Delivery::Event(_)) = subscription.try_next() else { panic!("the sixth message is missing") };
    send(&mut feed, &from, 32_769, &[0; 9]);
    assert_eq!(drain(&mut subscription), ["7:7", "-1", "9:9"]);
}

#[test]
fn bytes_are_bounded_and_one_large_message_still_arrives() {
    let hub = Hub::new(BacklogLimits { events: 100, bytes: 10 });
    let mut subscription = hub.subscribe(EventFilter::messages());
    let mut feed = Feed::new(&hub);
    let from = peer(1);
    send(&mut feed, &from, 32_769, &[0; 50]);
    send(&mut feed, &from, 32_769, &[0; 1]);
    assert_eq!(drain(&mut subscription), ["1:50", "-1"]);
    send(&mut feed, &from, 32_769, &[0; 6]);
    send(&mut feed, &from, 32_769, &[0; 4]);
    send(&mut feed, &from, 32_769, &[0; 1]);
    assert_eq!(drain(&mut subscription), ["3:6", "4:4", "-1"]);
}

#[test]
fn filters_narrow_and_subscriptions_share_one_copy() {
    let hub = Hub::new(BacklogLimits { events: 100, bytes: 1_000 });
    let (alice, bob) = (peer(1), peer(2));
    let mut all = hub.subscribe(EventFilter::all());
    let mut some =
        hub.subscribe(EventFilter::messages().of_types([MessageType::new(32_771)]).from_peers([bob]));
    let mut none = hub.subscribe(EventFilter::connections());
    let mut feed = Feed::new(&hub);
    send(&mut feed, &alice, 32_771, b"a");
    send(&mut feed, &bob, 32_769, b"bb");
    send(&mut feed, &bob, 32_771, b"ccc");
    hub.publish(&Event::Warning { id: alice, direction: Direction::In, text: "w".into() });

    let Some(Delivery::Event(Event::CustomMessage { payload: one, number: 1, .. })) = some.try_next() else {
        panic!("nothing, or the wrong message")
    };
    assert!(some.try_next().is_none());
    assert!(matches!(none.try_next(), Some(Delivery::Event(Event::Warning { .. }))));
    assert!(none.try_next().is_none());
    let (third, warning) =
        (all.try_next().and_then(|_| all.try_next()).and_then(|_| all.try_next()), all.try_next());
    let Some(Delivery::Event(Event::CustomMessage { payload: other, number: 3, .. })) = third else {
        panic!()
    };
    assert_eq!(one.as_ptr(), other.as_ptr());
    assert!(matches!(warning, Some(Delivery::Event(Event::Warning { .. }))));
}

#[tokio::test]
async fn a_closed_hub_hands_out_what_waits_and_then_ends() {
    let hub = Hub::new(BacklogLimits { events: 100, bytes: 1_000 });
    let mut subscription = hub.subscribe(EventFilter::all());
    let mut late = Feed::new(&hub);
    send(&mut late, &peer(1), 32_769, b"x");
    hub.close();
    assert!(subscription.next().await.is_some());
    assert!(subscription.next().await.is_none());
    assert!(hub.subscribe(EventFilter::all()).next().await.is_none());
}

#[test]
fn a_dropped_subscription_holds_nothing_although_a_silent_peer_still_knows_it() {
    let hub = Hub::new(BacklogLimits { events: 100, bytes: 1_000 });
    let (mut kept, dropped, mut feed) =
        (hub.subscribe(EventFilter::all()), hub.subscribe(EventFilter::all()), Feed::new(&hub));
    send(&mut feed, &peer(1), 32_769, &[7; 100]);
    let Some(Delivery::Event(Event::CustomMessage { payload, .. })) = kept.try_next() else {
        panic!("no message")
    };
    assert!(!payload.is_unique(), "the other one shares the copy");
    drop(dropped);
    assert!(payload.is_unique());
}

#[test]
fn unsent_messages_weigh_something_without_their_payload() {
    let message = UnsentMessage { kind: MessageType::new(32_769), message_len: 2, payload: None };
    let unsent: Arc<[UnsentMessage]> = vec![message; 1_000].into();
    let event = Event::Disconnected { id: peer(1), reason: CloseReason::PeerClosed, unsent };
    assert!(event.weight() >= 1_000 * size_of::<UnsentMessage>());
}
