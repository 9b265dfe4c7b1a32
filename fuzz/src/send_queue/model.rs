//! The queue as it is meant: lists and sums.

use std::collections::VecDeque;

use oddwire_node::MessageType;
use oddwire_node::send_queue::{QueueError, QueueLimits, Stage, Unsent};

/// What the sealing of this target adds to every byte.
pub(super) const SEAL: u8 = 0xa5;
/// A frame is longer than its message by so many bytes. BOLT 8, "Encrypting and Sending Messages".
const OVERHEAD: usize = super::HEADER + super::TAG;

/// A message: its number is its type and fills its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    number: u16,
    pub(super) len: usize,
    pub(super) is_sealed: bool,
}

impl Message {
    pub(super) fn new(number: u16, len: usize) -> Self {
        Self { number: 0x8001 + number, len, is_sealed: false }
    }

    /// At least as long as its type.
    pub(super) fn with_type(self) -> Self {
        Self { len: self.len.max(2), ..self }
    }

    pub(super) fn kind(&self) -> MessageType {
        MessageType::new(self.number)
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        vec![self.number.to_le_bytes()[0]; self.len.saturating_sub(2)]
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [&self.number.to_be_bytes(), self.payload().as_slice()].concat()
    }

    fn frame_len(&self) -> usize {
        self.len + OVERHEAD
    }

    /// The frame as the consumer has sealed it.
    fn sealed_frame(&self) -> Vec<u8> {
        let frame = [&[0; super::HEADER], self.bytes().as_slice(), &[0; super::TAG]].concat();
        frame.iter().map(|byte| byte ^ SEAL).collect()
    }

    /// Holds what is true of a message that was not sent, `written` bytes of which were.
    pub(super) fn came_back(&self, unsent: &Unsent, written: usize) {
        assert_eq!((unsent.kind(), unsent.message_len()), (self.kind(), self.len));
        let stage = match (self.is_sealed, written) {
            (false, _) => Stage::Queued,
            (true, 0) => Stage::Sealed,
            (true, _) => Stage::PartlyWritten,
        };
        assert_eq!(unsent.stage(), stage);
        let payload = (!self.is_sealed).then(|| self.payload());
        assert_eq!(unsent.payload(), payload.as_deref());
    }
}

/// A refusal as the model knows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Closed,
    TooShort,
    TooLong { limit: usize },
    Full { messages: usize, bytes: usize },
    Other,
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Closed => Self::Closed,
            QueueError::TooShort { .. } => Self::TooShort,
            QueueError::TooLong { limit, .. } => Self::TooLong { limit },
            QueueError::Full { queued_messages, queued_bytes, .. } => {
                Self::Full { messages: queued_messages, bytes: queued_bytes }
            }
            _ => Self::Other,
        }
    }
}

/// All messages, by how far they have come.
pub(super) struct Model {
    pub(super) limits: QueueLimits,
    /// Those who wait for room, in their order. They hold none.
    pub(super) line: Vec<Message>,
    pub(super) reserved: Vec<Message>,
    pub(super) committed: VecDeque<Message>,
    pub(super) in_hand: VecDeque<Message>,
    /// Bytes of the first message in hand that are written.
    pub(super) written: usize,
    pub(super) is_closed: bool,
}

impl Model {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            line: Vec::new(),
            reserved: Vec::new(),
            committed: VecDeque::new(),
            in_hand: VecDeque::new(),
            written: 0,
            is_closed: false,
        }
    }

    /// Messages and bytes that count against the limits.
    pub(super) fn used(&self) -> (usize, usize) {
        let all = || self.reserved.iter().chain(&self.committed).chain(&self.in_hand);
        (all().count(), all().map(Message::frame_len).sum())
    }

    pub(super) fn has_room(&self, len: usize) -> bool {
        let (messages, bytes) = self.used();
        messages < self.limits.messages && bytes + len + OVERHEAD <= self.limits.bytes
    }

    /// Why a message of this length is refused now.
    pub(super) fn refusal(&self, len: usize) -> Option<Refusal> {
        let (messages, bytes) = self.used();
        let limit = self.limits.bytes - OVERHEAD;
        if self.is_closed {
            Some(Refusal::Closed)
        } else if len < 2 {
            Some(Refusal::TooShort)
        } else if len > limit {
            Some(Refusal::TooLong { limit })
        } else if !self.line.is_empty() || !self.has_room(len) {
            Some(Refusal::Full { messages, bytes })
        } else {
            None
        }
    }

    pub(super) fn take(&mut self) {
        self.in_hand.append(&mut self.committed);
    }

    /// How many frames the next run has.
    pub(super) fn run(&self, max_bytes: usize, max_frames: usize) -> usize {
        let sealed = self.in_hand.iter().take_while(|message| message.is_sealed).count();
        let mut bytes = 0;
        let ends = self.in_hand.iter().map(|message| {
            bytes += message.frame_len();
            bytes - self.written
        });
        let fitting = ends.take(max_frames).take_while(|end| *end <= max_bytes).count();
        sealed.max(fitting).max(usize::from(!self.in_hand.is_empty()))
    }

    /// What is sealed and not yet written.
    pub(super) fn sealed_bytes(&self) -> Vec<u8> {
        let sealed = self.in_hand.iter().take_while(|message| message.is_sealed);
        sealed.flat_map(Message::sealed_frame).skip(self.written).collect()
    }

    /// So many bytes were written: messages and bytes of the frames that are complete by that.
    pub(super) fn write(&mut self, bytes: usize) -> (usize, usize) {
        let mut left = self.written + bytes;
        let mut done = (0, 0);
        while let Some(first) = self.in_hand.front()
            && first.is_sealed
            && first.frame_len() <= left
        {
            left -= first.frame_len();
            done = (done.0 + 1, done.1 + first.frame_len());
            self.in_hand.pop_front();
        }
        self.written = left;
        done
    }
}
