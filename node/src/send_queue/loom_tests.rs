//! The small cases, in every interleaving that the memory model allows; the larger ones, in those with few interruptions.
//!
//! Run with `RUSTFLAGS="--cfg oddwire_loom" cargo test -p oddwire-node --release --lib send_queue::loom`. Each model also proves
//! that no frame leaks and none is freed twice: loom counts the allocations.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::thread;

use super::pool::depot::{BUNDLE, Bundle, Depot};
use super::*;

const LOOSE: QueueLimits = QueueLimits { messages: 8, bytes: 1024 };

/// For the models that are too large for all interleavings: those in which threads are interrupted at most twice.
fn bounded_model(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.check(model);
}

fn kind(producer: u16, number: u16) -> MessageType {
    MessageType::new(producer * 256 + number)
}

/// Takes everything that is committed, "writes" it, and answers the messages in their order.
fn drain(consumer: &mut Consumer) -> Vec<MessageType> {
    let mut batch = consumer.take();
    let mut kinds = Vec::new();
    while let Some(mut run) = batch.next_run(usize::MAX, usize::MAX) {
        run.seal_each(|frame| {
            kinds.push(MessageType::new(u16::from_be_bytes([frame[18], frame[19]])));
            Ok::<(), ()>(())
        })
        .unwrap();
        run.advance(usize::MAX);
    }
    kinds
}

/// Waits for `count` messages, as one task.
async fn receive(consumer: &mut Consumer, count: usize) -> Vec<MessageType> {
    let mut seen = Vec::new();
    while seen.len() < count {
        {
            let mut wait = pin!(consumer.wait());
            poll_fn(|context| {
                let poll = wait.as_mut().poll(context);
                if poll.is_pending() {
                    // While a producer calls the waker of another task, a poll asks to be repeated; loom has to be told
                    // that repeating it is of no use until that producer has gone on.
                    thread::yield_now();
                }
                poll
            })
            .await;
        }
        seen.extend(drain(consumer));
    }
    seen
}

fn kinds(unsent: &[Unsent]) -> Vec<MessageType> {
    unsent.iter().map(Unsent::kind).collect()
}

fn of_producer(producer: u16, kinds: &[MessageType]) -> Vec<MessageType> {
    kinds.iter().copied().filter(|kind| kind.get() / 256 == producer).collect()
}

#[test]
fn a_producer_and_a_sleeping_consumer() {
    loom::model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(kind(1, 0), &[7]).unwrap())
        };
        assert_eq!(block_on(receive(&mut consumer, 1)), [kind(1, 0)]);
        producer.join().unwrap();
    });
}

#[test]
fn two_producers_and_a_sleeping_consumer() {
    bounded_model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let producers: Vec<_> = [1, 2]
            .into_iter()
            .map(|producer| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.push(kind(producer, 0), &[7]).unwrap())
            })
            .collect();

        let seen = block_on(receive(&mut consumer, 2));
        for producer in producers {
            producer.join().unwrap();
        }

        assert_eq!(of_producer(1, &seen), [kind(1, 0)]);
        assert_eq!(of_producer(2, &seen), [kind(2, 0)]);
        assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
    });
}

#[test]
fn each_producers_messages_stay_in_order() {
    loom::model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                queue.push(kind(1, 0), &[]).unwrap();
                queue.push(kind(1, 1), &[]).unwrap();
            })
        };
        let mut seen = drain(&mut consumer);
        queue.push(kind(2, 0), &[]).unwrap();
        seen.extend(drain(&mut consumer));
        other.join().unwrap();
        seen.extend(drain(&mut consumer));

        assert_eq!(of_producer(1, &seen), [kind(1, 0), kind(1, 1)]);
        assert_eq!(of_producer(2, &seen), [kind(2, 0)]);
    });
}

