//! How much a connection's task may read before the others have their turn.
//!
//! Whoever sends little is read at once, in short turns. Whoever sends more than fits into one stands in line for a long
//! turn, first come, first served, and only so many are taken at a time that one thread of the runtime is left for everybody
//! else: so a thousand peers that send as fast as they can wait for each other, and the others hardly for them. Nothing else
//! waits in line: a connection's writes, deadlines and requests go on.
//!
//! A long turn also waits a little for subscribers that are behind ([`Calm`]).
//!
//! And while somebody else is in conversation, long turns are measured ([`Line::measure`]): shorter ones, and so many in a second. A
//! message that comes in the middle of one waits for its end and for what the program has to do with it, and with turn upon turn
//! every message would.
//!
//! A ping of a few bytes may ask for a pong of 64 KiB. Whoever has asked for as much as a turn may stands in another line, in
//! which a turn is paid for with what the last one cost: so those who only send do not wait for those who ask. Once in a while it
//! is free, for those to whom it is a habit and no attack. And a connection that must write answers before it may read goes on with
//! the rest of its turn ([`Turn::Rest`]), so that nobody has a new one for each answer.
//!
//! Whoever has not proven yet who he is has a line of his own, even for a short turn and before that to be accepted: an act of the
//! handshake takes as long as some hundred frames, and a thousand strangers may come at once.

mod conversation;
mod line;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wire_core::connection::Timestamp;

use self::conversation::Conversation;
use self::line::Line;
use crate::events::Calm;
use crate::limits::{
    LONG_TURN_PADDING, MEASURED_TURN_FRAMES, MEASURED_TURN_READ, PADDING_COST, READS_PER_TURN,
    SHORT_TURN_FRAMES, SHORT_TURN_READ, SHORT_TURN_READS, SUBSCRIBERS_SPARED, SUBSCRIBERS_SPARED_MEASURED,
    TURN_PADDING,
};

/// The turns of all connections of a node.
#[derive(Debug)]
pub(crate) struct LongTurns {
    /// For long turns that are under way.
    places: Arc<Semaphore>,
    /// For the turns of strangers.
    for_strangers: Arc<Semaphore>,
    /// Who sends much.
    senders: Arc<Line>,
    /// Who has asked for long answers.
    askers: Arc<Line>,
    calm: Arc<Calm>,
    conversation: Conversation,
}

/// What a connection may read now.
pub(super) enum Turn {
    /// A little.
    Short,
    /// What is left of a turn that ended before its time: the connection owes too many answers, say.
    Rest(Budget),
    /// A little, of a stranger.
    OfStranger(#[expect(dead_code, reason = "as below")] OwnedSemaphorePermit),
    /// Nothing before this is ready.
    InLine(Waiting),
    /// Much.
    Long(#[expect(dead_code, reason = "nobody else gets this place while it is held")] UnderWay),
    /// Less, while others are in conversation.
    Measured(#[expect(dead_code, reason = "as above")] UnderWay),
}

type Waiting = Pin<Box<dyn Future<Output = Turn> + Send>>;

/// In front of a line, and among the long turns that are under way.
pub(super) type UnderWay = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// What is left of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) frames: usize,
    pub(super) reads: usize,
    /// Most bytes of one read.
    pub(super) read_len: usize,
    /// Bytes of padding that its pings have asked for. The last ping may ask for more than is left of `may_ask`.
    asked: usize,
    may_ask: usize,
}

impl Budget {
    /// Whether one frame more may be handled.
    pub(super) fn has_frames(&self) -> bool {
        self.frames > 0 && self.asked < self.may_ask
    }

    /// Whether its pings asked for as much as a turn may, or more.
    pub(super) fn asked_for_much(&self) -> bool {
        self.asked >= TURN_PADDING
    }

    /// Forgets what its pings asked for.
    pub(super) fn forgive(&mut self) {
        self.asked = 0;
    }

    /// For a frame that asked for so many bytes of padding.
    pub(super) fn spend_frame(&mut self, asked: usize) {
        self.frames = self.frames.saturating_sub(1);
        self.asked += asked;
    }
}

impl LongTurns {
    /// For a runtime with so many threads.
    pub(crate) fn new(threads: usize, calm: Arc<Calm>) -> LongTurns {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.max(1)));
        let long_turns = threads.saturating_sub(1);
        LongTurns {
            places: semaphore(long_turns),
            for_strangers: semaphore(threads / 2),
            senders: Arc::new(Line::new(long_turns)),
            askers: Arc::new(Line::new(long_turns)),
            calm,
            conversation: Conversation::default(),
        }
    }

