//! The taking side of a queue: what is committed, in order, to be sealed and written in bounded runs.
//!
//! The consumer keeps what it has taken until it is written, so a [`Batch`] or [`Run`] may be dropped at any time (in a
//! cancelled `select!`, say): nothing is lost, and the next one begins where this one ended.

use std::fmt;
use std::future::poll_fn;
use std::io::IoSlice;
use std::task::{Context, Poll};

use super::frame::Frame;
use super::list::List;
use super::sync::Arc;
use super::{SendQueue, Stage, Unsent};

/// The one who takes messages out of a queue.
///
/// Dropping it closes the queue; messages in it are then lost, which is logged. [`close`](Self::close) returns them.
pub struct Consumer {
    queue: Arc<SendQueue>,
    /// Taken and not completely written, oldest first. The sealed ones come before all others.
    in_hand: List,
    /// Bytes of the first frame that are written already; less than its length.
    written: usize,
}

impl Consumer {
    pub(super) fn new(queue: Arc<SendQueue>) -> Self {
        Self { queue, in_hand: List::default(), written: 0 }
    }

    /// Waits until something is committed that was not yet taken, or the queue is closed.
    ///
    /// May be dropped and called again at any time. What was taken and waits to be written does not count: that waits for
    /// the socket, not for producers.
    pub async fn wait(&mut self) {
        poll_fn(|context| self.poll_wait(context)).await;
    }

    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let SendQueue { stack, alarm, .. } = &*self.queue;
        if stack.has_frames() || stack.is_closed() {
            return Poll::Ready(());
        }
        if !alarm.store(context.waker()) {
            // A producer is calling a waker of before. Poll again rather than wait for it.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        alarm.arm();
        if stack.is_settled() {
            return Poll::Pending;
        }
        alarm.disarm();
        Poll::Ready(())
    }

    /// Takes everything that is committed, behind what is still in hand.
    pub fn take(&mut self) -> Batch<'_> {
        // Awake: until the next wait nobody needs to call.
        self.queue.alarm.disarm();
        self.in_hand.append(List::of(self.queue.stack.take()));
        Batch { consumer: self }
    }

    /// Closes the queue and returns every message that is not completely written, oldest first.
    ///
    /// From here on nothing can be queued; calling it again returns nothing. Messages that were sealed come back without
    /// their payload, see [`Unsent`]. Whether the peer has *read* a message that was completely written, nobody here
    /// can know.
    pub fn close(&mut self) -> Vec<Unsent> {
        let rest = self.queue.stack.close();
        self.queue.credit.close();
        self.queue.alarm.forget();
        self.in_hand.append(List::of(rest));

        let bytes = self.in_hand.iter().map(Frame::len).sum();
        self.queue.credit.release(self.in_hand.len(), bytes);
        let mut written = std::mem::take(&mut self.written);
        let mut unsent = std::mem::take(&mut self.in_hand);
        std::iter::from_fn(|| unsent.pop_front())
            .map(|frame| {
                // Only the first one can be partly written.
                let partly = std::mem::take(&mut written) > 0;
                let stage = match (frame.is_sealed(), partly) {
                    (_, true) => Stage::PartlyWritten,
                    (true, false) => Stage::Sealed,
                    (false, false) => Stage::Queued,
                };
                Unsent { frame, stage }
            })
            .collect()
    }

    /// Whether the queue was closed by [`Self::close`].
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let unsent = self.close();
        if !unsent.is_empty() {
            tracing::warn!(messages = unsent.len(), "send queue dropped with messages in it: they are lost");
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("queue", &self.queue)
            .field("in_hand", &self.in_hand.len())
            .field("written", &self.written)
            .finish()
    }
}

/// Everything that is taken and not yet written, oldest first; a view of the [`Consumer`], which keeps it.
#[derive(Debug)]
pub struct Batch<'c> {
    consumer: &'c mut Consumer,
}

