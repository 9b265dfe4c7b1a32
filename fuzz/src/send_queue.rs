//! The send queue of a peer: those who send, those who wait in line for room, and the one who writes, by a script of
//! operations.
//!
//! Held, against lists and sums: every answer of every operation; the order of messages; what comes back when the queue is
//! closed, with its payload if it was not sealed; room never exceeds a limit and none is lost; nobody who sleeps is left
//! asleep when there is something for him.

mod model;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use oddwire_node::send_queue::{
    Consumer, QueueError, QueueLimits, Reservation, SendQueue, Written, send_queue,
};

use self::model::{Message, Model, Refusal};
use crate::script::Script;

/// Operations of one input.
const OPERATIONS: u16 = 256;
/// What stands around a message in its frame, in bytes.
const HEADER: usize = 18;
const TAG: usize = 16;

/// Two limits; then a byte for each operation and what it needs.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let limits = QueueLimits {
        messages: usize::from(script.byte() % 16) + 1,
        bytes: usize::from(script.number() % 1024) + HEADER + TAG + 2,
    };
    let (queue, consumer) = send_queue(limits);
    let mut world = World {
        queue: &queue,
        consumer,
        model: Model::new(limits),
        reservations: Vec::new(),
        line: Vec::new(),
        alarm: Arc::default(),
        is_asleep: false,
    };
    for number in 0..OPERATIONS {
        if script.is_over() {
            break;
        }
        world.step(&mut script, number);
        world.serve_the_line();
        world.holds();
    }
    world.line.clear();
    world.model.line.clear();
    world.reservations.clear();
    world.model.reserved.clear();
    world.close();
    world.holds();
    assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0), "room is lost");
}

struct World<'q> {
    queue: &'q SendQueue,
    consumer: Consumer,
    model: Model,
    reservations: Vec<Reservation<'q>>,
    line: Vec<Waiting<'q>>,
    /// Counts how often the consumer was woken.
    alarm: Arc<Calls>,
    /// The consumer has looked, found nothing, and waits for the alarm.
    is_asleep: bool,
}

/// One who waits in line.
struct Waiting<'q> {
    place: Pin<Box<dyn Future<Output = Result<Reservation<'q>, QueueError>> + 'q>>,
    calls: Arc<Calls>,
    /// How often he had been woken when he last looked.
    seen: u64,
}

#[derive(Default)]
struct Calls(AtomicU64);

impl Calls {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'q> World<'q> {
    fn step(&mut self, script: &mut Script<'_>, number: u16) {
        match script.byte() % 12 {
            0 | 1 => self.push(Message::new(number, usize::from(script.byte()))),
            2 => self.reserve(Message::new(number, usize::from(script.byte()))),
            3 => self.reserve(Message::new(number, usize::from(script.number()))),
            4 => self.join(Message::new(number, usize::from(script.byte()))),
            5 => self.leave(usize::from(script.byte())),
            6 => self.commit(usize::from(script.byte())),
            7 => self.give_up(usize::from(script.byte())),
            8 => self.wait(),
            9 => {
                self.seal(
                    usize::from(script.number() % 2048),
                    usize::from(script.byte() % 16),
                    script.byte(),
                );
            }
            10 => self.write(usize::from(script.number() % 2048)),
            // Rare, since little can be said of a queue that is closed.
            _ if script.byte() == 0 => self.close(),
            _ => self.take(),
        }
    }

    fn push(&mut self, message: Message) {
        // A push has its type, whatever its length.
        let message = message.with_type();
        let refusal = self.model.refusal(message.len);
        let answer = self.queue.push(message.kind(), &message.payload());
        assert_eq!(answer.err().map(Refusal::from), refusal);
        if refusal.is_none() {
            self.model.committed.push_back(message);
            self.is_woken();
        }
    }

    fn reserve(&mut self, message: Message) {
        let refusal = self.model.refusal(message.len);
        match self.queue.reserve(message.len) {
            Ok(reservation) => {
                assert_eq!(refusal, None);
                self.hold(reservation, message);
            }
            Err(error) => assert_eq!(Some(Refusal::from(error)), refusal),
        }
    }