    /// For what a stranger costs before its connection has a task. Over when it is dropped.
    pub(crate) async fn of_newcomer(&self) -> Option<OwnedSemaphorePermit> {
        // Closed never.
        Arc::clone(&self.for_strangers).acquire_owned().await.ok()
    }

    /// A stranger's turn, or a place in line for one.
    pub(super) fn of_stranger(&self) -> Turn {
        if let Ok(place) = Arc::clone(&self.for_strangers).try_acquire_owned() {
            return Turn::OfStranger(place);
        }
        let places = Arc::clone(&self.for_strangers);
        // Closed never.
        Turn::InLine(Box::pin(
            async move { places.acquire_owned().await.map_or(Turn::Short, Turn::OfStranger) },
        ))
    }

    /// Notes that this connection said something and not much.
    pub(super) fn note_conversation(&self, serial: u64, now: Timestamp) {
        self.conversation.note(serial, now);
    }

    /// A long turn for this connection after one that came to this, or a place in line for one.
    pub(super) fn next(&self, serial: u64, now: Timestamp, last: Budget) -> Turn {
        let line = if last.asked_for_much() { &self.askers } else { &self.senders };
        let is_measured = self.conversation.is_of_another(serial, now);
        if !is_measured
            && self.calm.is_here()
            && let Some(front) = line.try_front()
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            return Turn::Long((front, place));
        }
        let (line, places, calm) = (Arc::clone(line), Arc::clone(&self.places), Arc::clone(&self.calm));
        let cost = u32::try_from(last.asked * PADDING_COST / TURN_PADDING).unwrap_or(u32::MAX).max(1);
        Turn::InLine(Box::pin(async move {
            // Closed never.
            let Some(front) = line.front().await else { return Turn::Short };
            // In front: the whole line waits, and goes on one by one.
            let spared = if is_measured { SUBSCRIBERS_SPARED_MEASURED } else { SUBSCRIBERS_SPARED };
            let _ = timeout(spared, calm.comes()).await;
            if is_measured {
                line.measure(cost).await;
            }
            let Ok(place) = places.acquire_owned().await else { return Turn::Short };
            if is_measured { Turn::Measured((front, place)) } else { Turn::Long((front, place)) }
        }))
    }
}

impl Turn {
    /// What may be read; `None` in line. A long turn handles so many frames.
    pub(super) fn budget(&self, long_turn_frames: usize) -> Option<Budget> {
        let long_turn_frames = long_turn_frames.max(1);
        let short = Budget {
            frames: SHORT_TURN_FRAMES.min(long_turn_frames),
            reads: SHORT_TURN_READS,
            read_len: SHORT_TURN_READ,
            asked: 0,
            may_ask: TURN_PADDING,
        };
        match self {
            Turn::Short | Turn::OfStranger(_) => Some(short),
            Turn::Rest(left) => Some(*left),
            Turn::InLine(_) => None,
            Turn::Long(_) => Some(Budget {
                frames: long_turn_frames,
                reads: READS_PER_TURN,
                read_len: usize::MAX,
                may_ask: LONG_TURN_PADDING,
                ..short
            }),
            Turn::Measured(_) => Some(Budget {
                frames: MEASURED_TURN_FRAMES.min(long_turn_frames),
                reads: 1,
                read_len: MEASURED_TURN_READ,
                ..short
            }),
        }
    }

    /// What this turn is to a connection that must write before it reads on. Of one that others wait for nothing is left.
    pub(super) fn rest(&self, left: Budget) -> Turn {
        match self {
            Turn::Short | Turn::Rest(_) => Turn::Rest(left),
            Turn::InLine(_) | Turn::OfStranger(_) => Turn::Short,
            Turn::Long(_) | Turn::Measured(_) => Turn::Rest(Budget { frames: 0, ..left }),
        }
    }

