//! Requests over the unix socket: how many a second, pipelined and one at a time, beside a bare server on a unix socket that
//! sends the same bytes back; and how long it takes from the request until the other side's handler has the message.
//!
//! The request is `sendcustommsg` with a message of 64 bytes. The daemon does the whole of it: it parses, looks the peer up,
//! queues, seals and writes, and the other side, a node in the benchmark's process, reads and opens. The echo server
//! looks for the ends of requests, and for each sends an answer of the same length as the daemon's; it parses nothing,
//! sends nothing to anyone, and so has the second processor for itself. It is as bare as it can be on purpose.
//!
//! Pipelined: 64 requests in one write, at most 128 unanswered. One at a time: the next request when the answer is there.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use oddwire_benches::child::{self, Player};
use oddwire_benches::end::{End, Handler, KIND, Oddwire, loopback, secret};
use oddwire_benches::{figures, settings, share_of};
use oddwire_node::NodeId;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const BENCH: &str = "rpc";
const DAEMON: &str = "Oddwire";
const ECHO: &str = "echo server";
/// Requests in one write when pipelined.
const CHUNK: u64 = 64;
/// Length of each message in bytes, type included.
const SIZE: usize = 64;
/// Ids of requests are of one length, so that answers are.
const FIRST_ID: u64 = 100_000_000;
/// Messages whose requests are answered and that may still be on their way; the daemon's queue holds more.
const BEHIND: u64 = 2048;
/// Requests whose way to the other side's handler is timed.
const TIMED: usize = 20_000;

fn main() {
    match child::role().unwrap_or_default().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["daemon", directory] => daemon(directory),
        ["echo", path, answer_len] => echo(path, answer_len.parse().expect("a number")),
        ref other => unreachable!("no such role: {other:?}"),
    }
}

fn compare() {
    let mut criterion = Criterion::default().configure_from_args();
    let settings = settings::across_processes();
    let mut group = criterion.benchmark_group("rpc");
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement);
    group.sample_size(settings.samples).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(1));

    let directory = TempDir::new().expect("a directory");
    let arrivals = Arrivals::default();
    let runtime = one_worker();
    let far = runtime.block_on(Oddwire::start(&secret(2), &[loopback(1)], arrivals.clone().handler()));
    let (_daemon, _) = Player::start(&format!("daemon {}", directory.path().display())).expect("a daemon");
    let socket = connect(&directory.path().join("regtest/lightning-rpc"));
    let mut client = Client::new(socket, &far.id());
    client.connect_daemon(&far.id(), far.listening()[0]);
    client.one();
    let answer_len = client.answer_len;
    requests(&mut group, DAEMON, &mut client, |sent| arrivals.keep_up(sent));
    if !settings::is_wanted(&format!("rpc/{ECHO}")) {
        return;
    }
    times(&mut client, &arrivals);

    let path = directory.path().join("echo");
    let (_echo, _) = Player::start(&format!("echo {} {answer_len}", path.display())).expect("an echo server");
    let mut client = Client::new(connect(&path), &far.id());
    client.one();
    assert_eq!(client.answer_len, answer_len, "the echo server answers as many bytes");
    requests(&mut group, ECHO, &mut client, |_| {});
    group.finish();
    criterion.final_summary();
}

/// What has arrived at the other side's handler.
#[derive(Clone)]
struct Arrivals {
    start: Instant,
    /// How many messages, and when the last of them was handled, in nanoseconds since `start`.
    counted: Arc<(AtomicU64, AtomicU64)>,
}

impl Default for Arrivals {
    fn default() -> Arrivals {
        Arrivals { start: Instant::now(), counted: Arc::default() }
    }
}

impl Arrivals {
    fn handler(self) -> impl Handler {
        move |_: &[u8]| {
            let now = u64::try_from(self.start.elapsed().as_nanos()).expect("not so many years");
            self.counted.1.store(now, Ordering::Relaxed);
            self.counted.0.fetch_add(1, Ordering::Release);
        }
    }

    /// Waits until all but [`BEHIND`] of what was sent has arrived: the daemon's queue is bounded, and a client that runs
    /// away from the peer would be told so.
    fn keep_up(&self, sent: u64) {
        self.wait_for(sent.saturating_sub(BEHIND));
    }

    /// Waits until so many have arrived, and answers when the last of them did.
    fn wait_for(&self, count: u64) -> Instant {
        while self.counted.0.load(Ordering::Acquire) < count {
            thread::yield_now();
        }
        self.start + Duration::from_nanos(self.counted.1.load(Ordering::Relaxed))
    }
}

/// Connects as soon as the server is there.
fn connect(path: &Path) -> UnixStream {
    let started = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{}: {error}", path.display()),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn requests(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    client: &mut Client,
    keep_up: impl Fn(u64),
) {
    group.bench_function(BenchmarkId::new(name, "requests, pipelined"), |bencher| {
        bencher.iter_custom(|requests| {
            let rounded = requests.next_multiple_of(CHUNK);
            let start = Instant::now();
            client.pipelined(rounded, &keep_up);
            share_of(start.elapsed(), rounded, requests)
        });
    });
    group.bench_function(BenchmarkId::new(name, "requests, one at a time"), |bencher| {
        bencher.iter_custom(|requests| {
            let start = Instant::now();
            for _ in 0..requests {
                client.one();
                keep_up(client.sent());
            }
            start.elapsed()
        });
    });
}

