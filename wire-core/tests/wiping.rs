//! What a connection leaves behind in its own memory: no key that has served its purpose.
//!
//! The connection is the one place of the crate where secrets lie for long, so it is looked at byte by byte, as somebody
//! would who reads the memory of the process later. Registers and dead parts of the stack are not looked at: no Rust
//! program can promise anything about those.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use wire_core::connection::{
    ANY_LENGTH, CloseReason, Connection, Deadlines, Local, NoEvenTypes, Phase, Timestamp,
};
use wire_core::frame::{Ahead, OpenError};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, MAX_FRAME_LEN};
use wire_core::message::features::FeatureSet;
use wire_core::noise::{Initiator, Responder};
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

const NOW: Timestamp = Timestamp::from_millis(1);

/// Bytes that occur nowhere by chance.
const DIALERS_EPHEMERAL: [u8; 32] = *b"the dialer's ephemeral secret...";
const ANSWERERS_EPHEMERAL: [u8; 32] = *b"the answerer's ephemeral secret.";

fn local(fill: u8) -> Local {
    Local {
        key: StaticKey::from_bytes(&Secret::new([fill; 32])).unwrap(),
        features: FeatureSet::DEFAULT,
        chain_hash: [6; 32],
        deadlines: Deadlines::DEFAULT,
        longest_message: ANY_LENGTH,
    }
}

fn ephemeral(bytes: [u8; 32]) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new(bytes)).unwrap()
}

/// The bytes that a value takes up, whatever its type says about them: unused parts included.
fn memory<T>(value: &T) -> Vec<u8> {
    let place = (&raw const *value).addr() as u64;
    let mut bytes = vec![0; size_of_val(value)];
    File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, place).unwrap();
    bytes
}

/// Overwrites what earlier calls left on the stack, so that what is found later was put there later. (A value that is
/// moved brings along the bytes between its fields, and those may be anything that lay on the stack.)
#[inline(never)]
fn scrub_stack() {
    std::hint::black_box([0_u8; 16 * 1024]);
}

fn contains(memory: &[u8], secret: &[u8]) -> bool {
    memory.windows(secret.len()).any(|window| window == secret)
}

/// A secret key lies in memory as its bytes or as a number, by which crate computes on the curve.
fn contains_key(memory: &[u8], mut key: [u8; 32]) -> bool {
    contains(memory, &key) || {
        key.reverse();
        contains(memory, &key)
    }
}

fn transmit(connection: &mut Connection<&Local>) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut room = vec![0; MAX_FRAME_LEN];
    while let Some(len) = connection.poll_transmit(&mut room) {
        wire.extend_from_slice(&room[..len]);
    }
    wire
}

fn hear(connection: &mut Connection<&Local>, mut wire: Vec<u8>) {
    while !wire.is_empty() {
        let consumed = connection.receive(NOW, &mut wire, &NoEvenTypes).consumed;
        assert!(consumed > 0, "a whole act or frame is taken");
        wire.drain(..consumed);
    }
}

/// Runs `check` with both ends of an open connection, which stay where they were made.
fn with_open_pair(check: impl FnOnce(&mut Connection<&Local>, &mut Connection<&Local>)) {
    scrub_stack();
    let (ours, theirs) = (local(0x11), local(0x22));
    let mut dialer = Connection::initiator(&ours, theirs.key.node_id(), ephemeral(DIALERS_EPHEMERAL), NOW);
    let mut answerer = Connection::responder(&theirs, None, ephemeral(ANSWERERS_EPHEMERAL), NOW);
    assert!(contains_key(&memory(&dialer), DIALERS_EPHEMERAL), "the test sees what it looks for");
    assert!(contains_key(&memory(&answerer), ANSWERERS_EPHEMERAL), "the test sees what it looks for");
    while dialer.phase() != Phase::Open || answerer.phase() != Phase::Open {
        hear(&mut answerer, transmit(&mut dialer));
        hear(&mut dialer, transmit(&mut answerer));
    }
    scrub_stack();
    check(&mut dialer, &mut answerer);
}

