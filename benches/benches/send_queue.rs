//! Messages from 1, 2, 4 and 8 threads to one: the send queue beside the queues a user would pick, carrying `Bytes`.
//!
//! Every candidate does the same work: the producer has a `&[u8]` and copies it once into memory that goes through
//! the queue; the consumer takes all there is at once where the queue can do that, reads the first byte of each message and
//! frees it. All hold at most 1,024 messages. A producer that finds its queue full has copied nothing (as far as the queue
//! can say so beforehand); it, and a consumer that finds the queue empty, yield the processor and try again, so that no
//! figure contains a sleep or a wake-up. The send queue also makes room for header and tags, bounds bytes, and can hand back
//! what was not sent; the others do not.

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use crossbeam_queue::ArrayQueue;
use oddwire_benches::{payload, settings};
use oddwire_node::MessageType;
use oddwire_node::send_queue::{Consumer, QueueLimits, SendQueue, send_queue};
use tokio::sync::mpsc;

const CAPACITY: usize = 1024;
const KIND: MessageType = MessageType::new(0x8001);

/// One way to bring messages from many threads to one.
trait Candidate {
    /// What producers share.
    type Sender: Sync;
    type Receiver;
    const NAME: &str;
    fn new() -> (Self::Sender, Self::Receiver);
    /// Copies the message and queues it, when there is room.
    fn send(sender: &Self::Sender, message: &[u8]);
    /// Takes what there is and answers how many messages that was.
    fn receive(sender: &Self::Sender, receiver: &mut Self::Receiver) -> u64;
}

/// Tries again and again, and lets others run in between.
fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    loop {
        match attempt() {
            Some(done) => return done,
            None => thread::yield_now(),
        }
    }
}

struct OddwireQueue;

impl Candidate for OddwireQueue {
    type Sender = Arc<SendQueue>;
    type Receiver = Consumer;
    const NAME: &str = "Oddwire";

    fn new() -> (Self::Sender, Consumer) {
        send_queue(QueueLimits { messages: CAPACITY, bytes: 16 << 20 })
    }

    fn send(queue: &Self::Sender, message: &[u8]) {
        until(|| queue.push(KIND, message).ok());
    }

    fn receive(_: &Self::Sender, consumer: &mut Consumer) -> u64 {
        let mut batch = consumer.take();
        let mut count = 0;
        while let Some(mut run) = batch.next_run(64 << 10, 64) {
            let Ok(()) = run.seal_each(|frame| {
                black_box(frame.first());
                Ok::<(), std::convert::Infallible>(())
            });
            count += run.advance(usize::MAX).messages as u64;
        }
        count
    }
}

struct TokioMpsc;

impl Candidate for TokioMpsc {
    type Sender = mpsc::Sender<Bytes>;
    type Receiver = (mpsc::Receiver<Bytes>, Vec<Bytes>);
    const NAME: &str = "tokio::sync::mpsc";

    fn new() -> (Self::Sender, Self::Receiver) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (sender, (receiver, Vec::with_capacity(CAPACITY)))
    }

    fn send(sender: &Self::Sender, message: &[u8]) {
        until(|| sender.try_reserve().ok()).send(Bytes::copy_from_slice(message));
    }

    fn receive(_: &Self::Sender, (receiver, taken): &mut Self::Receiver) -> u64 {
        let mut context = Context::from_waker(Waker::noop());
        match receiver.poll_recv_many(&mut context, taken, CAPACITY) {
            Poll::Ready(_) => look_at(taken.drain(..)),
            Poll::Pending => 0,
        }
    }
}

struct Crossbeam;

impl Candidate for Crossbeam {
    type Sender = ArrayQueue<Bytes>;
    type Receiver = ();
    const NAME: &str = "crossbeam-queue";

    fn new() -> (Self::Sender, ()) {
        (ArrayQueue::new(CAPACITY), ())
    }

    fn send(queue: &Self::Sender, message: &[u8]) {
        until(|| (!queue.is_full()).then_some(()));
        let mut message = Some(Bytes::copy_from_slice(message));
        until(|| match queue.push(message.take()?) {
            Ok(()) => Some(()),
            Err(back) => {
                message = Some(back);
                None
            }
        });
    }

    fn receive(queue: &Self::Sender, (): &mut ()) -> u64 {
        look_at(std::iter::from_fn(|| queue.pop()).take(CAPACITY))
    }
}

struct Flume;

impl Candidate for Flume {
    type Sender = flume::Sender<Bytes>;
    type Receiver = flume::Receiver<Bytes>;
    const NAME: &str = "flume";

    fn new() -> (Self::Sender, Self::Receiver) {
        flume::bounded(CAPACITY)
    }

