//! Frames that are sealed or opened together: nobody can tell.

use super::*;

/// Groups of any size, with small frames and large ones in between, announced or not, over several rotations, give the frames
/// of another crate.
#[test]
fn frames_sealed_together_are_the_same() {
    fn check<const FRAMES: usize, const BLOCKS: usize>(lanes: Lanes) {
        let cipher =
            || CipherState::new(Secret::new([1; KEY_LEN]), Secret::new([2; KEY_LEN])).with_lanes(lanes);
        let mut model = Model::new(ChainingKeys::PerDirection, &cipher(), &cipher());
        let mut sealer = Sealer::new(cipher());
        let mut ahead = Ahead::<FRAMES, BLOCKS>::new();
        let mut number = 0_usize;
        while number < 3 * usize::from(MESSAGES_PER_KEY) {
            let mut run = sealer.run(&mut ahead, number % 23);
            for size_of_group in [number % 19 + 1, 3, 8] {
                let length = |number: usize| if number.is_multiple_of(11) { 400 } else { number * 7 % 149 };
                let messages: Vec<Vec<u8>> = (number..number + size_of_group)
                    .map(|number| vec![number.to_le_bytes()[0]; length(number)])
                    .collect();
                let mut frames: Vec<Vec<u8>> = messages.iter().map(|message| with_room(message)).collect();
                let mut group: Vec<&mut [u8]> = frames.iter_mut().map(Vec::as_mut_slice).collect();
                run.seal_many(&mut group).unwrap();
                for (frame, message) in frames.iter().zip(&messages) {
                    assert!(
                        *frame == model.frame(0, message),
                        "{lanes:?}, {FRAMES} frames, message {number}"
                    );
                    number += 1;
                }
            }
        }
    }
    for lanes in Lanes::available() {
        check::<16, 1>(lanes);
        check::<6, 2>(lanes);
        check::<16, 7>(lanes);
        check::<8, 0>(lanes);
    }
}

proptest! {
    /// Lengths that end in, before and behind a limb; the same frames one by one are the reference, which the tests above hold
    /// against a crate.
    #[test]
    fn any_lengths_together(
        lengths in proptest::collection::vec(prop_oneof![4 => 0..140_usize, 1 => 0..2_000_usize], 0..20),
        before in 480..MESSAGES_PER_KEY,
        fill: u8,
    ) {
        for lanes in Lanes::available() {
            let sealer = || {
                let cipher = CipherState::new(Secret::new([fill; KEY_LEN]), Secret::new([2; KEY_LEN]));
                let mut sealer = Sealer::new(cipher.with_lanes(lanes));
                for _ in 0..before {
                    sealed(&mut sealer, b"");
                }
                sealer
            };
            let messages: Vec<Vec<u8>> = lengths.iter().map(|length| vec![fill; *length]).collect();
            let mut one_by_one = sealer();
            let expected: Vec<Vec<u8>> = messages.iter().map(|message| sealed(&mut one_by_one, message)).collect();

            let with_rooms: Vec<Vec<u8>> = messages.iter().map(|message| with_room(message)).collect();
            let (mut frames, mut others) = (with_rooms.clone(), with_rooms);
            let mut group: Vec<&mut [u8]> = frames.iter_mut().map(Vec::as_mut_slice).collect();
            sealer().run(&mut Ahead::<16>::new(), lengths.len()).seal_many(&mut group).unwrap();
            prop_assert!(frames == expected, "{:?}, {:?}", lanes, lengths);
            // With more keystream ahead more of them are small.
            let mut group: Vec<&mut [u8]> = others.iter_mut().map(Vec::as_mut_slice).collect();
            sealer().run(&mut Ahead::<9, 16>::new(), lengths.len()).seal_many(&mut group).unwrap();
            prop_assert!(others == expected, "{:?}, {:?}", lanes, lengths);
        }
    }
}

/// Wherever in a group it is.
#[test]
fn a_refused_frame_among_others_is_left_alone() {
    for (place, lanes) in (0..12).flat_map(|place| Lanes::available().map(move |lanes| (place, lanes))) {
        for (bad, reason) in [(33, SealError::TooShort), (MAX_FRAME_LEN + 1, SealError::TooLong)] {
            let sealer = || {
                let cipher = CipherState::new(Secret::new([1; KEY_LEN]), Secret::new([2; KEY_LEN]));
                Sealer::new(cipher.with_lanes(lanes))
            };
            let mut frames = vec![with_room(b"message"); 12];
            frames[place] = vec![0xee; bad];
            let (untouched, mut together) = (frames.clone(), sealer());
            let mut group: Vec<&mut [u8]> = frames.iter_mut().map(Vec::as_mut_slice).collect();
            let mut ahead = Ahead::<16>::new();
            let outcome = together.run(&mut ahead, 12).seal_many(&mut group);
            assert_eq!(outcome, Err(SealManyError { sealed: place, reason }));

            let mut one_by_one = sealer();
            for frame in &frames[..place] {
                assert_eq!(*frame, sealed(&mut one_by_one, b"message"), "{lanes:?}, {place}");
            }
            assert!(frames[place..] == untouched[place..], "{lanes:?}, {place}");
            assert_eq!(together.cipher.inner(), one_by_one.cipher.inner());
        }
    }
}

fn with_lanes(lanes: Lanes) -> (Sealer, Deframer) {
    let cipher = || CipherState::new(Secret::new([1; KEY_LEN]), Secret::new([2; KEY_LEN])).with_lanes(lanes);
    (Sealer::new(cipher()), Deframer::new(Opener::new(cipher())))
}

