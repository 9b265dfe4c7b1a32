//! The same node id twice.

use oddwire_node::{
    ConnectError, Direction, Event, EventFilter, Limits, Node, NodeId, PeerInfo, Subscription,
};
use tokio::io::AsyncWriteExt as _;

use crate::raw_peer::{RawPeer, init, odd, ping};
use crate::{ODD, assert_serves_honest_peer, next, next_message, send_until_stuck, start, start_with};

#[tokio::test]
async fn the_newer_connection_wins_after_its_init() {
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut older = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));

    let mut newer = RawPeer::handshake(&node, 7).await;
    older.send(&odd(b"still here")).await;
    assert_eq!(
        next_message(&mut events).await,
        b"still here",
        "a handshake alone must not end the older one"
    );
    newer.send(&init()).await;
    let Event::Disconnected { reason, unsent, .. } = next(&mut events).await else {
        panic!("the older one stays")
    };
    assert!(reason.to_string().contains("newer connection") && unsent.is_empty());
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    older.hung_up().await;

    assert_eq!(node.peer_count(), 1);
    assert!(newer.receive().await.is_some());
    node.send_custom_message(&newer.id, ODD, b"to the newer").unwrap();
    assert_eq!(newer.receive().await.unwrap(), odd(b"to the newer"));
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn what_waits_on_the_older_connection_moves_in_order() {
    let mut limits = Limits::default();
    limits.send_queue_bytes = 4 * 1024 * 1024;
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::all());
    // The older connection reads nothing, so that messages pile up behind it. Each is known by its length.
    let older = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let sent = send_until_stuck(&node, &older.id).await;
    let mut newer = RawPeer::open(&node, 7).await;
    let Event::Disconnected { unsent, .. } = next(&mut events).await else { panic!("the older one stays") };
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    node.send_custom_message(&newer.id, ODD, b"after all of them").unwrap();
    let reported: Vec<usize> = unsent.iter().map(|message| message.message_len - 20_002).collect();
    let mut moved = Vec::new();
    loop {
        let message = newer.receive().await.unwrap();
        if message == odd(b"after all of them") {
            break;
        }
        moved.push(message.len() - 20_002);
    }
    // First what the socket of the older one took, then what was encrypted for it and is reported, then what moved.
    let known: Vec<usize> = reported.iter().chain(&moved).copied().collect();
    assert!(!reported.is_empty() && reported.len() <= 64 && moved.len() > 64, "{reported:?} {moved:?}");
    assert_eq!(known, (known[0]..sent).collect::<Vec<_>>());
    assert_serves_honest_peer(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_connection_that_ends_while_it_is_replaced() {
    let node = start(1).await;
    for round in 0..300_u16 {
        let (mut older, mut newer) = (RawPeer::open(&node, 7).await, RawPeer::handshake(&node, 7).await);
        assert_eq!(newer.receive().await.unwrap()[..2], [0, 16]);
        // Both at once: the older one breaks off, the newer one becomes complete.
        let (breaks_off, introduction) = (older.seal(&[]), init());
        let (_, ()) = tokio::join!(older.stream.write_all(&breaks_off), newer.send(&introduction));
        newer.send(&ping(round)).await;
        let pong = newer.receive().await.unwrap();
        assert_eq!(pong.len(), 4 + usize::from(round));
        drop(older);
    }
    assert_serves_honest_peer(&node).await;
}

#[tokio::test]
async fn a_backlog_that_moves_again_and_again_stays_bounded_and_nothing_is_lost_silently() {
    let mut limits = Limits::default();
    (limits.send_queue_messages, limits.send_queue_bytes) = (600, 16_000_000);
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut reading_nothing = vec![RawPeer::open(&node, 7).await];
    let id = reading_nothing[0].id;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let mut accepted = send_until_stuck(&node, &id).await;
    let mut reported = 0;
    for _ in 0..3 {
        reading_nothing.push(RawPeer::open(&node, 7).await);
        let Event::Disconnected { unsent, .. } = next(&mut events).await else { panic!("it stays") };
        reported += unsent.len();
        assert!(matches!(next(&mut events).await, Event::Connected(_)));
        // What moved is not in the way of what comes now, so the peer's share of memory could grow with every move.
        accepted += send_until_stuck(&node, &id).await;
    }
    // Every message is in one of these places: a socket of a peer that has not read it yet, or reported.
    node.shutdown().await;
    let Event::Disconnected { unsent, .. } = next(&mut events).await else { panic!("it stays") };
    assert!(unsent.len() <= 2 * 600 + 64, "{} messages were kept", unsent.len());
    reported += unsent.len();
    let mut written = 0;
    for peer in &mut reading_nothing {
        while let Some(message) = peer.receive().await {
            written += usize::from(message[..2] == odd(b"")[..2]);
        }
    }
    assert_eq!(written + reported, accepted);
}

/// As Core Lightning does when both sides dial at once: it ends its own attempt as soon as ours is complete on its side,
/// while for us its attempt was complete first.
#[tokio::test]
async fn the_connection_that_the_peer_keeps_survives_when_both_dial_at_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (ours, theirs) in [(1, 2), (2, 1)] {
        let node = start(ours).await;
        let mut events = node.subscribe(EventFilter::all());
        let id = crate::identity(theirs).node_id();
        let dialling = dial(&node, id, &listener);
        let mut dialled_by_us = RawPeer::answer(&listener, theirs).await;
        let mut dialled_by_peer = RawPeer::open(&node, theirs).await;
        assert!(matches!(next(&mut events).await, Event::Connected(_)));
        dialled_by_us.send(&init()).await;
        // When the answer to this is here, the node has seen that `init` too.
        dialled_by_peer.send(&ping(1)).await;
        while dialled_by_peer.receive().await.unwrap()[..2] != [0, 19] {}
        dialled_by_peer.stream.shutdown().await.unwrap();
        drop(dialled_by_peer);
        dialling.await.unwrap().unwrap();
        dialled_by_us.send(&odd(b"well?")).await;
        assert_eq!(next_message(&mut events).await, b"well?");
        assert_eq!(node.peer(&id).unwrap().direction, Direction::Out);
        assert_serves_honest_peer(&node).await;
    }
}

