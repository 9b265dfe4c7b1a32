//! The end of a connection: what was not sent is reported or handed over, everyone is told, the socket is closed.

use std::future::poll_fn;
use std::pin::Pin;

use tokio::io::AsyncWrite as _;
use tokio::time::timeout;
use wire_core::connection::CloseReason;

use super::session::Session;
use crate::ConnectError;
use crate::limits::LINGER;
use crate::policy::{Parting, Severity, Treatment};
use crate::system::TcpStream;

/// Ends a session whose connection is closed. `all_written` says whether everything that was sealed is written.
pub(super) async fn part(mut session: Session, stream: TcpStream, all_written: bool) {
    let reason = session.connection.close_reason().unwrap_or(CloseReason::Transport);
    let treatment = Treatment::of(reason);
    session.log_end(reason, treatment.severity);
    session.publish_counters();
    if let Some(held) = session.held.take() {
        session.forget(&held);
    }
    let error = session.connect_error(reason);
    session.tell_outcome(|| Err(error));

    session.take_leave(reason);
    if all_written && treatment.parting == Parting::Linger {
        linger(stream).await;
    } else {
        drop(stream);
    }
    // Only now: with the session goes the connection's place among all, and who waits for its end gets on.
    drop(session);
}

impl Session {
    /// Tells everyone that the connection is over, and a newer one of the same peer what is left to send.
    fn take_leave(&mut self, reason: CloseReason) {
        let Some(open) = &mut self.open else { return };
        // A newer connection may have asked since the last turn.
        let heir = self.heir.take().or_else(|| self.place.mailbox.take()?.hand_over);
        open.leave(reason, heir);
        // One that has asked since then is not answered until here, so it too begins after the end of this one.
        drop(self.place.mailbox.close());
    }

    fn log_end(&self, reason: CloseReason, severity: Severity) {
        let address = self.origin.address;
        match (self.connection.their_id(), severity) {
            // The warning was logged, and says more.
            (Some(id), _) if self.has_warned => tracing::debug!(peer = %id, "{reason}"),
            (Some(id), Severity::Unusual) => tracing::warn!(peer = %id, "{reason}"),
            (Some(id), Severity::Ordinary) => tracing::debug!(peer = %id, "{reason}"),
            (None, _) => tracing::debug!("connection from {address} ended: {reason}"),
        }
    }

    /// What an attempt to connect failed of.
    fn connect_error(&self, reason: CloseReason) -> ConnectError {
        let (address, stage) = (self.origin.address, self.stage);
        if self.open.is_some() {
            return ConnectError::DisconnectedDuring;
        }
        match self.system_error {
            Some(error) => ConnectError::System { address, stage, error },
            None => ConnectError::Closed { address, stage, reason },
        }
    }
}

/// Shuts our side and waits, for at most [`LINGER`], until the peer has shut its own: then it has read everything.
/// What it sends meanwhile is thrown away.
async fn linger(mut stream: TcpStream) {
    let until_end = async {
        if poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await.is_err() {
            return;
        }
        let mut waste = [0; 512];
        loop {
            if stream.readable().await.is_err() {
                return;
            }
            match stream.try_read(&mut waste) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    let _ = timeout(LINGER, until_end).await;
}
