//! Every limit of this crate, once: unit, reason, and what happens when it is reached.
//!
//! The numbers of the protocol itself (frame sizes and the like) stand in `wire_core::limits`.

use core::time::Duration;

use wire_core::connection::Deadlines;

use crate::connections::PendingLimits;
use crate::events::{BacklogLimits, HistoryLimits};
use crate::onion::Pace;
use crate::send_queue::QueueLimits;

/// How long a closed connection is kept half open so that the peer can read our last bytes. A peer that is well closes its
/// side at once; the others are not worth more. Afterwards the socket is closed whatever it holds.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Most bytes of a peer's feature bits that are kept, the lowest 8,192 bits: sixteen times the highest that BOLT 9 has
/// assigned or its drafts speak of. Beyond that a peer could make each of its connections hold 64 KiB for good; those
/// bits are checked as all others, but not shown.
pub(crate) const PEER_FEATURES_LEN: usize = 1024;

/// How long a stranger may take before it is closed for the sake of another one, when there are as many as allowed. Until
/// then the others wait in the listener's queue. A few round trips to the other side of the world through Tor; and with
/// [`Limits::pending_inbound`] it bounds how many strangers a flood makes us look at in a second.
pub(crate) const STRANGER_SPARED: Duration = Duration::from_secs(2);

/// Hosts whose budget of handshakes is not full, as far as they are remembered. Each holds a few words, and for as long as the
/// budget takes to fill up again: to keep so many in the table takes a million connections a second. At the limit the
/// connections of further hosts are closed.
pub(crate) const HANDSHAKE_HOSTS: usize = 8_192;

/// Frames that are handled before a connection has to stand in line for a long turn: what anybody says in a conversation.
pub(crate) const SHORT_TURN_FRAMES: usize = 64;
/// Reads of a short turn, the second of which mostly finds that there is no more. At the limit as for the frames.
pub(crate) const SHORT_TURN_READS: usize = 2;
/// Bytes of each of them. As much is kept of every peer in line, at most.
pub(crate) const SHORT_TURN_READ: usize = 8 * 1024;

/// Bytes that the system may hold of a connection and has not sent yet, beside those that the peer has not acknowledged; one
/// packet may pass it. At the limit the rest stays in the send queue: there it counts, and when the connection ends it is told as
/// unsent. Without a limit a peer that does not read fills megabytes of the system's memory, and what one that reads is sent has
/// left the processor's caches before it goes out.
#[cfg(all(any(target_os = "linux", target_os = "android"), any(not(test), oddwire_loom)))]
pub(crate) const UNSENT_IN_SYSTEM: u32 = 16 * 1024;

/// Bytes of padding in the pongs that a turn may ask for, but for a long one that is not measured; the last ping may ask for more. A
/// ping of 40 bytes may cost us 64 KiB to seal and to send, as long as handling some hundred small frames takes. At the limit the
/// connection stands in line with others that ask, and pays for each such number of bytes with [`PADDING_COST`] measured turns:
/// together they get 8 MB in a second, for each long turn that may be under way at the same time.
pub(crate) const TURN_PADDING: usize = 16 * 1024;
/// Measured turns that [`TURN_PADDING`] is paid with: to seal and to write it takes longer than to read as much.
pub(crate) const PADDING_COST: usize = 2;
/// The same of a long turn: as many bytes as it may bring. At the limit likewise.
pub(crate) const LONG_TURN_PADDING: usize = 256 * 1024;
/// How often a connection may ask for as much as one turn brings and pays nothing: LND asks for up to 64 KiB once a minute, and
/// what it says next would wait behind everybody who asks all the time. A thousand of these get 2 MB a second by it.
pub(crate) const ASKING_SPARED: Duration = Duration::from_secs(30);

/// Reads of a long turn, of 64 KiB each, or 256 KiB in a large frame: large frames are few, so counting frames is not enough.
/// With a megabyte at most a turn is over in less than a millisecond, which others may have to wait for. At the limit the
/// next one in line has its turn.
pub(crate) const READS_PER_TURN: usize = 4;