impl Batch<'_> {
    /// Messages in it.
    pub fn len(&self) -> usize {
        self.consumer.in_hand.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.consumer.in_hand.is_empty()
    }

    /// The frames to seal and write next: as many of the oldest as fit both limits, at least one if there is any.
    ///
    /// `max_bytes` counts what is not yet written. Frames that are sealed already always belong to the run.
    ///
    /// A message that is sealed can no longer be returned with its payload. So choose the limits as large as one write is
    /// likely to take and no larger: 64 KiB are a good choice, and as many small frames as go into them, for a socket buffer
    /// takes about that much. At most one run is then without payload when a connection breaks.
    pub fn next_run(&mut self, max_bytes: usize, max_frames: usize) -> Option<Run<'_>> {
        let mut bytes: usize = 0;
        let mut frames: usize = 0;
        for frame in self.consumer.in_hand.iter() {
            let unwritten = if frames == 0 { frame.len() - self.consumer.written } else { frame.len() };
            bytes = bytes.saturating_add(unwritten);
            let fits = bytes <= max_bytes && frames < max_frames;
            if frames > 0 && !fits && !frame.is_sealed() {
                break;
            }
            frames += 1;
        }
        (frames > 0).then_some(Run { consumer: &mut *self.consumer, frames })
    }
}

/// A bounded number of frames from the front of a [`Batch`]: seal them, write them, say how much was written.
#[derive(Debug)]
pub struct Run<'c> {
    consumer: &'c mut Consumer,
    /// How many frames at the front belong to it.
    frames: usize,
}

impl Run<'_> {
    /// Frames in the run that are not yet completely written.
    pub fn len(&self) -> usize {
        self.frames
    }

    /// Whether everything in the run is written.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Calls `seal` for the frames that are not sealed, in order, with a few of them at a time. A frame is 18 bytes of room,
    /// the message, 16 bytes of room; `seal` turns it into what goes onto the wire.
    ///
    /// # Errors
    /// The first error of `seal`, which tells how many of the frames it was given are sealed, and must have left the next one
    /// and those behind it as they were. These stay unsealed.
    pub fn seal_several<E>(
        &mut self,
        seal: impl FnMut(&mut [&mut [u8]]) -> Result<(), (usize, E)>,
    ) -> Result<(), E> {
        self.consumer.in_hand.seal_first(self.frames, seal)
    }

    /// As [`seal_several`](Self::seal_several), for a `seal` that takes one frame at a time.
    ///
    /// # Errors
    /// The first error of `seal`, which must have left that frame as it was. It and those behind it stay unsealed.
    pub fn seal_each<E>(&mut self, mut seal: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<(), E> {
        self.seal_several(|frames| {
            let mut each = frames.iter_mut().enumerate();
            each.try_for_each(|(sealed, frame)| seal(frame).map_err(|error| (sealed, error)))
        })
    }

    /// Puts what is sealed and not yet written into `slices`, for one vectored write. Answers how many it has filled.
    pub fn as_slices<'s>(&'s self, slices: &mut [IoSlice<'s>]) -> usize {
        let mut filled = 0;
        for (slot, bytes) in slices.iter_mut().zip(self.unwritten()) {
            *slot = IoSlice::new(bytes);
            filled += 1;
        }
        filled
    }

    /// Says that the first `written` bytes of the slices were written. Frames that are completely written are freed and
    /// their room is given back. More than there was to write counts as all of it.
    pub fn advance(&mut self, written: usize) -> Written {
        let Consumer { queue, in_hand, written: of_first } = &mut *self.consumer;
        let mut left = of_first.saturating_add(written);
        let mut done = Written::default();
        while self.frames > 0
            && let Some(first) = in_hand.first()
            && first.is_sealed()
            && first.len() <= left
        {
            left -= first.len();
            done.messages += 1;
            done.bytes += first.len();
            self.frames -= 1;
            in_hand.pop_front();
        }
        let first_is_sealed = in_hand.first().is_some_and(Frame::is_sealed);
        *of_first = if first_is_sealed && self.frames > 0 { left } else { 0 };
        // After the frames are freed, and once for all of them.
        queue.credit.release(done.messages, done.bytes);
        done
    }

    /// The bytes of each sealed frame that are not yet written, in order.
    pub fn unwritten(&self) -> impl Iterator<Item = &[u8]> {
        let Consumer { in_hand, written, .. } = &*self.consumer;
        let mut skip = *written;
        in_hand
            .iter()
            .take(self.frames)
            .take_while(|frame| frame.is_sealed())
            .filter_map(move |frame| frame.bytes().get(std::mem::take(&mut skip)..))
    }
}

/// What [`Run::advance`] finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Messages that are completely written.
    pub messages: usize,
    /// Their bytes as frames. Frames written in several parts count when they are complete.
    pub bytes: usize,
}
