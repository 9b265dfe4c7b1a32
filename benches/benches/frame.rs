//! Sealing and opening messages of 2 to 65,535 bytes, beside the AEADs that a user would pick: `ring`, `aws-lc-rs` and
//! `chacha20poly1305`.
//!
//! All do the same for the same bytes: the length and the body of each frame are sealed where they lie, with a nonce each
//! that counts up, and the tags are put in their place (BOLT 8, "Encrypting and Sending Messages"). The others are given
//! one key for good; Oddwire also replaces its key after every 500 messages, as the protocol wants, and looks at lengths.
//!
//! Frames come in runs, as they do from a send queue and from a socket: 64 of them or 64 KiB, at least one. The time is that
//! of a run, divided by its frames. Opening turns the run back into what it was, so nothing is copied in between.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::aead as aws;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oddwire_benches::{payload, settings, share_of};
use ring::aead as ring_aead;
use wire_core::cipher::{CipherState, Lanes};
use wire_core::frame::{Ahead, Deframer, Opener, Sealer, TOGETHER};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, LENGTH_LEN, TAG_LEN};
use wire_core::secret::Secret;

const SIZES: [usize; 6] = [2, 64, 256, 1024, 8192, 65_535];
/// A run: a burst of messages, or what is likely to fit into one write.
const RUN_FRAMES: usize = 64;
const RUN_BYTES: usize = 64 * 1024;

/// Both ends of one direction of a connection.
trait Candidate {
    /// Makes frames of messages with room around them.
    fn seal(&mut self, run: &mut [u8], frame_len: usize);
    /// Makes messages of frames again, in the same places.
    fn open(&mut self, run: &mut [u8], frame_len: usize);
}

/// What is timed of it.
#[derive(Clone, Copy)]
enum Step {
    Seal,
    Open,
}

fn frames(criterion: &mut Criterion) {
    for (name, step) in [("frame/seal", Step::Seal), ("frame/open", Step::Open)] {
        for size in SIZES {
            let mut measure = |candidate: &str, ends: &mut dyn Candidate| {
                measure(criterion, name, step, size, candidate, ends);
            };
            measure("Oddwire", &mut Runs::new(Lanes::best()));
            measure("Oddwire, frame by frame", &mut Single::new());
            for lanes in Lanes::available().filter(|lanes| *lanes != Lanes::best()) {
                measure(&format!("Oddwire, lanes: {}", lanes.name()), &mut Runs::new(lanes));
            }
            measure("ring", &mut Bare::<Ring>::new());
            measure("aws-lc-rs", &mut Bare::<AwsLc>::new());
            measure("chacha20poly1305", &mut Bare::<RustCrypto>::new());
        }
    }
}

fn measure(
    criterion: &mut Criterion,
    group: &str,
    step: Step,
    size: usize,
    name: &str,
    candidate: &mut dyn Candidate,
) {
    let settings = settings::within_a_process();
    let mut group = criterion.benchmark_group(group);
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement).sample_size(settings.samples);
    group.throughput(Throughput::Bytes(size as u64));
    let frames = (RUN_BYTES / (size + FRAME_OVERHEAD)).clamp(1, RUN_FRAMES);
    // One behind the other, as they come from a socket.
    let frame_len = size + FRAME_OVERHEAD;
    let mut run = [&[0; HEADER_LEN][..], &payload(size), &[0; TAG_LEN]].concat().repeat(frames);
    let frames = frames as u64;
    group.bench_function(BenchmarkId::new(name, format!("{size} B")), |bencher| {
        bencher.iter_custom(|wanted| {
            let mut timed = Duration::ZERO;
            let runs = wanted.div_ceil(frames);
            for _ in 0..runs {
                let start = Instant::now();
                candidate.seal(black_box(&mut run), frame_len);
                let sealed = Instant::now();
                candidate.open(black_box(&mut run), frame_len);
                timed += match step {
                    Step::Seal => sealed - start,
                    Step::Open => sealed.elapsed(),
                };
            }
            share_of(timed, runs * frames, wanted)
        });
    });
    group.finish();
    assert!(
        run.chunks(frame_len).all(|frame| frame[HEADER_LEN..][..size] == payload(size)),
        "what was sealed was opened"
    );
}

/// Our own as a connection drives it: keystream is made for several frames at once, ahead of them.
struct Runs {
    sealer: Sealer,
    deframer: Deframer,
    to_seal: Box<Ahead<RUN_FRAMES>>,
    to_open: Box<Ahead<RUN_FRAMES>>,
}

impl Runs {
    fn new(lanes: Lanes) -> Runs {
        let (sealer, opener) = ends(lanes);
        Runs { sealer, deframer: Deframer::new(opener), to_seal: Box::default(), to_open: Box::default() }
    }
}

impl Candidate for Runs {
    fn seal(&mut self, run: &mut [u8], frame_len: usize) {
        let mut sealing = self.sealer.run(&mut *self.to_seal, run.len() / frame_len);
        // As the node does: as many as it lends at once.
        for frames in run.chunks_mut(TOGETHER * frame_len) {
            let mut together: [&mut [u8]; TOGETHER] = Default::default();
            let count = frames.len() / frame_len;
            for (place, frame) in together.iter_mut().zip(frames.chunks_mut(frame_len)) {
                *place = frame;
            }
            sealing.seal_many(&mut together[..count]).expect("frames");
        }
    }

    fn open(&mut self, run: &mut [u8], frame_len: usize) {
        let mut rest = run;
        while !rest.is_empty() {
            let step = self.deframer.next_ahead(&mut *self.to_open, rest).expect("intact frames");
            assert_eq!(step.message.map(<[u8]>::len), Some(frame_len - FRAME_OVERHEAD), "a whole frame");
            let consumed = step.consumed;
            (_, rest) = rest.split_at_mut(consumed);
        }
    }
}

