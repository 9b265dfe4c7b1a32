//! A run of messages around a key rotation, sealed and opened with every width of lanes that the machine has, with keystream
//! made ahead and without.
//!
//! Held: every frame is, byte for byte, what the crates `chacha20poly1305` and `hkdf` make of it, and opens to the message
//! again.

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use sha2::Sha256;
use wire_core::cipher::{CipherState, Lanes};
use wire_core::frame::{Ahead, Deframer, Opener, Sealer};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, MESSAGES_PER_KEY, NONCES_PER_KEY, TAG_LEN};
use wire_core::secret::Secret;

use crate::script::Script;

/// At most so many messages, of at most so many bytes, but for one of any length.
const MESSAGES: usize = 24;
const USUAL_LENGTH: usize = 320;

/// Where to begin, and with which widths; both keys; how many frames each run announces; then the lengths of the messages and a byte to fill them with.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    // At the start of a key, or shortly before its end.
    let beginning = script.byte();
    let before = match beginning {
        0 => 0,
        near => MESSAGES_PER_KEY.saturating_sub(u16::from(near % 32)),
    };
    let widths = widths(beginning / 32);
    let [key, chaining_key] = [[script.byte(); 32], [script.byte(); 32]];
    let announced = usize::from(script.byte());
    let count = usize::from(script.byte()) % (MESSAGES + 1);
    let messages: Vec<Vec<u8>> = (0..count)
        .map(|number| {
            let length = usize::from(script.number());
            vec![script.byte(); if number == 0 { length } else { length % USUAL_LENGTH }]
        })
        .collect();

    let mut model = Model { key, chaining_key, nonce: 0 };
    for _ in 0..before {
        model.skip();
    }
    let expected: Vec<Vec<u8>> = messages.iter().map(|message| model.frame(message)).collect();

    for lanes in widths {
        let cipher = || CipherState::new(Secret::new(key), Secret::new(chaining_key)).with_lanes(lanes);
        let (mut sealer, mut deframer) = (Sealer::new(cipher()), Deframer::new(Opener::new(cipher())));
        let (mut sending, mut receiving) = (Ahead::<5, 1>::new(), Ahead::<6, 2>::new());
        for _ in 0..before {
            let mut empty = [0; FRAME_OVERHEAD];
            sealer.seal(&mut empty).expect("there is room");
            assert!(deframer.next(&mut empty).expect("intact").message.is_some());
        }
        let mut wire = Vec::new();
        let mut run = sealer.run(&mut sending, announced);
        for (message, expected) in messages.iter().zip(&expected) {
            let mut frame = [&[0; HEADER_LEN], message.as_slice(), &[0; TAG_LEN]].concat();
            run.seal(&mut frame).expect("a u16 is a length that fits");
            assert!(frame == *expected, "{lanes:?}, {} bytes", message.len());
            wire.extend_from_slice(&frame);
        }
        let mut frames: Vec<Vec<u8>> = messages
            .iter()
            .map(|message| [&[0; HEADER_LEN], message.as_slice(), &[0; TAG_LEN]].concat())
            .collect();
        let mut together: Vec<&mut [u8]> = frames.iter_mut().map(Vec::as_mut_slice).collect();
        let mut another = Sealer::new(cipher());
        for _ in 0..before {
            another.seal(&mut [0; FRAME_OVERHEAD]).expect("there is room");
        }
        another.run(&mut Ahead::<5, 1>::new(), announced).seal_many(&mut together).expect("as before");
        assert!(frames == expected, "{lanes:?}, together");
        let mut rest = wire.as_mut_slice();
        for message in &messages {
            let step = deframer.next_ahead(&mut receiving, rest).expect("intact");
            assert!(step.message == Some(message), "{lanes:?}, {} bytes", message.len());
            let consumed = step.consumed;
            (_, rest) = rest.split_at_mut(consumed);
        }
        assert!(rest.is_empty());
    }
}

/// All widths, or one: with all of them an input takes as many times as long.
fn widths(choice: u8) -> Vec<Lanes> {
    let all: Vec<Lanes> = Lanes::available().collect();
    match usize::from(choice).checked_sub(1) {
        None => all,
        Some(one) => all.iter().skip(one % all.len()).take(1).copied().collect(),
    }
}

/// One direction, made of other crates. BOLT 8, "Encrypting and Sending Messages".
struct Model {
    key: [u8; 32],
    chaining_key: [u8; 32],
    nonce: u16,
}

impl Model {
    fn frame(&mut self, message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(message.len()).expect("lengths come from a u16");
        [self.sealed(&length.to_be_bytes()), self.sealed(message)].concat()
    }

    fn sealed(&mut self, text: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        nonce[4..6].copy_from_slice(&self.nonce.to_le_bytes());
        let mut text = text.to_vec();
        let cipher = ChaCha20Poly1305::new(&self.key.into());
        let tag = cipher.encrypt_inout_detached(&nonce.into(), &[], text.as_mut_slice().into());
        text.extend(tag.expect("short enough"));
        self.advance();
        text
    }

    fn skip(&mut self) {
        self.advance();
        self.advance();
    }

    fn advance(&mut self) {
        self.nonce += 1;
        if self.nonce == NONCES_PER_KEY {
            let mut both = [0; 64];
            let hkdf = hkdf::Hkdf::<Sha256>::new(Some(&self.chaining_key), &self.key);
            hkdf.expand(&[], &mut both).expect("64 bytes are not too many");
            self.chaining_key.copy_from_slice(&both[..32]);
            self.key.copy_from_slice(&both[32..]);
            self.nonce = 0;
        }
    }
}
