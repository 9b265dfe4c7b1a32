//! Incoming connections: from the listener to a task each.
//!
//! At the cap on strangers the next one waits until one of them is done or the oldest has had its fair time and goes (see
//! [`crate::Limits`]). So a burst of honest peers is served at the pace of their handshakes, and a flood of silent
//! connections cannot keep out an honest peer, which is done within a few round trips. Turned away at the door are only the
//! connections of a host that has used up its budget and has a full line waiting already (`handshakes`).

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout_at};
use wire_core::connection::Connection;

use super::dial::fresh_ephemeral;
use super::task::{Origin, PeerTask};
use crate::Direction;
use crate::connections::Place;
use crate::handshakes::Turn;
use crate::limits::{ACCEPT_REFUSAL_QUIET, ACCEPT_REST, ACCEPT_REST_MAX};
use crate::node::Shared;
use crate::system::{TcpListener, TcpStream, prepare, spawn};

/// Accepts until the node stops.
pub(crate) async fn accept_all(shared: Arc<Shared>, listener: TcpListener) {
    let mut rest = ACCEPT_REST;
    // When a refusal is worth a line in the log again.
    let mut quiet_until: Option<Instant> = None;
    let stopped = shared.stopping();
    tokio::pin!(stopped);
    // Closed before `stopped`, which others take as the sign that it is.
    let listener = listener;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => return,
            accepted = async {
                shared.connections.room().await;
                listener.accept().await
            } => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                rest = ACCEPT_REST;
                // A thousand that come at once come one by one, and between two of them is time for those who are here.
                let turn = shared.long_turns.of_newcomer().await;
                admit(&shared, stream, address);
                drop(turn);
                yield_now().await;
            }
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!("an incoming connection was gone before it was accepted: {error}");
            }
            Err(error) => {
                let now = Instant::now();
                if quiet_until.is_none_or(|quiet_until| now >= quiet_until) {
                    tracing::error!("accepting incoming fd failed: {error}; trying again and again");
                }
                quiet_until = Some(now + ACCEPT_REFUSAL_QUIET);
                tokio::select! {
                    biased;
                    () = &mut stopped => return,
                    () = sleep(rest) => {}
                }
                rest = (rest * 2).min(ACCEPT_REST_MAX);
            }
        }
    }
}

/// Such an error says nothing about the next connection; all others (no descriptors, no memory) do.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied | TimedOut)
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, address: SocketAddr) {
    if let Err(error) = prepare(&stream) {
        tracing::debug!("connection from {address} is gone already: {error}");
        return;
    }
    let turn = match shared.handshakes.turn(address.ip(), Instant::now()) {
        Turn::Now => None,
        Turn::At(turn) => Some(turn),
        Turn::Never { first } => {
            if first {
                tracing::warn!(
                    "too many connections from {}: closing what cannot wait in line",
                    address.ip()
                );
            }
            return;
        }
    };
    let Some(place) = shared.connections.admit_inbound(address.ip()) else { return };
    let shared = Arc::clone(shared);
    spawn(async move {
        if let Some(turn) = turn
            && timeout_at(turn, poll_fn(|context| place.mailbox.poll_filled(context))).await.is_ok()
        {
            // Whatever it was that could not wait, it is the end of a connection that has not begun.
            return;
        }
        answer(shared, stream, address, place).await;
    });
}

/// From here on a stranger holds a connection's state, and its acts cost us something.
async fn answer(shared: Arc<Shared>, stream: TcpStream, address: SocketAddr, place: Place) {
    let ephemeral = match fresh_ephemeral() {
        Ok(ephemeral) => ephemeral,
        Err(error) => {
            tracing::error!("no random numbers for the connection from {address}: {error}");
            return;
        }
    };
    let local = Arc::clone(&shared.local);
    let connection = Connection::responder(local, Some(address), ephemeral, shared.clock.now());
    let origin = Origin { direction: Direction::In, address, outcome: None };
    PeerTask::new(shared, stream, origin, connection, place).run().await;
}

// Two attributes, not one: clippy knows test modules by `cfg(test)` alone.
#[cfg(test)]
#[cfg(not(oddwire_loom))]
mod tests {
    use core::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;
    use crate::simulation::machines;
    use crate::{Identity, Limits, Network, Node, NodeId, Secret};

    const PATIENCE: Duration = Duration::from_secs(20);

    const LISTENING: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(1, 2, 3, 1)), 9735);

    async fn start(limits: Limits) -> Node {
        let identity = Identity::from_secret(&Secret::new([1; 32])).unwrap();
        let builder = Node::builder().identity(identity).network(Network::Regtest);
        builder.listen(LISTENING).limits(limits).start().await.unwrap()
    }

    /// An act one for this node. Whoever has it may send it as often as he likes.
    fn act_one(node: NodeId) -> [u8; 50] {
        use wire_core::noise::Initiator;
        use wire_core::secret::StaticKey;
        let key = StaticKey::from_bytes(&Secret::new([7; 32])).unwrap();
        Initiator::new(&key, node, fresh_ephemeral().unwrap()).act_one().0
    }

    /// Sends the act and waits for act two, or for the end.
    async fn is_answered(mut stream: TcpStream, act: &[u8]) -> bool {
        let mut act_two = [0; 50];
        // Both fail when the node has closed.
        let _ = stream.write_all(act).await;
        timeout(PATIENCE, stream.read_exact(&mut act_two)).await.unwrap().is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_replayed_act_one_is_answered_at_the_pace_of_its_host() {
        let mut limits = Limits::default();
        (limits.handshakes_per_second_per_ip, limits.handshake_burst_per_ip) = (5, 0);
        limits.pending_inbound_per_ip = 2;
        let [here, loud, quiet] = machines();
        let node = here.run(start(limits)).await;
        let act = act_one(node.id());
        let started = Instant::now();
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(loud.run(TcpStream::connect(LISTENING)).await.unwrap());
        }
        let of_another_host = quiet.run(TcpStream::connect(LISTENING)).await.unwrap();
        assert!(is_answered(of_another_host, &act).await, "another host is");
        let mut answered = 0;
        for stream in streams {
            answered += usize::from(is_answered(stream, &act).await);
        }
        // Those that wait in line.
        assert_eq!(answered, limits.pending_inbound_per_ip);
        assert!(started.elapsed() >= Duration::from_millis(400));
        node.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn newcomers_come_in_by_turns() {
        let [here, there] = machines();
        let node = here.run(start(Limits::default())).await;
        let act = act_one(node.id());
        let others = node.shared().long_turns.of_newcomer().await;
        let first = there.run(TcpStream::connect(LISTENING)).await.unwrap();
        sleep(PATIENCE / 2).await;
        assert_eq!(node.shared().connections.arriving(), 0);
        drop(others);
        assert!(is_answered(first, &act).await);
        assert!(is_answered(there.run(TcpStream::connect(LISTENING)).await.unwrap(), &act).await);
        node.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_stops_does_not_wait_for_the_line() {
        let mut limits = Limits::default();
        (limits.handshakes_per_second_per_ip, limits.handshake_burst_per_ip) = (1, 0);
        let [here, loud] = machines();
        let node = here.run(start(limits)).await;
        let mut last = None;
        // The turn of the last one is beyond our patience.
        for _ in 0..=PATIENCE.as_secs() {
            last = Some(loud.run(TcpStream::connect(LISTENING)).await.unwrap());
        }
        timeout(PATIENCE / 2, node.shutdown()).await.unwrap();
        assert_eq!(last.unwrap().read(&mut [0]).await.unwrap(), 0);
    }
}
