//! Random operations on the queue and on a model of it; every answer must be the model's.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Operation {
    Push { len: usize },
    Reserve { len: usize },
    Join { len: usize },
    Leave { which: usize },
    Commit { which: usize },
    GiveUp { which: usize },
    Take,
    Seal { bytes: usize, frames: usize },
    Write { bytes: usize },
    Close,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => (0_usize..200).prop_map(|len| Operation::Push { len }),
        4 => (0_usize..200).prop_map(|len| Operation::Reserve { len }),
        3 => (0_usize..200).prop_map(|len| Operation::Join { len }),
        1 => (0_usize..8).prop_map(|which| Operation::Leave { which }),
        3 => (0_usize..8).prop_map(|which| Operation::Commit { which }),
        2 => (0_usize..8).prop_map(|which| Operation::GiveUp { which }),
        3 => Just(Operation::Take),
        4 => (0_usize..600, 0_usize..6).prop_map(|(bytes, frames)| Operation::Seal { bytes, frames }),
        4 => (0_usize..600).prop_map(|bytes| Operation::Write { bytes }),
        1 => Just(Operation::Close),
    ]
}

/// A message in the model: a number that fills its payload and gives its type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    number: u16,
    len: usize,
    sealed: bool,
}

impl Message {
    fn kind(&self) -> MessageType {
        MessageType::new(self.number)
    }

    fn payload(&self) -> Vec<u8> {
        vec![self.number.to_le_bytes()[0]; self.len - 2]
    }

    fn frame_len(&self) -> usize {
        self.len + 34
    }

    /// The frame after `scramble`.
    fn sealed_bytes(&self) -> Vec<u8> {
        let mut frame = vec![0; 18];
        frame.extend(self.number.to_be_bytes());
        frame.extend(self.payload());
        frame.extend([0; 16]);
        scramble(&mut frame).unwrap();
        frame
    }
}

/// The queue as it is meant: lists and sums.
#[derive(Debug)]
struct Model {
    limits: QueueLimits,
    reserved: Vec<Message>,
    /// Those who wait for room, in order. They hold none.
    in_line: Vec<Message>,
    committed: Vec<Message>,
    in_hand: Vec<Message>,
    written: usize,
    closed: bool,
}

impl Model {
    fn used(&self) -> (usize, usize) {
        let all = || self.reserved.iter().chain(&self.committed).chain(&self.in_hand);
        (all().count(), all().map(Message::frame_len).sum())
    }

    fn has_room(&self, len: usize) -> bool {
        let (messages, bytes) = self.used();
        messages < self.limits.messages && bytes + len + 34 <= self.limits.bytes
    }

    fn refusal(&self, len: usize) -> Option<QueueError> {
        let (messages, bytes) = self.used();
        let limit = self.limits.bytes - 34;
        if self.closed {
            Some(QueueError::Closed)
        } else if len < 2 {
            Some(QueueError::TooShort { len })
        } else if len > limit {
            Some(QueueError::TooLong { len, limit })
        } else if !self.in_line.is_empty() || !self.has_room(len) {
            Some(QueueError::Full {
                queued_messages: messages,
                queued_bytes: bytes,
                limit_messages: self.limits.messages,
                limit_bytes: self.limits.bytes,
            })
        } else {
            None
        }
    }

    /// How many frames a run has.
    fn run(&self, max_bytes: usize, max_frames: usize) -> usize {
        let sealed = self.in_hand.iter().filter(|message| message.sealed).count();
        let fitting = (1..=self.in_hand.len().min(max_frames))
            .filter(|&n| {
                self.in_hand[..n].iter().map(Message::frame_len).sum::<usize>() - self.written <= max_bytes
            })
            .max()
            .unwrap_or(0);
        sealed.max(fitting).max(usize::from(!self.in_hand.is_empty()))
    }
}