/// Who finds an ephemeral key later can read all that was said under it.
#[test]
fn no_ephemeral_key_outlives_the_handshake() {
    with_open_pair(|dialer, answerer| {
        assert!(!contains_key(&memory(dialer), DIALERS_EPHEMERAL));
        assert!(!contains_key(&memory(answerer), ANSWERERS_EPHEMERAL));
    });
}

/// The dialer's keys for both directions: the same handshake gives the same ones.
fn keys_of_the_dialer() -> [Vec<u8>; 2] {
    let (ours, theirs) = (local(0x11).key, local(0x22).key);
    let (act_one, dialer) = Initiator::new(&ours, theirs.node_id(), ephemeral(DIALERS_EPHEMERAL)).act_one();
    let (act_two, _) =
        Responder::new(&theirs, ephemeral(ANSWERERS_EPHEMERAL)).act_one(&theirs, &act_one).unwrap();
    let (_, transport) = dialer.act_two(&ours, &act_two).unwrap();
    let (sealer, opener) = transport.split();
    [memory(&sealer), memory(&opener)]
}

/// Where pieces of `keys` lie in `memory`, unless they are of `others` too. Half a key is a piece.
fn places(memory: &[u8], keys: &[u8], others: &[u8]) -> Vec<usize> {
    let pieces = memory.windows(16).enumerate();
    pieces.filter(|(_, piece)| contains(keys, piece) && !contains(others, piece)).map(|(at, _)| at).collect()
}

/// What wiped memory looks like, and is found everywhere.
const ZEROS: [u8; 64] = [0; 64];

/// A way to end a connection.
type Ending = fn(&mut Connection<&Local>);

#[test]
fn no_key_outlives_the_connection() {
    let [sending, receiving] = keys_of_the_dialer();
    let ends: [(&str, Ending); 4] = [
        ("finished", |connection| connection.finish()),
        ("drained", |connection| {
            connection.drain(NOW, CloseReason::LocalDisconnect);
            connection.finish();
        }),
        ("warned", |connection| {
            part_with_a_warning(connection);
            transmit(connection);
            connection.finish();
        }),
        ("bad frame", |connection| {
            connection.receive(NOW, &mut [0; HEADER_LEN], &NoEvenTypes);
        }),
    ];
    for (how, end) in ends {
        with_open_pair(|dialer, _| {
            let open = memory(dialer);
            for key in [&sending, &receiving] {
                assert!(places(&open, key, &ZEROS).len() > 32, "the test sees keys");
            }
            scrub_stack();
            end(dialer);
            assert_eq!(dialer.phase(), Phase::Closed, "{how}");
            let closed = memory(dialer);
            for key in [&sending, &receiving] {
                assert_eq!(places(&closed, key, &ZEROS), [0; 0], "{how}");
            }
        });
    }
}

/// Not inlined, so that its stack frame is a scrubbed one.
#[inline(never)]
fn part_with_a_warning(connection: &mut Connection<&Local>) {
    connection.close_with_warning(NOW, CloseReason::TooManyPeers);
}

/// A last word needs the key that seals it, and no other.
#[test]
fn the_receiving_key_goes_when_nothing_is_read_any_more() {
    let [sending, receiving] = keys_of_the_dialer();
    with_open_pair(|dialer, _| {
        scrub_stack();
        part_with_a_warning(dialer);
        assert_eq!(dialer.phase(), Phase::Closing);
        let closing = memory(dialer);
        assert!(places(&closing, &sending, &[]).len() > 32);
        // Until the first rotation both directions have the same chaining key, which the sending one still needs.
        assert_eq!(places(&closing, &receiving, &sending), [0; 0]);
    });
}

