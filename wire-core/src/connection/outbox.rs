//! What the protocol itself owes the peer: acts, `init`, pongs, the answer to a channel message, our ping.
//!
//! Every kind has its own small, fixed room. A peer that asks faster than its answers can be written fills
//! the room, and then no more of its input is looked at until there is room again: its own demand slows it
//! down, and memory does not grow.

use core::mem;

use heapless::Deque;

use crate::cursor::{NoRoom, Writer};
use crate::limits::{ACT_ONE_LEN, ACT_THREE_LEN, ACT_TWO_LEN};
use crate::message::error::{ErrorMessage, WarningMessage};
use crate::message::kind::MessageType;
use crate::message::ping::{Ping, Pong};

use super::close::Farewell;

/// Pongs that may wait to be written, in messages.
pub(super) const MOST_PONGS: usize = 8;

/// What is owed and not yet transmitted.
#[derive(Debug)]
pub(super) struct Outbox {
    act: Option<Act>,
    init: bool,
    pongs: Deque<Pong, MOST_PONGS>,
    channel_reply: Option<ChannelReply>,
    /// The caller's ping.
    ping: Option<Ping>,
    keepalive: bool,
    /// The warning with which we part.
    last_word: Farewell,
}

/// A handshake act, which goes out as it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    One([u8; ACT_ONE_LEN]),
    Two([u8; ACT_TWO_LEN]),
    Three([u8; ACT_THREE_LEN]),
}

impl Act {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::One(act) | Self::Two(act) => act,
            Self::Three(act) => act,
        }
    }
}

/// The answer to a message about a channel, of which this node has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChannelReply {
    channel_id: [u8; 32],
    asked_by: MessageType,
}

const NO_CHANNELS: &[u8] = b"this node holds no channels";

impl ChannelReply {
    pub(super) fn new(asked_by: MessageType, channel_id: [u8; 32]) -> Self {
        Self { channel_id, asked_by }
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        // An `error` makes the peer forget the channel, which is right for one that it wants to open. A peer
        // that wants to re-establish one has money in it, and an `error` would make it close that channel by
        // force. A node id that has moved here from a node with channels must not cost its owner that, so it
        // gets a `warning`, which BOLT 1 allows for everything that is not fatal.
        if self.asked_by == MessageType::CHANNEL_REESTABLISH {
            WarningMessage { channel_id: self.channel_id, data: NO_CHANNELS }.encode(writer)
        } else {
            ErrorMessage { channel_id: self.channel_id, data: NO_CHANNELS }.encode(writer)
        }
    }
}

/// One message that is owed.
#[derive(Debug)]
pub(super) enum Owed {
    Init,
    Pong(Pong),
    ChannelReply(ChannelReply),
    Ping(Ping),
    LastWord(Farewell),
}

/// The ping of the keepalive: the smallest that is answered, as Core Lightning sends it.
pub(super) const KEEPALIVE_PING: Ping = Ping { num_pong_bytes: 1, byteslen: 0 };

impl Outbox {
    pub(super) const EMPTY: Self = Self {
        act: None,
        init: false,
        pongs: Deque::new(),
        channel_reply: None,
        ping: None,
        keepalive: false,
        last_word: Farewell::NONE,
    };

    pub(super) fn put_act(&mut self, act: Act) {
        self.act = Some(act);
    }

    pub(super) fn put_init(&mut self) {
        self.init = true;
    }

    pub(super) fn put_pong(&mut self, pong: Pong) {
        // There is room: no message is looked at while `has_room` denies it.
        let _ = self.pongs.push_back(pong);
    }

    pub(super) fn put_channel_reply(&mut self, reply: ChannelReply) {
        self.channel_reply = Some(reply);
    }

    pub(super) fn put_ping(&mut self, ping: Ping) {
        self.ping = Some(ping);
    }

    pub(super) fn put_keepalive(&mut self) {
        self.keepalive = true;
    }

    pub(super) fn put_last_word(&mut self, farewell: Farewell) {
        self.last_word = farewell;
    }

    pub(super) fn last_word(&self) -> Option<&str> {
        (!self.last_word.is_none()).then_some(self.last_word.as_str())
    }

    pub(super) fn owes_init(&self) -> bool {
        self.init
    }

    pub(super) fn owes_ping(&self) -> bool {
        self.ping.is_some()
    }

    /// Whether every kind of answer still has room.
    pub(super) fn has_room(&self) -> bool {
        !self.pongs.is_full() && self.channel_reply.is_none()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.act.is_none()
            && !self.init
            && self.pongs.is_empty()
            && self.channel_reply.is_none()
            && self.ping.is_none()
            && !self.keepalive
            && self.last_word.is_none()
    }

    pub(super) fn take_act(&mut self) -> Option<Act> {
        self.act.take()
    }

    /// Takes the next message that is owed: `init` before everything (BOLT 1), then answers, then our pings, then the
    /// last word.
    pub(super) fn take(&mut self) -> Option<Owed> {
        if mem::take(&mut self.init) {
            return Some(Owed::Init);
        }
        (self.pongs.pop_front().map(Owed::Pong))
            .or_else(|| self.channel_reply.take().map(Owed::ChannelReply))
            .or_else(|| self.ping.take().map(Owed::Ping))
            .or_else(|| mem::take(&mut self.keepalive).then_some(Owed::Ping(KEEPALIVE_PING)))
            .or_else(|| {
                Some(mem::replace(&mut self.last_word, Farewell::NONE))
                    .filter(|it| !it.is_none())
                    .map(Owed::LastWord)
            })
    }

    /// Forgets all answers and pings, but neither act nor `init`, without which the peer understands no last word.
    ///
    /// Field by field: a new outbox moved in here would bring along what lay on the stack where it was made.
    pub(super) fn keep_only_init(&mut self) {
        self.pongs.clear();
        self.channel_reply = None;
        self.ping = None;
        self.keepalive = false;
        self.last_word = Farewell::NONE;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.act = None;
        self.init = false;
        self.keep_only_init();
    }
}