/// Milliseconds for which a peer that said something, and no more than fits into a short turn, is in conversation: long turns of
/// others are measured so long. At the limit they are as long and as many as there is time for.
pub(crate) const CONVERSATION: u64 = 1_000;
/// Milliseconds from one note of that to the next.
pub(crate) const CONVERSATION_NOTED: u64 = 100;
/// Frames of a measured turn: fewer than of a short one. A message that comes in the middle waits for those, and for what the
/// program does with them. At the limit as for a long turn.
pub(crate) const MEASURED_TURN_FRAMES: usize = 16;
/// Bytes of its one read. At the limit likewise.
pub(crate) const MEASURED_TURN_READ: usize = 16 * 1024;
/// From one measured turn to the next, for each long turn that may be under way at the same time: 16 MB or 16,000 messages in a
/// second. Beyond, loud peers wait for each other, and their own systems hold them up. Timers know no shorter time.
pub(crate) const MEASURED_TURN_INTERVAL: Duration = Duration::from_millis(1);
/// Measured turns that may come earlier than that, for those who seldom say much. At the limit as for the interval.
pub(crate) const MEASURED_TURNS_AT_ONCE: u32 = 128;

/// Events that may wait for a subscriber while long turns begin: as many as one brings, so that the subscriber has something to
/// do during the next. A quarter of its backlog, if that is less. At the limit the subscriber is behind.
pub(crate) const CALM_EVENTS: usize = 1_024;
/// Bytes of these. At the limit likewise.
pub(crate) const CALM_BYTES: usize = 1024 * 1024;

/// How long a turn waits for subscribers that are behind. Programs that handle ten thousand messages a second lose none to a
/// flood; one that stops reading slows loud peers for two seconds or three, and is not waited for once it has missed something.
pub(crate) const SUBSCRIBERS_SPARED: Duration = Duration::from_millis(100);
/// The same for a measured turn. It brings a sixtieth as much, so as many more of them fill the backlog of one that does not
/// read: with the whole time each, loud peers would be slowed for two minutes.
pub(crate) const SUBSCRIBERS_SPARED_MEASURED: Duration = Duration::from_millis(2);

/// Custom messages of a peer that are held back until the gatekeeper has decided on it. Enough for what a protocol says first.
/// At the limit nothing more is read from the peer before the verdict.
pub(crate) const HELD_MESSAGES: usize = 64;
/// Bytes of their payloads. At the limit as for [`HELD_MESSAGES`]; the last one may overshoot.
pub(crate) const HELD_BYTES: usize = 128 * 1024;

/// How long the listener rests after the system refused to accept (no descriptors, no memory); doubled each time it
/// refuses again, up to [`ACCEPT_REST_MAX`]. Without it a full table of descriptors means a busy loop.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(50);
/// See [`ACCEPT_REST`].
pub(crate) const ACCEPT_REST_MAX: Duration = Duration::from_secs(2);

/// How long the system must have let the listener accept everybody before a refusal is told in the log again: while it lasts,
/// and while it comes and goes, one line is enough.
pub(crate) const ACCEPT_REFUSAL_QUIET: Duration = Duration::from_mins(1);

/// Most callers that wait in line for room in one send queue. Each holds its payload elsewhere and a few words here. At the
/// limit the next one is told that the queue is full, as those are who do not wait.
pub(crate) const WAITING_FOR_ROOM: usize = 4_096;

/// Most bytes of free memory for messages that all threads of the process keep in common, so that sending allocates
/// nothing: what the send queue of one peer holds by default. What is beyond it is freed.
#[cfg_attr(oddwire_loom, expect(dead_code, reason = "loom checks the queue without what a thread keeps"))]
pub(crate) const POOL_BYTES: usize = 4 * 1024 * 1024;

/// Most bytes of the same that one thread keeps to itself, thirty messages of each size up to 4 KiB if it has sent all of
/// these; mostly a few KiB. What is beyond it goes to what is kept in common.
#[cfg_attr(oddwire_loom, expect(dead_code, reason = "loom checks the queue without what a thread keeps"))]
pub(crate) const POOL_BYTES_PER_THREAD: usize = 768 * 1024;

/// From one onion message that we send a peer to the next, our own and forwarded ones alike. At the limit forwarded ones
/// wait, and our own are refused: Core Lightning would drop them, with as many tokens as here.
pub(crate) const ONION_OUT_INTERVAL: Duration = Duration::from_millis(250);
/// Onion messages that we send a peer at once. At the limit as for the interval.
pub(crate) const ONION_OUT_BURST: u32 = 4;
/// Of these, what forwarded messages leave for our own, which strangers could prevent otherwise.
pub(crate) const ONION_OUT_OWN: u32 = 1;

/// Forwarded onion messages that wait for one next node: as many as go out in two seconds. At the limit the peer that most
/// of them came from loses its newest, which is told.
pub(crate) const ONION_OUTBOX_PER_NODE: usize = 8;
/// The same for all next nodes together. At the limit likewise.
pub(crate) const ONION_OUTBOX_MESSAGES: usize = 256;
/// Bytes of these, as they came and as they go. At the limit likewise.
pub(crate) const ONION_OUTBOX_BYTES: usize = 4 * 1024 * 1024;

