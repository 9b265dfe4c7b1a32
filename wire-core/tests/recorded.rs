//! Replays a BOLT 8 conversation that was recorded between two ends of pyln-proto, an implementation that
//! shares no code with ours.
//!
//! BOLT 8's own vectors follow one direction through one rotation. A chaining key shared by both directions
//! passes those and fails with every real peer, at the second rotation. Here both directions go through four
//! rotations each. The recording holds a running hash of all frames; once our frames have that hash they ARE
//! pyln-proto's, so that opening them at the other end shows that we can read what it writes, too.

#![expect(clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

use serde::Deserialize;
use sha2::{Digest, Sha256};
use wire_core::frame::{Deframer, Sealer};
use wire_core::limits::{HEADER_LEN, TAG_LEN};
use wire_core::node_id::NodeId;
use wire_core::noise::{Initiator, Responder};
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

#[derive(Deserialize)]
struct Recording {
    messages: usize,
    initiator: Keys,
    responder: Keys,
    acts: [String; 3],
    directions: [Direction; 2],
}

#[derive(Deserialize)]
struct Keys {
    #[serde(rename = "static")]
    secret: String,
    ephemeral: String,
    node_id: String,
}

impl Keys {
    fn static_key(&self) -> StaticKey {
        StaticKey::from_bytes(&Secret::new(unhex(&self.secret))).expect("a valid secret key")
    }

    fn ephemeral_key(&self) -> EphemeralKey {
        EphemeralKey::from_bytes(Secret::new(unhex(&self.ephemeral))).expect("a valid secret key")
    }

    fn node_id(&self) -> NodeId {
        self.node_id.parse().expect("a valid node id")
    }
}

#[derive(Deserialize)]
struct Direction {
    from: String,
    sha256: String,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    index: usize,
    message: String,
    frame: String,
    sha256_so_far: String,
}

#[test]
fn our_initiator_and_responder_say_what_pyln_proto_said() {
    let recording = recording();
    let _both_ends = shake_hands(&recording);
}

#[test]
fn both_directions_are_pyln_protos_through_four_rotations() {
    let recording = recording();
    let [initiator, responder] = shake_hands(&recording);
    let [from_initiator, from_responder] = &recording.directions;
    let mut there = Replay::new(from_initiator, initiator.sealer, responder.deframer);
    let mut back = Replay::new(from_responder, responder.sealer, initiator.deframer);

    // Seven one way, three the other, and so on: neither direction may notice what the other one does.
    for index in 0..recording.messages {
        there.message(index);
        if index % 10 == 6 {
            (index - 6..index - 3).for_each(|index| back.message(index));
        }
        if index % 10 == 9 {
            (index - 6..=index).for_each(|index| back.message(index));
        }
    }
    there.ends_after(recording.messages);
    back.ends_after(recording.messages);
}

/// One end of the connection after the handshake.
struct End {
    sealer: Sealer,
    deframer: Deframer,
}

/// Both roles with pyln-proto's keys; every act must be the recorded one.
fn shake_hands(recording: &Recording) -> [End; 2] {
    let initiator_key = recording.initiator.static_key();
    let responder_key = recording.responder.static_key();
    assert_eq!(initiator_key.node_id(), recording.initiator.node_id());
    assert_eq!(responder_key.node_id(), recording.responder.node_id());
    let [act_one, act_two, act_three] = &recording.acts;

    let initiator =
        Initiator::new(&initiator_key, recording.responder.node_id(), recording.initiator.ephemeral_key());
    let (sent, initiator) = initiator.act_one();
    assert_eq!(hex(&sent), *act_one, "act one");

    let responder = Responder::new(&responder_key, recording.responder.ephemeral_key());
    let (sent, responder) =
        responder.act_one(&responder_key, &unhex(act_one)).expect("pyln-proto's act one is good");
    assert_eq!(hex(&sent), *act_two, "act two");

    let (sent, initiator) =
        initiator.act_two(&initiator_key, &unhex(act_two)).expect("pyln-proto's act two is good");
    assert_eq!(hex(&sent), *act_three, "act three");

    let (their_id, responder) =
        responder.act_three(&unhex(act_three)).expect("pyln-proto's act three is good");
    assert_eq!(their_id, recording.initiator.node_id());

    [initiator, responder].map(|transport| {
        let (sealer, opener) = transport.split();
        End { sealer, deframer: Deframer::new(opener) }
    })
}