    /// Whether it is one that others wait for.
    pub(super) fn is_long(&self) -> bool {
        matches!(self, Turn::Long(_) | Turn::Measured(_))
    }

    /// Ready when a place in line has become a turn. Others are never.
    pub(super) fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Turn::InLine(waiting) = self else { return Poll::Pending };
        let Poll::Ready(turn) = waiting.as_mut().poll(context) else { return Poll::Pending };
        *self = turn;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::future::poll_fn;

    use tokio::time::{Instant, advance};

    use super::*;
    use crate::limits::{CONVERSATION, CONVERSATION_NOTED, MEASURED_TURN_INTERVAL, MEASURED_TURNS_AT_ONCE};

    const START: Timestamp = Timestamp::from_millis(0);

    /// Of a turn in which nothing was asked for.
    const SENT: Budget = Budget { frames: 0, reads: 0, read_len: 0, asked: 0, may_ask: TURN_PADDING };

    /// Whether the turn becomes a long one without waiting.
    async fn advances(turn: &mut Turn) -> bool {
        timeout(Duration::ZERO, poll_fn(|context| turn.poll_advance(context))).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn long_turns_leave_a_thread_to_the_others_and_go_round() {
        let turns = LongTurns::new(3, Arc::default());
        let (first, second) = (turns.next(1, START, SENT), turns.next(1, START, SENT));
        assert!(matches!((&first, &second), (Turn::Long(_), Turn::Long(_))));
        let (mut third, mut fourth) = (turns.next(1, START, SENT), turns.next(1, START, SENT));
        assert!(third.budget(1_000).is_none() && !advances(&mut third).await && !advances(&mut fourth).await);
        // Whoever asked finds another line, and no place either.
        let mut asking = turns.next(1, START, Budget { asked: TURN_PADDING, ..SENT });
        assert!(!advances(&mut asking).await);
        drop(asking);
        drop(first);
        // Whoever has had a turn stands behind those who wait.
        let mut again = turns.next(1, START, SENT);
        assert!(!advances(&mut fourth).await && !advances(&mut again).await && advances(&mut third).await);
        assert!(matches!(third, Turn::Long(_)));
        drop((second, third));
        assert!(advances(&mut fourth).await && advances(&mut again).await);
        assert!(
            matches!(LongTurns::new(1, Arc::default()).next(1, START, SENT), Turn::Long(_)),
            "one thread is all there is"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_wait_for_strangers_only() {
        let turns = LongTurns::new(3, Arc::default());
        let (_loud, _louder, first) =
            (turns.next(1, START, SENT), turns.next(1, START, SENT), turns.of_stranger());
        assert!(first.budget(1_000).is_some_and(|budget| budget.frames == SHORT_TURN_FRAMES));
        let mut second = turns.of_stranger();
        assert!(second.budget(1_000).is_none() && !advances(&mut second).await);
        drop(first);
        assert!(advances(&mut second).await && matches!(second, Turn::OfStranger(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_leaves_the_line_lets_the_next_one_go_on() {
        let turns = LongTurns::new(2, Arc::default());
        let (first, mut second, mut third) =
            (turns.next(1, START, SENT), turns.next(1, START, SENT), turns.next(1, START, SENT));
        assert!(!advances(&mut second).await && !advances(&mut third).await);
        drop(second);
        drop(first);
        assert!(advances(&mut third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_waits_a_little_for_subscribers() {
        let calm = Arc::<Calm>::default();
        let turns = LongTurns::new(2, Arc::clone(&calm));
        calm.note(false, true);
        let mut turn = turns.next(1, START, SENT);
        assert!(!advances(&mut turn).await);
        calm.note(true, false);
        assert!(advances(&mut turn).await);
        drop(turn);

        calm.note(false, true);
        let (start, mut turn) = (Instant::now(), turns.next(1, START, SENT));
        advance(SUBSCRIBERS_SPARED / 2).await;
        assert!(!advances(&mut turn).await);
        poll_fn(|context| turn.poll_advance(context)).await;
        assert!(start.elapsed() < SUBSCRIBERS_SPARED * 2, "and no longer");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_pays_for_it_and_keeps_nobody_waiting_who_sends() {
        const COST: u32 = 4;
        let turns = LongTurns::new(2, Arc::default());
        turns.note_conversation(8, after(1_000));
        let asked = |turns: u32| Budget {
            asked: TURN_PADDING * usize::try_from(turns).unwrap() / PADDING_COST,
            ..SENT
        };
        // As many as may come at once, and then those who wait.
        let at_once = MEASURED_TURNS_AT_ONCE / COST;
        let start = Instant::now();
        for _ in 0..at_once {
            let mut turn = turns.next(7, after(1_000), asked(COST));
            poll_fn(|context| turn.poll_advance(context)).await;
        }
        assert!(start.elapsed() < MEASURED_TURN_INTERVAL);
        let mut asking: Vec<Turn> = (0..10).map(|_| turns.next(7, after(1_000), asked(COST))).collect();
        assert!(!advances(&mut asking[0]).await, "in front, and waits for its time");
        let mut sending = turns.next(7, after(1_000), Budget { asked: TURN_PADDING - 1, ..SENT });
        assert!(advances(&mut sending).await);
        drop(sending);
        for turn in &mut asking {
            poll_fn(|context| turn.poll_advance(context)).await;
            *turn = Turn::Short;
        }
        let (paid, took) = (MEASURED_TURN_INTERVAL * COST * 10, start.elapsed());
        assert!(paid <= took && took < paid + 2 * MEASURED_TURN_INTERVAL, "{took:?} for {paid:?}");
    }

    fn after(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn long_turns_are_measured_while_somebody_else_is_in_conversation() {
        let turns = LongTurns::new(2, Arc::default());
        assert!(matches!(turns.next(7, after(5), SENT), Turn::Long(_)), "nobody has said anything");
        turns.note_conversation(7, after(5_000));
        assert!(matches!(turns.next(7, after(5_001), SENT), Turn::Long(_)), "only itself");
        turns.note_conversation(8, after(5_000 + CONVERSATION_NOTED - 1));
        assert!(matches!(turns.next(7, after(5_100), SENT), Turn::Long(_)), "noted now and then");
        turns.note_conversation(8, after(5_000 + CONVERSATION_NOTED));
        let mut turn = turns.next(7, after(5_101), SENT);
        assert!(turn.budget(1_000).is_none() && advances(&mut turn).await);
        let budget = turn.budget(1_000).unwrap();
        assert_eq!(
            (budget.frames, budget.reads, budget.read_len),
            (MEASURED_TURN_FRAMES, 1, MEASURED_TURN_READ)
        );
        assert!(turn.is_long());
        assert_eq!(turn.budget(10).unwrap().frames, 10, "never more than was set");
        drop(turn);
        let over = 5_000 + CONVERSATION_NOTED + CONVERSATION;
        assert!(matches!(turns.next(7, after(over), SENT), Turn::Long(_)), "the conversation is over");
    }

    #[tokio::test(start_paused = true)]
    async fn measured_turns_come_at_their_pace_after_the_first_ones() {
        let turns = LongTurns::new(3, Arc::default());
        turns.note_conversation(8, after(1_000));
        let start = Instant::now();
        let count = 10 * MEASURED_TURNS_AT_ONCE;
        for _ in 0..count {
            let mut turn = turns.next(7, after(1_000), SENT);
            poll_fn(|context| turn.poll_advance(context)).await;
        }
        // Two may be under way at a time, so they come twice as fast.
        let paid = MEASURED_TURN_INTERVAL / 2 * (count - MEASURED_TURNS_AT_ONCE);
        let took = start.elapsed();
        assert!(paid <= took && took < paid + 2 * MEASURED_TURN_INTERVAL, "{took:?} for {paid:?}");
        // Those at once come back with time, and no more of them.
        advance(100 * MEASURED_TURN_INTERVAL * MEASURED_TURNS_AT_ONCE).await;
        let start = Instant::now();
        for _ in 0..2 * MEASURED_TURNS_AT_ONCE {
            let mut turn = turns.next(7, after(1_000), SENT);
            poll_fn(|context| turn.poll_advance(context)).await;
        }
        assert!(start.elapsed() >= MEASURED_TURN_INTERVAL / 2 * (MEASURED_TURNS_AT_ONCE - 2));
    }
}
