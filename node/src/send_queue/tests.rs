//! The queue beside an oracle, one thread and many.
//!
//! The oracle test compares every answer with a model that is nothing but a list. The stress tests run real threads; set
//! `ODDWIRE_STRESS_MESSAGES` for a longer run than the default.

mod oracle;
mod stress;

use std::io::IoSlice;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;

const LOOSE: QueueLimits = QueueLimits { messages: 100, bytes: 1 << 20 };
const KIND: MessageType = MessageType::new(40_001);

/// Stands for sealing in these tests: afterwards no byte is what it was.
#[expect(clippy::unnecessary_wraps, reason = "the shape that `seal_each` asks for")]
fn scramble(frame: &mut [u8]) -> Result<(), ()> {
    for byte in frame {
        *byte ^= 0xa5;
    }
    Ok(())
}

/// What the slices of a run hold, one after another.
fn unwritten(run: &Run<'_>) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 64];
    let filled = run.as_slices(&mut slices);
    slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
}

#[test]
fn a_frame_has_room_around_its_message() {
    let (queue, mut consumer) = send_queue(LOOSE);
    queue.push(KIND, b"payload").unwrap();
    let mut reservation = queue.reserve(9).unwrap();
    reservation.message_mut().copy_from_slice(b"\x9c\x41payload");
    reservation.commit().unwrap();

    let mut expected = vec![0; 18];
    expected.extend(b"\x9c\x41payload");
    expected.extend([0; 16]);
    let mut frames = Vec::new();
    let mut batch = consumer.take();
    batch
        .next_run(usize::MAX, usize::MAX)
        .unwrap()
        .seal_each(|frame| {
            frames.push(frame.to_vec());
            Ok::<(), ()>(())
        })
        .unwrap();
    assert_eq!(frames, [expected.clone(), expected]);
}

#[test]
fn refusals_name_what_was_found_and_what_is_allowed() {
    let (queue, _consumer) = send_queue(QueueLimits { messages: 2, bytes: 140 });
    assert_eq!(queue.reserve(1).err(), Some(QueueError::TooShort { len: 1 }));
    assert_eq!(queue.reserve(107).err(), Some(QueueError::TooLong { len: 107, limit: 106 }));
    let first = queue.reserve(106).unwrap();
    let full = |queued_messages, queued_bytes| {
        Some(QueueError::Full { queued_messages, queued_bytes, limit_messages: 2, limit_bytes: 140 })
    };
    assert_eq!(queue.reserve(2).err(), full(1, 140));
    drop(first);
    let _second = queue.reserve(2).unwrap();
    let _third = queue.reserve(2).unwrap();
    assert_eq!(queue.reserve(2).err(), full(2, 72));

    let (queue, _consumer) = send_queue(LOOSE);
    assert_eq!(
        queue.push(KIND, &vec![0; 65_534]).err(),
        Some(QueueError::TooLong { len: 65_536, limit: 65_535 })
    );
    queue.push(KIND, &vec![0; 65_533]).unwrap();
    assert_eq!(queue.reserve(usize::MAX).err(), Some(QueueError::TooLong { len: usize::MAX, limit: 65_535 }));
}

#[test]
fn limits_beyond_what_can_be_counted_are_lowered() {
    let (queue, _consumer) = send_queue(QueueLimits { messages: usize::MAX, bytes: usize::MAX });
    assert_eq!(queue.limits(), QueueLimits { messages: (1 << 23) - 1, bytes: (1 << 40) - 1 });
    queue.push(KIND, &[]).unwrap();
    assert_eq!((queue.queued_messages(), queue.queued_bytes()), (1, 36));
}