/// One direction: what one end seals, compared with the recording and opened at the other end.
struct Replay<'a> {
    direction: &'a Direction,
    sealer: Sealer,
    deframer: Deframer,
    hash: Sha256,
    sent: usize,
    samples: std::slice::Iter<'a, Sample>,
}

impl<'a> Replay<'a> {
    fn new(direction: &'a Direction, sealer: Sealer, deframer: Deframer) -> Replay<'a> {
        Replay {
            direction,
            sealer,
            deframer,
            hash: Sha256::new(),
            sent: 0,
            samples: direction.samples.iter(),
        }
    }

    fn message(&mut self, index: usize) {
        assert_eq!(index, self.sent, "the test sends in order");
        let message = message_of(&self.direction.from, index);
        let mut frame = [[0; HEADER_LEN].as_slice(), &message, &[0; TAG_LEN]].concat();
        self.sealer.seal(&mut frame).expect("a short message");
        self.hash.update(&frame);
        self.sent += 1;

        let sample = self.samples.as_slice().first().filter(|sample| sample.index == index);
        if let Some(sample) = sample {
            self.samples.next();
            let from = &self.direction.from;
            assert_eq!(hex(&message), sample.message, "message {index} of the {from}");
            assert_eq!(hex(&frame), sample.frame, "frame {index} of the {from}");
            assert_eq!(self.hash_so_far(), sample.sha256_so_far, "a frame before {index} of the {from}");
        }
        self.open(&mut frame, &message);
    }

    fn open(&mut self, frame: &mut [u8], message: &[u8]) {
        let index = self.sent - 1;
        let header = self.deframer.next(frame).expect("a good header");
        let mut consumed = header.consumed;
        let mut opened = header.message.map(<[u8]>::to_vec);
        if opened.is_none() {
            let body = self.deframer.next(&mut frame[consumed..]).expect("a good body");
            consumed += body.consumed;
            opened = body.message.map(<[u8]>::to_vec);
        }
        assert_eq!(
            opened.as_deref(),
            Some(message),
            "message {index} of the {} as its peer opens it",
            self.direction.from
        );
        assert_eq!(consumed, frame.len(), "the frame is used up");
    }

    fn hash_so_far(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    fn ends_after(&self, messages: usize) {
        assert_eq!(self.sent, messages);
        assert!(self.samples.as_slice().is_empty(), "every sample was compared");
        assert_eq!(self.hash_so_far(), self.direction.sha256, "all frames of the {}", self.direction.from);
    }
}

/// The messages' content, as the recorder makes it: 2 to 301 bytes out of SHA-256 over `side/index/block`.
fn message_of(side: &str, index: usize) -> Vec<u8> {
    let len = 2 + index * 37 % 300;
    let blocks = (0..=len / 32).map(|block| Sha256::digest(format!("{side}/{index}/{block}")));
    let mut message: Vec<u8> = blocks.flatten().collect();
    message.truncate(len);
    message
}

fn recording() -> Recording {
    serde_json::from_str(include_str!("vectors/pyln-bolt8.json")).expect("the recorder's own format")
}

fn hex(bytes: &[u8]) -> String {
    faster_hex::hex_string(bytes)
}

fn unhex<const N: usize>(digits: &str) -> [u8; N] {
    let mut bytes = [0; N];
    faster_hex::hex_decode(digits.as_bytes(), &mut bytes).expect("hex digits of that many bytes");
    bytes
}
