//! Messages from 1, 2 and 4 threads to one: the send queue beside the queues a user would pick, carrying `Bytes`.
//!
//! Every candidate does the same work: the producer has a `&[u8]` and copies it once into memory that goes through
//! the queue; the consumer reads the first byte of each message and frees it. All but `SegQueue`, which has no bound, hold at
//! most 1,024 messages. A producer that finds its queue full, and a consumer that finds it empty, yield the processor and try
//! again, so no figure contains a sleep. The send queue also makes room for header and tags, and bounds bytes; the
//! others do not.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_queue::{ArrayQueue, SegQueue};
use oddwire_benches::{MEASUREMENT, SAMPLES, WARM_UP, payload};
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
    /// Copies the message and queues it; false if the queue is full.
    fn send(sender: &Self::Sender, message: &[u8]) -> bool;
    /// Takes what there is and answers how many messages that was.
    fn receive(sender: &Self::Sender, receiver: &mut Self::Receiver) -> u64;
}

struct OddwireQueue;

impl Candidate for OddwireQueue {
    type Sender = Arc<SendQueue>;
    type Receiver = Consumer;
    const NAME: &str = "send_queue";

    fn new() -> (Self::Sender, Consumer) {
        send_queue(QueueLimits { messages: CAPACITY, bytes: 16 << 20 })
    }

    fn send(queue: &Self::Sender, message: &[u8]) -> bool {
        queue.push(KIND, message).is_ok()
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
    type Receiver = mpsc::Receiver<Bytes>;
    const NAME: &str = "tokio::sync::mpsc";

    fn new() -> (Self::Sender, Self::Receiver) {
        mpsc::channel(CAPACITY)
    }

    fn send(sender: &Self::Sender, message: &[u8]) -> bool {
        // A permit first, so that a full channel costs no copy, as in the send queue.
        sender.try_reserve().map(|permit| permit.send(Bytes::copy_from_slice(message))).is_ok()
    }

    fn receive(_: &Self::Sender, receiver: &mut Self::Receiver) -> u64 {
        count(|| receiver.try_recv().ok())
    }
}

struct CrossbeamArray;

impl Candidate for CrossbeamArray {
    type Sender = ArrayQueue<Bytes>;
    type Receiver = ();
    const NAME: &str = "crossbeam ArrayQueue";

    fn new() -> (Self::Sender, ()) {
        (ArrayQueue::new(CAPACITY), ())
    }

    fn send(queue: &Self::Sender, message: &[u8]) -> bool {
        !queue.is_full() && queue.push(Bytes::copy_from_slice(message)).is_ok()
    }

    fn receive(queue: &Self::Sender, (): &mut ()) -> u64 {
        count(|| queue.pop())
    }
}

struct CrossbeamSeg;

impl Candidate for CrossbeamSeg {
    type Sender = SegQueue<Bytes>;
    type Receiver = ();
    const NAME: &str = "crossbeam SegQueue (unbounded)";

    fn new() -> (Self::Sender, ()) {
        (SegQueue::new(), ())
    }

    fn send(queue: &Self::Sender, message: &[u8]) -> bool {
        queue.push(Bytes::copy_from_slice(message));
        true
    }

    fn receive(queue: &Self::Sender, (): &mut ()) -> u64 {
        count(|| queue.pop())
    }
}

/// Receives until there is nothing, at most as much as one run of the send queue.
fn count(mut receive: impl FnMut() -> Option<Bytes>) -> u64 {
    let mut received = 0;
    while received < 64
        && let Some(message) = receive()
    {
        black_box(message.first());
        received += 1;
    }
    received
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
                    while !C::send(sender, message) {
                        thread::yield_now();
                    }
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
            black_box(C::send(&sender, message));
        }
        black_box(C::receive(&sender, &mut receiver));
    }
    start.elapsed()
}

fn measure<C: Candidate>(criterion: &mut Criterion, size: usize) {
    let message = payload(size);
    let mut group = criterion.benchmark_group(format!("send_queue/{size}B"));
    group.warm_up_time(WARM_UP).measurement_time(MEASUREMENT).sample_size(SAMPLES);
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(C::NAME, "same thread, 32 at a time"), |bencher| {
        bencher.iter_custom(|messages| uncontended::<C>(&message, messages));
    });
    for producers in [1, 2, 4] {
        group.bench_function(BenchmarkId::new(C::NAME, format!("{producers} producers")), |bencher| {
            bencher.iter_custom(|messages| transfer::<C>(producers, &message, messages));
        });
    }
    group.finish();
}

fn queues(criterion: &mut Criterion) {
    for size in [64, 1024] {
        measure::<OddwireQueue>(criterion, size);
        measure::<TokioMpsc>(criterion, size);
        measure::<CrossbeamArray>(criterion, size);
        measure::<CrossbeamSeg>(criterion, size);
    }
}

criterion_group!(benches, queues);
criterion_main!(benches);
