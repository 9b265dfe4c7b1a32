use std::time::SystemTime;

use wire_core::secret::Secret;

use super::backlog::BacklogLimits;
use super::*;
use crate::{EventFilter, Identity};

fn peer(seed: u8) -> NodeId {
    Identity::from_secret(&Secret::new([seed; 32])).unwrap().node_id()
}

fn send(hub: &Hub, from: &NodeId, kind: u16, payload: &[u8]) {
    let kind = MessageType::new(kind);
    hub.deliver(&IncomingMessage { peer: from, kind, payload, received: SystemTime::UNIX_EPOCH });
}

/// A hub that keeps nothing.
fn hub(limits: BacklogLimits) -> Arc<Hub> {
    Hub::new(limits, HistoryLimits { messages: 0, bytes: 0 })
}

/// A hub that keeps so much.
fn hub_with_history(messages: usize, bytes: usize) -> Arc<Hub> {
    Hub::new(BacklogLimits { events: 100, bytes: 100_000 }, HistoryLimits { messages, bytes })
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
    let hub = hub(BacklogLimits { events: 2, bytes: 1_000 });
    let mut subscription = hub.subscribe(EventFilter::all());
    let from = peer(1);
    for len in 1..=5 {
        send(&hub, &from, 32_769, &vec![0; len]);
    }
    assert_eq!(drain(&mut subscription), ["1:1", "2:2", "-3"]);
    for len in 6..=8 {
        send(&hub, &from, 32_769, &vec![0; len]);
    }
    let Some(Delivery::Event(_)) = subscription.try_next() else { panic!("the sixth message is missing") };
    send(&hub, &from, 32_769, &[0; 9]);
    assert_eq!(drain(&mut subscription), ["7:7", "-1", "9:9"]);
}

#[test]
fn bytes_are_bounded_and_one_large_message_still_arrives() {
    let hub = hub(BacklogLimits { events: 100, bytes: 10 });
    let mut subscription = hub.subscribe(EventFilter::messages());
    let from = peer(1);
    send(&hub, &from, 32_769, &[0; 50]);
    send(&hub, &from, 32_769, &[0; 1]);
    assert_eq!(drain(&mut subscription), ["1:50", "-1"]);
    send(&hub, &from, 32_769, &[0; 6]);
    send(&hub, &from, 32_769, &[0; 4]);
    send(&hub, &from, 32_769, &[0; 1]);
    assert_eq!(drain(&mut subscription), ["3:6", "4:4", "-1"]);
}

#[test]
fn a_flood_of_messages_leaves_room_for_who_comes_and_goes() {
    let hub = hub(BacklogLimits { events: 2, bytes: 1_000 });
    let mut subscription = hub.subscribe(EventFilter::all());
    let gone =
        || Event::Disconnected { id: peer(1), reason: crate::CloseReason::PingTimeout, unsent: [].into() };
    for _ in 0..4 {
        send(&hub, &peer(1), 32_769, &[0]);
    }
    hub.publish(&gone());
    let drained = drain(&mut subscription);
    assert_eq!(drained[..3], ["1:1", "2:1", "-2"]);
    assert!(drained[3].starts_with("Disconnected"), "{drained:?}");
    for _ in 0..10 {
        hub.publish(&gone());
    }
    assert_eq!(drain(&mut subscription).last().unwrap(), "-6", "that room has an end too");
}

#[test]
fn whoever_sends_may_hear_what_did_not_go_out_and_nothing_else_of_connections() {
    let hub = hub(BacklogLimits { events: 100, bytes: 1_000 });
    let mut subscription =
        hub.subscribe(EventFilter::messages().of_types([]).from_peers([peer(1)]).and_unsent());
    let message = UnsentMessage { kind: MessageType::new(32_769), message_len: 2, payload: None };
    let unsent: Arc<[UnsentMessage]> = [message].into();
    let end = |id, unsent: &Arc<[UnsentMessage]>| {
        hub.publish(&Event::Disconnected {
            id,
            reason: CloseReason::PingTimeout,
            unsent: Arc::clone(unsent),
        });
    };
    end(peer(1), &[].into());
    end(peer(2), &unsent);
    end(peer(1), &unsent);
    let told: Vec<Delivery> = std::iter::from_fn(|| subscription.try_next()).collect();
    let [Delivery::Event(Event::Disconnected { id, unsent: seen, .. })] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((id, seen), (&peer(1), &unsent));
}