#[test]
fn the_limit_is_never_passed_and_every_room_is_given_back() {
    loom::model(|| {
        // Room for one message of 2 bytes, in messages; for two of them, in bytes.
        let (queue, mut consumer) = send_queue(QueueLimits { messages: 1, bytes: 72 });
        let holders = loom::sync::Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let reserver = |commits: bool| {
            let (queue, holders) = (Arc::clone(&queue), Arc::clone(&holders));
            thread::spawn(move || match queue.reserve(2) {
                Ok(reservation) => {
                    assert_eq!(holders.fetch_add(1, StdOrdering::AcqRel), 0, "two hold the one room");
                    holders.fetch_sub(1, StdOrdering::AcqRel);
                    if commits {
                        reservation.commit().unwrap();
                    }
                    commits
                }
                Err(refused) => {
                    assert_eq!(
                        refused,
                        QueueError::Full {
                            queued_messages: 1,
                            queued_bytes: 36,
                            limit_messages: 1,
                            limit_bytes: 72
                        }
                    );
                    false
                }
            })
        };
        let first = reserver(true);
        let second = reserver(false);
        let mut seen = drain(&mut consumer).len();
        let committed = first.join().unwrap();
        second.join().unwrap();
        seen += drain(&mut consumer).len();

        assert_eq!(seen, usize::from(committed));
        assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
    });
}

#[test]
fn a_push_that_races_with_closing_is_returned_exactly_once() {
    bounded_model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let producers: Vec<_> = [1, 2]
            .into_iter()
            .map(|producer| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut reservation = queue.reserve(3).ok()?;
                    reservation.message_mut().copy_from_slice(&[producer, 0, producer]);
                    reservation.commit().err()
                })
            })
            .collect();

        let mut owned = drain(&mut consumer);
        let unsent = consumer.close();
        assert!(
            unsent.iter().all(|unsent| unsent.payload().unwrap()[0] == unsent.kind().get().to_be_bytes()[0])
        );
        owned.extend(kinds(&unsent));
        let mut refused = 0;
        for (producer, result) in [1, 2].into_iter().zip(producers) {
            match result.join().unwrap() {
                Some(unsent) => {
                    assert_eq!(unsent.payload(), Some(&[producer][..]));
                    owned.push(unsent.kind());
                }
                // Committed, or refused by `reserve`: told apart by the count below.
                None => refused += usize::from(of_producer(producer.into(), &owned).is_empty()),
            }
        }

        assert_eq!(owned.len() + refused, 2);
        assert!(consumer.close().is_empty());
        assert_eq!(queue.push(kind(3, 0), &[]), Err(QueueError::Closed));
        assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
    });
}

#[test]
fn a_commit_that_races_with_closing_has_one_owner() {
    loom::model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut reservation = queue.reserve(3).ok()?;
                reservation.message_mut().copy_from_slice(&[1, 0, 9]);
                Some(reservation.commit())
            })
        };
        let mut owned = kinds(&consumer.close());
        match producer.join().unwrap() {
            Some(Err(unsent)) => owned.push(unsent.kind()),
            Some(Ok(())) => {}
            None => owned.push(kind(1, 0)),
        }
        assert_eq!(owned, [kind(1, 0)]);
    });
}

#[test]
fn a_queue_whose_consumer_goes_frees_everything() {
    loom::model(|| {
        let (queue, consumer) = send_queue(LOOSE);
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(kind(1, 0), &[1, 2, 3]))
        };
        drop(consumer);
        drop(queue);
        let _ = producer.join().unwrap();
    });
}

/// Counts its calls.
#[derive(Default)]
struct CountingWaker(StdAtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, StdOrdering::Relaxed);
    }
}

#[test]
fn a_producer_that_stops_after_its_commit_does_not_silence_the_others() {
    loom::model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let calls = StdArc::new(CountingWaker::default());
        let waker = Waker::from(StdArc::clone(&calls));
        {
            let mut wait = pin!(consumer.wait());
            assert_eq!(wait.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        }
        // This one stops for ever between the exchange that commits and the call.
        assert!(queue.stack.push(Frame::zeroed(2)).is_ok());

        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(kind(2, 0), &[]).unwrap())
        };
        other.join().unwrap();
        assert_eq!(calls.0.load(StdOrdering::Relaxed), 1);
        drop(queue);
    });
}

#[test]
fn a_wait_that_moves_to_another_task_is_not_forgotten() {
    loom::model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(kind(1, 0), &[]).unwrap())
        };
        // Polled once by a task that then gives up; the producer may be calling it at this very moment.
        let calls = StdArc::new(CountingWaker::default());
        let waker = Waker::from(StdArc::clone(&calls));
        {
            let mut wait = pin!(consumer.wait());
            let _ = wait.as_mut().poll(&mut Context::from_waker(&waker));
        }
        assert_eq!(block_on(receive(&mut consumer, 1)), [kind(1, 0)]);
        producer.join().unwrap();
    });
}