#[test]
fn a_run_is_bounded_and_keeps_what_is_sealed() {
    let (queue, mut consumer) = send_queue(LOOSE);
    for _ in 0..5 {
        queue.push(KIND, &[0; 64]).unwrap();
    }
    let mut batch = consumer.take();
    assert_eq!(batch.next_run(usize::MAX, 3).unwrap().len(), 3);
    assert_eq!(batch.next_run(250, 64).unwrap().len(), 2);
    assert_eq!(batch.next_run(0, 0).unwrap().len(), 1, "a run has at least one frame");
    batch.next_run(usize::MAX, 4).unwrap().seal_each(scramble).unwrap();
    assert_eq!(batch.next_run(0, 0).unwrap().len(), 4, "what is sealed stays in the run");
}

#[test]
fn closing_returns_what_is_not_completely_written() {
    let (queue, mut consumer) = send_queue(LOOSE);
    for number in 0..5_u8 {
        queue.push(MessageType::new(40_001 + 2 * u16::from(number)), &[number; 10]).unwrap();
    }
    let late = queue.reserve(2).unwrap();
    {
        let mut batch = consumer.take();
        let mut run = batch.next_run(usize::MAX, 3).unwrap();
        run.seal_each(scramble).unwrap();
        assert_eq!(run.advance(46 + 1), Written { messages: 1, bytes: 46 });
    }
    queue.push(KIND, b"not taken").unwrap();

    let unsent = consumer.close();

    let seen: Vec<_> =
        unsent.iter().map(|u| (u.kind().get(), u.message_len(), u.stage(), u.payload())).collect();
    assert_eq!(
        seen,
        [
            (40_003, 12, Stage::PartlyWritten, None),
            (40_005, 12, Stage::Sealed, None),
            (40_007, 12, Stage::Queued, Some(&[3; 10][..])),
            (40_009, 12, Stage::Queued, Some(&[4; 10][..])),
            (40_001, 11, Stage::Queued, Some(&b"not taken"[..])),
        ]
    );
    assert_eq!(late.commit().unwrap_err().payload(), Some(&[][..]));
    assert_eq!(queue.push(KIND, &[]), Err(QueueError::Closed));
    assert_eq!(queue.reserve(2).err(), Some(QueueError::Closed));
    assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
    assert!(consumer.close().is_empty() && consumer.take().is_empty());
}

#[test]
fn a_frame_that_could_not_be_sealed_keeps_its_payload() {
    let (queue, mut consumer) = send_queue(LOOSE);
    queue.push(KIND, b"first").unwrap();
    queue.push(KIND, b"second").unwrap();
    {
        let mut batch = consumer.take();
        let mut run = batch.next_run(usize::MAX, 2).unwrap();
        let mut calls = 0;
        let result = run.seal_each(|frame| {
            calls += 1;
            if calls == 2 { Err("refused") } else { scramble(frame).map_err(|()| "") }
        });
        assert_eq!(result, Err("refused"));
        assert_eq!(unwritten(&run).len(), 41, "only the sealed frame may be written");
        assert_eq!(run.advance(usize::MAX).messages, 1);
    }
    assert_eq!(consumer.close()[0].payload(), Some(&b"second"[..]));
}

