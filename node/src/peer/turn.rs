//! How much a connection's task may read before the others have their turn.
//!
//! Whoever sends little is read at once, in short turns. Whoever sends more than fits into one stands in line for a long
//! turn, first come, first served, and only so many are taken at a time that one thread of the runtime is left for everybody
//! else: so a thousand peers that send as fast as they can wait for each other, and the others hardly for them. Nothing else
//! waits in line: a connection's writes, deadlines and requests go on.
//!
//! A long turn also waits a little for subscribers that are behind ([`Calm`]).
//!
//! Whoever has not proven yet who he is has a line of his own, even for a short turn: an act of the handshake takes as long as
//! some hundred frames, and a thousand strangers may come at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::events::Calm;
use crate::limits::{
    READS_PER_TURN, SHORT_TURN_FRAMES, SHORT_TURN_READ, SHORT_TURN_READS, SUBSCRIBERS_SPARED,
};

/// The line of all connections of a node.
#[derive(Debug)]
pub(crate) struct LongTurns {
    places: Arc<Semaphore>,
    /// For the turns of strangers.
    for_strangers: Arc<Semaphore>,
    calm: Arc<Calm>,
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
        }
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

    /// A long turn, or a place in line for one.
    pub(super) fn next(&self) -> Turn {
        if self.calm.is_here()
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            return Turn::Long(place);
        }
        let (places, calm) = (Arc::clone(&self.places), Arc::clone(&self.calm));
        Turn::InLine(Box::pin(async move {
            // Closed never.
            let place = places.acquire_owned().await;
            // With the place in hand: the whole line waits, and goes on one by one.
            let _ = timeout(SUBSCRIBERS_SPARED, calm.comes()).await;
            place.map_or(Turn::Short, Turn::Long)
        }))
    }
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
        }
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

    /// Whether the turn becomes a long one without waiting.
    async fn advances(turn: &mut Turn) -> bool {
        timeout(Duration::ZERO, poll_fn(|context| turn.poll_advance(context))).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn long_turns_leave_a_thread_to_the_others_and_go_round() {
        let turns = LongTurns::new(3, Arc::default());
        let (first, second) = (turns.next(), turns.next());
        assert!(matches!((&first, &second), (Turn::Long(_), Turn::Long(_))));
        let (mut third, mut fourth) = (turns.next(), turns.next());
        assert!(third.budget(1_000).is_none() && !advances(&mut third).await && !advances(&mut fourth).await);
        drop(first);
        // Whoever has had a turn stands behind those who wait.
        let mut again = turns.next();
        assert!(!advances(&mut fourth).await && !advances(&mut again).await && advances(&mut third).await);
        assert!(matches!(third, Turn::Long(_)));
        drop((second, third));
        assert!(advances(&mut fourth).await && advances(&mut again).await);
        assert!(
            matches!(LongTurns::new(1, Arc::default()).next(), Turn::Long(_)),
            "one thread is all there is"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_wait_for_strangers_only() {
        let turns = LongTurns::new(3, Arc::default());
        let (_loud, _louder, first) = (turns.next(), turns.next(), turns.of_stranger());
        assert!(first.budget(1_000).is_some_and(|budget| budget.frames == SHORT_TURN_FRAMES));
        let mut second = turns.of_stranger();
        assert!(second.budget(1_000).is_none() && !advances(&mut second).await);
        drop(first);
        assert!(advances(&mut second).await && matches!(second, Turn::OfStranger(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_leaves_the_line_lets_the_next_one_go_on() {
        let turns = LongTurns::new(2, Arc::default());
        let (first, mut second, mut third) = (turns.next(), turns.next(), turns.next());
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
        let mut turn = turns.next();
        assert!(!advances(&mut turn).await);
        calm.note(true, false);
        assert!(advances(&mut turn).await);
        drop(turn);

        calm.note(false, true);
        let (start, mut turn) = (Instant::now(), turns.next());
        advance(SUBSCRIBERS_SPARED / 2).await;
        assert!(!advances(&mut turn).await);
        poll_fn(|context| turn.poll_advance(context)).await;
        assert!(start.elapsed() < SUBSCRIBERS_SPARED * 2, "and no longer");
    }
}
