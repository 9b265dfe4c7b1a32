use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::cipher::CipherState;
use crate::frame::Deframer;
use crate::limits::{FRAME_OVERHEAD, KEY_LEN};
use crate::secret::Secret;

fn direction() -> (Sealer, Opener) {
    let cipher = || CipherState::new(Secret::new([1; KEY_LEN]), Secret::new([2; KEY_LEN]));
    (Sealer::new(cipher()), Opener::new(cipher()))
}

fn sealed(sealer: &mut Sealer, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
    frame[HEADER_LEN..HEADER_LEN + message.len()].copy_from_slice(message);
    sealer.seal(&mut frame).unwrap();
    frame
}

/// Bytes that differ from their neighbours.
fn message(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

/// What a receiver with a buffer of fixed size, filled as far as it goes by pieces of the given sizes, finds.
fn received(
    opener: Opener,
    wire: &[u8],
    longest: u16,
    pieces: &[usize],
) -> Result<Vec<Result<Vec<u8>, PassedOver>>, OpenError> {
    let mut deframer = Deframer::new(opener);
    deframer.set_longest(longest);
    let capacity = (usize::from(longest) + TAG_LEN).max(PIECE_LEN);
    let (mut buffer, mut found, mut rest) = (Vec::new(), Vec::new(), wire);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let room = (capacity - buffer.len()).min(*pieces.next().unwrap());
        let (piece, later) = rest.split_at(rest.len().min(room));
        buffer.extend_from_slice(piece);
        rest = later;
        loop {
            let step = deframer.next(&mut buffer)?;
            let (consumed, wanted) = (step.consumed, step.wanted);
            found.extend(step.message.map(|message| Ok(message.to_vec())));
            found.extend(step.passed_over.map(Err));
            buffer.drain(..consumed);
            if wanted > 0 {
                assert!(buffer.len() + wanted <= capacity, "{wanted} more do not fit");
                break;
            }
        }
    }
    Ok(found)
}

proptest! {
    #[test]
    fn long_messages_are_passed_over_and_the_others_come(
        lengths in proptest::collection::vec(prop_oneof![0..300_usize, 300..3_000_usize, Just(65_535)], 1..8),
        longest in prop_oneof![0..200_u16, 200..2_000_u16],
        pieces in proptest::collection::vec(1..3_000_usize, 1..5),
    ) {
        let (mut sealer, opener) = direction();
        let wire: Vec<u8> = lengths.iter().flat_map(|len| sealed(&mut sealer, &message(*len))).collect();
        let found = received(opener, &wire, longest, &pieces).unwrap();
        prop_assert_eq!(found.len(), lengths.len());
        for (found, len) in found.iter().zip(lengths) {
            match found {
                Ok(whole) => prop_assert!(len <= longest.into() && *whole == message(len)),
                Err(passed) => {
                    prop_assert!(len > longest.into() && usize::from(passed.len()) == len);
                    prop_assert_eq!(passed.head(), &message(len.min(HEAD_LEN))[..]);
                }
            }
        }
    }

    #[test]
    fn a_frame_in_pieces_is_the_frame(len in 0..3_000_u16, rooms in proptest::collection::vec(80..500_usize, 1..5)) {
        let (mut sealer, _) = direction();
        let fields = &message(6)[..usize::from(len).min(6)];
        let mut wire = sealer.begin(len).unwrap().to_vec();
        let mut rooms = rooms.iter().cycle();
        let mut fields_left = fields;
        while sealer.unfinished() > 0 {
            prop_assert_eq!(sealer.seal(&mut [0; 40]), Err(SealError::Unfinished));
            let mut room = vec![0xee; *rooms.next().unwrap()];
            let written = sealer.continue_with(fields_left, &mut room);
            prop_assert!(written > 0);
            wire.extend_from_slice(&room[..written]);
            fields_left = &[];
        }
        let (mut whole, _) = direction();
        let mut body = fields.to_vec();
        body.resize(len.into(), 0);
        prop_assert_eq!(wire, sealed(&mut whole, &body));
        // And the two stay in step.
        prop_assert_eq!(sealed(&mut sealer, b"next"), sealed(&mut whole, b"next"));
    }
}

#[test]
fn a_long_message_with_a_wrong_byte_anywhere_ends_it() {
    let (mut sealer, _) = direction();
    let frame = sealed(&mut sealer, &message(300));
    for place in HEADER_LEN..frame.len() {
        let mut frame = frame.clone();
        frame[place] ^= 4;
        assert_eq!(received(direction().1, &frame, 100, &[77]), Err(OpenError::BodyTag), "byte {place}");
    }
}

#[test]
fn too_little_room_writes_nothing_and_loses_nothing() {
    let (mut sealer, _) = direction();
    assert_eq!(sealer.continue_with(&[], &mut [0; 100]), 0, "nothing was begun");
    sealer.begin(100).unwrap();
    assert_eq!(sealer.begin(1), Err(SealError::Unfinished));
    assert_eq!(sealer.continue_with(&[1], &mut [0; 63]), 0);
    assert_eq!(sealer.continue_with(&[1], &mut [0; 79]), 64);
    assert_eq!(sealer.continue_with(&[], &mut [0; 51]), 36);
    assert_eq!((sealer.unfinished(), sealer.continue_with(&[], &mut [0; 15])), (16, 0));
    assert_eq!(sealer.continue_with(&[], &mut [0; 16]), 16);
    assert_eq!(sealer.unfinished(), 0);
}
