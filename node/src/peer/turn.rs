//! How much a connection's task may read before the others have their turn.
//!
//! Whoever sends little is read at once, in short turns. Whoever sends more than fits into one stands in line for a long
//! turn, first come, first served, and only so many are taken at a time that one thread of the runtime is left for everybody
//! else: so a thousand peers that send as fast as they can wait for each other, and the others hardly for them. Nothing else
//! waits in line: a connection's writes, deadlines and requests go on.
//!
//! A long turn also waits a little for subscribers that are behind ([`Calm`]).
//!
//! And while somebody else is in conversation, long turns are measured ([`Measure`]): shorter ones, and so many in a second. A
//! message that comes in the middle of one waits for its end and for what the program has to do with it, and with turn upon turn
//! every message would.
//!
//! Whoever has not proven yet who he is has a line of his own, even for a short turn and before that to be accepted: an act of the
//! handshake takes as long as some hundred frames, and a thousand strangers may come at once.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use core::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use wire_core::connection::Timestamp;

use crate::events::Calm;
use crate::limits::{
    CONVERSATION, CONVERSATION_NOTED, MEASURED_TURN_FRAMES, MEASURED_TURN_INTERVAL, MEASURED_TURN_READ,
    MEASURED_TURNS_AT_ONCE, READS_PER_TURN, SHORT_TURN_FRAMES, SHORT_TURN_READ, SHORT_TURN_READS,
    SUBSCRIBERS_SPARED,
};

/// The line of all connections of a node.
#[derive(Debug)]
pub(crate) struct LongTurns {
    places: Arc<Semaphore>,
    /// For the turns of strangers.
    for_strangers: Arc<Semaphore>,
    calm: Arc<Calm>,
    measure: Measure,
}

/// What a connection may read now.
pub(super) enum Turn {
    /// A little.
    Short,
    /// A little, of a stranger.
    OfStranger(#[expect(dead_code, reason = "as below")] OwnedSemaphorePermit),
    /// Nothing before this is ready.
    InLine(Waiting),
    /// Much.
    Long(#[expect(dead_code, reason = "nobody else gets this place while it is held")] OwnedSemaphorePermit),
    /// Less, while others are in conversation.
    Measured(#[expect(dead_code, reason = "as above")] OwnedSemaphorePermit),
}

type Waiting = Pin<Box<dyn Future<Output = Turn> + Send>>;

/// What is left of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) frames: usize,
    pub(super) reads: usize,
    /// Most bytes of one read.
    pub(super) read_len: usize,
}

impl LongTurns {
    /// For a runtime with so many threads.
    pub(crate) fn new(threads: usize, calm: Arc<Calm>) -> LongTurns {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.max(1)));
        LongTurns {
            places: semaphore(threads.saturating_sub(1)),
            for_strangers: semaphore(threads / 2),
            calm,
            measure: Measure::new(threads.saturating_sub(1)),
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
        self.measure.note_conversation(serial, now);
    }

    /// A long turn for this connection, or a place in line for one.
    pub(super) fn next(&self, serial: u64, now: Timestamp) -> Turn {
        let is_measured = self.measure.is_due(serial, now);
        if !is_measured
            && self.calm.is_here()
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            return Turn::Long(place);
        }
        let (places, calm) = (Arc::clone(&self.places), Arc::clone(&self.calm));
        let paid_until = is_measured.then(|| Arc::clone(&self.measure.paid_until));
        let interval = self.measure.interval;
        Turn::InLine(Box::pin(async move {
            // Closed never.
            let Ok(place) = places.acquire_owned().await else { return Turn::Short };
            // With the place in hand: the whole line waits, and goes on one by one.
            let _ = timeout(SUBSCRIBERS_SPARED, calm.comes()).await;
            let Some(paid_until) = paid_until else { return Turn::Long(place) };
            sleep_until(pay(&paid_until, interval)).await;
            Turn::Measured(place)
        }))
    }
}

/// How much long turns may read together while somebody else is in conversation.
#[derive(Debug)]
struct Measure {
    /// The last to say something and not much, as far as it was noted: the connection's number, and when, in milliseconds. 32 bits
    /// of each.
    spoke: AtomicU64,
    /// From one measured turn to the next.
    interval: Duration,
    /// Until then turns are paid for, each with an interval.
    paid_until: Arc<Mutex<Instant>>,
}

impl Measure {
    /// For so many turns at the same time.
    fn new(places: usize) -> Measure {
        let places = u32::try_from(places.max(1)).unwrap_or(u32::MAX);
        let paid_until = Arc::new(Mutex::new(Instant::now()));
        Measure { spoke: AtomicU64::new(0), interval: MEASURED_TURN_INTERVAL / places, paid_until }
    }

    /// Now and then is enough: whoever is in conversation speaks again. So threads seldom wait for each other's writes here.
    fn note_conversation(&self, serial: u64, now: Timestamp) {
        let (_, at) = self.last();
        let now = low_half(now.as_millis());
        if now.wrapping_sub(at) >= low_half(CONVERSATION_NOTED) {
            self.spoke.store(serial << 32 | u64::from(now), Ordering::Relaxed);
        }
    }

    /// Whether another than this connection is in conversation.
    fn is_due(&self, serial: u64, now: Timestamp) -> bool {
        let (speaker, at) = self.last();
        speaker != low_half(serial)
            && speaker != 0
            && low_half(now.as_millis()).wrapping_sub(at) < low_half(CONVERSATION)
    }

