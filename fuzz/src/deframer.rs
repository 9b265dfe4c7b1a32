//! A stream of sealed messages, perhaps damaged at one place, cut into pieces of any size.
//!
//! Held: every message before the damage is delivered as it was sent, nothing of the damaged frame or behind it is, and
//! the deframer is dead from then on. What it says it wants is enough for its next step, and one byte less is not.

use wire_core::frame::{Deframer, OpenError};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, TAG_LEN};

use crate::script::{Script, direction};

/// At most so many messages, of at most so many bytes, but for one of any length.
const MESSAGES: usize = 6;
const USUAL_LENGTH: usize = 64;

/// Number of messages, their lengths; whether, where and how to damage the stream; then the sizes of the pieces.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let (mut sealer, opener) = direction();

    let mut messages: Vec<Vec<u8>> = Vec::new();
    let mut stream = Vec::new();
    let mut ends = Vec::new();
    for number in 0..usize::from(script.byte()) % (MESSAGES + 1) {
        let length = usize::from(script.number());
        let length = if number == 0 { length } else { length % USUAL_LENGTH };
        let message: Vec<u8> = (0_u8..=255).cycle().skip(number).take(length).collect();
        let mut frame = vec![0; length + FRAME_OVERHEAD];
        frame[HEADER_LEN..HEADER_LEN + length].copy_from_slice(&message);
        sealer.seal(&mut frame).expect("a u16 is a length that fits");
        stream.extend_from_slice(&frame);
        ends.push(stream.len());
        messages.push(message);
    }
    let change = script.byte();
    let place = usize::from(script.number());
    let mut intact = messages.len();
    if change != 0 && !stream.is_empty() {
        let place = place % stream.len();
        stream[place] ^= change;
        intact = ends.iter().filter(|end| **end <= place).count();
    }

    let (delivered, error) = deliver(Deframer::new(opener), &stream, &mut script);
    assert_eq!(delivered, messages[..intact]);
    match error {
        None => assert_eq!(intact, messages.len()),
        Some(error) => {
            assert!(intact < messages.len() && [OpenError::HeaderTag, OpenError::BodyTag].contains(&error));
        }
    }
}

fn deliver(
    mut deframer: Deframer,
    stream: &[u8],
    script: &mut Script<'_>,
) -> (Vec<Vec<u8>>, Option<OpenError>) {
    let mut delivered = Vec::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut stream = stream;
    let mut wanted = HEADER_LEN;
    loop {
        let piece = match usize::from(script.byte()) {
            // Exactly what is wanted, or one byte less: the two that an off-by-one would confuse.
            0 => wanted,
            1 => wanted - wanted.min(1),
            size if script.is_over() => size.max(stream.len()),
            size => size,
        };
        let (piece, rest) = stream.split_at(piece.clamp(1, stream.len().max(1)).min(stream.len()));
        let enough = piece.len() >= wanted;
        buffer.extend_from_slice(piece);
        stream = rest;
        let mut first = true;
        loop {
            match deframer.next(&mut buffer) {
                Ok(step) => {
                    let (consumed, message) = (step.consumed, step.message.map(<[u8]>::to_vec));
                    assert_eq!(step.wanted == 0, message.is_some());
                    assert!(step.wanted <= usize::from(u16::MAX) + TAG_LEN);
                    let progress = consumed > 0 || message.is_some();
                    if first {
                        assert_eq!(progress, enough, "wanted {wanted}, given {}", piece.len());
                    }
                    wanted = step.wanted;
                    delivered.extend(message);
                    buffer.drain(..consumed);
                    if !progress || wanted > 0 {
                        break;
                    }
                    first = false;
                }
                Err(error) => {
                    // It looks at nothing before a header could be whole.
                    assert_eq!(deframer.next(&mut [0; HEADER_LEN]), Err(OpenError::Dead));
                    return (delivered, Some(error));
                }
            }
        }
        if stream.is_empty() {
            return (delivered, None);
        }
    }
}