/// Onion messages of all peers that wait to be peeled: one machine's work for a fraction of a second. At the limit the peer
/// that has the most waiting, each message counted with at least its part of [`ONION_INBOX_BYTES`], loses its newest.
pub(crate) const ONION_INBOX_MESSAGES: usize = 1_024;
/// Bytes of such messages: a hundred of the longest. At the limit as above.
pub(crate) const ONION_INBOX_BYTES: usize = 4 * 1024 * 1024;

/// Answers to onion messages that are waited for at the same time. At the limit the next question is refused.
pub(crate) const ONION_REPLIES: usize = 1_024;

/// Peers whose addresses are kept for the sake of onion messages: those that this node's program connected to last. The
/// oldest goes for the next.
pub(crate) const ONION_ADDRESSES: usize = 1_024;

/// Peers that are called at the same time for the sake of forwarded onion messages. Beyond, messages for others are dropped
/// and told.
pub(crate) const ONION_CALLS: usize = 16;

/// From the end of such a call until the same node is called again: strangers cannot have us knock at a dead node's door all
/// the time. Meanwhile messages for it are dropped and told.
pub(crate) const ONION_CALL_REST: Duration = Duration::from_secs(10);

/// Onion messages that wait for one such call. Beyond, they are dropped and told.
pub(crate) const ONION_MESSAGES_PER_CALL: usize = 8;

