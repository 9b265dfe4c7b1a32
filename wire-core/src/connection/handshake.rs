//! The phase [`Phase::Handshake`](super::Phase::Handshake): acts come in, acts go out.

use super::event::{Event, Received};
use super::outbox::Act;
use super::time::Timestamp;
use super::{CloseReason, Connection, Link, Local, State};
use crate::frame::Deframer;
use crate::limits::{ACT_ONE_LEN, ACT_THREE_LEN, ACT_TWO_LEN, HANDSHAKE_VERSION};
use crate::node_id::NodeId;
use crate::noise::{HandshakeError, Transport};

impl<L: AsRef<Local>> Connection<L> {
    /// Takes one act from the front of `input` if it is all there.
    ///
    /// Not inlined: what the steps move about lies in this frame and below, dead when it returns, so that firmware can
    /// overwrite it. In the frame of an I/O loop it would stay.
    #[inline(never)]
    pub(super) fn receive_act<'a>(&mut self, now: Timestamp, input: &[u8]) -> Received<'a> {
        match self.state.take() {
            State::AwaitActOne(awaiting) => match whole_act(input, HandshakeError::ActOneBadVersion) {
                Ok(act) => match awaiting.act_one(&self.local.as_ref().key, act) {
                    Ok((reply, awaiting)) => {
                        self.outbox.put_act(Act::Two(reply));
                        self.state = State::AwaitActThree(awaiting);
                        Received { consumed: ACT_ONE_LEN, event: None, wanted: 0, message: None }
                    }
                    Err(error) => self.refuse(error),
                },
                Err(Unusable::Short { wanted }) => self.wait(State::AwaitActOne(awaiting), wanted),
                Err(Unusable::Refused(error)) => self.refuse(error),
            },
            State::AwaitActTwo(awaiting) => match whole_act(input, HandshakeError::ActTwoBadVersion) {
                Ok(act) => match awaiting.act_two(&self.local.as_ref().key, act) {
                    Ok((reply, transport)) => {
                        self.outbox.put_act(Act::Three(reply));
                        self.authenticated(now, self.their_id, transport, ACT_TWO_LEN)
                    }
                    Err(error) => self.refuse(error),
                },
                Err(Unusable::Short { wanted }) => self.wait(State::AwaitActTwo(awaiting), wanted),
                Err(Unusable::Refused(error)) => self.refuse(error),
            },
            State::AwaitActThree(awaiting) => match whole_act(input, HandshakeError::ActThreeBadVersion) {
                Ok(act) => match awaiting.act_three(act) {
                    Ok((their_id, transport)) => {
                        self.authenticated(now, Some(their_id), transport, ACT_THREE_LEN)
                    }
                    Err(error) => self.refuse(error),
                },
                Err(Unusable::Short { wanted }) => self.wait(State::AwaitActThree(awaiting), wanted),
                Err(Unusable::Refused(error)) => self.refuse(error),
            },
            other => self.wait(other, 0),
        }
    }

    fn wait<'a>(&mut self, state: State, wanted: usize) -> Received<'a> {
        self.state = state;
        Received { consumed: 0, event: None, wanted, message: None }
    }

    fn refuse<'a>(&mut self, error: HandshakeError) -> Received<'a> {
        self.end(CloseReason::Handshake(error));
        Received { consumed: 0, event: None, wanted: 0, message: None }
    }

    fn authenticated<'a>(
        &mut self,
        now: Timestamp,
        their_id: Option<NodeId>,
        transport: Transport,
        consumed: usize,
    ) -> Received<'a> {
        let (sealer, opener) = transport.split();
        self.their_id = their_id;
        self.deadline = now.after(self.local.as_ref().deadlines.init);
        self.outbox.put_init();
        let mut deframer = Deframer::new(opener);
        deframer.set_longest(self.local.as_ref().longest_message);
        self.state = State::Linked(Link::new(sealer, deframer));
        Received { consumed, event: their_id.map(Event::Authenticated), wanted: 0, message: None }
    }
}

/// Why there is no act at the front of the input.
enum Unusable {
    Short { wanted: usize },
    Refused(HandshakeError),
}

/// The act at the front of `input`. Its first byte is looked at as soon as it is there, so that whoever speaks
/// another protocol is turned away at once instead of being waited for.
fn whole_act<const N: usize>(
    input: &[u8],
    bad_version: fn(u8) -> HandshakeError,
) -> Result<&[u8; N], Unusable> {
    match input.first() {
        Some(&version) if version != HANDSHAKE_VERSION => Err(Unusable::Refused(bad_version(version))),
        _ => input.first_chunk().ok_or(Unusable::Short { wanted: N.saturating_sub(input.len()) }),
    }
}