/// Both have dialled at once, and the peer has sent over the one connection, then over the other that both keep, and left.
#[tokio::test]
async fn nothing_comes_out_of_reserve_behind_newer_messages() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // What the smaller id dialled is kept.
    let (theirs, ours) = by_id();
    let node = start(ours).await;
    let mut events = node.subscribe(EventFilter::all());
    let id = crate::identity(theirs).node_id();
    let dialling = dial(&node, id, &listener);
    let mut in_reserve = RawPeer::answer(&listener, theirs).await;
    let mut kept = RawPeer::open(&node, theirs).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    in_reserve.send(&init()).await;
    in_reserve.send(&odd(b"older")).await;
    dialling.await.unwrap().unwrap();
    kept.send(&odd(b"newer")).await;
    assert_eq!(next_message(&mut events).await, b"newer");
    drop(kept);
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    in_reserve.hung_up().await;
    assert_eq!(node.peer_count(), 0);
    assert_serves_honest_peer(&node).await;
    let Event::Connected(info) = next(&mut events).await else { panic!("something came out of reserve") };
    assert_ne!(info.id, id);
}

/// Both have dialled at once. The peer has sent over the one connection that both would keep, lost it, and gone on over the other;
/// what it sent first is late.
#[tokio::test]
async fn what_comes_late_over_the_kept_connection_stays_behind_newer_messages() {
    for breaks in [false, true] {
        let AtOnce { mut events, dialling, kept: mut late, open: mut goes_on, node: _node } = at_once().await;
        goes_on.send(&odd(b"newer")).await;
        assert_eq!(next_message(&mut events).await, b"newer");
        late.send(&init()).await;
        late.send(&odd(b"older")).await;
        let connected = dialling.await.unwrap().unwrap();
        assert_eq!(connected.direction, Direction::In, "it is told of the one that stays");
        goes_on.send(&odd(b"newest")).await;
        assert_eq!(next_message(&mut events).await, b"newest");
        if breaks {
            // Closed with a reset.
            goes_on.stream.set_zero_linger().unwrap();
            drop(goes_on);
            assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
            late.hung_up().await;
        } else {
            late.hung_up().await;
            goes_on.send(&odd(b"and on")).await;
            assert_eq!(next_message(&mut events).await, b"and on");
        }
    }
}

