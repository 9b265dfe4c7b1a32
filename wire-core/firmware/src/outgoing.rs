//! Messages on their way from an interrupt to the I/O loop: a queue of fixed size with one end in each.
//!
//! The interrupt never waits: a full queue refuses the message, and the caller decides what is lost. The loop sleeps until
//! something comes.

use core::future::poll_fn;
use core::task::Poll;

use atomic_waker::AtomicWaker;
use heapless::Vec;
use heapless::spsc::{Consumer, Producer, Queue};
use wire_core::message::kind::MessageType;

/// One message of at most `LEN` bytes of payload.
#[derive(Debug)]
pub struct Message<const LEN: usize> {
    /// Its type.
    pub kind: MessageType,
    /// The payload, without the type.
    pub payload: Vec<u8, LEN>,
}

/// The queue, to be put in a static: room for `N` - 1 messages.
#[derive(Debug)]
pub struct Outgoing<const LEN: usize, const N: usize> {
    queue: Queue<Message<LEN>, N>,
    waker: AtomicWaker,
}

impl<const LEN: usize, const N: usize> Outgoing<LEN, N> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { queue: Queue::new(), waker: AtomicWaker::new() }
    }

    /// Its two ends: one for the interrupt, one for the loop.
    pub fn split(&mut self) -> (Sender<'_, LEN>, Receiver<'_, LEN>) {
        let (producer, consumer) = self.queue.split();
        (Sender { producer, waker: &self.waker }, Receiver { consumer, waker: &self.waker })
    }
}

impl<const LEN: usize, const N: usize> Default for Outgoing<LEN, N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The interrupt's end.
pub struct Sender<'q, const LEN: usize> {
    producer: Producer<'q, Message<LEN>>,
    waker: &'q AtomicWaker,
}

impl<const LEN: usize> Sender<'_, LEN> {
    /// Queues a message and wakes the loop. Bounded work, no waiting.
    ///
    /// # Errors
    /// The message itself if the queue is full.
    pub fn send(&mut self, message: Message<LEN>) -> Result<(), Message<LEN>> {
        self.producer.enqueue(message)?;
        self.waker.wake();
        Ok(())
    }
}

/// The loop's end.
pub struct Receiver<'q, const LEN: usize> {
    consumer: Consumer<'q, Message<LEN>>,
    waker: &'q AtomicWaker,
}

impl<const LEN: usize> Receiver<'_, LEN> {
    /// The next message. Dropping the future loses none.
    pub async fn next(&mut self) -> Message<LEN> {
        poll_fn(|context| {
            // Registered before it looks, so that a message that comes in between wakes it again.
            self.waker.register(context.waker());
            self.consumer.dequeue().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