    fn send(sender: &Self::Sender, message: &[u8]) {
        until(|| (!sender.is_full()).then_some(()));
        let mut message = Some(Bytes::copy_from_slice(message));
        until(|| match sender.try_send(message.take()?) {
            Ok(()) => Some(()),
            Err(error) => {
                message = Some(error.into_inner());
                None
            }
        });
    }

    fn receive(_: &Self::Sender, receiver: &mut Self::Receiver) -> u64 {
        look_at(receiver.drain())
    }
}

struct Thingbuf;

impl Candidate for Thingbuf {
    type Sender = thingbuf::mpsc::Sender<Bytes>;
    type Receiver = thingbuf::mpsc::Receiver<Bytes>;
    const NAME: &str = "thingbuf";

    fn new() -> (Self::Sender, Self::Receiver) {
        thingbuf::mpsc::channel(CAPACITY)
    }

    fn send(sender: &Self::Sender, message: &[u8]) {
        *until(|| sender.try_send_ref().ok()) = Bytes::copy_from_slice(message);
    }

    fn receive(_: &Self::Sender, receiver: &mut Self::Receiver) -> u64 {
        look_at(std::iter::from_fn(|| receiver.try_recv().ok()).take(CAPACITY))
    }
}

struct Kanal;

impl Candidate for Kanal {
    type Sender = kanal::Sender<Bytes>;
    type Receiver = (kanal::Receiver<Bytes>, Vec<Bytes>);
    const NAME: &str = "kanal";

    fn new() -> (Self::Sender, Self::Receiver) {
        let (sender, receiver) = kanal::bounded(CAPACITY);
        (sender, (receiver, Vec::with_capacity(CAPACITY)))
    }

    fn send(sender: &Self::Sender, message: &[u8]) {
        until(|| (!sender.is_full()).then_some(()));
        let mut message = Some(Bytes::copy_from_slice(message));
        until(|| sender.try_send_option(&mut message).ok().filter(|is_sent| *is_sent));
    }

    fn receive(_: &Self::Sender, (receiver, taken): &mut Self::Receiver) -> u64 {
        // An error would mean that the sender is gone, and it is held by the caller.
        let _ = receiver.drain_into(taken);
        look_at(taken.drain(..))
    }
}

/// What the consumer does with messages: it reads a byte of each, frees it, and answers how many there were.
fn look_at(messages: impl Iterator<Item = Bytes>) -> u64 {
    let mut count = 0;
    for message in messages {
        black_box(message.first());
        count += 1;
    }
    count
}

/// The time from the start of the producers until the last of `messages` has arrived.
fn transfer<C: Candidate>(producers: u64, message: &[u8], messages: u64) -> Duration {
    let (sender, mut receiver) = C::new();
    let share = messages.div_ceil(producers);
    thread::scope(|scope| {
        let start = Instant::now();
        for _ in 0..producers {
            let sender = &sender;
            scope.spawn(move || {
                for _ in 0..share {
                    C::send(sender, message);
                }
            });
        }
        let mut arrived = 0;
        while arrived < share * producers {
            match C::receive(&sender, &mut receiver) {
                0 => thread::yield_now(),
                count => arrived += count,
            }
        }
        start.elapsed()
    })
}

/// One message at a time on one thread: what an operation costs when nobody is in the way.
fn uncontended<C: Candidate>(message: &[u8], messages: u64) -> Duration {
    let (sender, mut receiver) = C::new();
    let start = Instant::now();
    for _ in 0..messages.div_ceil(32) {
        for _ in 0..32 {
            C::send(&sender, message);
        }
        black_box(C::receive(&sender, &mut receiver));
    }
    start.elapsed()
}

fn measure<C: Candidate>(criterion: &mut Criterion, size: usize) {
    let message = payload(size);
    let settings = settings::within_a_process();
    let mut group = criterion.benchmark_group(format!("send_queue/{size} B"));
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement);
    group.sample_size(settings.samples).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(C::NAME, "same thread, 32 at a time"), |bencher| {
        bencher.iter_custom(|messages| uncontended::<C>(&message, messages));
    });
    for producers in [1, 2, 4, 8] {
        let case = if producers == 1 { "1 producer".to_owned() } else { format!("{producers} producers") };
        group.bench_function(BenchmarkId::new(C::NAME, case), |bencher| {
            bencher.iter_custom(|messages| transfer::<C>(producers, &message, messages));
        });
    }
    group.finish();
}

fn queues(criterion: &mut Criterion) {
    for size in [64, 1024] {
        measure::<OddwireQueue>(criterion, size);
        measure::<TokioMpsc>(criterion, size);
        measure::<Crossbeam>(criterion, size);
        measure::<Flume>(criterion, size);
        measure::<Thingbuf>(criterion, size);
        measure::<Kanal>(criterion, size);
    }
}

criterion_group!(benches, queues);
criterion_main!(benches);