#[test]
fn filters_narrow_and_subscriptions_share_one_copy() {
    let hub = hub(BacklogLimits { events: 100, bytes: 1_000 });
    let (alice, bob) = (peer(1), peer(2));
    let mut all = hub.subscribe(EventFilter::all());
    let mut some =
        hub.subscribe(EventFilter::messages().of_types([MessageType::new(32_771)]).from_peers([bob]));
    let mut none = hub.subscribe(EventFilter::connections());
    send(&hub, &alice, 32_771, b"a");
    send(&hub, &bob, 32_769, b"bb");
    send(&hub, &bob, 32_771, b"ccc");
    hub.publish(&Event::Warning { id: alice, direction: Direction::In, text: "w".into() });

    let Some(Delivery::Event(Event::CustomMessage { payload: one, number: 3, .. })) = some.try_next() else {
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
    let hub = hub(BacklogLimits { events: 100, bytes: 1_000 });
    let mut subscription = hub.subscribe(EventFilter::all());
    send(&hub, &peer(1), 32_769, b"x");
    hub.close();
    assert!(subscription.next().await.is_some());
    assert!(subscription.next().await.is_none());
    assert!(hub.subscribe(EventFilter::all()).next().await.is_none());
}

#[test]
fn a_dropped_subscription_holds_nothing() {
    let hub = hub(BacklogLimits { events: 100, bytes: 1_000 });
    let (mut kept, dropped) = (hub.subscribe(EventFilter::all()), hub.subscribe(EventFilter::all()));
    send(&hub, &peer(1), 32_769, &[7; 100]);
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

#[test]
fn a_subscriber_goes_on_where_it_stopped() {
    let hub = hub_with_history(100, 100_000);
    let (alice, bob) = (peer(1), peer(2));
    send(&hub, &alice, 32_769, &[0; 99]);
    let mut first = hub.subscribe(EventFilter::messages());
    assert_eq!(first.next_number(), 1, "what nobody wanted has no number");
    for len in 1..=3 {
        send(&hub, &alice, 32_769, &vec![0; len]);
    }
    assert_eq!(drain(&mut first), ["1:1", "2:2", "3:3"]);
    let epoch = first.epoch();
    drop(first);
    send(&hub, &bob, 32_771, &[0; 4]);
    send(&hub, &alice, 32_769, &[0; 5]);
    let mut again = hub.resume(EventFilter::messages(), Some(epoch), 4).unwrap();
    let mut bobs = hub.resume(EventFilter::messages().from_peers([bob]), None, 1).unwrap();
    let mut odd = hub.resume(EventFilter::messages().of_types([MessageType::new(32_769)]), None, 2).unwrap();
    let mut now = hub.resume(EventFilter::messages(), None, 6).unwrap();
    assert_eq!(again.next_number(), 6);
    send(&hub, &bob, 32_769, &[0; 6]);
    assert_eq!(drain(&mut again), ["4:4", "5:5", "6:6"]);
    assert_eq!(drain(&mut bobs), ["4:4", "6:6"]);
    assert_eq!(drain(&mut odd), ["2:2", "3:3", "5:5", "6:6"]);
    assert_eq!(drain(&mut now), ["6:6"]);
}

#[test]
fn what_is_not_kept_any_more_is_a_gap_at_the_beginning() {
    let by_number = hub_with_history(3, 100_000);
    let by_bytes = hub_with_history(100, 3 * (10 + size_of::<super::history::Numbered>()));
    for hub in [by_number, by_bytes] {
        drop(hub.subscribe(EventFilter::messages()));
        for _ in 1..=8 {
            send(&hub, &peer(1), 32_769, &[0; 10]);
        }
        let from = |number| drain(&mut hub.resume(EventFilter::messages(), None, number).unwrap());
        assert_eq!(from(0), ["-5", "6:10", "7:10", "8:10"]);
        assert_eq!(from(1), ["-5", "6:10", "7:10", "8:10"]);
        assert_eq!(from(5), ["-1", "6:10", "7:10", "8:10"]);
        assert_eq!(from(7), ["7:10", "8:10"]);
        assert!(from(9).is_empty());
    }
    // Nothing is kept, or one is too large for all that may be: everything is missing.
    for hub in [hub_with_history(0, 100_000), hub_with_history(100, 150)] {
        drop(hub.subscribe(EventFilter::messages()));
        send(&hub, &peer(1), 32_769, &[0; 100]);
        assert_eq!(drain(&mut hub.resume(EventFilter::messages(), None, 1).unwrap()), ["-1"]);
    }
}

#[test]
fn a_resumed_subscription_has_no_larger_backlog_than_others() {
    let limits = HistoryLimits { messages: 10, bytes: 100_000 };
    let hub = Hub::new(BacklogLimits { events: 2, bytes: 1_000 }, limits);
    drop(hub.subscribe(EventFilter::messages()));
    for len in 1..=5 {
        send(&hub, &peer(1), 32_769, &vec![0; len]);
    }
    let mut again = hub.resume(EventFilter::messages(), None, 1).unwrap();
    assert_eq!(drain(&mut again), ["1:1", "2:2", "-3"]);
}

#[test]
fn what_cannot_be_resumed_is_refused() {
    let hub = hub_with_history(10, 1_000);
    let (current, wanted) = (hub.epoch(), "0123456789abcdef".parse().unwrap());
    let refused = |epoch, from| hub.resume(EventFilter::messages(), epoch, from).unwrap_err();
    assert_eq!(refused(Some(wanted), 1), ResumeError::EpochOver { wanted, current });
    assert_eq!(refused(Some(current), 2), ResumeError::NotYet { wanted: 2, next: 1 });
    assert_eq!(wanted.to_string(), "0123456789abcdef");
    assert_eq!(current.to_string().parse(), Ok(current));
    assert_ne!(hub_with_history(10, 1_000).epoch(), current);
}

/// Peers publish at the same time, subscribers come and go: each sees every number once and in order.
#[test]
fn numbers_are_in_order_for_everyone() {
    const EACH: u64 = 2_000;
    let hub = Hub::new(
        BacklogLimits { events: 100_000, bytes: 10_000_000 },
        HistoryLimits { messages: 100_000, bytes: 100_000_000 },
    );
    let mut first = hub.subscribe(EventFilter::messages());
    let numbers = |subscription: &mut Subscription| -> Vec<u64> {
        std::iter::from_fn(|| subscription.try_next())
            .map(|delivery| match delivery {
                Delivery::Event(Event::CustomMessage { number, .. }) => number,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let all: Vec<u64> = (1..=3 * EACH).collect();
    std::thread::scope(|scope| {
        for seed in 1..=3 {
            let hub = &hub;
            scope.spawn(move || {
                for _ in 0..EACH {
                    send(hub, &peer(seed), 32_769, b"x");
                }
            });
        }
        let resumer = scope.spawn(|| {
            let mut seen = Vec::new();
            while seen.len() < all.len() {
                let from = seen.last().map_or(1, |last| last + 1);
                seen.extend(numbers(&mut hub.resume(EventFilter::messages(), None, from).unwrap()));
            }
            seen
        });
        assert!(resumer.join().unwrap() == all);
    });
    assert!(numbers(&mut first) == all);
}

#[test]
fn a_subscriber_is_behind_until_it_has_caught_up_or_missed_something() {
    let hub = hub(BacklogLimits { events: 40, bytes: 1_000 });
    let mut subscription = hub.subscribe(EventFilter::all());
    let from = peer(1);
    let deliver = |count: usize| (0..count).for_each(|_| send(&hub, &from, 32_769, &[0; 10]));
    // A quarter may wait.
    deliver(10);
    assert!(hub.calm().is_here());
    deliver(1);
    assert!(!hub.calm().is_here());
    drop(subscription.try_next());
    assert!(hub.calm().is_here());
    deliver(30);
    assert!(!hub.calm().is_here());
    deliver(1);
    assert!(hub.calm().is_here(), "nobody waits for one that has missed something");
    drop(subscription.try_next());
    deliver(1);
    assert!(hub.calm().is_here(), "not before it has caught up");
    drain(&mut subscription);
    deliver(11);
    assert!(!hub.calm().is_here());
    // Of bytes likewise; and whoever goes is not waited for.
    let other = hub.subscribe(EventFilter::all());
    send(&hub, &from, 32_769, &[0; 300]);
    drain(&mut subscription);
    assert!(!hub.calm().is_here());
    drop(other);
    assert!(hub.calm().is_here());
}

#[test]
fn a_subscriber_that_resumes_with_much_to_read_is_behind() {
    let hub = hub_with_history(50, 100_000);
    let first = hub.subscribe(EventFilter::all());
    let from = peer(1);
    (0..50).for_each(|_| send(&hub, &from, 32_769, &[]));
    drop(first);
    assert!(hub.calm().is_here());
    let resumed = hub.resume(EventFilter::all(), None, 1).unwrap();
    assert!(!hub.calm().is_here());
    drop(resumed);
    assert!(hub.calm().is_here());
}