/// Frames are lent a few at a time, in order; what was refused, and all behind it, is as it was.
#[test]
fn frames_that_could_not_be_sealed_together_keep_their_payloads() {
    for refused in 0..20 {
        let (queue, mut consumer) = send_queue(LOOSE);
        for number in 0..20 {
            queue.push(KIND, &[number]).unwrap();
        }
        {
            let mut batch = consumer.take();
            // Two are sealed before, and two more belong to no run.
            batch.next_run(usize::MAX, 2).unwrap().seal_each(scramble).unwrap();
            let mut run = batch.next_run(usize::MAX, 18).unwrap();
            let mut seen = 2;
            let result = run.seal_several(|frames| {
                assert!((1..=8).contains(&frames.len()));
                for (sealed, frame) in frames.iter_mut().enumerate() {
                    assert_eq!(frame[20..frame.len() - 16], [seen]);
                    if seen == refused {
                        return Err((sealed, "refused"));
                    }
                    scramble(frame).map_err(|()| (sealed, ""))?;
                    seen += 1;
                }
                Ok(())
            });
            let sealed = if (2..18).contains(&refused) { refused } else { 18 };
            assert_eq!(result, if sealed < 18 { Err("refused") } else { Ok(()) });
            assert_eq!(seen, sealed);
            assert_eq!(unwritten(&run).len(), usize::from(sealed) * 37, "only sealed frames may be written");
            assert_eq!(run.advance(usize::MAX).messages, usize::from(sealed));
            seen = sealed;
            // And they can still be sealed.
            run.seal_several(|frames| {
                for frame in frames {
                    assert_eq!(frame[20..frame.len() - 16], [seen]);
                    scramble(frame).map_err(|()| (0, ""))?;
                    seen += 1;
                }
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, 18);
            run.advance(usize::MAX);
        }
        let left = consumer.close();
        assert_eq!(
            left.iter().map(|unsent| unsent.payload()).collect::<Vec<_>>(),
            [Some(&[18][..]), Some(&[19])]
        );
    }
}

#[test]
fn an_idle_queue_is_small() {
    // All there is: what is queued is linked through the frames themselves.
    assert!(size_of::<SendQueue>() + size_of::<Consumer>() < 256);
}

/// Polls once, and answers what `waker` is to be told.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn those_who_wait_get_room_in_the_order_in_which_they_came() {
    let (queue, mut consumer) = send_queue(QueueLimits { messages: 100, bytes: 200 });
    let calls = StdArc::new(CountingWaker::default());
    let waker = Waker::from(StdArc::clone(&calls));
    queue.push(KIND, &[0; 64]).unwrap();
    queue.push(KIND, &[0; 64]).unwrap();
    // The first one needs both rooms, the second one would fit at once.
    let mut large = pin!(queue.push_in_turn(KIND, &[1; 160]));
    let mut small = pin!(queue.push_in_turn(KIND, b""));
    let mut given_up = Box::pin(queue.push_in_turn(KIND, b""));
    assert!(poll_once(large.as_mut(), &waker).is_pending());
    assert!(poll_once(small.as_mut(), &waker).is_pending());
    assert!(poll_once(given_up.as_mut(), &waker).is_pending());
    drop(given_up);

    write(&mut consumer, 1);
    assert_eq!(calls.0.load(StdOrdering::Relaxed), 0);
    assert!(poll_once(small.as_mut(), &waker).is_pending(), "it is not its turn");
    assert!(
        matches!(queue.push(KIND, &[]), Err(QueueError::Full { .. })),
        "there is room, but for those in line"
    );
    write(&mut consumer, 1);
    assert_eq!(calls.0.load(StdOrdering::Relaxed), 1);
    assert_eq!(poll_once(large.as_mut(), &waker), Poll::Ready(Ok(())));
    assert!(poll_once(small.as_mut(), &waker).is_pending());
    write(&mut consumer, 1);
    assert_eq!(poll_once(small.as_mut(), &waker), Poll::Ready(Ok(())));
    queue.push(KIND, &[]).unwrap();
    write(&mut consumer, 2);
    assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
}

#[test]
fn what_was_granted_and_not_wanted_goes_to_the_next() {
    let (queue, mut consumer) = send_queue(QueueLimits { messages: 1, bytes: 200 });
    queue.push(KIND, &[]).unwrap();
    let mut first = Box::pin(queue.reserve_in_turn(2));
    let mut second = pin!(queue.reserve_in_turn(2));
    assert!(poll_once(first.as_mut(), Waker::noop()).is_pending());
    assert!(poll_once(second.as_mut(), Waker::noop()).is_pending());
    write(&mut consumer, 1);
    drop(first);
    let Poll::Ready(Ok(reservation)) = poll_once(second.as_mut(), Waker::noop()) else { panic!("no room") };
    drop(reservation);
    assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
    queue.push(KIND, &[]).unwrap();
}