/// Our own without keystream ahead: what a frame costs that comes alone.
struct Single {
    sealer: Sealer,
    opener: Opener,
}

impl Single {
    fn new() -> Single {
        let (sealer, opener) = ends(Lanes::best());
        Single { sealer, opener }
    }
}

impl Candidate for Single {
    fn seal(&mut self, run: &mut [u8], frame_len: usize) {
        for frame in run.chunks_mut(frame_len) {
            self.sealer.seal(frame).expect("a frame");
        }
    }

    fn open(&mut self, run: &mut [u8], frame_len: usize) {
        for frame in run.chunks_mut(frame_len) {
            let (header, body_and_tag) = frame.split_first_chunk_mut::<HEADER_LEN>().expect("a whole header");
            let len = self.opener.open_header(header).expect("an intact header");
            self.opener.open_body(len, body_and_tag).expect("an intact body");
        }
    }
}

/// A sealer and the opener at the other end of its connection.
fn ends(lanes: Lanes) -> (Sealer, Opener) {
    let cipher = || CipherState::new(Secret::new([7; 32]), Secret::new([8; 32])).with_lanes(lanes);
    (Sealer::new(cipher()), Opener::new(cipher()))
}

/// Frames out of someone's AEAD: what a user would write around it.
struct Bare<A> {
    aead: A,
    sealed: u64,
    opened: u64,
}

impl<A: Aead> Bare<A> {
    fn new() -> Self {
        Bare { aead: A::new(&[7; 32]), sealed: 0, opened: 0 }
    }
}

/// ChaCha20-Poly1305 as a library offers it.
trait Aead {
    fn new(key: &[u8; 32]) -> Self;
    fn seal(&self, nonce: [u8; 12], text: &mut [u8]) -> [u8; TAG_LEN];
    /// Panics if the tag is wrong.
    fn open(&self, nonce: [u8; 12], text_and_tag: &mut [u8]);
}

impl<A: Aead> Candidate for Bare<A> {
    fn seal(&mut self, run: &mut [u8], frame_len: usize) {
        for frame in run.chunks_mut(frame_len) {
            let body_len = u16::try_from(frame.len() - FRAME_OVERHEAD).expect("a message of BOLT 8");
            let (header, body_and_tag) = frame.split_at_mut(HEADER_LEN);
            header[..LENGTH_LEN].copy_from_slice(&body_len.to_be_bytes());
            for text_and_tag in [header, body_and_tag] {
                let (text, tag) = text_and_tag.split_last_chunk_mut::<TAG_LEN>().expect("room for a tag");
                *tag = self.aead.seal(nonce(&mut self.sealed), text);
            }
        }
    }

    fn open(&mut self, run: &mut [u8], frame_len: usize) {
        for frame in run.chunks_mut(frame_len) {
            let (header, body_and_tag) = frame.split_at_mut(HEADER_LEN);
            self.aead.open(nonce(&mut self.opened), header);
            self.aead.open(nonce(&mut self.opened), body_and_tag);
        }
    }
}

/// The next nonce of BOLT 8: 32 zero bits, then the count, little-endian.
fn nonce(count: &mut u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&count.to_le_bytes());
    *count += 1;
    nonce
}

struct Ring(ring_aead::LessSafeKey);

impl Aead for Ring {
    fn new(key: &[u8; 32]) -> Ring {
        let key = ring_aead::UnboundKey::new(&ring_aead::CHACHA20_POLY1305, key).expect("a key");
        Ring(ring_aead::LessSafeKey::new(key))
    }

    fn seal(&self, nonce: [u8; 12], text: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = ring_aead::Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, ring_aead::Aad::empty(), text);
        tag.expect("short enough").as_ref().try_into().expect("a tag")
    }

    fn open(&self, nonce: [u8; 12], text_and_tag: &mut [u8]) {
        let nonce = ring_aead::Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, ring_aead::Aad::empty(), text_and_tag).expect("an intact text");
    }
}

struct AwsLc(aws::LessSafeKey);

impl Aead for AwsLc {
    fn new(key: &[u8; 32]) -> AwsLc {
        let key = aws::UnboundKey::new(&aws::CHACHA20_POLY1305, key).expect("a key");
        AwsLc(aws::LessSafeKey::new(key))
    }

    fn seal(&self, nonce: [u8; 12], text: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = aws::Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, aws::Aad::empty(), text);
        tag.expect("short enough").as_ref().try_into().expect("a tag")
    }

    fn open(&self, nonce: [u8; 12], text_and_tag: &mut [u8]) {
        let nonce = aws::Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, aws::Aad::empty(), text_and_tag).expect("an intact text");
    }
}

struct RustCrypto(ChaCha20Poly1305);

impl Aead for RustCrypto {
    fn new(key: &[u8; 32]) -> RustCrypto {
        RustCrypto(ChaCha20Poly1305::new(key.into()))
    }

    fn seal(&self, nonce: [u8; 12], text: &mut [u8]) -> [u8; TAG_LEN] {
        self.0.encrypt_inout_detached(&nonce.into(), &[], text.into()).expect("short enough").into()
    }

    fn open(&self, nonce: [u8; 12], text_and_tag: &mut [u8]) {
        let (text, tag) = text_and_tag.split_last_chunk_mut::<TAG_LEN>().expect("a tag");
        self.0
            .decrypt_inout_detached(&nonce.into(), &[], text.into(), (&*tag).into())
            .expect("an intact text");
    }
}

criterion_group!(benches, frames);
criterion_main!(benches);
