//! The transport vectors of BOLT 8, both directions against a model made of other crates, and streams in any
//! split.

mod together;

use std::{vec, vec::Vec};

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    cipher::{CipherState, Lanes},
    limits::{HEADER_LEN, KEY_LEN, MAX_FRAME_LEN, MESSAGES_PER_KEY, TAG_LEN},
    noise::tests::{array, bytes, connected},
    secret::Secret,
};

/// A direction with keys that any test may know.
fn direction() -> (Sealer, Opener) {
    let cipher = || CipherState::new(Secret::new([1; KEY_LEN]), Secret::new([2; KEY_LEN]));
    (Sealer::new(cipher()), Opener::new(cipher()))
}

fn with_room(message: &[u8]) -> Vec<u8> {
    [&[0xee; HEADER_LEN], message, &[0xee; TAG_LEN]].concat()
}

fn sealed(sealer: &mut Sealer, message: &[u8]) -> Vec<u8> {
    let mut frame = with_room(message);
    sealer.seal(&mut frame).unwrap();
    frame
}

fn opened(opener: &mut Opener, mut frame: Vec<u8>) -> Result<Vec<u8>, OpenError> {
    let (header, body_and_tag) = frame.split_first_chunk_mut().unwrap();
    let len = opener.open_header(header)?;
    opener.open_body(len, body_and_tag).map(<[u8]>::to_vec)
}

/// BOLT 8, appendix A, "Message Encryption Tests": messages 0, 1, 500, 501, 1000, 1001 and both rotations.
#[test]
fn message_encryption_tests() {
    let file: Value = serde_json::from_str(include_str!("../../tests/vectors/bolt08-messages.json")).unwrap();
    for vector in file["vectors"].as_array().unwrap() {
        let cipher =
            || CipherState::new(Secret::new(array(&vector["sk"])), Secret::new(array(&vector["ck"])));
        let (mut sealer, mut opener) = (Sealer::new(cipher()), Opener::new(cipher()));
        let message = bytes(&vector["message"]);
        let (mut outputs, mut rotations) = (0, 0);
        for number in 0..vector["count"].as_u64().unwrap() {
            for rotation in vector["rotations"].as_array().unwrap() {
                if rotation["after_messages"] == number {
                    let (key, chaining_key, nonce) = sealer.cipher.inner();
                    assert_eq!(key, &array(&rotation["new_sk"]));
                    assert_eq!(chaining_key, &array(&rotation["new_ck"]));
                    assert_eq!(nonce, 0);
                    rotations += 1;
                }
            }
            let frame = sealed(&mut sealer, &message);
            if let Some(output) = vector["outputs"].get(std::format!("{number}")) {
                assert_eq!(frame, bytes(output), "message {number}");
                outputs += 1;
            }
            assert_eq!(opened(&mut opener, frame).as_ref(), Ok(&message));
        }
        assert_eq!((outputs, rotations), (6, 2));
    }
}

/// Whose chaining key a rotation goes on from.
#[derive(Copy, Clone, PartialEq)]
enum ChainingKeys {
    /// As BOLT 8 has it.
    PerDirection,
    /// The mistake that the published vectors do not see.
    Shared,
}

/// One side's two directions, made of crates that the code under test does not use this way.
struct Model {
    kind: ChainingKeys,
    keys: [[u8; 32]; 2],
    chaining_keys: [[u8; 32]; 2],
    nonces: [u64; 2],
}

impl Model {
    fn new(kind: ChainingKeys, first: &CipherState, second: &CipherState) -> Model {
        let ((key0, chaining_key0, _), (key1, chaining_key1, _)) = (first.inner(), second.inner());
        Model { kind, keys: [*key0, *key1], chaining_keys: [*chaining_key0, *chaining_key1], nonces: [0; 2] }
    }

    fn frame(&mut self, direction: usize, message: &[u8]) -> Vec<u8> {
        let mut frame = self.encrypted(direction, &u16::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(self.encrypted(direction, message));
        frame
    }

    fn encrypted(&mut self, direction: usize, text: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.nonces[direction].to_le_bytes());
        let mut text = text.to_vec();
        let cipher = ChaCha20Poly1305::new(&self.keys[direction].into());
        let tag = cipher.encrypt_inout_detached(&nonce.into(), &[], text.as_mut_slice().into()).unwrap();
        text.extend(tag);
        self.nonces[direction] += 1;
        if self.nonces[direction] == 1000 {
            self.rotate(direction);
        }
        text
    }

