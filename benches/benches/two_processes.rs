//! Messages from one process to another over loopback TCP: Oddwire to Oddwire, LDK to LDK, and as the ceiling the same bytes,
//! sealed beforehand, from a socket to a socket.
//!
//! Both ends of a connection do the same work for either candidate: the sender's task queues up to 512 messages (8 of the
//! longest) before it lets others run, each copied from a slice; the receiver hands each message to a function of its user, which looks at one byte of it. At most
//! 8,192 messages and 8 MiB are under way, for LDK has no bound of its own. Each process is one thread, so that
//! either candidate has two processors, one per end. A figure is the time from the first message queued until the last has
//! been handed to the receiver's user, per message.
//!
//! The ceiling writes as many bytes at a time as Oddwire's limits are: 64 KiB, at least one frame; nobody seals, opens,
//! copies or looks at anything.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use oddwire_benches::child::{self, Player, Progress};
use oddwire_benches::end::{End, Ldk, Oddwire, loopback, secret};
use oddwire_benches::{payload, settings, share_of};
use oddwire_node::{Limits, NodeId};
use tokio::runtime::Runtime;
use wire_core::limits::FRAME_OVERHEAD;

/// Lengths of the messages in bytes, type included.
const SIZES: [usize; 3] = [64, 1024, 65_535];
/// Steps of the receiver between two looks at them, where the sender only writes: a receiver whose pipe is full would read no
/// more.
const STEPS_IN_PIPE: u64 = 1_000;
/// What one write of Oddwire's takes along at most, beside [`Limits::frames_per_write`].
const WRITE_BYTES: usize = 64 * 1024;

fn main() {
    match child::role().unwrap_or_default().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let mut criterion = Criterion::default().configure_from_args();
            for size in SIZES {
                compare(&mut criterion, size);
            }
            criterion.final_summary();
        }
        ["receive", Oddwire::NAME, step] => receive::<Oddwire>(number(step)),
        ["receive", Ldk::NAME, step] => receive::<Ldk>(number(step)),
        ["receive-bytes", step] => receive_bytes(number(step)),
        ref other => unreachable!("no such role: {other:?}"),
    }
}

fn compare(criterion: &mut Criterion, size: usize) {
    let settings = settings::across_processes();
    let mut group = criterion.benchmark_group("two_processes");
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement);
    group.sample_size(settings.samples).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Bytes(size as u64));
    through::<Oddwire>(&mut group, size);
    through::<Ldk>(&mut group, size);
    sealed_bytes(&mut group, size);
    group.finish();
}

/// Messages that a sender queues before it lets others run, and between which the receiver says that it has come so far;
/// and messages that may be under way.
fn step_and_window(size: usize) -> (u64, u64) {
    if size > 8 * 1024 { (8, 128) } else { (512, 8192) }
}

fn through<E: End>(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    if !settings::is_wanted(&format!("two_processes/{}/{size} B", E::NAME)) {
        return;
    }
    let (step, window) = step_and_window(size);
    let runtime = one_thread();
    let (mut receiver, ready) = Player::start(&format!("receive {} {step}", E::NAME)).expect("a receiver");
    let (id, address) = ready.split_once(' ').expect("an id and an address");
    let (id, address): (NodeId, SocketAddr) =
        (id.parse().expect("an id"), address.parse().expect("an address"));
    let mut link = runtime.block_on(async {
        let end = E::start(&secret(1), &[], |_: &[u8]| {}).await;
        end.connect(id, address).await;
        let progress = receiver.progress(step).expect("a pipe");
        Link { end, peer: E::peer(&id), progress, sent: 0, chunk: step, window }
    });
    // The type takes two bytes of the message.
    let payload = payload(size - 2);
    group.bench_function(BenchmarkId::new(E::NAME, format!("{size} B")), |bencher| {
        bencher.iter_custom(|messages| {
            let rounded = messages.next_multiple_of(step);
            let elapsed = runtime.block_on(link.transfer(&payload, rounded));
            share_of(elapsed, rounded, messages)
        });
    });
    runtime.block_on(async { drop(link) });
}

