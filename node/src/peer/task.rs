//! The task that owns one connection, from its first byte to its last.
//!
//! ```text
//!        ┌────────────────────────────────────────────────────────────────┐
//!        ▼                                                                │
//!  clock ─► requests ─► timeouts ─► read turn ─► (admission) ─► write turn ─► wait
//! ```
//!
//! One turn reads the clock once, takes what others ask ([`Mailbox`](super::mailbox::Mailbox)), reads and handles a bounded number of
//! frames (few for a start; who sends more stands in line for it, see [`turn`](super::turn)), writes a bounded number of runs, and then waits for whichever comes first: bytes, room in the socket, a queued
//! message, a request, a deadline. All rules of the protocol are in
//! [`Connection`](wire_core::connection::Connection). This file moves the bytes; `session` hands them to the connection and
//! tells the node what happened; `arrival` is the moment when the connection becomes its peer's, `open` what it has from then on; `parting` is its
//! end.
//!
//! Reading goes on while the peer's send queue is full: two peers that echo each other would otherwise wait for each
//! other for ever. It stops only while the connection itself owes too many answers.

mod arrival;
mod open;
mod parting;
mod session;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, Sleep, sleep_until};
use wire_core::connection::{CloseReason, Connection, Local, Phase, Timestamp};

use self::open::Open;
pub(super) use self::session::Origin;
use self::session::{Now, Session};
use super::reader::{Progress, Reader};
use super::turn::Turn;
use super::writer::{MAX_FRAMES_PER_WRITE, WriteTurn, Writer, Wrote};
use crate::connections::Place;
use crate::limits::{ASKING_SPARED, CONVERSATION};
use crate::node::Shared;
use crate::system::TcpStream;

/// Vectored writes of one turn. After that the peer's input, and the other peers of the thread, get their turn.
const WRITES_PER_TURN: usize = 16;

/// One connection and everything that belongs to it alone.
pub(super) struct PeerTask {
    stream: TcpStream,
    reader: Reader,
    writer: Writer,
    session: Session,
    turn: Turn,
    /// When it last had more to say than fits into a short turn.
    loud_at: Option<Timestamp>,
    /// When it last asked for long answers and paid nothing.
    spared_at: Option<Timestamp>,
}

impl PeerTask {
    pub(super) fn new(
        shared: Arc<Shared>,
        stream: TcpStream,
        origin: Origin,
        connection: Connection<Arc<Local>>,
        place: Place,
    ) -> PeerTask {
        let session = Session::new(shared, origin, connection, place);
        PeerTask {
            stream,
            reader: Reader::default(),
            writer: Writer::default(),
            session,
            turn: Turn::Short,
            loud_at: None,
            spared_at: None,
        }
    }