/// The same, but the peer has moved to the connection that both keep, as it should.
#[tokio::test]
async fn the_kept_connection_takes_over_when_the_peer_has_left_the_other() {
    let AtOnce { mut events, dialling, mut kept, open: mut left, node: _node } = at_once().await;
    left.send(&odd(b"first")).await;
    assert_eq!(next_message(&mut events).await, b"first");
    kept.send(&init()).await;
    kept.send(&odd(b"third")).await;
    dialling.await.unwrap().unwrap();
    left.send(&odd(b"second")).await;
    left.stream.shutdown().await.unwrap();
    assert_eq!(next_message(&mut events).await, b"second");
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    let Event::Connected(info) = next(&mut events).await else { panic!("the kept one is not taken") };
    assert_eq!(info.direction, Direction::Out);
    assert_eq!(next_message(&mut events).await, b"third");
}

/// The peer has dialled twice, and what it sent when it dialled first is late.
#[tokio::test]
async fn a_peer_that_dialled_again_has_given_up_what_it_dialled_before() {
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut given_up = RawPeer::handshake(&node, 7).await;
    let mut again = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    given_up.send(&init()).await;
    given_up.send(&odd(b"older")).await;
    given_up.hung_up().await;
    again.send(&odd(b"newer")).await;
    assert_eq!(next_message(&mut events).await, b"newer");
    assert_serves_honest_peer(&node).await;
}

/// However connections of one peer end and begin: subscribers see it come and go in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coming_and_going_is_told_in_turn() {
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::connections());
    let coming = {
        let node = node.clone();
        tokio::spawn(async move {
            for _ in 0..500 {
                let (mut older, mut newer) =
                    (RawPeer::open(&node, 7).await, RawPeer::handshake(&node, 7).await);
                // When the answer to this is here, the node has seen its `init`: it is the older one for both.
                older.send(&ping(1)).await;
                assert!(older.receive().await.is_some());
                assert!(newer.receive().await.is_some());
                let introduction = newer.seal(&init());
                // The end of the one and the beginning of the other reach different threads of the node at once.
                let (_, written) = tokio::join!(
                    tokio::spawn(async move { drop(older) }),
                    newer.stream.write_all(&introduction)
                );
                written.unwrap();
                newer.send(&ping(1)).await;
                assert!(newer.receive().await.is_some());
            }
        })
    };
    let (mut is_connected, mut ends) = (false, 0);
    while ends < 1_000 {
        match next(&mut events).await {
            Event::Connected(_) => assert!(!std::mem::replace(&mut is_connected, true), "connected twice"),
            Event::Disconnected { .. } => {
                assert!(std::mem::replace(&mut is_connected, false), "disconnected twice");
                ends += 1;
            }
            _ => {}
        }
    }
    coming.await.unwrap();
}

/// Two seeds of identities, that of the smaller node id first.
fn by_id() -> (u8, u8) {
    if crate::identity(1).node_id() < crate::identity(2).node_id() { (1, 2) } else { (2, 1) }
}

/// A node and its peer, whose id is larger, that have dialled each other.
struct AtOnce {
    node: Node,
    events: Subscription,
    dialling: Dialling,
    /// What the node dialled, and both keep. The peer has not sent `init` over it yet.
    kept: RawPeer,
    /// What the peer dialled.
    open: RawPeer,
}

async fn at_once() -> AtOnce {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = by_id();
    let node = start(ours).await;
    let mut events = node.subscribe(EventFilter::all());
    let dialling = dial(&node, crate::identity(theirs).node_id(), &listener);
    let kept = RawPeer::answer(&listener, theirs).await;
    let open = RawPeer::open(&node, theirs).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    AtOnce { node, events, dialling, kept, open }
}

/// An attempt to connect.
type Dialling = tokio::task::JoinHandle<Result<PeerInfo, ConnectError>>;

/// Has the node connect to whoever answers at the listener.
fn dial(node: &Node, id: NodeId, listener: &tokio::net::TcpListener) -> Dialling {
    let (node, address) = (node.clone(), listener.local_addr().unwrap());
    tokio::spawn(async move { node.connect(id, address).await })
}