#[test]
fn the_second_sleep_is_ended_too() {
    bounded_model(|| {
        let (queue, mut consumer) = send_queue(LOOSE);
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                queue.push(kind(1, 0), &[]).unwrap();
                queue.push(kind(1, 1), &[]).unwrap();
            })
        };
        let seen = block_on(receive(&mut consumer, 2));
        assert_eq!(seen, [kind(1, 0), kind(1, 1)]);
        producer.join().unwrap();
    });
}

#[test]
fn one_who_waits_for_room_is_woken_by_whoever_gives_some_back() {
    bounded_model(|| {
        let (queue, mut consumer) = send_queue(QueueLimits { messages: 1, bytes: 72 });
        queue.push(kind(1, 0), &[]).unwrap();
        let waiter = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || block_on(queue.push_in_turn(kind(2, 0), &[])).unwrap())
        };
        let mut seen = drain(&mut consumer);
        waiter.join().unwrap();
        seen.extend(drain(&mut consumer));
        assert_eq!(seen, [kind(1, 0), kind(2, 0)]);
        queue.push(kind(3, 0), &[]).unwrap();
    });
}

#[test]
fn room_that_nobody_takes_up_is_not_lost() {
    bounded_model(|| {
        let (queue, mut consumer) = send_queue(QueueLimits { messages: 1, bytes: 72 });
        queue.push(kind(1, 0), &[]).unwrap();
        let waiter = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                // Polled once, and given up whatever the answer was.
                let mut wait = pin!(queue.reserve_in_turn(2));
                let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        drain(&mut consumer);
        waiter.join().unwrap();
        assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
        queue.push(kind(3, 0), &[]).unwrap();
    });
}

#[test]
fn closing_ends_every_wait_for_room() {
    bounded_model(|| {
        let (queue, mut consumer) = send_queue(QueueLimits { messages: 1, bytes: 72 });
        queue.push(kind(1, 0), &[]).unwrap();
        let waiter = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || block_on(queue.push_in_turn(kind(2, 0), &[])))
        };
        assert_eq!(consumer.close().len(), 1);
        assert_eq!(waiter.join().unwrap(), Err(QueueError::Closed));
    });
}

#[test]
fn a_bundle_of_free_blocks_has_one_owner() {
    loom::model(|| {
        // One slot for two bundles: one of them may be refused.
        let depot = Arc::new(Depot::<1>::new());
        let traders: Vec<_> = [1, 2]
            .into_iter()
            .map(|blocks| {
                let depot = Arc::clone(&depot);
                thread::spawn(move || trade(&depot, blocks))
            })
            .collect();
        for trader in traders {
            trader.join().unwrap();
        }
        while let Some(bundle) = depot.take() {
            free(bundle);
        }
    });
}

/// Puts a bundle of `blocks` blocks, takes one, and frees what it has. Loom sees what is freed twice, or never.
fn trade(depot: &Depot<1>, blocks: usize) {
    let block = || pool::take(BLOCK).as_ptr();
    let blocks: Vec<_> = std::iter::repeat_with(block).take(blocks).collect();
    // SAFETY: the blocks were taken just now, and have the size of a bundle.
    let bundle = unsafe { Bundle::tie(&blocks) }.unwrap();
    if let Err(refused) = depot.put(bundle) {
        free(refused);
    }
    if let Some(bundle) = depot.take() {
        free(bundle);
    }
}

/// Loom's cells are larger than the real ones.
const BLOCK: usize = if size_of::<Bundle>() > 128 { size_of::<Bundle>() } else { 128 };

fn free(bundle: std::ptr::NonNull<Bundle>) {
    let mut blocks = [std::ptr::null_mut(); BUNDLE];
    // SAFETY: put by `trade`, and taken by nobody else.
    let len = unsafe { Bundle::untie(bundle, &mut blocks) };
    for block in blocks.into_iter().take(len) {
        // SAFETY: taken for this length by `trade`.
        unsafe { pool::give(std::ptr::NonNull::new(block).unwrap(), BLOCK) };
    }
}