/// The sending end.
struct Link<E: End> {
    end: E,
    peer: E::Peer,
    progress: Progress,
    sent: u64,
    /// Messages that are queued before others run.
    chunk: u64,
    window: u64,
}

impl<E: End> Link<E> {
    /// The time until `count` more messages have reached the receiver's user.
    async fn transfer(&mut self, payload: &[u8], count: u64) -> Duration {
        let target = self.sent + count;
        let start = Instant::now();
        while self.sent < target {
            let under_way = self.sent - self.progress.arrived().expect("the receiver lives");
            let chunk = self.chunk.min(target - self.sent).min(self.window - under_way);
            if chunk == 0 {
                self.progress.news().await.expect("the receiver lives");
                continue;
            }
            let chunk = usize::try_from(chunk).expect("a small number");
            self.sent += self.end.send(self.peer, payload, chunk) as u64;
            tokio::task::yield_now().await;
        }
        self.progress.reaches(target).await.expect("the receiver lives");
        start.elapsed()
    }
}

fn sealed_bytes(group: &mut BenchmarkGroup<'_, WallTime>, size: usize) {
    let (step, _) = step_and_window(size);
    let frame = size + FRAME_OVERHEAD;
    let frames = (WRITE_BYTES / frame).clamp(1, Limits::default().frames_per_write);
    let bytes = payload(frame * frames);
    let runtime = one_thread();
    let step_bytes = step * frame as u64;
    let (mut receiver, address) = Player::start(&format!("receive-bytes {step_bytes}")).expect("a receiver");
    let mut stream = TcpStream::connect(address).expect("the receiver listens");
    stream.set_nodelay(true).expect("an option of TCP");
    let mut progress = runtime.block_on(async { receiver.progress(step).expect("a pipe") });
    let mut sent = 0;
    group.bench_function(BenchmarkId::new("sealed beforehand", format!("{size} B")), |bencher| {
        bencher.iter_custom(|messages| {
            let rounded = messages.next_multiple_of(step);
            let target = sent + rounded;
            let start = Instant::now();
            while sent < target {
                let part = (target - sent).min(step * STEPS_IN_PIPE);
                let mut left = usize::try_from(part).expect("a number of messages") * frame;
                while left > 0 {
                    let written = stream.write(&bytes[..left.min(bytes.len())]).expect("the receiver reads");
                    left -= written;
                }
                // All but this part, which is on its way.
                runtime.block_on(progress.reaches(sent)).expect("the receiver lives");
                sent += part;
            }
            runtime.block_on(progress.reaches(sent)).expect("the receiver lives");
            share_of(start.elapsed(), rounded, messages)
        });
    });
}

/// The receiving process.
fn receive<E: End>(step: u64) {
    one_thread().block_on(async {
        let received = AtomicU64::new(0);
        let handler = move |payload: &[u8]| {
            black_box(payload.first());
            if (received.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(step) {
                child::step().expect("the benchmark lives");
            }
        };
        let end = E::start(&secret(2), &[loopback(1)], handler).await;
        child::say(&format!("{} {}", end.id(), end.listening()[0])).expect("the benchmark lives");
        // A thread of its own waits for the end of the input, so that this one does nothing else.
        let _ = tokio::task::spawn_blocking(|| child::commands().last()).await;
        std::process::exit(0);
    });
}

fn receive_bytes(step: u64) {
    let listener = TcpListener::bind(loopback(1)).expect("a port on loopback");
    child::say(&listener.local_addr().expect("an address").to_string()).expect("the benchmark lives");
    let (mut stream, _) = listener.accept().expect("the benchmark connects");
    let mut buffer = vec![0; 256 * 1024];
    let (mut received, mut told) = (0_u64, 0_u64);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        black_box(buffer.first());
        received += count as u64;
        while received >= told + step {
            told += step;
            child::step().expect("the benchmark lives");
        }
    }
}

fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