proptest! {
    #[test]
    fn every_answer_is_the_models(
        messages in 1_usize..8,
        bytes in 36_usize..700,
        operations in vec(operation(), 1..200),
    ) {
        let limits = QueueLimits { messages, bytes };
        let (queue, mut consumer) = send_queue(limits);
        let mut model = Model {
            limits, reserved: vec![], in_line: vec![], committed: vec![], in_hand: vec![], written: 0, closed: false,
        };
        let mut reservations = Vec::new();
        let mut in_line = Vec::new();
        for (number, operation) in (32_769_u16..).zip(operations) {
            match operation {
                Operation::Push { len } => {
                    // A push cannot be shorter than its type.
                    let message = Message { number, len: len.max(2), sealed: false };
                    let refusal = model.refusal(message.len);
                    prop_assert_eq!(queue.push(message.kind(), &message.payload()).err(), refusal);
                    if refusal.is_none() {
                        model.committed.push(message);
                    }
                }
                Operation::Reserve { len } => {
                    let refusal = model.refusal(len);
                    match queue.reserve(len) {
                        Ok(reservation) => {
                            prop_assert_eq!(None, refusal);
                            reservations.push(reservation);
                            model.reserved.push(Message { number, len, sealed: false });
                        }
                        Err(error) => prop_assert_eq!(Some(error), refusal),
                    }
                }
                Operation::Join { len } => {
                    let refusal = model.refusal(len);
                    let message = Message { number, len, sealed: false };
                    let mut place = Box::pin(queue.reserve_in_turn(len));
                    match poll_once(place.as_mut(), Waker::noop()) {
                        Poll::Ready(Ok(reservation)) => {
                            prop_assert_eq!(None, refusal);
                            reservations.push(reservation);
                            model.reserved.push(message);
                        }
                        Poll::Ready(Err(error)) => prop_assert_eq!(Some(error), refusal),
                        Poll::Pending => {
                            let is_full = matches!(refusal, Some(QueueError::Full { .. }));
                            prop_assert!(is_full, "waits although {refusal:?}");
                            in_line.push(place);
                            model.in_line.push(message);
                        }
                    }
                }
                Operation::Leave { which } if which < in_line.len() => {
                    drop(in_line.remove(which));
                    model.in_line.remove(which);
                }
                Operation::Commit { which } if which < reservations.len() => {
                    let mut reservation = reservations.remove(which);
                    let message = model.reserved.remove(which);
                    let (kind, payload) = reservation.message_mut().split_at_mut(2);
                    kind.copy_from_slice(&message.number.to_be_bytes());
                    payload.copy_from_slice(&message.payload());
                    match reservation.commit() {
                        Ok(()) => {
                            prop_assert!(!model.closed);
                            model.committed.push(message);
                        }
                        Err(unsent) => {
                            prop_assert!(model.closed);
                            prop_assert_eq!(unsent.kind(), message.kind());
                            prop_assert_eq!(unsent.payload(), Some(&message.payload()[..]));
                        }
                    }
                }
                Operation::GiveUp { which } if which < reservations.len() => {
                    drop(reservations.remove(which));
                    model.reserved.remove(which);
                }
                Operation::Commit { .. } | Operation::GiveUp { .. } | Operation::Leave { .. } => {}
                Operation::Take => {
                    model.in_hand.append(&mut model.committed);
                    prop_assert_eq!(consumer.take().len(), model.in_hand.len());
                }
                Operation::Seal { bytes, frames } => {
                    model.in_hand.append(&mut model.committed);
                    let expected = model.run(bytes, frames);
                    let mut batch = consumer.take();
                    let run = batch.next_run(bytes, frames);
                    prop_assert_eq!(run.as_ref().map_or(0, Run::len), expected);
                    if let Some(mut run) = run {
                        let unsealed = model.in_hand[..expected].iter().filter(|message| !message.sealed).count();
                        let mut calls = 0;
                        run.seal_each(|frame| { calls += 1; scramble(frame) }).unwrap();
                        prop_assert_eq!(calls, unsealed);
                    }
                    model.in_hand[..expected].iter_mut().for_each(|message| message.sealed = true);
                }
                Operation::Write { bytes } => {
                    model.in_hand.append(&mut model.committed);
                    let sealed: Vec<_> =
                        model.in_hand.iter().take_while(|m| m.sealed).flat_map(Message::sealed_bytes).collect();
                    let mut batch = consumer.take();
                    let Some(mut run) = batch.next_run(0, 0) else { continue };
                    let unwritten = unwritten(&run);
                    prop_assert_eq!(&unwritten[..], &sealed[model.written..]);
                    let mut left = model.written + bytes.min(unwritten.len());
                    let mut expected = Written::default();
                    while model.in_hand.first().is_some_and(|m| m.sealed && m.frame_len() <= left) {
                        let message = model.in_hand.remove(0);
                        left -= message.frame_len();
                        expected.messages += 1;
                        expected.bytes += message.frame_len();
                    }
                    model.written = left;
                    prop_assert_eq!(run.advance(bytes), expected);
                }
                Operation::Close => {
                    model.in_hand.append(&mut model.committed);
                    let unsent = consumer.close();
                    prop_assert_eq!(unsent.len(), model.in_hand.len());
                    for (unsent, message) in unsent.iter().zip(&model.in_hand) {
                        prop_assert_eq!(unsent.kind(), message.kind());
                        prop_assert_eq!(unsent.message_len(), message.len);
                        let stage = match (message.sealed, std::mem::take(&mut model.written)) {
                            (false, _) => Stage::Queued,
                            (true, 0) => Stage::Sealed,
                            (true, _) => Stage::PartlyWritten,
                        };
                        prop_assert_eq!(unsent.stage(), stage);
                        let payload = (!message.sealed).then(|| message.payload());
                        prop_assert_eq!(unsent.payload(), payload.as_deref());
                    }
                    model.in_hand.clear();
                    model.closed = true;
                }
            }
            // Whose turn it is has room by now, before anybody asks; nobody else has.
            while let Some(place) = in_line.first_mut() {
                match poll_once(place.as_mut(), Waker::noop()) {
                    Poll::Ready(Ok(reservation)) => {
                        prop_assert!(!model.closed && model.has_room(model.in_line[0].len));
                        reservations.push(reservation);
                        model.reserved.push(model.in_line.remove(0));
                    }
                    Poll::Ready(Err(error)) => {
                        prop_assert!(model.closed);
                        prop_assert_eq!(error, QueueError::Closed);
                        model.in_line.remove(0);
                    }
                    Poll::Pending => {
                        prop_assert!(!model.closed && !model.has_room(model.in_line[0].len));
                        break;
                    }
                }
                drop(in_line.remove(0));
            }
            prop_assert_eq!((queue.queued_messages(), queue.queued_bytes()), model.used());
            prop_assert_eq!(queue.is_closed(), model.closed);
        }
        in_line.clear();
        reservations.clear();
        consumer.close();
        prop_assert_eq!((queue.queued_messages(), queue.queued_bytes()), (0, 0));
    }
}
