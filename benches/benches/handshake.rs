//! A whole handshake, both sides, beside the elliptic-curve work that nobody can do without: six ECDHs, three by each side
//! (BOLT 8, "Handshake"), and the two ephemeral keys.
//!
//! One thread does both sides. The fixed cost of a side, its static key, is made once, as a node does. `ECDHs` is measured
//! with the same library and the points ready; the handshake has to read its points from bytes, which takes a square root
//! each, and that counts against it.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use oddwire_benches::{end, settings};
use secp256k1::ecdh::SharedSecret;
use secp256k1::{PublicKey, SecretKey};
use wire_core::noise::{Initiator, Responder, Transport};
use wire_core::secret::{EphemeralKey, StaticKey};

/// How many ECDHs both sides of a handshake need together, and ephemeral keys.
const ECDHS: usize = 6;
const EPHEMERAL_KEYS: usize = 2;

fn handshake(criterion: &mut Criterion) {
    let ours = StaticKey::from_bytes(&end::secret(1)).expect("a valid key");
    let theirs = StaticKey::from_bytes(&end::secret(2)).expect("a valid key");
    let ephemeral = |number| EphemeralKey::from_bytes(end::secret(number)).expect("a valid key");
    let scalar = SecretKey::from_secret_bytes(*end::secret(3).expose()).expect("a valid key");
    let point =
        PublicKey::from_secret_key(&SecretKey::from_secret_bytes(*end::secret(4).expose()).expect("a key"));
    let ecdhs = || {
        for _ in 0..ECDHS {
            black_box(SharedSecret::new(black_box(&point), black_box(&scalar)));
        }
    };

    let settings = settings::within_a_process();
    let mut group = criterion.benchmark_group("handshake");
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement).sample_size(settings.samples);
    group.bench_function(BenchmarkId::new("Oddwire", "ephemeral keys ready"), |bencher| {
        bencher.iter_batched(
            || (ephemeral(5), ephemeral(6)),
            |(our_key, their_key)| shake_hands(&ours, &theirs, our_key, their_key),
            BatchSize::SmallInput,
        );
    });
    group
        .bench_function(BenchmarkId::new("six ECDHs", "ephemeral keys ready"), |bencher| bencher.iter(ecdhs));
    group.bench_function(BenchmarkId::new("Oddwire", "ephemeral keys made"), |bencher| {
        bencher.iter(|| shake_hands(&ours, &theirs, ephemeral(5), ephemeral(6)));
    });
    group.bench_function(BenchmarkId::new("six ECDHs", "ephemeral keys made"), |bencher| {
        bencher.iter(|| {
            for _ in 0..EPHEMERAL_KEYS {
                black_box(PublicKey::from_secret_key(black_box(&scalar)));
            }
            ecdhs();
        });
    });
    group.finish();
}

fn shake_hands(
    ours: &StaticKey,
    theirs: &StaticKey,
    our_ephemeral: EphemeralKey,
    their_ephemeral: EphemeralKey,
) -> (Transport, Transport) {
    let (act_one, initiator) = Initiator::new(ours, theirs.node_id(), our_ephemeral).act_one();
    let (act_two, responder) =
        Responder::new(theirs, their_ephemeral).act_one(theirs, &act_one).expect("act one");
    let (act_three, transport) = initiator.act_two(ours, &act_two).expect("act two");
    let (_, their_transport) = responder.act_three(&act_three).expect("act three");
    (transport, their_transport)
}

criterion_group!(benches, handshake);
criterion_main!(benches);
