//! Lines of the log that programs made for Core Lightning wait for, and what a log that panics leaves behind.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oddwire_node::{ConnectError, Event, EventFilter, Limits};
use tokio::io::AsyncWriteExt as _;
use tracing_subscriber::fmt::MakeWriter;

use crate::raw_peer::{RawPeer, odd};
use crate::{
    ODD, PATIENCE, address, assert_serves_honest_peer, next, next_end, send_until_stuck, start, start_with,
};

/// A payload that the log of these tests refuses to print.
const POISON: &[u8] = b"poison";

/// Everything that was logged on this thread.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<String>>,
    /// Once is enough; the lines after it are printed.
    has_panicked: Arc<AtomicBool>,
}

impl Log {
    /// Listens on this thread, on which the node's tasks run too, until the guard is dropped.
    fn listen() -> (Log, impl Sized) {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(log.clone());
        let guard = tracing::subscriber::set_default(subscriber.finish());
        (log, guard)
    }

    /// Whether one line has all of these.
    fn has(&self, parts: &[&str]) -> bool {
        self.text.lock().unwrap().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    #[track_caller]
    fn assert_has(&self, parts: &[&str]) {
        assert!(self.has(parts), "no line with {parts:?} in:\n{}", self.text.lock().unwrap());
    }
}

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(line);
        let may_print =
            !line.contains("[IN] 8001706f69736f6e") || self.has_panicked.swap(true, Ordering::Relaxed);
        assert!(may_print, "the log does not print this");
        self.text.lock().unwrap().push_str(&line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn messages_and_the_address_that_the_peer_sees() {
    let (log, _listening) = Log::listen();
    let (alice, bob) = (start(1).await, start(2).await);
    let mut at_bob = bob.subscribe(EventFilter::messages());
    let seen_as = alice.connect(bob.id(), address(&bob)).await.unwrap().seen_as.unwrap();
    let (to_bob, to_alice) = (format!("peer={}", bob.id()), format!("peer={}", alice.id()));
    log.assert_has(&["DEBUG", &format!("Peer says it sees our address as: {seen_as}"), &to_bob]);
    alice.send_custom_message(&bob.id(), ODD, &[0xab, 0xcd]).unwrap();
    next(&mut at_bob).await;
    log.assert_has(&["TRACE io: ", "[OUT] 8001abcd", &to_bob]);
    log.assert_has(&["TRACE io: ", "[IN] 8001abcd", &to_alice]);
}

#[tokio::test]
async fn messages_of_the_protocol_itself_are_shown_in_both_directions() {
    let (log, _listening) = Log::listen();
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    // A ping that wants two bytes, a message about a channel, a warning, and what ends it all.
    let channel_ready = [&[0, 36][..], &[7; 32], &[2; 33]].concat();
    let warning = [&[0, 1][..], &[0; 32], &[0, 2, b'h', b'i']].concat();
    let messages = [vec![0, 18, 0, 2, 0, 1, 0], channel_ready, warning, vec![0x80, 0, 1, 2]];
    for message in &messages {
        peer.send(message).await;
    }
    assert_eq!(peer.last_word().await, "Invalid unknown even msg 80000102");
    let (_, name) = (next_end(&mut events, &peer.id).await, format!("peer={}", peer.id));
    log.assert_has(&["TRACE io: ", "[OUT] 0010", &name]);
    log.assert_has(&["TRACE io: ", "[IN] 0010", &name]);
    for message in &messages {
        let hex = message.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        log.assert_has(&["TRACE io: ", &format!("[IN] {hex}"), &name]);
    }
    log.assert_has(&["TRACE io: ", "[OUT] 001300020000", &name]);
    log.assert_has(&["TRACE io: ", &format!("[OUT] 0011{}", "07".repeat(32)), &name]);
    log.assert_has(&["TRACE io: ", &format!("[OUT] 0001{}", "00".repeat(32)), &name]);
}

/// BOLT 1: a warning is logged for whoever looks for the cause later; what is not printable is not printed as it came.
#[tokio::test]
async fn what_a_peer_complains_of_is_logged_and_does_no_harm_there() {
    let (log, _listening) = Log::listen();
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let said = b"\x1b[2J\nall is well";
    let harmless = "\\x1b[2J\\x0aall is well";
    for (kind, name) in [(1, "WIRE_WARNING"), (17, "WIRE_ERROR")] {
        peer.send(&[&[0, kind][..], &[7; 32], &[0, 16], said].concat()).await;
        let Event::Warning { text, .. } = next(&mut events).await else { panic!("not told") };
        assert_eq!(text, harmless);
        log.assert_has(&["INFO", &format!("Received {name}: {harmless}"), &format!("peer={}", peer.id)]);
    }
    assert!(!log.text.lock().unwrap().contains('\x1b'));
    assert!(node.peer(&peer.id).is_some(), "an error for a channel that is not there is no reason to part");
}

#[tokio::test]
async fn an_unknown_even_message_from_a_peer_that_goes_at_once() {
    let (log, _listening) = Log::listen();
    let node = start(1).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let even = peer.seal(&[0x80, 0, 1, 2]);
    peer.stream.write_all(&even).await.unwrap();
    peer.stream.shutdown().await.unwrap();
    assert!(matches!(next(&mut events).await, Event::Warning { .. }), "the warning is not told");
    log.assert_has(&["WARN", "Invalid unknown even msg 80000102", &format!("peer={}", peer.id)]);
    assert_eq!(peer.last_word().await, "Invalid unknown even msg 80000102");
    assert!(next_end(&mut events, &peer.id).await.0.contains("unknown even"));
}

#[tokio::test]
async fn a_ping_that_is_not_answered() {
    let (log, _listening) = Log::listen();
    let mut limits = Limits::default();
    (limits.idle_before_ping, limits.pong_timeout) = (Duration::from_millis(50), Duration::from_millis(50));
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::connections());
    let peer = RawPeer::open(&node, 7).await;
    next_end(&mut events, &peer.id).await;
    log.assert_has(&["DEBUG", "Last ping unreturned: hanging up", &format!("peer={}", peer.id)]);
}

/// Nothing in a peer's task is meant to panic, but the log that it writes to is not ours.
#[tokio::test]
async fn a_task_that_panics_leaves_nothing_behind() {
    let (_log, _listening) = Log::listen();
    let mut limits = Limits::default();
    limits.send_queue_bytes = 1_000_000;
    let node = start_with(1, limits).await;
    let mut events = node.subscribe(EventFilter::all());
    let mut peer = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(_)));
    let waiting = [(); 2].map(|()| {
        let (node, id) = (node.clone(), peer.id);
        tokio::spawn(async move { node.ping(&id, 1, 1).await })
    });
    while peer.receive().await.unwrap()[..2] != [0, 18] {}
    let accepted = send_until_stuck(&node, &peer.id).await;
    peer.send(&odd(POISON)).await;

    let Event::Disconnected { id, unsent, .. } = next(&mut events).await else { panic!("not told") };
    assert_eq!(id, peer.id);
    let last = unsent.last().unwrap();
    assert_eq!(last.payload.as_ref().map(bytes::Bytes::len), Some(20_000 + accepted - 1));
    for ping in waiting {
        assert!(tokio::time::timeout(PATIENCE, ping).await.unwrap().unwrap().is_err());
    }
    assert_eq!(node.peer_count(), 0);
    peer.hung_up().await;

    // The same peer comes again, and whoever waits for the end of the first connection gets on.
    let again = RawPeer::open(&node, 7).await;
    assert!(matches!(next(&mut events).await, Event::Connected(info) if info.id == again.id));
    assert_serves_honest_peer(&node).await;
    tokio::time::timeout(PATIENCE, node.shutdown()).await.unwrap();
    let stopped = node.connect(peer.id, address(&node)).await;
    assert_eq!(stopped, Err(ConnectError::ShuttingDown));
}
