//! Incoming connections: from the listener to a task each.
//!
//! Nobody is turned away at the door: at the cap on strangers the next one waits until one of them is done or the oldest has
//! had its fair time and goes (see [`crate::Limits`]). So a burst of honest peers is served at the pace of their handshakes,
//! and a flood of silent connections cannot keep out an honest peer, which is done within a few round trips.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use wire_core::connection::Connection;

use super::dial::fresh_ephemeral;
use super::task::{Origin, PeerTask};
use crate::Direction;
use crate::limits::{ACCEPT_REST, ACCEPT_REST_MAX};
use crate::node::Shared;

/// Accepts until the node stops.
pub(crate) async fn accept_all(shared: Arc<Shared>, listener: TcpListener) {
    let mut rest = ACCEPT_REST;
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
                admit(&shared, stream, address);
            }
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!("an incoming connection was gone before it was accepted: {error}");
            }
            Err(error) => {
                tracing::error!(
                    "accepting incoming fd failed: {error}; trying again in {} ms",
                    rest.as_millis()
                );
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
    // Small messages go out when they are sent, not when the peer has acknowledged the last.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("connection from {address} is gone already: {error}");
        return;
    }
    let ephemeral = match fresh_ephemeral() {
        Ok(ephemeral) => ephemeral,
        Err(error) => {
            tracing::error!("no random numbers for the connection from {address}: {error}");
            return;
        }
    };
    let Some(place) = shared.connections.admit_inbound(address.ip()) else { return };
    let local = Arc::clone(&shared.local);
    let connection = Connection::responder(local, Some(address), ephemeral, shared.clock.now());
    let origin = Origin { direction: Direction::In, address, outcome: None };
    tokio::spawn(PeerTask::new(Arc::clone(shared), stream, origin, connection, place).run());
}