    /// Runs the connection to its end.
    pub(super) async fn run(mut self) {
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            let now = Now::of(self.session.shared.clock);
            self.session.heed_requests(now);
            self.session.connection.handle_timeout(now.timestamp);
            self.watch_for_stall(now);
            let mut more = self.read_turn(now);
            if let Some(introduction) = self.session.introduction.take() {
                // Nobody is kept in line meanwhile.
                self.turn = Turn::Short;
                self.session.arrive(introduction).await;
                more = true;
            }
            self.session.note_warning();
            more |= self.write_turn(now);
            self.session.publish_counters();
            self.finish_if_done();
            if self.session.connection.phase() == Phase::Closed {
                break;
            }
            if more {
                tokio::task::yield_now().await;
            } else {
                self.wait(timer.as_mut()).await;
            }
        }
        // Nobody is kept in line until the end is over.
        self.turn = Turn::Short;
        parting::part(self.session, self.stream, self.writer.is_empty()).await;
    }

    fn watch_for_stall(&mut self, now: Now) {
        let limit = self.session.shared.limits.write_stall;
        if self.writer.stalled_since().is_some_and(|since| now.timestamp.since(since) >= limit) {
            self.session.connection.abort(CloseReason::WriteStalled);
        }
    }

    /// Reads and handles frames until the socket is empty, the turn is over, or no more input may be looked at. Answers
    /// whether there is more to do without waiting.
    fn read_turn(&mut self, now: Now) -> bool {
        let Self { stream, reader, session, turn, loud_at, spared_at, .. } = self;
        let mut has_said_something = false;
        if matches!(turn, Turn::Short) && session.is_with_stranger() {
            *turn = session.shared.long_turns.of_stranger();
        }
        let Some(mut left) = turn.budget(session.shared.limits.frames_per_turn) else { return false };
        while session.may_read() {
            if !left.has_frames() || left.reads == 0 {
                let was_long = turn.is_long();
                *loud_at = Some(now.timestamp);
                if left.asked_for_much()
                    && spared_at.is_none_or(|at| now.timestamp.since(at) >= ASKING_SPARED)
                {
                    *spared_at = Some(now.timestamp);
                    left.forgive();
                }
                // Given back before it is asked for again: others were first.
                *turn = Turn::Short;
                *turn = session.shared.long_turns.next(session.place.serial, now.timestamp, left);
                match turn.budget(session.shared.limits.frames_per_turn) {
                    Some(more) if !was_long => left = more,
                    more => return more.is_some(),
                }
            }
            if reader.has_unread() {
                reader.resume(|bytes| session.digest(now, bytes, &mut left));
                continue;
            }
            left.reads -= 1;
            match reader.read(stream, left.read_len, |bytes| session.digest(now, bytes, &mut left)) {
                Ok(Progress::Some(bytes)) => {
                    session.count_bytes_in(bytes);
                    has_said_something = true;
                }
                Ok(Progress::Nothing) => break,
                Ok(Progress::End) => session.input_ended(),
                Err(error) => session.fail(&error),
            }
        }
        *turn = if session.may_read() { Turn::Short } else { turn.rest(left) };
        let was_loud = loud_at.is_some_and(|at| now.timestamp.since(at).as_millis() < CONVERSATION.into());
        if has_said_something && !was_loud && !session.is_with_stranger() {
            session.shared.long_turns.note_conversation(session.place.serial, now.timestamp);
        }
        false
    }

    /// Writes until there is nothing more, the socket takes nothing, or the turn is over. Answers whether there is more
    /// to do without waiting.
    fn write_turn(&mut self, now: Now) -> bool {
        let Self { stream, reader, writer, session, .. } = self;
        let might_read = session.may_read();
        for _ in 0..WRITES_PER_TURN {
            let mut turn = WriteTurn {
                now: now.timestamp,
                max_frames: session.shared.limits.frames_per_write.clamp(1, MAX_FRAMES_PER_WRITE),
                peer: session.connection.their_id(),
                counted: &mut session.counted,
            };
            let queue = session.open.as_mut().map(Open::next_queue);
            match writer.write(stream, &mut session.connection, queue, &mut turn) {
                Ok(Wrote::Some) => {}
                Ok(Wrote::NothingToDo | Wrote::Blocked) => {
                    // Answers that had no room kept us from reading; what lies in our own buffer wakes nobody.
                    return !might_read && session.may_read() && reader.has_unread();
                }
                Err(error) => {
                    session.fail(&error);
                    return false;
                }
            }
        }
        true
    }

    /// A connection that is winding down is over when nothing is left to write.
    fn finish_if_done(&mut self) {
        let Self { writer, session, .. } = self;
        if session.connection.has_transmit() || !writer.is_empty() {
            return;
        }
        let is_done = match session.connection.phase() {
            Phase::Closing => true,
            Phase::Draining => session.open.as_mut().is_none_or(|open| open.next_queue().take().is_empty()),
            _ => false,
        };
        if is_done {
            session.connection.finish();
        }
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, mut timer: Pin<&mut Sleep>) {
        let Self { stream, writer, session, turn, .. } = self;
        let stalls_at = writer.stalled_since().map(|since| since.after(session.shared.limits.write_stall));
        let due = [session.connection.poll_timeout(), stalls_at].into_iter().flatten().min();
        if let Some(due) = due.map(|due| session.shared.clock.instant(due)) {
            // Deadlines mostly move away, with every message that comes. A timer that fires too early is set again
            // then; setting it for each message would cost more.
            if timer.is_elapsed() || due < timer.deadline() {
                timer.as_mut().reset(due);
            }
        }
        let may_read = session.may_read() && !matches!(turn, Turn::InLine(_));
        let is_blocked = writer.is_blocked();
        let Session { open, place, .. } = session;
        let mut committed = pin!(async {
            match open {
                Some(open) if !is_blocked => open.queue.wait().await,
                _ => std::future::pending().await,
            }
        });
        poll_fn(|context| {
            let mut is_ready = place.mailbox.poll_filled(context).is_ready();
            // An error shows in the next read or write.
            is_ready |= turn.poll_advance(context).is_ready();
            is_ready |= may_read && stream.poll_read_ready(context).is_ready();
            is_ready |= is_blocked && stream.poll_write_ready(context).is_ready();
            is_ready |= committed.as_mut().poll(context).is_ready();
            is_ready |= timer.as_mut().poll(context).is_ready();
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

// Two attributes, not one: clippy knows test modules by `cfg(test)` alone.
#[cfg(test)]
#[cfg(not(oddwire_loom))]
mod tests {
    use core::time::Duration;
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinSet;
    use tokio::time::sleep;
    use wire_core::frame::Sealer;
    use wire_core::limits::{ACT_TWO_LEN, FRAME_OVERHEAD, HEADER_LEN};
    use wire_core::noise::Initiator;
    use wire_core::secret::StaticKey;

    use super::*;
    use crate::limits::{
        LINGER, MEASURED_TURN_FRAMES, MEASURED_TURN_INTERVAL, MEASURED_TURNS_AT_ONCE, PADDING_COST,
        SHORT_TURN_FRAMES, TURN_PADDING,
    };
    use crate::peer::dial::fresh_ephemeral;
    use crate::simulation::{Process, machines};
    use crate::{Delivery, Event, EventFilter, Identity, Limits, MessageType, Network, Node, Secret};

    const ODD: MessageType = MessageType::new(40_001);

    async fn start(seed: u8, listening: Option<SocketAddr>) -> Node {
        let identity = Identity::from_secret(&Secret::new([seed; 32])).unwrap();
        let builder = Node::builder().identity(identity).network(Network::Regtest);
        listening.into_iter().fold(builder, crate::NodeBuilder::listen).start().await.unwrap()
    }

    /// Sends as fast as it can; answers how long it took until all was heard.
    async fn flood(from: &Node, to: &Node, count: u32) -> Duration {
        let mut heard = to.subscribe(EventFilter::messages());
        let start = Instant::now();
        let sending = async {
            for _ in 0..count {
                from.send_custom_message_in_turn(&to.id(), ODD, b"a").await.unwrap();
            }
        };
        let hearing = async {
            let mut left = count;
            while left > 0 {
                let Some(Delivery::Event(Event::CustomMessage { peer, .. })) = heard.next().await else {
                    panic!("something is missing")
                };
                left -= u32::from(peer == from.id());
            }
        };
        tokio::join!(sending, hearing);
        start.elapsed()
    }

    /// A node, one peer that is to be loud, and one that will be in conversation.
    struct Scene {
        node: Node,
        quiet: Node,
    }

    impl Scene {
        const ADDRESS: SocketAddr =
            SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(1, 2, 3, 1)), 9735);

        async fn start() -> (Scene, Arc<Process>) {
            let [here, there, elsewhere] = machines();
            let node = here.run(start(1, Some(Self::ADDRESS))).await;
            let quiet = elsewhere.run(start(3, None)).await;
            elsewhere.run(quiet.connect(node.id(), Self::ADDRESS)).await.unwrap();
            (Scene { node, quiet }, there)
        }

        /// How long something takes while nobody else speaks, and then beside a conversation.
        async fn compare(&self, mut what: impl AsyncFnMut() -> Duration) -> [Duration; 2] {
            // What everybody says at first is a conversation as well.
            sleep(Duration::from_millis(2 * CONVERSATION)).await;
            let alone = what().await;
            let beside = self.beside_conversation(what()).await;
            [alone, beside]
        }

        async fn beside_conversation<T>(&self, what: impl Future<Output = T>) -> T {
            let say = || self.quiet.send_custom_message(&self.node.id(), ODD, b"and I?").unwrap();
            say();
            // It is heard before the other one begins.
            sleep(Duration::from_millis(CONVERSATION / 4)).await;
            let in_conversation = async {
                loop {
                    say();
                    sleep(Duration::from_millis(CONVERSATION / 4)).await;
                }
            };
            tokio::select! {
                outcome = what => outcome,
                () = in_conversation => unreachable!("it does not end"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_much_is_slowed_while_somebody_else_is_in_conversation() {
        let (scene, there) = Scene::start().await;
        let loud = there.run(start(2, None)).await;
        there.run(loud.connect(scene.node.id(), Scene::ADDRESS)).await.unwrap();
        let count = 20_000;
        // The first one is short, and nobody waits for it.
        let frames = usize::try_from(count).unwrap() - SHORT_TURN_FRAMES;
        let turns = u32::try_from(frames / MEASURED_TURN_FRAMES).unwrap() - MEASURED_TURNS_AT_ONCE - 1;
        let [alone, beside] = scene.compare(async || flood(&loud, &scene.node, count).await).await;
        assert!(alone < MEASURED_TURN_INTERVAL * turns, "{alone:?}");
        assert!(beside >= MEASURED_TURN_INTERVAL * turns, "{beside:?}, and alone {alone:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscriber_that_does_not_read_slows_who_sends_much_for_seconds_only() {
        let (scene, there) = Scene::start().await;
        let loud = there.run(start(2, None)).await;
        there.run(loud.connect(scene.node.id(), Scene::ADDRESS)).await.unwrap();
        let limits = Limits::default();
        let count = u32::try_from(2 * limits.backlog_events).unwrap();
        let mut deaf = Vec::new();
        let times = scene
            .compare(async || {
                deaf.push(scene.node.subscribe(EventFilter::messages()));
                flood(&loud, &scene.node, count).await
            })
            .await;
        for took in times {
            assert!(took < Duration::from_secs(4), "{times:?}");
        }
    }

    /// A peer made of a socket and the cryptography, which asks as fast as it can.
    struct Asker {
        stream: TcpStream,
        sealer: Sealer,
    }

    impl Asker {
        async fn open(node: &Node) -> Asker {
            Asker::open_as(2, node).await
        }

        async fn open_as(seed: u8, node: &Node) -> Asker {
            let key = StaticKey::from_bytes(&Secret::new([seed; 32])).unwrap();
            let (act_one, awaiting) = Initiator::new(&key, node.id(), fresh_ephemeral().unwrap()).act_one();
            let mut stream = TcpStream::connect(Scene::ADDRESS).await.unwrap();
            stream.write_all(&act_one).await.unwrap();
            let mut act_two = [0; ACT_TWO_LEN];
            stream.read_exact(&mut act_two).await.unwrap();
            let (act_three, transport) = awaiting.act_two(&key, &act_two).unwrap();
            stream.write_all(&act_three).await.unwrap();
            let mut asker = Asker { stream, sealer: transport.split().0 };
            let init = asker.sealed(&[0, 16, 0, 0, 0, 0]);
            asker.stream.write_all(&init).await.unwrap();
            asker
        }

        fn sealed(&mut self, message: &[u8]) -> Vec<u8> {
            let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
            frame[HEADER_LEN..][..message.len()].copy_from_slice(message);
            self.sealer.seal(&mut frame).unwrap();
            frame
        }

        /// Sends so many pings at once and reads the pongs; answers how long it took.
        async fn ask(&mut self, pings: usize, num_pong_bytes: u16) -> Duration {
            let [a, b] = num_pong_bytes.to_be_bytes();
            let asked: Vec<u8> = (0..pings).flat_map(|_| self.sealed(&[0, 18, a, b, 0, 0])).collect();
            // The node's `init`, of which the first part may have to be read, is shorter than a pong.
            let mut left = pings * (4 + usize::from(num_pong_bytes) + FRAME_OVERHEAD);
            let start = Instant::now();
            let (mut output, mut buffer) = (&asked[..], vec![0; 1 << 16]);
            while left > 0 {
                if !output.is_empty() {
                    let written = self.stream.write(output).await.unwrap();
                    output = &output[written..];
                }
                left = left.saturating_sub(self.stream.read(&mut buffer).await.unwrap());
            }
            start.elapsed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_much_is_slowed_likewise() {
        let (scene, there) = Scene::start().await;
        let mut asker = there.run(Asker::open(&scene.node)).await;
        // The longest, some of which a few are enough, and some of which as many as may be owed are less than a turn.
        for (num_pong_bytes, count) in [(60_000, 500), (5_000, 1_000), (1_500, 2_000)] {
            let of_a_turn = TURN_PADDING.div_ceil(num_pong_bytes.into());
            let paid = count / of_a_turn * (of_a_turn * usize::from(num_pong_bytes) / TURN_PADDING);
            let turns = u32::try_from(paid).unwrap() - MEASURED_TURNS_AT_ONCE - 20;
            let [alone, beside] = scene.compare(async || asker.ask(count, num_pong_bytes).await).await;
            assert!(alone < MEASURED_TURN_INTERVAL * turns, "{alone:?}");
            assert!(beside >= MEASURED_TURN_INTERVAL * turns, "{beside:?}, and alone {alone:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_once_in_a_while_waits_for_nobody_who_asks_all_the_time() {
        const OTHERS: usize = 8;
        let (scene, there) = Scene::start().await;
        let mut asker = there.run(Asker::open(&scene.node)).await;
        let mut seeds = 10..;
        // The second ping is not read before the first one is paid for.
        let mut ask = async || {
            let mut others = JoinSet::new();
            for seed in seeds.by_ref().take(OTHERS) {
                let mut other = there.run(Asker::open_as(seed, &scene.node)).await;
                others.spawn(async move { other.ask(60, 60_000).await });
            }
            // Until they have used up what they may at once.
            sleep(Duration::from_millis(CONVERSATION / 4)).await;
            scene.beside_conversation(asker.ask(2, 60_000)).await
        };
        let [first, second] = [ask().await, ask().await];
        sleep(ASKING_SPARED).await;
        let third = ask().await;
        let paid = MEASURED_TURN_INTERVAL * u32::try_from(60_000 * PADDING_COST / TURN_PADDING).unwrap();
        let times = [first, second, third];
        assert!(first < paid && second > 4 * paid && third < paid, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_leaving_keeps_nobody_in_line() {
        let (scene, there) = Scene::start().await;
        let mut loud = there.run(Asker::open(&scene.node)).await;
        let turns = &scene.node.shared().long_turns;
        let spent = Turn::Short.budget(1).unwrap();
        let first = turns.next(u64::MAX, Timestamp::from_millis(0), spent);
        assert!(first.is_long());
        let pings: Vec<u8> = (0..1_000).flat_map(|_| loud.sealed(&[0, 18, 0, 0, 0, 0])).collect();
        loud.stream.write_all(&pings).await.unwrap();
        sleep(LINGER).await;
        let id =
            scene.node.peers().into_iter().map(|peer| peer.id).find(|id| *id != scene.quiet.id()).unwrap();
        let leaving = async {
            scene.node.disconnect(&id).await.unwrap();
        };
        let standing = async {
            // By now it lingers, in case that it still has to hear something.
            sleep(LINGER / 4).await;
            let mut next = turns.next(u64::MAX, Timestamp::from_millis(0), spent);
            drop(first);
            let start = Instant::now();
            if !next.is_long() {
                poll_fn(|context| next.poll_advance(context)).await;
            }
            assert!(start.elapsed() < LINGER / 4, "{:?}", start.elapsed());
        };
        tokio::join!(leaving, standing);
        drop(loud);
    }
}