    fn rotate(&mut self, direction: usize) {
        let place = if self.kind == ChainingKeys::Shared { 0 } else { direction };
        let mut both = [0; 64];
        let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&self.chaining_keys[place]), &self.keys[direction]);
        hkdf.expand(&[], &mut both).unwrap();
        self.chaining_keys[place].copy_from_slice(&both[..32]);
        self.keys[direction].copy_from_slice(&both[32..]);
        self.nonces[direction] = 0;
    }
}

/// How many frames of 2,600 messages each way are those of the model until the first one that is not.
fn frames_like_the_model(kind: ChainingKeys) -> usize {
    let (initiator, responder) = connected();
    let (mut initiator_seals, mut initiator_opens) = initiator.split();
    let (mut responder_seals, mut responder_opens) = responder.split();
    let mut model = Model::new(kind, &initiator_seals.cipher, &responder_seals.cipher);
    for number in 0..2_600_usize {
        let message = vec![u8::try_from(number % 251).unwrap(); number % 70];
        for (direction, sealer, opener) in
            [(0, &mut initiator_seals, &mut responder_opens), (1, &mut responder_seals, &mut initiator_opens)]
        {
            let frame = sealed(sealer, &message);
            if frame != model.frame(direction, &message) {
                return 2 * number + direction;
            }
            assert_eq!(
                opened(opener, frame).as_ref(),
                Ok(&message),
                "message {number}, direction {direction}"
            );
        }
    }
    5_200
}

#[test]
fn both_directions_past_five_rotations() {
    assert_eq!(frames_like_the_model(ChainingKeys::PerDirection), 5_200);
}

#[test]
fn a_chaining_key_for_both_directions_would_be_seen() {
    // All of the published messages would still agree in the direction that rotates first.
    let messages_per_key = usize::from(MESSAGES_PER_KEY);
    assert_eq!(frames_like_the_model(ChainingKeys::Shared), 2 * messages_per_key + 1);
}

#[test]
fn directions_need_not_keep_pace() {
    let (initiator, responder) = connected();
    let ((mut seals, mut opens), (mut their_seals, mut their_opens)) = (initiator.split(), responder.split());
    for number in 0..2_600_u32 {
        let frame = sealed(&mut seals, &number.to_be_bytes());
        assert_eq!(opened(&mut their_opens, frame).unwrap(), number.to_be_bytes());
        if number % 7 == 0 {
            let frame = sealed(&mut their_seals, b"seldom");
            assert_eq!(opened(&mut opens, frame).unwrap(), b"seldom");
        }
    }
}

#[test]
fn empty_and_longest_messages() {
    let (mut sealer, mut opener) = direction();
    for len in [0, 1, 2, 65_534, 65_535, 0] {
        let message = vec![0x5a; len];
        let frame = sealed(&mut sealer, &message);
        assert_eq!(frame.len(), len + FRAME_OVERHEAD);
        assert_eq!(opened(&mut opener, frame).as_ref(), Ok(&message));
    }
}

#[test]
fn a_buffer_that_cannot_be_a_frame_is_left_alone() {
    let (mut sealer, mut opener) = direction();
    for (len, error) in [
        (0, SealError::TooShort),
        (HEADER_LEN, SealError::TooShort),
        (FRAME_OVERHEAD - 1, SealError::TooShort),
        (MAX_FRAME_LEN + 1, SealError::TooLong),
        (2 * MAX_FRAME_LEN, SealError::TooLong),
    ] {
        let mut buffer = vec![0x77; len];
        assert_eq!(sealer.seal(&mut buffer), Err(error));
        assert!(buffer.iter().all(|&byte| byte == 0x77));
    }
    // No nonce was spent on them.
    assert_eq!(opened(&mut opener, sealed(&mut sealer, b"next")).unwrap(), b"next");
}

