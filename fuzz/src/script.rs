//! The fuzzer's bytes, read as choices, and the keys that every target uses.

use wire_core::frame::{Opener, Sealer};
use wire_core::noise::{Initiator, Responder, Transport};
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

/// Bytes that are taken from the front; after the end every choice is zero, so that each input is a whole script.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Up to `length` bytes: fewer at the end.
    pub(crate) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }
}

/// Text in which a byte from 128 on stands for a word, so that the fuzzer need not find long words letter by letter. Bytes
/// without a word are left out.
pub(crate) fn spelled(bytes: &[u8], words: &[&str]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte.checked_sub(128) {
            None => text.push(char::from(*byte)),
            Some(number) => text.push_str(words.get(usize::from(number)).unwrap_or(&"")),
        }
    }
    text
}

/// The keys of BOLT 8's appendix A, so that its acts are valid inputs: the initiator's.
pub(crate) const INITIATOR: [u8; 2] = [0x11, 0x12];
/// The responder's: static, ephemeral.
pub(crate) const RESPONDER: [u8; 2] = [0x21, 0x22];

pub(crate) fn static_key(fill: u8) -> StaticKey {
    StaticKey::from_bytes(&Secret::new([fill; 32])).expect("a small byte, repeated, is a secret key")
}

pub(crate) fn ephemeral_key(fill: u8) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new([fill; 32])).expect("a small byte, repeated, is a secret key")
}

/// Both ends of a transport, the initiator's first.
pub(crate) fn transports() -> (Transport, Transport) {
    let (ours, theirs) = (static_key(INITIATOR[0]), static_key(RESPONDER[0]));
    let (one, await_two) = Initiator::new(&ours, theirs.node_id(), ephemeral_key(INITIATOR[1])).act_one();
    let (two, await_three) = Responder::new(&theirs, ephemeral_key(RESPONDER[1]))
        .act_one(&theirs, &one)
        .expect("act one is honest");
    let (three, initiator) = await_two.act_two(&ours, &two).expect("act two is honest");
    let (_, responder) = await_three.act_three(&three).expect("act three is honest");
    (initiator, responder)
}

/// One direction: a sealer and the opener at the other end.
pub(crate) fn direction() -> (Sealer, Opener) {
    let (initiator, responder) = transports();
    (initiator.split().0, responder.split().1)
}