    fn join(&mut self, message: Message) {
        let refusal = self.model.refusal(message.len);
        let calls = Arc::<Calls>::default();
        let mut place = Box::pin(self.queue.reserve_in_turn(message.len));
        match place.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&calls)))) {
            Poll::Ready(Ok(reservation)) => {
                assert_eq!(refusal, None);
                self.hold(reservation, message);
            }
            Poll::Ready(Err(error)) => assert_eq!(Some(Refusal::from(error)), refusal),
            Poll::Pending => {
                assert!(matches!(refusal, Some(Refusal::Full { .. })), "waits although {refusal:?}");
                self.line.push(Waiting { place, seen: calls.count(), calls });
                self.model.line.push(message);
            }
        }
    }

    fn hold(&mut self, reservation: Reservation<'q>, message: Message) {
        self.reservations.push(reservation);
        self.model.reserved.push(message);
    }

    fn leave(&mut self, which: usize) {
        if which < self.line.len() {
            drop(self.line.remove(which));
            self.model.line.remove(which);
        }
    }

    fn commit(&mut self, which: usize) {
        if which >= self.reservations.len() {
            return;
        }
        let (mut reservation, message) = (self.reservations.remove(which), self.model.reserved.remove(which));
        assert!(reservation.message_mut().iter().all(|byte| *byte == 0));
        reservation.message_mut().copy_from_slice(&message.bytes());
        match reservation.commit() {
            Ok(()) => {
                assert!(!self.model.is_closed);
                self.model.committed.push_back(message);
                self.is_woken();
            }
            Err(unsent) => {
                assert!(self.model.is_closed);
                message.came_back(&unsent, 0);
            }
        }
    }

    fn give_up(&mut self, which: usize) {
        if which < self.reservations.len() {
            drop(self.reservations.remove(which));
            self.model.reserved.remove(which);
        }
    }

    /// The consumer looks, and goes to sleep if there is nothing.
    fn wait(&mut self) {
        let waker = Waker::from(Arc::clone(&self.alarm));
        let wait = std::pin::pin!(self.consumer.wait());
        let is_ready = wait.poll(&mut Context::from_waker(&waker)).is_ready();
        assert_eq!(is_ready, !self.model.committed.is_empty() || self.model.is_closed);
        self.alarm.0.store(0, Ordering::Relaxed);
        self.is_asleep = !is_ready;
    }

    /// Something was committed: whoever slept has been called.
    fn is_woken(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            assert!(self.alarm.count() > 0, "the consumer sleeps over a message");
        }
    }

    fn take(&mut self) {
        self.is_asleep = false;
        self.model.take();
        assert_eq!(self.consumer.take().len(), self.model.in_hand.len());
    }

    /// Seals a run, perhaps with an error at one of its frames.
    fn seal(&mut self, bytes: usize, frames: usize, refused_at: u8) {
        self.take();
        let length = self.model.run(bytes, frames);
        let mut batch = self.consumer.take();
        let Some(mut run) = batch.next_run(bytes, frames) else {
            assert_eq!(length, 0);
            return;
        };
        assert_eq!(run.len(), length);
        let unsealed = self.model.in_hand.iter().take(length).filter(|message| !message.is_sealed).count();
        let refused_at = usize::from(refused_at);
        let mut calls = 0;
        let outcome = run.seal_each(|frame| {
            if calls == refused_at {
                return Err("refused");
            }
            calls += 1;
            for byte in frame {
                *byte ^= model::SEAL;
            }
            Ok(())
        });
        assert_eq!(outcome.is_err(), unsealed > refused_at);
        assert_eq!(calls, unsealed.min(refused_at));
        let newly = self.model.in_hand.iter_mut().take(length).filter(|message| !message.is_sealed);
        newly.take(calls).for_each(|message| message.is_sealed = true);
    }

    fn write(&mut self, bytes: usize) {
        self.take();
        let sealed = self.model.sealed_bytes();
        let mut batch = self.consumer.take();
        let Some(mut run) = batch.next_run(0, 0) else { return };
        assert_eq!(run.unwritten().flatten().copied().collect::<Vec<u8>>(), sealed);
        let (messages, bytes) = (run.advance(bytes), self.model.write(bytes.min(sealed.len())));
        assert_eq!(messages, Written { messages: bytes.0, bytes: bytes.1 });
    }

    fn close(&mut self) {
        self.is_asleep = false;
        self.model.take();
        let unsent = self.consumer.close();
        assert_eq!(unsent.len(), self.model.in_hand.len());
        for (unsent, message) in unsent.iter().zip(&self.model.in_hand) {
            message.came_back(unsent, std::mem::take(&mut self.model.written));
        }
        self.model.in_hand.clear();
        self.model.written = 0;
        self.model.is_closed = true;
    }

    /// Whose turn it is has been woken and has room by now; nobody else has.
    fn serve_the_line(&mut self) {
        while let Some(waiting) = self.line.first_mut() {
            let was_called = waiting.calls.count() > waiting.seen;
            let waker = Waker::from(Arc::clone(&waiting.calls));
            let has_room = self.model.line.first().is_some_and(|message| self.model.has_room(message.len));
            let outcome = match waiting.place.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => {
                    assert!(!self.model.is_closed && !has_room, "one waits though it is his turn");
                    waiting.seen = waiting.calls.count();
                    return;
                }
                Poll::Ready(outcome) => outcome,
            };
            assert!(was_called, "one who waits was not woken");
            drop(self.line.remove(0));
            let message = self.model.line.remove(0);
            match outcome {
                Ok(reservation) => {
                    assert!(!self.model.is_closed && has_room);
                    self.hold(reservation, message);
                }
                Err(error) => assert!(self.model.is_closed && error == QueueError::Closed, "{error}"),
            }
        }
    }

    fn holds(&self) {
        assert_eq!((self.queue.queued_messages(), self.queue.queued_bytes()), self.model.used());
        let (messages, bytes) = self.model.used();
        assert!(messages <= self.model.limits.messages && bytes <= self.model.limits.bytes);
        assert_eq!(self.queue.is_closed(), self.model.is_closed);
    }
}
