//! What the protocol itself owes the peer: acts, `init`, pongs, the answer to a channel message, our ping.
//!
//! Every kind has its own small, fixed room. A peer that asks faster than its answers can be written fills
//! the room, and then no more of its input is looked at until there is room again: its own demand slows it
//! down, and memory does not grow.

use core::mem;
use core::net::SocketAddr;

use heapless::Deque;

use crate::cursor::{NoRoom, Writer};
use crate::limits::{ACT_ONE_LEN, ACT_THREE_LEN, ACT_TWO_LEN};
use crate::message::error::{ALL_CHANNELS, ErrorMessage, WarningMessage};
use crate::message::kind::MessageType;
use crate::message::ping::{Ping, Pong};

use super::close::{Farewell, FarewellText};
use super::local::Local;

/// Pongs that may wait to be written, in messages.
pub(super) const MOST_PONGS: usize = 8;

/// What is owed and not yet transmitted.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    init: bool,
    waiting: Waiting,
}

/// Acts and messages never wait at the same time: before an act is out, the peer has nothing to which we owe a message.
#[derive(Clone, Debug)]
enum Waiting {
    Act(Act),
    Messages(Messages),
}

/// Messages but for `init`.
#[derive(Clone, Debug)]
struct Messages {
    pongs: Deque<Pong, MOST_PONGS>,
    channel_reply: Option<ChannelReply>,
    /// The caller's ping.
    ping: Option<Ping>,
    keepalive: bool,
}

impl Messages {
    const NONE: Self = Self { pongs: Deque::new(), channel_reply: None, ping: None, keepalive: false };

    fn is_empty(&self) -> bool {
        self.pongs.is_empty() && self.channel_reply.is_none() && self.ping.is_none() && !self.keepalive
    }
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

impl Owed {
    /// The message, type included. What `init` says depends on who we are and where we see the peer.
    pub(super) fn encode(
        &self,
        local: &Local,
        remote_addr: Option<SocketAddr>,
        writer: &mut Writer<'_>,
    ) -> Result<(), NoRoom> {
        match self {
            Self::Init => local.encode_init(remote_addr, writer),
            Self::Pong(pong) => pong.encode(writer),
            Self::ChannelReply(reply) => reply.encode(writer),
            Self::Ping(ping) => ping.encode(writer),
            Self::LastWord(farewell) => {
                let text = FarewellText::new(farewell);
                WarningMessage { channel_id: ALL_CHANNELS, data: text.as_bytes() }.encode(writer)
            }
        }
    }
}

/// The ping of the keepalive: the smallest that is answered, as Core Lightning sends it.
pub(super) const KEEPALIVE_PING: Ping = Ping { num_pong_bytes: 1, byteslen: 0 };

impl Outbox {
    pub(super) const EMPTY: Self = Self { init: false, waiting: Waiting::Messages(Messages::NONE) };

    pub(super) fn put_act(&mut self, act: Act) {
        self.waiting = Waiting::Act(act);
    }

    pub(super) fn put_init(&mut self) {
        self.init = true;
    }

    pub(super) fn put_pong(&mut self, pong: Pong) {
        // There is room: no message is looked at while `has_room` denies it.
        let _ = self.messages_mut().map(|messages| messages.pongs.push_back(pong));
    }

    pub(super) fn put_channel_reply(&mut self, reply: ChannelReply) {
        if let Some(messages) = self.messages_mut() {
            messages.channel_reply = Some(reply);
        }
    }

    pub(super) fn put_ping(&mut self, ping: Ping) {
        if let Some(messages) = self.messages_mut() {
            messages.ping = Some(ping);
        }
    }

    pub(super) fn put_keepalive(&mut self) {
        if let Some(messages) = self.messages_mut() {
            messages.keepalive = true;
        }
    }

    pub(super) fn owes_init(&self) -> bool {
        self.init
    }

    pub(super) fn owes_ping(&self) -> bool {
        self.messages().is_some_and(|messages| messages.ping.is_some())
    }

    /// Whether every kind of answer still has room.
    pub(super) fn has_room(&self) -> bool {
        self.messages().is_none_or(|messages| !messages.pongs.is_full() && messages.channel_reply.is_none())
    }

    /// Bytes of padding that the peer has asked for and is owed.
    pub(super) fn padding(&self) -> usize {
        let pongs = self.messages().into_iter().flat_map(|messages| &messages.pongs);
        pongs.map(|pong| usize::from(pong.byteslen)).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.init && self.messages().is_some_and(Messages::is_empty)
    }

    pub(super) fn take_act(&mut self) -> Option<Act> {
        let Waiting::Act(act) = self.waiting else { return None };
        self.waiting = Waiting::Messages(Messages::NONE);
        Some(act)
    }

    /// Takes the next message that is owed: `init` before everything (BOLT 1), then answers, then our pings.
    pub(super) fn take(&mut self) -> Option<Owed> {
        if mem::take(&mut self.init) {
            return Some(Owed::Init);
        }
        let messages = self.messages_mut()?;
        (messages.pongs.pop_front().map(Owed::Pong))
            .or_else(|| messages.channel_reply.take().map(Owed::ChannelReply))
            .or_else(|| messages.ping.take().map(Owed::Ping))
            .or_else(|| mem::take(&mut messages.keepalive).then_some(Owed::Ping(KEEPALIVE_PING)))
    }

    /// Forgets all answers and pings, but neither act nor `init`, without which the peer understands no last word.
    ///
    /// Field by field: new messages moved in here would bring along what lay on the stack where they were made.
    pub(super) fn keep_only_init(&mut self) {
        if let Some(messages) = self.messages_mut() {
            messages.pongs.clear();
            messages.channel_reply = None;
            messages.ping = None;
            messages.keepalive = false;
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.init = false;
        self.keep_only_init();
        let _ = self.take_act();
    }

    fn messages(&self) -> Option<&Messages> {
        match &self.waiting {
            Waiting::Messages(messages) => Some(messages),
            Waiting::Act(_) => None,
        }
    }

    fn messages_mut(&mut self) -> Option<&mut Messages> {
        match &mut self.waiting {
            Waiting::Messages(messages) => Some(messages),
            Waiting::Act(_) => None,
        }
    }
}
