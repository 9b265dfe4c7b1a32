//! Is the peer still there? When to ping it, which pongs are due, and when to give up.
//!
//! Only whole messages count as a sign of life, so a peer that drips one byte a second is found out. A pong
//! that is late behind other traffic is not held against the peer: it is clearly alive (LDK, for one, stops
//! reading while its own send queue is long).

use super::event::PingOrigin;
use super::local::Deadlines;
use super::time::Timestamp;

/// The traffic of one open connection, as far as keepalive needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liveness {
    /// When the last whole message came, or, until then, when the connection opened.
    last_heard: Timestamp,
    /// When the oldest ping was queued to which the peer has said nothing at all, be it a pong or something else;
    /// `None` if it has. What counts is the order of pings and messages, not the times that the clock showed.
    silent_since: Option<Timestamp>,
    /// `num_pong_bytes` of the caller's ping that has no pong yet.
    due_to_caller: Option<u16>,
    /// `num_pong_bytes` of the newest keepalive ping that has no pong yet.
    due_to_keepalive: Option<u16>,
}

/// What time has made necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Alive,
    /// Nothing was heard for long: ask.
    Ask,
    /// It was asked and said nothing at all.
    Dead,
}

impl Liveness {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { last_heard: now, silent_since: None, due_to_caller: None, due_to_keepalive: None }
    }

    /// A whole message came.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.last_heard = now;
        self.silent_since = None;
    }

    /// Whether the caller's last ping still waits for its pong.
    pub(super) fn caller_awaits_pong(&self) -> bool {
        self.due_to_caller.is_some()
    }

    /// A ping was queued that the peer must answer with `num_pong_bytes` of padding.
    pub(super) fn asked(&mut self, now: Timestamp, num_pong_bytes: u16, origin: PingOrigin) {
        self.silent_since.get_or_insert(now);
        match origin {
            PingOrigin::Caller => self.due_to_caller = Some(num_pong_bytes),
            PingOrigin::Keepalive => self.due_to_keepalive = Some(num_pong_bytes),
        }
    }

    /// A pong with this much padding came. `None` if it answers no ping, which BOLT 1 lets us ignore.
    pub(super) fn answered(&mut self, byteslen: u16) -> Option<PingOrigin> {
        if self.due_to_caller.take_if(|due| *due == byteslen).is_some() {
            Some(PingOrigin::Caller)
        } else if self.due_to_keepalive.take_if(|due| *due == byteslen).is_some() {
            Some(PingOrigin::Keepalive)
        } else {
            None
        }
    }

    /// When [`check`](Self::check) may next say something new.
    pub(super) fn next_check(&self, deadlines: &Deadlines) -> Timestamp {
        match self.silent_since {
            Some(ping) => ping.after(deadlines.pong),
            None => self.last_heard.after(deadlines.idle_before_ping),
        }
    }

    pub(super) fn check(&self, deadlines: &Deadlines, now: Timestamp) -> Verdict {
        if now < self.next_check(deadlines) {
            Verdict::Alive
        } else if self.silent_since.is_some() {
            Verdict::Dead
        } else {
            Verdict::Ask
        }
    }
}
