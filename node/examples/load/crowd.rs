//! The honest peers: nodes of their own that send the hub messages at an even pace and look at every answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oddwire_node::{Delivery, Event, EventFilter, Identity, Limits, Network, Node, NodeId, Secret};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::hub::KIND;
use crate::measure::Latency;
use crate::player;

/// Dials under way at a time.
const DIALS: usize = 64;
/// Between two looks at the clock of the one who sends.
const TICK: Duration = Duration::from_millis(1);
/// How long the last answers may take, and a newcomer. Far above what any should.
const PATIENCE: Duration = Duration::from_secs(30);
/// Newcomers have keys from here on.
const NEWCOMERS_FROM: u32 = 1 << 24;

/// The hub.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) id: NodeId,
    addresses: Vec<SocketAddr>,
}

impl Target {
    /// Of the words that the hub says when it is ready.
    pub(crate) fn read(words: &[&str]) -> Target {
        let (id, addresses) = words.split_first().expect("the hub's id");
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        Target { id: id.parse().expect("an id"), addresses }
    }

    /// Where the peer of this number connects to.
    pub(crate) fn address(&self, number: u32) -> SocketAddr {
        self.addresses[number as usize % self.addresses.len()]
    }
}

/// A key for each number.
pub(crate) fn secret(number: u32, of: u8) -> Secret<32> {
    let mut secret = [of; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    Secret::new(secret)
}

/// Plays the part.
pub(crate) fn play(target: &Target) -> ExitCode {
    player::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut crowd =
        Crowd { target: target.clone(), answers: Arc::default(), peers: Vec::new(), newcomers: 0, sent: 0 };
    player::say("ready");
    for command in player::commands() {
        let words: Vec<&str> = command.split(' ').collect();
        let number = |index: usize| words[index].parse::<u32>().expect("a number");
        let answer = match words[0] {
            "grow" => runtime.block_on(crowd.grow(number(1))),
            "measure" => {
                let time = Duration::from_secs(number(1).into());
                runtime.block_on(crowd.measure(time, number(2), number(3))).line()
            }
            "connected" => crowd.peers.iter().filter(|node| node.peer_count() == 1).count().to_string(),
            other => panic!("no such command: {other}"),
        };
        player::say(&answer);
    }
    std::process::exit(0);
}

struct Crowd {
    target: Target,
    answers: Arc<Answers>,
    /// Each is connected to the hub and nobody else.
    peers: Vec<Node>,
    newcomers: u32,
    /// Messages so far; each has the next number.
    sent: u32,
}

/// What came back.
#[derive(Debug, Default)]
struct Answers {
    /// When an answer came, and how long after the call, in nanoseconds.
    times: Mutex<Vec<(u64, u64)>>,
    good: AtomicU64,
    damaged: AtomicU64,
    /// One more that is good.
    news: Notify,
}

impl Answers {
    fn times(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Crowd {
    async fn grow(&mut self, size: u32) -> String {
        let start = Instant::now();
        let dials = Arc::new(Semaphore::new(DIALS));
        let mut dialling = JoinSet::new();
        for number in 0..size {
            let (dials, target, answers) =
                (Arc::clone(&dials), self.target.clone(), Arc::clone(&self.answers));
            dialling.spawn(async move {
                let _turn = dials.acquire().await.expect("nobody closes it");
                let node = start_node(number).await;
                tokio::spawn(listen(node.clone(), number, answers));
                node.connect(target.id, target.address(number)).await.expect("the hub takes all");
                (number, node)
            });
        }
        let mut nodes = dialling.join_all().await;
        nodes.sort_unstable_by_key(|(number, _)| *number);
        self.peers = nodes.into_iter().map(|(_, node)| node).collect();
        format!("{size} peers in {:.1} s", start.elapsed().as_secs_f64())
    }

    /// Sends so many messages a second, each time from the next peer, while others connect.
    async fn measure(&mut self, time: Duration, rate: u32, newcomers: u32) -> Latency {
        let before = self.answers.good.load(Ordering::Relaxed);
        let damaged_before = self.answers.damaged.load(Ordering::Relaxed);
        drop(self.answers.times());
        let first = NEWCOMERS_FROM + self.newcomers;
        self.newcomers += newcomers;
        let arriving = tokio::spawn(arrive(self.target.clone(), first, newcomers, time));
        let (sent, refused) = self.send(time, rate).await;
        let (sent, refused) = (u64::from(sent), u64::from(refused));
        let (newcomer, refused_newcomers) = arriving.await.expect("it does not panic");
        // What is on the way has its time.
        let answered = || self.answers.good.load(Ordering::Relaxed) - before;
        let all_answered = async {
            while answered() < sent - refused {
                self.answers.news.notified().await;
            }
        };
        // What is missing then is counted below.
        let _ = timeout(PATIENCE, all_answered).await;
        let times = self.answers.times();
        let all = Sorted::new(times.iter().map(|(_, took)| *took));
        let mut seconds: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (at, took) in times {
            seconds.entry(at / 1_000_000_000).or_default().push(took);
        }
        let each = seconds.into_values().map(|times| Sorted::new(times).nanoseconds(990));
        Latency {
            p50: all.per_mille(500),
            p99: all.per_mille(990),
            typical_p99: Sorted::new(each).per_mille(500),
            max: all.per_mille(1_000),
            sent,
            lost: sent - answered().min(sent),
            damaged: self.answers.damaged.load(Ordering::Relaxed) - damaged_before,
            newcomer,
            refused_newcomers,
        }
    }

    /// Answers how many messages were to be sent, and how many were not taken.
    async fn send(&mut self, time: Duration, rate: u32) -> (u32, u32) {
        let (start, mut ticks) = (Instant::now(), interval(TICK));
        let (mut sent, mut refused) = (0, 0);
        while start.elapsed() < time {
            ticks.tick().await;
            let due = start.elapsed().as_millis() * u128::from(rate) / 1_000;
            while u128::from(sent) < due {
                let node = &self.peers[self.sent as usize % self.peers.len()];
                let message = message(self.sent);
                refused += u32::from(node.send_custom_message(&self.target.id, KIND, &message).is_err());
                sent += 1;
                self.sent += 1;
            }
        }
        (sent, refused)
    }
}

/// Times in nanoseconds, the shortest first.
struct Sorted(Vec<u64>);

impl Sorted {
    fn new(times: impl IntoIterator<Item = u64>) -> Sorted {
        let mut times: Vec<u64> = times.into_iter().collect();
        times.sort_unstable();
        Sorted(times)
    }

    /// The time that so many of a thousand are below.
    fn per_mille(&self, place: usize) -> Duration {
        Duration::from_nanos(self.nanoseconds(place))
    }

    fn nanoseconds(&self, place: usize) -> u64 {
        let index = (self.0.len() * place / 1_000).min(self.0.len().saturating_sub(1));
        self.0.get(index).copied().unwrap_or_default()
    }
}

/// Looks at all answers that a peer gets.
async fn listen(node: Node, number: u32, answers: Arc<Answers>) {
    let mut inbox = node.subscribe(EventFilter::messages());
    let mut last = None;
    while let Some(delivery) = inbox.next().await {
        let Delivery::Event(Event::CustomMessage { payload, .. }) = delivery else { continue };
        match check(&payload) {
            Some((message, took)) if last < Some(message) => {
                last = Some(message);
                answers.times.lock().unwrap_or_else(PoisonError::into_inner).push((now(), took));
                answers.good.fetch_add(1, Ordering::Relaxed);
                answers.news.notify_one();
            }
            _ => {
                eprintln!("peer {number} got an answer that it has had already, or that was changed");
                answers.damaged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Connects one peer after the other, spread over the time. Answers how long the slowest took, and how many did not get in.
async fn arrive(target: Target, first: u32, count: u32, time: Duration) -> (Duration, u64) {
    let (mut slowest, mut refused, mut nodes) = (Duration::ZERO, 0, Vec::new());
    let mut turns = interval(time / (count + 1));
    turns.tick().await;
    for number in first..first + count {
        turns.tick().await;
        let node = start_node(number).await;
        let start = Instant::now();
        match timeout(PATIENCE, node.connect(target.id, target.address(number))).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                eprintln!("a newcomer did not get in: {error}");
                refused += 1;
            }
            Err(_) => refused += 1,
        }
        slowest = slowest.max(start.elapsed());
        nodes.push(node);
    }
    for node in nodes {
        node.shutdown().await;
    }
    (slowest, refused)
}

async fn start_node(number: u32) -> Node {
    let mut limits = Limits::default();
    // A crowd that connects all at once takes its time; nobody is to give up for that.
    limits.handshake_timeout = Duration::from_mins(10);
    let identity = Identity::from_secret(&secret(number, 2)).expect("a valid key");
    Node::builder().identity(identity).network(Network::Regtest).limits(limits).start().await.expect("a node")
}

/// A message to the hub: its number, the time of the call, up to 255 bytes that follow from the number, and a checksum over
/// all of it.
fn message(number: u32) -> Vec<u8> {
    let [.., last] = number.to_be_bytes();
    let mut payload = number.to_be_bytes().to_vec();
    payload.extend(now().to_be_bytes());
    payload.extend((0..last).map(|place| place ^ last));
    let sum = checksum(&payload);
    payload.extend(sum.to_be_bytes());
    payload
}

/// The number of a message that is whole, and how long ago it was made.
fn check(payload: &[u8]) -> Option<(u32, u64)> {
    let (content, sum) = payload.split_last_chunk()?;
    let (number, rest) = content.split_first_chunk()?;
    let (time, _) = rest.split_first_chunk()?;
    let took = now().saturating_sub(u64::from_be_bytes(*time));
    (checksum(content) == u64::from_be_bytes(*sum)).then(|| (u32::from_be_bytes(*number), took))
}

/// Nanoseconds since the first call.
fn now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// FNV-1a. What is to be found is bytes of somebody else's message, or in other places, not a forgery.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
