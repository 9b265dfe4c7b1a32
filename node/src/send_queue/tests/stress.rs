//! Real threads, as fast as they can, every message checked.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::*;

const PRODUCERS: u16 = 4;

/// How many messages each stress test sends, all producers together.
fn messages() -> u64 {
    match std::env::var("ODDWIRE_STRESS_MESSAGES") {
        Ok(number) => number.parse().expect("ODDWIRE_STRESS_MESSAGES is a number of messages"),
        Err(_) => 400_000,
    }
}

/// A cheap sequence of numbers that look random; the same for the same seed.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Running number, filling, checksum over both; 16 to 271 bytes.
fn payload(number: u64, random: &mut Sequence, room: &mut Vec<u8>) {
    let filling = random.next();
    room.clear();
    room.extend(number.to_be_bytes());
    room.resize(8 + usize::from(filling.to_le_bytes()[0]), filling.to_le_bytes()[1]);
    let sum = checksum(room);
    room.extend(sum.to_be_bytes());
}

/// Checks one message and answers its running number.
fn check(payload: &[u8]) -> u64 {
    let (content, sum) = payload.split_last_chunk::<8>().expect("a payload has a checksum");
    assert_eq!(u64::from_be_bytes(*sum), checksum(content), "a message arrived damaged");
    u64::from_be_bytes(*content.first_chunk().expect("a payload has a number"))
}

/// Sends message `number` in one of the two ways, waiting for room; answers false once the queue is closed.
fn send(queue: &SendQueue, kind: MessageType, payload: &[u8], random: &mut Sequence) -> bool {
    loop {
        let way = random.next() % 8;
        let result = if way == 0 {
            // Taken and given up, then once more.
            drop(queue.reserve(payload.len() + 2));
            queue.push(kind, payload)
        } else if way < 4 {
            queue.push(kind, payload)
        } else {
            queue.reserve(payload.len() + 2).and_then(|mut reservation| {
                let (kind_room, payload_room) = reservation.message_mut().split_at_mut(2);
                kind_room.copy_from_slice(&kind.get().to_be_bytes());
                payload_room.copy_from_slice(payload);
                reservation.commit().map_err(|unsent| {
                    assert_eq!(unsent.payload(), Some(payload), "another message came back");
                    QueueError::Closed
                })
            })
        };
        match result {
            Ok(()) => return true,
            Err(QueueError::Closed) => return false,
            Err(QueueError::Full { .. }) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends until done or closed; answers how many messages the queue has accepted.
fn produce(queue: &SendQueue, producer: u16, count: u64) -> u64 {
    let mut random = Sequence(u64::from(producer) + 1);
    let mut room = Vec::new();
    for number in 0..count {
        payload(number, &mut random, &mut room);
        if !send(queue, MessageType::new(producer), &room, &mut random) {
            return number;
        }
    }
    count
}

/// The next number expected of each producer, and the check that it comes.
#[derive(Default)]
struct Arrived([u64; PRODUCERS as usize]);

impl Arrived {
    fn message(&mut self, kind: MessageType, number: u64) {
        let next = &mut self.0[usize::from(kind.get())];
        assert_eq!(number, *next, "producer {} out of order", kind.get());
        *next += 1;
    }

    fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Takes and "writes" in uneven parts until `until` messages have arrived.
fn consume(queue: &SendQueue, consumer: &mut Consumer, arrived: &mut Arrived, until: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut random = Sequence(99);
    while arrived.total() < until {
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_mins(1), consumer.wait()).await })
            .expect("no wake-up in a minute: one was lost");
        let limits = queue.limits();
        assert!(queue.queued_messages() <= limits.messages && queue.queued_bytes() <= limits.bytes);
        let mut batch = consumer.take();
        while let Some(mut run) = batch.next_run(4096, 16) {
            run.seal_each(|frame| {
                let message = &frame[18..frame.len() - 16];
                let kind = MessageType::new(u16::from_be_bytes([message[0], message[1]]));
                arrived.message(kind, check(&message[2..]));
                Ok::<(), ()>(())
            })
            .unwrap();
            run.advance(usize::try_from(random.next() % 3000).unwrap());
        }
    }
}

#[test]
fn every_message_arrives_once_whole_and_in_order() {
    let share = messages() / u64::from(PRODUCERS);
    let (queue, consumer) = send_queue(QueueLimits { messages: 300, bytes: 40_000 });
    let mut arrived = Arrived::default();
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let queue = &queue;
            scope.spawn(move || assert_eq!(produce(queue, producer, share), share));
        }
        // Moved in here: if a check fails, dropping the consumer closes the queue and ends the producers.
        let mut consumer = consumer;
        consume(&queue, &mut consumer, &mut arrived, share * u64::from(PRODUCERS));
    });
    assert_eq!(arrived.0, [share; PRODUCERS as usize]);
    assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
}

#[test]
fn closing_in_the_middle_loses_nothing() {
    let rounds = 200;
    for round in 0..rounds {
        let until = 1 + messages() / rounds * round / rounds;
        let (queue, consumer) = send_queue(QueueLimits { messages: 300, bytes: 40_000 });
        let accepted = Mutex::new([0; PRODUCERS as usize]);
        let mut arrived = Arrived::default();
        thread::scope(|scope| {
            for producer in 0..PRODUCERS {
                let (queue, accepted) = (&queue, &accepted);
                scope.spawn(move || {
                    let count = produce(queue, producer, u64::MAX);
                    accepted.lock().unwrap()[usize::from(producer)] = count;
                });
            }
            let mut consumer = consumer;
            consume(&queue, &mut consumer, &mut arrived, until);
            for unsent in consumer.close() {
                arrived.message(unsent.kind(), check(unsent.payload().expect("nothing is sealed here")));
            }
        });
        assert_eq!(arrived.0, *accepted.lock().unwrap(), "what was accepted was written or returned");
        assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
    }
}
