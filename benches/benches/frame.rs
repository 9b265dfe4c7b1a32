//! Sealing and opening one message, 2 to 65,535 bytes, beside the bare calls of the `chacha20poly1305` crate for the same
//! bytes: the two AEAD operations of a frame and nothing around them. What lies between the two figures is ours: nonces,
//! lengths, checks and key rotation.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, Tag};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oddwire_benches::{MEASUREMENT, SAMPLES, WARM_UP, payload};
use wire_core::frame::{Opener, Sealer};
use wire_core::limits::{HEADER_LEN, TAG_LEN};
use wire_core::noise::{Initiator, Responder};
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

const SIZES: [usize; 6] = [2, 64, 256, 1024, 8192, 65_535];

/// A sealer and the opener at the other end of its connection.
fn connected() -> (Sealer, Opener) {
    let static_key = |byte| StaticKey::from_bytes(&Secret::new([byte; 32])).expect("a valid key");
    let ephemeral = |byte| EphemeralKey::from_bytes(Secret::new([byte; 32])).expect("a valid key");
    let (ours, theirs) = (static_key(0x11), static_key(0x21));
    let (act_one, initiator) = Initiator::new(&ours, theirs.node_id(), ephemeral(0x12)).act_one();
    let (act_two, responder) =
        Responder::new(&theirs, ephemeral(0x22)).act_one(&theirs, &act_one).expect("act one");
    let (act_three, transport) = initiator.act_two(&ours, &act_two).expect("act two");
    let (_, their_transport) = responder.act_three(&act_three).expect("act three");
    (transport.split().0, their_transport.split().1)
}

/// A frame with room for header and tag, as the send queue hands it out.
fn frame(size: usize) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LEN];
    frame.extend(payload(size));
    frame.extend([0; TAG_LEN]);
    frame
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame/seal");
    group.warm_up_time(WARM_UP).measurement_time(MEASUREMENT).sample_size(SAMPLES);
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let (mut sealer, _) = connected();
        let mut ours = frame(size);
        group.bench_function(BenchmarkId::new("wire-core", size), |bencher| {
            bencher.iter(|| sealer.seal(black_box(&mut ours)));
        });
        let cipher = ChaCha20Poly1305::new(&Key::from([7; 32]));
        let nonce = Nonce::from([0; 12]);
        let (mut length, mut body) = ([0; 2], payload(size));
        group.bench_function(BenchmarkId::new("chacha20poly1305 crate", size), |bencher| {
            bencher.iter(|| {
                let header = cipher.encrypt_inout_detached(&nonce, &[], black_box(&mut length[..]).into());
                let tag = cipher.encrypt_inout_detached(&nonce, &[], black_box(&mut body[..]).into());
                (header, tag)
            });
        });
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame/open");
    group.warm_up_time(WARM_UP).measurement_time(MEASUREMENT).sample_size(SAMPLES);
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let (mut sealer, mut opener) = connected();
        let plain = frame(size);
        // Frames open once only and in order: each is sealed just before, outside the measured time.
        let mut next_frame = || {
            let mut frame = plain.clone();
            sealer.seal(&mut frame).expect("sealed");
            frame
        };
        group.bench_function(BenchmarkId::new("wire-core", size), |bencher| {
            bencher.iter_batched_ref(
                &mut next_frame,
                |frame| open_frame(&mut opener, frame),
                BatchSize::NumIterations(50),
            );
        });
        let cipher = ChaCha20Poly1305::new(&Key::from([7; 32]));
        let nonce = Nonce::from([0; 12]);
        let seal =
            |bytes: &mut [u8]| cipher.encrypt_inout_detached(&nonce, &[], bytes.into()).expect("sealed");
        let (mut length, mut body) = ([0; 2], payload(size));
        let (length_tag, body_tag): (Tag, Tag) = (seal(&mut length), seal(&mut body));
        group.bench_function(BenchmarkId::new("chacha20poly1305 crate", size), |bencher| {
            bencher.iter_batched_ref(
                || (length, body.clone()),
                |(length, body)| {
                    let header =
                        cipher.decrypt_inout_detached(&nonce, &[], (&mut length[..]).into(), &length_tag);
                    let body = cipher.decrypt_inout_detached(&nonce, &[], (&mut body[..]).into(), &body_tag);
                    assert!(header.is_ok() && body.is_ok());
                },
                BatchSize::NumIterations(50),
            );
        });
    }
    group.finish();
}

fn open_frame(opener: &mut Opener, frame: &mut [u8]) -> usize {
    let (header, body_and_tag) = frame.split_first_chunk_mut::<HEADER_LEN>().expect("a whole header");
    let len = opener.open_header(header).expect("an intact header");
    opener.open_body(len, body_and_tag).expect("an intact body").len()
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