/// From the first byte of a request written until the other side's handler has the message, one at a time.
fn times(client: &mut Client, arrivals: &Arrivals) {
    let count = if settings::is_quick() { TIMED / 10 } else { TIMED };
    arrivals.wait_for(client.sent());
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            client.one();
            arrivals.wait_for(client.sent()).saturating_duration_since(start)
        })
        .collect();
    times.sort_unstable();
    for (case, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        let time = times[(times.len() * per_mille / 1000).min(times.len() - 1)];
        let case = format!("time from request to the other side's handler, {case}");
        figures::record(BENCH, &case, DAEMON, time.as_secs_f64() * 1e6, "µs");
    }
}

/// A client that costs as little as a client can: requests are made beforehand but for the id, answers are counted.
struct Client {
    stream: UnixStream,
    chunk: Vec<u8>,
    request_len: usize,
    id_at: usize,
    next_id: u64,
    answer_len: usize,
    buffer: Vec<u8>,
}

impl Client {
    fn new(stream: UnixStream, peer: &NodeId) -> Client {
        let message = format!("{:04x}{:0<width$}", KIND.get(), "", width = 2 * SIZE - 4);
        let head = r#"{"jsonrpc":"2.0","id":"#;
        let request = format!(
            r#"{head}{FIRST_ID},"method":"sendcustommsg","params":{{"node_id":"{peer}","msg":"{message}"}}}}"#
        ) + "\n\n";
        Client {
            stream,
            request_len: request.len(),
            id_at: head.len(),
            chunk: request.repeat(usize::try_from(CHUNK).expect("a small number")).into_bytes(),
            next_id: FIRST_ID,
            answer_len: 0,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Tells the daemon to connect to the other side.
    fn connect_daemon(&mut self, id: &NodeId, address: SocketAddr) {
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"connect","params":["{id}@{address}"]}}"#);
        self.stream.write_all(request.as_bytes()).expect("the server reads");
        let read = self.stream.read(&mut self.buffer).expect("the server answers");
        let answer = String::from_utf8_lossy(&self.buffer[..read]);
        assert!(answer.contains("\"result\"") && answer.ends_with("\n\n"), "{answer}");
    }

    /// Requests that were written so far.
    fn sent(&self) -> u64 {
        self.next_id - FIRST_ID
    }

    /// Writes so many requests at once, each with an id of its own.
    fn write(&mut self, count: usize) {
        for request in self.chunk.chunks_mut(self.request_len).take(count) {
            let id = self.next_id.to_string();
            request[self.id_at..][..id.len()].copy_from_slice(id.as_bytes());
            self.next_id += 1;
        }
        self.stream.write_all(&self.chunk[..count * self.request_len]).expect("the server reads");
    }

    /// Reads so many answers.
    fn read(&mut self, count: usize) {
        let mut left = count * self.answer_len;
        while left > 0 {
            let room = self.buffer.len().min(left);
            let read = self.stream.read(&mut self.buffer[..room]).expect("the server answers");
            assert_ne!(read, 0, "the server has closed the connection");
            left -= read;
        }
        // Lengths agree only if all were answered alike; the last one shows how.
        assert!(!self.buffer.windows(7).take(256).any(|text| text == b"\"error\""), "a request was refused");
    }

    /// One request, and its answer.
    fn one(&mut self) {
        self.write(1);
        if self.answer_len == 0 {
            // The first answer shows how long they are.
            let read = self.stream.read(&mut self.buffer).expect("the server answers");
            assert!(self.buffer[..read].ends_with(b"\n\n"), "a whole answer");
            self.answer_len = read;
        } else {
            self.read(1);
        }
    }

    /// So many requests, the next chunk written before the answers to the one before are read.
    fn pipelined(&mut self, requests: u64, keep_up: impl Fn(u64)) {
        let chunk = usize::try_from(CHUNK).expect("a small number");
        self.write(chunk);
        for _ in 1..requests / CHUNK {
            self.write(chunk);
            self.read(chunk);
            keep_up(self.sent());
        }
        self.read(chunk);
    }
}

/// The daemon's process: `oddwired` itself, run as its program runs it, in this directory.
fn daemon(directory: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.spawn_blocking(|| {
        let _ = child::commands().last();
        std::process::exit(0);
    });
    let options = [
        "oddwired".to_owned(),
        "--network=regtest".to_owned(),
        format!("--lightning-dir={directory}"),
        format!("--log-file={directory}/log"),
        "--addr=127.0.0.1:0".to_owned(),
    ];
    child::say("ready").expect("the benchmark lives");
    runtime.block_on(oddwire_rpc::daemon::run(options.map(OsString::from)));
}

/// Answers each request, which ends with an empty line, with as many bytes as the daemon would.
fn echo(path: &str, answer_len: usize) {
    let listener = UnixListener::bind(path).expect("a socket");
    child::say("ready").expect("the benchmark lives");
    let (mut stream, _) = listener.accept().expect("the benchmark connects");
    let mut buffer = vec![0; 64 * 1024];
    let answers = [vec![b' '; answer_len - 2], b"\n\n".to_vec()].concat().repeat(1024);
    // An empty line may come in two parts.
    let mut has_line_ended = false;
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let mut requests = 0;
        let mut next_line = 0;
        for end in memchr::memchr_iter(b'\n', &buffer[..count]) {
            requests += usize::from(end == next_line && (end > 0 || has_line_ended));
            next_line = end + 1;
        }
        has_line_ended = next_line == count;
        stream.write_all(&answers[..requests * answer_len]).expect("the benchmark reads");
    }
}

fn one_worker() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}
