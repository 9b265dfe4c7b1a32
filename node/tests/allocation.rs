//! Once warm, a message through the send queue allocates nothing, whichever thread sends and whichever takes.
//!
//! A crate of its own: the allocator that counts is the whole process's. So this is one test, not several at a time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use oddwire_node::MessageType;
use oddwire_node::send_queue::{Consumer, QueueLimits, SendQueue, send_queue};

/// The system's allocator, and how often it was asked by threads that are watched: the test harness has one of its own.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: everything is the system allocator's; counting is not part of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_WATCHED.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIND: MessageType = MessageType::new(40_001);
const ROUNDS: usize = 200;
/// More than a thread keeps to itself, so that the depot is in use too.
const BURST: usize = 300;

#[test]
fn a_warm_queue_allocates_nothing() {
    IS_WATCHED.set(true);
    for payload_len in [64, 1024, 65_533] {
        let limits = QueueLimits { messages: BURST, bytes: 64 << 20 };
        let burst = if payload_len > 4096 { 20 } else { BURST };
        let payload = vec![7; payload_len];
        let (queue, mut consumer) = send_queue(limits);

        let round = |consumer: &mut Consumer| {
            send(&queue, &payload, burst);
            assert_eq!(write(consumer), burst);
        };
        round(&mut consumer);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..ROUNDS {
            round(&mut consumer);
        }
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(allocations, 0, "on one thread, {payload_len} bytes, {} messages", ROUNDS * burst);

        let allocations = between_two_threads(&queue, &mut consumer, &payload, burst);
        assert_eq!(allocations, 0, "between two threads, {payload_len} bytes, {} messages", ROUNDS * burst);
    }
}

/// One thread sends, another one takes, in turns. Answers how much was allocated once both were warm.
fn between_two_threads(queue: &SendQueue, consumer: &mut Consumer, payload: &[u8], burst: usize) -> usize {
    let turn = &Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            IS_WATCHED.set(true);
            for _ in 0..2 + ROUNDS {
                send(queue, payload, burst);
                turn.wait();
                turn.wait();
            }
        });
        let mut before = 0;
        for round in 0..2 + ROUNDS {
            turn.wait();
            assert_eq!(write(consumer), burst);
            if round == 1 {
                before = ALLOCATIONS.load(Ordering::Relaxed);
            }
            if round == 1 + ROUNDS {
                // Before the other thread ends, which is no business of the queue.
                before = ALLOCATIONS.load(Ordering::Relaxed) - before;
            }
            turn.wait();
        }
        before
    })
}

fn send(queue: &SendQueue, payload: &[u8], count: usize) {
    for _ in 0..count {
        queue.push(KIND, payload).unwrap();
    }
}

/// Takes what there is, "writes" it in runs, and answers how many messages that was.
fn write(consumer: &mut Consumer) -> usize {
    let mut batch = consumer.take();
    let mut messages = 0;
    while let Some(mut run) = batch.next_run(64 << 10, 64) {
        run.seal_each(|_| Ok::<(), ()>(())).unwrap();
        messages += run.advance(usize::MAX).messages;
    }
    messages
}