#[test]
fn a_failed_opener_is_dead_and_has_no_key() {
    let (mut sealer, mut opener) = direction();
    let (mut first, second) = (sealed(&mut sealer, b"first"), sealed(&mut sealer, b"second"));
    first[20] ^= 1;
    assert_eq!(opened(&mut opener, first.clone()), Err(OpenError::BodyTag));
    assert!(opener.cipher.is_none());
    first[20] ^= 1;
    assert_eq!(opened(&mut opener, first), Err(OpenError::Dead));
    assert_eq!(opened(&mut opener, second), Err(OpenError::Dead));
}

#[test]
fn a_length_is_good_for_one_body_of_that_length() {
    for (delta, what) in [(-1_isize, "short"), (1, "long"), (-21, "empty")] {
        let (mut sealer, mut opener) = direction();
        let mut frame = sealed(&mut sealer, b"hello");
        let len = opener.open_header(frame.first_chunk_mut().unwrap()).unwrap();
        assert_eq!((len.get(), len.with_tag()), (5, 21));
        let mut body = vec![0; len.with_tag().checked_add_signed(delta).unwrap()];
        assert_eq!(opener.open_body(len, &mut body), Err(OpenError::WrongLength), "{what}");
        assert_eq!(opener.open_header(&mut [0; HEADER_LEN]), Err(OpenError::Dead));
    }

    // A length that was not spent: what follows is a body, not a header.
    let (mut sealer, mut opener) = direction();
    let (mut first, mut second) = (sealed(&mut sealer, b"first"), sealed(&mut sealer, b"second"));
    let _unspent = opener.open_header(first.first_chunk_mut().unwrap()).unwrap();
    assert_eq!(opener.open_header(second.first_chunk_mut().unwrap()), Err(OpenError::HeaderTag));
}

#[test]
fn replayed_lost_and_swapped_frames_are_refused() {
    let frames = || {
        let (mut sealer, opener) = direction();
        ([b"one", b"two"].map(|message| sealed(&mut sealer, message)), opener)
    };
    let ([one, _], mut opener) = frames();
    opened(&mut opener, one.clone()).unwrap();
    assert_eq!(opened(&mut opener, one), Err(OpenError::HeaderTag));

    let ([_, two], mut opener) = frames();
    assert_eq!(opened(&mut opener, two), Err(OpenError::HeaderTag));
}

#[test]
fn state_is_small() {
    assert!(size_of::<Sealer>() + size_of::<Opener>() < 300);
    assert!(size_of::<Deframer>() <= size_of::<Opener>() + 192);
    assert!(size_of::<CipherState>() <= 68);
    // Two tag keys, the length's stream and a block of the body's; once the key that it is for, and counts.
    assert!(size_of::<Ahead<1>>() <= 36 + 66 + 64);
    assert_eq!(size_of::<OnDemand>(), 0);
}

#[test]
fn one_call_opens_one_frame() {
    let (mut sealer, opener) = direction();
    let mut stream: Vec<u8> = (0..3_u8).flat_map(|number| sealed(&mut sealer, &[number; 9])).collect();
    let untouched = stream.clone();
    let mut deframer = Deframer::new(opener);
    assert_eq!(
        deframer.next(&mut stream).unwrap(),
        Deframed { consumed: 43, message: Some(&[0; 9]), passed_over: None, wanted: 0 }
    );
    assert_eq!(stream[43..], untouched[43..]);
}

/// A stream of messages as a receiver gets it, in pieces.
struct Stream {
    messages: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    deframer: Deframer,
}

impl Stream {
    fn new(messages: Vec<Vec<u8>>) -> Stream {
        let (mut sealer, opener) = direction();
        let bytes = messages.iter().flat_map(|message| sealed(&mut sealer, message)).collect();
        Stream { messages, bytes, deframer: Deframer::new(opener) }
    }

    /// Where the bytes of message `number` begin.
    fn start(&self, number: usize) -> usize {
        self.messages[..number].iter().map(|message| message.len() + FRAME_OVERHEAD).sum()
    }