    fn last(&self) -> (u32, u32) {
        let spoke = self.spoke.load(Ordering::Relaxed);
        (low_half(spoke >> 32), low_half(spoke))
    }
}

/// Pays for a measured turn, and answers when it begins: at once while fewer than [`MEASURED_TURNS_AT_ONCE`] are ahead of their
/// time.
fn pay(paid_until: &Mutex<Instant>, interval: Duration) -> Instant {
    let mut paid_until = paid_until.lock().unwrap_or_else(PoisonError::into_inner);
    *paid_until = (*paid_until).max(Instant::now()) + interval;
    // The clock goes back farther than a few milliseconds.
    paid_until.checked_sub(interval * MEASURED_TURNS_AT_ONCE).unwrap_or(*paid_until)
}

fn low_half(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

impl Turn {
    /// What may be read; `None` in line. A long turn handles so many frames.
    pub(super) fn budget(&self, long_turn_frames: usize) -> Option<Budget> {
        match self {
            Turn::Short | Turn::OfStranger(_) => Some(Budget {
                frames: SHORT_TURN_FRAMES.min(long_turn_frames.max(1)),
                reads: SHORT_TURN_READS,
                read_len: SHORT_TURN_READ,
            }),
            Turn::InLine(_) => None,
            Turn::Long(_) => {
                Some(Budget { frames: long_turn_frames.max(1), reads: READS_PER_TURN, read_len: usize::MAX })
            }
            Turn::Measured(_) => Some(Budget {
                frames: MEASURED_TURN_FRAMES.min(long_turn_frames.max(1)),
                reads: 1,
                read_len: MEASURED_TURN_READ,
            }),
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
    use std::future::poll_fn;

    use tokio::time::advance;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(0);

    /// Whether the turn becomes a long one without waiting.
    async fn advances(turn: &mut Turn) -> bool {
        timeout(Duration::ZERO, poll_fn(|context| turn.poll_advance(context))).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn long_turns_leave_a_thread_to_the_others_and_go_round() {
        let turns = LongTurns::new(3, Arc::default());
        let (first, second) = (turns.next(1, START), turns.next(1, START));
        assert!(matches!((&first, &second), (Turn::Long(_), Turn::Long(_))));
        let (mut third, mut fourth) = (turns.next(1, START), turns.next(1, START));
        assert!(third.budget(1_000).is_none() && !advances(&mut third).await && !advances(&mut fourth).await);
        drop(first);
        // Whoever has had a turn stands behind those who wait.
        let mut again = turns.next(1, START);
        assert!(!advances(&mut fourth).await && !advances(&mut again).await && advances(&mut third).await);
        assert!(matches!(third, Turn::Long(_)));
        drop((second, third));
        assert!(advances(&mut fourth).await && advances(&mut again).await);
        assert!(
            matches!(LongTurns::new(1, Arc::default()).next(1, START), Turn::Long(_)),
            "one thread is all there is"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_wait_for_strangers_only() {
        let turns = LongTurns::new(3, Arc::default());
        let (_loud, _louder, first) = (turns.next(1, START), turns.next(1, START), turns.of_stranger());
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
            (turns.next(1, START), turns.next(1, START), turns.next(1, START));
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
        let mut turn = turns.next(1, START);
        assert!(!advances(&mut turn).await);
        calm.note(true, false);
        assert!(advances(&mut turn).await);
        drop(turn);

        calm.note(false, true);
        let (start, mut turn) = (Instant::now(), turns.next(1, START));
        advance(SUBSCRIBERS_SPARED / 2).await;
        assert!(!advances(&mut turn).await);
        poll_fn(|context| turn.poll_advance(context)).await;
        assert!(start.elapsed() < SUBSCRIBERS_SPARED * 2, "and no longer");
    }

    fn after(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn long_turns_are_measured_while_somebody_else_is_in_conversation() {
        let turns = LongTurns::new(2, Arc::default());
        assert!(matches!(turns.next(7, after(5)), Turn::Long(_)), "nobody has said anything");
        turns.note_conversation(7, after(5_000));
        assert!(matches!(turns.next(7, after(5_001)), Turn::Long(_)), "only itself");
        turns.note_conversation(8, after(5_000 + CONVERSATION_NOTED - 1));
        assert!(matches!(turns.next(7, after(5_100)), Turn::Long(_)), "noted now and then");
        turns.note_conversation(8, after(5_000 + CONVERSATION_NOTED));
        let mut turn = turns.next(7, after(5_101));
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
        assert!(matches!(turns.next(7, after(over)), Turn::Long(_)), "the conversation is over");
    }

    #[tokio::test(start_paused = true)]
    async fn measured_turns_come_at_their_pace_after_the_first_ones() {
        let turns = LongTurns::new(3, Arc::default());
        turns.note_conversation(8, after(1_000));
        let start = Instant::now();
        let count = 10 * MEASURED_TURNS_AT_ONCE;
        for _ in 0..count {
            let mut turn = turns.next(7, after(1_000));
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
            let mut turn = turns.next(7, after(1_000));
            poll_fn(|context| turn.poll_advance(context)).await;
        }
        assert!(start.elapsed() >= MEASURED_TURN_INTERVAL / 2 * (MEASURED_TURNS_AT_ONCE - 2));
    }
}