/// What one node may use and how long it waits. All limits hold from the start of the node; none can be changed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Peers with a complete connection. Each holds a socket and a few KiB. At the limit a newcomer, incoming or
    /// outgoing, is told with a warning and closed; a peer that merely reconnects is not a newcomer.
    pub peers: usize,
    /// Incoming connections that have not exchanged `init` yet. They cost us two scalar multiplications each before we
    /// know who they are. At the limit no more are accepted until one is done or the OLDEST has taken two seconds, which
    /// is then closed: an honest peer needs a few round trips, so whoever has been at it longest is the likeliest to
    /// hold the slot on purpose.
    pub pending_inbound: usize,
    /// The same per IP address (per /64 for IPv6), so that one host cannot push out everybody else. At the limit the
    /// oldest of that address is closed at once. Does not hold for loopback, where proxies and tests come from.
    pub pending_inbound_per_ip: usize,
    /// Connections of one IP address (of a /64 for IPv6) that we answer in a second, once its burst is used up: a stranger
    /// costs us three scalar multiplications, and perhaps nothing himself. At the limit connections wait in line before
    /// anything is computed for them, as many as [`Limits::pending_inbound_per_ip`]; what is beyond is closed and told in
    /// the log. Does not hold for loopback, where proxies and tests come from. 0 counts as 1.
    pub handshakes_per_second_per_ip: u32,
    /// Connections of one address that are answered at once. At the limit as for those in a second.
    pub handshake_burst_per_ip: u32,
    /// Outgoing attempts that run at the same time. At the limit the next attempt waits for its turn, within
    /// [`Limits::connect_timeout`].
    pub pending_outbound: usize,
    /// From the start of an outgoing attempt until TCP has connected. Then the attempt fails.
    pub connect_timeout: Duration,
    /// From the TCP connection until the handshake's last act. Then the connection closes.
    pub handshake_timeout: Duration,
    /// From the handshake until the peer's `init` is in. Then the connection closes.
    pub init_timeout: Duration,
    /// How long a [`Gatekeeper`](crate::Gatekeeper) may think about a peer. Then the peer stays, and the log says so.
    pub admission: Duration,
    /// Silence from a peer after which we ping it.
    pub idle_before_ping: Duration,
    /// From our ping until the pong. Then the peer is gone and the connection closes.
    pub pong_timeout: Duration,
    /// How long a closing connection may still write what had been queued. What is left then is reported as unsent.
    pub drain: Duration,
    /// How long a write may make no progress at all while something waits to be written. Then the connection closes:
    /// a peer that does not read holds our memory.
    pub write_stall: Duration,
    /// Messages that wait to be sent to one peer. At the limit sending answers `Full`. A connection that takes the place of
    /// an older one may inherit as many again; what is beyond that is reported as unsent.
    pub send_queue_messages: usize,
    /// Bytes that wait to be sent to one peer, counted as frames (34 more than type and payload). At the limit sending
    /// answers `Full`; under 65,569 the longest messages cannot be sent at all. For what is inherited as for messages.
    pub send_queue_bytes: usize,
    /// Events that wait in one subscription. At the limit new events are not stored but counted, and the subscriber is
    /// told the count as a gap in the place where they are missing. Peers are never slowed. Connects and disconnects have as
    /// much room again.
    pub backlog_events: usize,
    /// Bytes of message payloads and texts that wait in one subscription. At the limit: as for `backlog_events`.
    pub backlog_bytes: usize,
    /// Messages that are kept for subscribers that come back, from the first subscription to messages on. At the limit the
    /// oldest goes; whoever still wanted it is told so as a gap. 0: none are kept.
    pub history_messages: usize,
    /// Bytes of the messages that are kept, about 120 more than the payload for each. At the limit as for
    /// `history_messages`.
    pub history_bytes: usize,
    /// From one onion message of a peer to the next, once its burst is used up. At the limit messages are dropped, the
    /// peer is warned, and one event tells of it. Eclair takes ten a second, Core Lightning four.
    pub onion_in_interval: Duration,
    /// Onion messages that a peer may send at once. At the limit as for the interval. LND lets fifty wait.
    pub onion_in_burst: u32,
    /// Frames that one peer may have handled in a row. At the limit it stands in line behind the other peers that send much.
    pub frames_per_turn: usize,
    /// Queued messages that are encrypted for one write, of at most 64 KiB in all unless a single one is longer; values over
    /// 1,024 count as that. When a connection breaks, at most so many are reported as unsent without their payload.
    pub frames_per_write: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            peers: 10_000,
            pending_inbound: 1_024,
            pending_inbound_per_ip: 256,
            // About one per cent of a core. Several nodes behind one address need far less.
            handshakes_per_second_per_ip: 100,
            // As many as may be at it at the same time.
            handshake_burst_per_ip: 256,
            pending_outbound: 64,
            // As long as Core Lightning waits for a connection.
            connect_timeout: Duration::from_mins(1),
            // LND allows 5 seconds per act; three acts.
            handshake_timeout: Duration::from_secs(15),
            // LND waits as long for `init`.
            init_timeout: Duration::from_secs(15),
            // Longer than what asks programs of its own, and gives up on each of them, should ever take.
            admission: Duration::from_mins(2),
            // Below the minute or more after which other nodes take us for dead; far above one per second.
            idle_before_ping: Duration::from_secs(45),
            pong_timeout: Duration::from_secs(45),
            // Core Lightning drains as long.
            drain: Duration::from_secs(5),
            write_stall: Duration::from_secs(30),
            send_queue_messages: 4_096,
            send_queue_bytes: 4 * 1024 * 1024,
            backlog_events: 16_384,
            backlog_bytes: 16 * 1024 * 1024,
            history_messages: 4_096,
            history_bytes: 2 * 1024 * 1024,
            onion_in_interval: Duration::from_millis(100),
            onion_in_burst: 50,
            // About as many small ones as one read brings.
            frames_per_turn: 1_024,
            // Small messages fill the 64 KiB.
            frames_per_write: 1_024,
        }
    }
}

impl Limits {
    pub(crate) fn queue(&self) -> QueueLimits {
        QueueLimits { messages: self.send_queue_messages, bytes: self.send_queue_bytes }
    }

    pub(crate) fn backlog(&self) -> BacklogLimits {
        BacklogLimits { events: self.backlog_events, bytes: self.backlog_bytes }
    }

    pub(crate) fn history(&self) -> HistoryLimits {
        HistoryLimits { messages: self.history_messages, bytes: self.history_bytes }
    }

    /// For what comes in, and for what goes out.
    pub(crate) fn onion_paces(&self) -> (Pace, Pace) {
        (
            Pace { interval: self.onion_in_interval, burst: self.onion_in_burst },
            Pace { interval: ONION_OUT_INTERVAL, burst: ONION_OUT_BURST },
        )
    }

    pub(crate) fn handshake_pace(&self) -> Pace {
        let interval = Duration::from_secs(1) / self.handshakes_per_second_per_ip.max(1);
        Pace { interval, burst: self.handshake_burst_per_ip }
    }

    pub(crate) fn pending(&self) -> PendingLimits {
        PendingLimits { inbound: self.pending_inbound, inbound_per_ip: self.pending_inbound_per_ip }
    }

    pub(crate) fn deadlines(&self) -> Deadlines {
        Deadlines {
            handshake: self.handshake_timeout,
            init: self.init_timeout,
            idle_before_ping: self.idle_before_ping,
            pong: self.pong_timeout,
            drain: self.drain,
        }
    }
}