#[test]
fn a_failed_opener_has_no_key_left() {
    let (ours, theirs) = (local(0x11).key, local(0x22).key);
    let (act_one, dialer) = Initiator::new(&ours, theirs.node_id(), ephemeral(DIALERS_EPHEMERAL)).act_one();
    let (act_two, _) =
        Responder::new(&theirs, ephemeral(ANSWERERS_EPHEMERAL)).act_one(&theirs, &act_one).unwrap();
    let (_, mut opener) = dialer.act_two(&ours, &act_two).unwrap().1.split();
    let alive = memory(&opener);
    assert_eq!(opener.open_header(&mut [0; HEADER_LEN]), Err(OpenError::HeaderTag));
    assert_eq!(places(&memory(&opener), &alive, &[]), [0; 0]);
}

/// Frames of the dialer as they go out under its first key, and the keystream of their bodies: what sealing zeros gives.
fn keystream_of(connection: &mut Connection<&Local>, frames: usize) -> Vec<Vec<u8>> {
    (0..frames)
        .map(|_| {
            let mut frame = vec![0; FRAME_OVERHEAD + 64];
            connection.seal(&mut frame).unwrap();
            frame[HEADER_LEN..HEADER_LEN + 64].to_vec()
        })
        .collect()
}

/// A sealer has zeros in it beside its keys.
const NOTHING: [u8; 64] = [0; 64];

/// Keystream and sealed bytes together are the message.
#[test]
fn no_keystream_outlives_its_frame() {
    let mut streams = Vec::new();
    with_open_pair(|dialer, _| streams = keystream_of(dialer, 4));
    let key = &keys_of_the_dialer()[0];
    let seen = |ahead: &Ahead<4>| {
        let memory = memory(ahead);
        streams.iter().map(|stream| !places(&memory, stream, &[]).is_empty()).collect::<Vec<_>>()
    };
    with_open_pair(|dialer, _| {
        let mut ahead = Ahead::<4>::new();
        dialer.prepare_sending(&mut ahead);
        assert_eq!(seen(&ahead), [true; 4], "the test sees what it looks for");
        assert_eq!(format!("{ahead:?}"), "Ahead { prepared: 4, room: 4, .. }");
        assert!(!places(&memory(&ahead), key, &NOTHING).is_empty(), "the test sees what it looks for");

        let mut frame = [0; FRAME_OVERHEAD + 5];
        dialer.seal_ahead(&mut ahead, &mut frame).unwrap();
        assert_eq!(seen(&ahead), [false, true, true, true], "spent");

        // What another connection, or another place of this one, leaves of it is nothing.
        dialer.seal(&mut frame).unwrap();
        dialer.seal_ahead(&mut ahead, &mut frame).unwrap();
        assert_eq!(seen(&ahead), [false; 4], "thrown away");
    });
    with_open_pair(|dialer, _| {
        let mut ahead = Ahead::<4>::new();
        dialer.prepare_sending(&mut ahead);
        ahead.clear();
        assert_eq!(memory(&ahead), vec![0; size_of::<Ahead<4>>()], "cleared");

        dialer.prepare_sending(&mut ahead);
        for _ in 0..4 {
            dialer.seal_ahead(&mut ahead, &mut [0; FRAME_OVERHEAD + 64]).unwrap();
        }
        assert_eq!(seen(&ahead), [false; 4], "all spent");
        assert_eq!(places(&memory(&ahead), key, &NOTHING), [0; 0], "and with the last the key");
    });
}

/// The bytes of an `Option` are looked at after the value in it is gone.
#[test]
fn unspent_keystream_is_wiped_when_dropped() {
    with_open_pair(|dialer, answerer| {
        let mut slot = Some(Ahead::<4>::new());
        for prepare in [Connection::prepare_sending, Connection::prepare_receiving] {
            for connection in [&*dialer, &*answerer] {
                let ahead = slot.insert(Ahead::new());
                prepare(connection, ahead);
                assert_eq!(ahead.prepared(), 4);
                assert!(memory(&slot).iter().filter(|byte| **byte != 0).count() > 400);
                slot = None;
                scrub_stack();
                // The niche that says `None` may take a byte or two.
                assert!(memory(&slot).iter().filter(|byte| **byte != 0).count() < 32);
            }
        }
    });
}