/// Small frames and large ones in a buffer of any length, over several rotations, come as they were sealed.
#[test]
fn frames_opened_together_are_the_same() {
    for lanes in Lanes::available() {
        let (mut sealer, mut deframer) = with_lanes(lanes);
        let mut ahead = Ahead::<16, 2>::new();
        let (mut number, mut delivered) = (0_usize, 0_usize);
        let message = |number: usize| {
            let length = if number.is_multiple_of(23) { 400 } else { number * 7 % 129 };
            vec![number.to_le_bytes()[0]; length]
        };
        let mut stream = Vec::new();
        while delivered < 3 * usize::from(MESSAGES_PER_KEY) {
            for _ in 0..=number % 19 {
                stream.extend(sealed(&mut sealer, &message(number)));
                number += 1;
            }
            // The last bytes come with the next ones.
            let end = stream.len() - number * 13 % 40;
            let mut at = 0;
            loop {
                let step = deframer.next_ahead(&mut ahead, &mut stream[at..end]).unwrap();
                at += step.consumed;
                let Some(opened) = step.message else { break };
                assert!(opened == message(delivered), "{lanes:?}, message {delivered}");
                delivered += 1;
            }
            stream.drain(..at);
        }
    }
}

/// Wherever in a group it is, and whatever of it was altered.
#[test]
fn an_altered_frame_among_others_ends_the_stream_there() {
    const FRAME: usize = 7 + FRAME_OVERHEAD;
    for (place, lanes) in (0..12).flat_map(|place| Lanes::available().map(move |lanes| (place, lanes))) {
        for (byte, error) in [
            (0, OpenError::HeaderTag),
            (5, OpenError::HeaderTag),
            (HEADER_LEN, OpenError::BodyTag),
            (FRAME - 1, OpenError::BodyTag),
        ] {
            let (mut sealer, mut deframer) = with_lanes(lanes);
            let mut stream: Vec<u8> = (0..12).flat_map(|_| sealed(&mut sealer, b"message")).collect();
            stream[place * FRAME + byte] ^= 1;
            let untouched = stream.clone();
            let mut ahead = Ahead::<16>::new();
            for number in 0..place {
                let step = deframer.next_ahead(&mut ahead, &mut stream[number * FRAME..]).unwrap();
                assert_eq!(
                    (step.consumed, step.message),
                    (FRAME, Some(&b"message"[..])),
                    "{lanes:?}, {place}"
                );
            }
            let rest = &mut stream[place * FRAME..];
            assert_eq!(deframer.next_ahead(&mut ahead, rest), Err(error), "{lanes:?}, {place}");
            assert_eq!(deframer.next_ahead(&mut ahead, rest), Err(OpenError::Dead));
            let body_at = place * FRAME + HEADER_LEN;
            assert!(stream[body_at..] == untouched[body_at..], "{lanes:?}, {place}");
        }
    }
}

#[test]
fn frames_that_were_opened_together_are_not_delivered_by_a_killed_deframer() {
    let (mut sealer, mut deframer) = with_lanes(Lanes::best());
    let mut stream: Vec<u8> = (0..12).flat_map(|_| sealed(&mut sealer, b"message")).collect();
    let mut ahead = Ahead::<16>::new();
    let consumed = deframer.next_ahead(&mut ahead, &mut stream).unwrap().consumed;
    deframer.kill();
    assert_eq!(deframer.next_ahead(&mut ahead, &mut stream[consumed..]), Err(OpenError::Dead));
}

/// Whoever hands in fewer bytes than were there waits for the others.
#[test]
fn frames_that_were_opened_together_wait_for_their_bytes() {
    const FRAME: usize = 7 + FRAME_OVERHEAD;
    for lanes in Lanes::available() {
        let (mut sealer, mut deframer) = with_lanes(lanes);
        let mut stream: Vec<u8> = (0..12).flat_map(|_| sealed(&mut sealer, b"message")).collect();
        let mut ahead = Ahead::<16>::new();
        assert_eq!(deframer.next_ahead(&mut ahead, &mut stream).unwrap().consumed, FRAME);
        let mut rest = &mut stream[FRAME..];
        let step = deframer.next_ahead(&mut ahead, &mut rest[..5]).unwrap();
        assert_eq!((step.consumed, step.message, step.wanted), (0, None, HEADER_LEN - 5));
        let step = deframer.next_ahead(&mut ahead, &mut rest[..FRAME - 1]).unwrap();
        assert_eq!((step.message, step.wanted), (None, 1));
        let consumed = step.consumed;
        rest = rest.split_at_mut(consumed).1;
        assert_eq!(deframer.next_ahead(&mut ahead, rest).unwrap().message, Some(&b"message"[..]));
    }
}

/// What is longer than is wanted is passed over, however small it is.
#[test]
fn only_what_is_wanted_is_opened_together() {
    for lanes in Lanes::available() {
        let (mut sealer, mut deframer) = with_lanes(lanes);
        deframer.set_longest(20);
        let mut stream: Vec<u8> =
            (0..12).flat_map(|number| sealed(&mut sealer, &vec![7; 15 + number])).collect();
        let mut ahead = Ahead::<16>::new();
        let (mut at, mut messages, mut passed_over) = (0, 0, 0);
        while at < stream.len() {
            let step = deframer.next_ahead(&mut ahead, &mut stream[at..]).unwrap();
            messages += usize::from(step.message.is_some_and(|message| message.len() <= 20));
            passed_over += usize::from(step.passed_over.is_some());
            at += step.consumed;
        }
        assert_eq!((messages, passed_over), (6, 6), "{lanes:?}");
    }
}