    /// Hands the bytes over in pieces of the given sizes, again and again from the first; returns what was
    /// delivered before the stream's end or its first error.
    fn receive(&mut self, pieces: &[usize]) -> (Vec<Vec<u8>>, Option<OpenError>) {
        let (mut delivered, mut buffer) = (Vec::new(), Vec::new());
        let mut pieces = pieces.iter().cycle();
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
            buffer.extend_from_slice(piece);
            rest = later;
            loop {
                let available = buffer.len();
                match self.deframer.next(&mut buffer) {
                    Ok(Deframed { consumed, message, wanted, .. }) => {
                        assert!(consumed <= available);
                        assert_eq!(wanted == 0, message.is_some());
                        assert!(wanted <= 65_535 + TAG_LEN);
                        let complete = message.is_some();
                        delivered.extend(message.map(<[u8]>::to_vec));
                        buffer.drain(..consumed);
                        if consumed == 0 && !complete {
                            break;
                        }
                    }
                    Err(error) => return (delivered, Some(error)),
                }
            }
        }
        assert!(buffer.is_empty(), "the stream ends with a frame");
        (delivered, None)
    }
}

fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let len = prop_oneof![8 => 0..200_usize, 1 => 200..5_000_usize, 1 => Just(0), 1 => Just(65_535)];
    let message = (any::<u8>(), len).prop_map(|(byte, len)| vec![byte; len]);
    proptest::collection::vec(message, 1..12)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let len = prop_oneof![Just(1), 1..40_usize, 1..3_000_usize, 1..140_000_usize];
    proptest::collection::vec(len, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_delivers_all_messages_in_order(messages in messages(), pieces in pieces()) {
        let (delivered, error) = Stream::new(messages.clone()).receive(&pieces);
        prop_assert_eq!(error, None);
        prop_assert!(delivered == messages);
    }

    /// A caller that reads just what is wanted never holds bytes of two frames and always gets on.
    #[test]
    fn reading_just_what_is_wanted_is_enough(messages in messages()) {
        let mut stream = Stream::new(messages.clone());
        let (mut position, mut buffer, mut delivered) = (0, Vec::new(), Vec::new());
        while delivered.len() < messages.len() {
            let deframed = stream.deframer.next(&mut buffer).unwrap();
            let (consumed, wanted) = (deframed.consumed, deframed.wanted);
            delivered.extend(deframed.message.map(<[u8]>::to_vec));
            buffer.drain(..consumed);
            prop_assert!(buffer.is_empty());
            buffer.extend_from_slice(&stream.bytes[position..position + wanted]);
            position += wanted;
        }
        prop_assert_eq!(position, stream.bytes.len());
        prop_assert!(delivered == messages);
    }

    #[test]
    fn an_altered_bit_ends_the_stream_there(
        messages in messages(),
        pieces in pieces(),
        place: prop::sample::Index,
        bit in 0..8_u32,
    ) {
        let mut stream = Stream::new(messages);
        let place = place.index(stream.bytes.len());
        stream.bytes[place] ^= 1 << bit;
        let hit = (0..stream.messages.len()).rev().find(|&number| stream.start(number) <= place).unwrap();
        let expected =
            if place - stream.start(hit) < HEADER_LEN { OpenError::HeaderTag } else { OpenError::BodyTag };

        let (delivered, error) = stream.receive(&pieces);
        prop_assert!(delivered == stream.messages[..hit], "all that came before is delivered");
        prop_assert_eq!(error, Some(expected));
        let mut later = [0; 100];
        prop_assert_eq!(stream.deframer.next(&mut later), Err(OpenError::Dead));
        prop_assert_eq!(stream.deframer.next(&mut later[..HEADER_LEN]), Err(OpenError::Dead));
    }
}