#[test]
fn closing_ends_the_wait() {
    let (queue, mut consumer) = send_queue(QueueLimits { messages: 1, bytes: 200 });
    let calls = StdArc::new(CountingWaker::default());
    let waker = Waker::from(StdArc::clone(&calls));
    queue.push(KIND, &[]).unwrap();
    let mut waiting = pin!(queue.push_in_turn(KIND, &[]));
    assert!(poll_once(waiting.as_mut(), &waker).is_pending());
    assert_eq!(consumer.close().len(), 1);
    assert_eq!(calls.0.load(StdOrdering::Relaxed), 1);
    assert_eq!(poll_once(waiting.as_mut(), &waker), Poll::Ready(Err(QueueError::Closed)));
    assert_eq!(poll_once(pin!(queue.push_in_turn(KIND, &[])), &waker), Poll::Ready(Err(QueueError::Closed)));
}

/// "Writes" so many messages.
fn write(consumer: &mut Consumer, messages: usize) {
    let mut batch = consumer.take();
    for _ in 0..messages {
        let mut run = batch.next_run(0, 1).unwrap();
        run.seal_each(scramble).unwrap();
        assert_eq!(run.advance(usize::MAX).messages, 1);
    }
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
fn the_consumer_is_called_only_while_it_waits() {
    let (queue, mut consumer) = send_queue(LOOSE);
    let calls = StdArc::new(CountingWaker::default());
    let waker = Waker::from(StdArc::clone(&calls));
    let poll = |consumer: &mut Consumer| pin!(consumer.wait()).poll(&mut Context::from_waker(&waker));
    let count = || calls.0.load(StdOrdering::Relaxed);

    queue.push(KIND, &[]).unwrap();
    assert_eq!(count(), 0, "nobody has waited yet");
    assert_eq!(poll(&mut consumer), Poll::Ready(()));
    assert_eq!(consumer.take().len(), 1);

    assert_eq!(poll(&mut consumer), Poll::Pending);
    queue.push(KIND, &[]).unwrap();
    queue.push(KIND, &[]).unwrap();
    assert_eq!(count(), 1, "one call for one wait");

    assert_eq!(consumer.take().len(), 3);
    assert_eq!(poll(&mut consumer), Poll::Pending);
    consumer.take();
    queue.push(KIND, &[]).unwrap();
    assert_eq!(count(), 1, "taking ends the wait");

    consumer.close();
    assert_eq!(poll(&mut consumer), Poll::Ready(()));
    drop(consumer);
    drop(queue);
    drop(waker);
    assert_eq!(StdArc::strong_count(&calls), 1, "the queue has kept no waker");
}

/// Stands for a producer that is stopped in the middle of its call: during the first call another one pushes.
struct StoppedCall {
    queue: StdArc<SendQueue>,
    calls: StdAtomicUsize,
}

impl Wake for StoppedCall {
    fn wake(self: StdArc<Self>) {
        if self.calls.fetch_add(1, StdOrdering::Relaxed) == 0 {
            self.queue.push(KIND, &[]).unwrap();
            assert_eq!(
                self.calls.load(StdOrdering::Relaxed),
                2,
                "the second producer relied on the first one's call"
            );
        }
    }
}

#[test]
fn a_producer_that_stops_in_its_call_does_not_silence_the_others() {
    let (queue, mut consumer) = send_queue(LOOSE);
    let call = StdArc::new(StoppedCall { queue: StdArc::clone(&queue), calls: StdAtomicUsize::new(0) });
    let waker = Waker::from(StdArc::clone(&call));
    assert_eq!(pin!(consumer.wait()).poll(&mut Context::from_waker(&waker)), Poll::Pending);
    queue.push(KIND, &[]).unwrap();
    assert_eq!(call.calls.load(StdOrdering::Relaxed), 2);
    assert_eq!(consumer.take().len(), 2);
}