/// Every way to have keystream ahead, on both sides, gives the frames of another crate, over several rotations.
#[test]
fn keystream_ahead_changes_no_byte() {
    fn check<const FRAMES: usize, const BLOCKS: usize>(lanes: Lanes) {
        let cipher =
            || CipherState::new(Secret::new([1; KEY_LEN]), Secret::new([2; KEY_LEN])).with_lanes(lanes);
        let mut model = Model::new(ChainingKeys::PerDirection, &cipher(), &cipher());
        let (mut sealer, mut deframer) = (Sealer::new(cipher()), Deframer::new(Opener::new(cipher())));
        let (mut sending, mut receiving) = (Ahead::<FRAMES, BLOCKS>::new(), Ahead::<FRAMES, BLOCKS>::new());
        let mut number = 0_usize;
        while number < 3 * usize::from(MESSAGES_PER_KEY) {
            // Runs of any length, some longer than what follows under the key, some cut short.
            let (announced, length_of_run) = (number % 23, number % 19 + 1);
            let mut wire = Vec::new();
            let mut messages = Vec::new();
            let mut run = sealer.run(&mut sending, announced);
            for _ in 0..length_of_run {
                let message = vec![number.to_le_bytes()[0]; number % 149];
                let mut frame = with_room(&message);
                run.seal(&mut frame).unwrap();
                assert!(frame == model.frame(0, &message), "{lanes:?}, {FRAMES} frames, message {number}");
                wire.extend(frame);
                messages.push(message);
                number += 1;
            }
            if number.is_multiple_of(5) {
                sealer.prepare(&mut sending);
                deframer.prepare(&mut receiving);
                assert!(
                    (1..=FRAMES).contains(&sending.prepared())
                        && (1..=FRAMES).contains(&receiving.prepared())
                );
            }
            let mut at = 0;
            for message in messages {
                let step = deframer.next_ahead(&mut receiving, &mut wire[at..]).unwrap();
                assert!(step.message == Some(&message));
                at += step.consumed;
            }
        }
    }
    for lanes in Lanes::available() {
        check::<1, 1>(lanes);
        check::<4, 1>(lanes);
        check::<3, 2>(lanes);
        check::<16, 0>(lanes);
        check::<255, 1>(lanes);
    }
}

/// The worst that a driver can do with keystream: lend what was prepared for one connection to another.
#[test]
fn keystream_of_another_connection_is_never_used() {
    let cipher = |fill| CipherState::new(Secret::new([fill; KEY_LEN]), Secret::new([9; KEY_LEN]));
    let (mut ours, mut theirs) = (Sealer::new(cipher(1)), Sealer::new(cipher(2)));
    let mut ahead = Ahead::<4>::new();
    ours.prepare(&mut ahead);
    assert_eq!(ahead.prepared(), 4);
    let (mut lent, mut alone) = (with_room(b"message"), with_room(b"message"));
    theirs.seal_ahead(&mut ahead, &mut lent).unwrap();
    Sealer::new(cipher(2)).seal(&mut alone).unwrap();
    assert_eq!(lent, alone);

    // Nor that of another place in the same direction.
    ours.prepare(&mut ahead);
    let (mut first, mut second) = (with_room(b"message"), with_room(b"message"));
    ours.seal(&mut first).unwrap();
    ours.seal_ahead(&mut ahead, &mut second).unwrap();
    let mut same = Sealer::new(cipher(1));
    let expected = [sealed(&mut same, b"message"), sealed(&mut same, b"message")];
    assert_eq!([first, second], expected);
}

/// What would lie behind a rotation is another key's.
#[test]
fn keystream_ahead_ends_where_its_key_does() {
    let (mut sealer, _) = direction();
    for _ in 0..MESSAGES_PER_KEY - 2 {
        sealed(&mut sealer, b"");
    }
    let mut ahead = Ahead::<4>::new();
    sealer.prepare(&mut ahead);
    assert_eq!(ahead.prepared(), 2);
}

#[test]
fn a_body_that_fails_with_keystream_ahead_stays_and_kills() {
    let (mut sealer, opener) = direction();
    let mut frame = sealed(&mut sealer, b"message");
    frame[HEADER_LEN] ^= 1;
    let body = frame[HEADER_LEN..].to_vec();
    let (mut deframer, mut ahead) = (Deframer::new(opener), Ahead::<4>::new());
    deframer.prepare(&mut ahead);
    assert_eq!(deframer.next_ahead(&mut ahead, &mut frame), Err(OpenError::BodyTag));
    assert_eq!(frame[HEADER_LEN..], body);
    assert_eq!(deframer.next_ahead(&mut ahead, &mut frame), Err(OpenError::Dead));
    ahead.clear();
    deframer.prepare(&mut ahead);
    assert_eq!(ahead.prepared(), 0);
}
