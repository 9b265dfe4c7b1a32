//! Many connected peers in one process: what an idle one costs in memory, and what a message to one of them costs when there
//! are 10, 1,000 and 10,000.
//!
//! A hub, Oddwire's or LDK's, listens; a second process dials it with as many nodes (Oddwire's, the same crowd for both
//! hubs), each with an id of its own. Memory is what the kernel counts as resident in the hub's process (`VmRSS`), after
//! the peers have connected and nothing is on the way: the growth from 10 peers on, divided by the peers that came. All of
//! it is counted: tasks, buffers, queues, registry, what the allocator keeps; what the kernel holds for sockets is not.
//! Pings are off, so that idle is idle.
//!
//! A message is timed from the call until the peer has it, many messages under way, each queued by a call of its own: an
//! idle crowd must not make it dearer.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use oddwire_benches::child::{self, Player};
use oddwire_benches::end::{End, KIND, Ldk, Oddwire, loopback, secret};
use oddwire_benches::{figures, payload, settings, share_of};
use oddwire_node::{Delivery, Event, EventFilter, Node, NodeId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

const BENCH: &str = "peers";
/// How many peers are connected at a time.
const CROWDS: [u32; 3] = [10, 1_000, 10_000];
/// Descriptors that a process needs beside one for each peer.
const OTHER_DESCRIPTORS: u32 = 64;
/// One address of loopback has some 28,000 ports for connections to one listener; with several there is no lack of them.
const LISTENERS: u8 = 4;
/// Dials under way at a time.
const DIALS: usize = 64;
/// Messages after which the peer tells the hub how far it has come, and messages that may be under way.
const ACKNOWLEDGED_EACH: u64 = 16;
const WINDOW: u64 = 256;
/// Length of a message to a peer in bytes, type included.
const SIZE: usize = 64;

fn main() {
    match child::role().unwrap_or_default().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let mut criterion = Criterion::default().configure_from_args();
            let crowds = crowds();
            measure::<Oddwire>(&mut criterion, &crowds);
            measure::<Ldk>(&mut criterion, &crowds);
            criterion.final_summary();
        }
        ["hub", Oddwire::NAME] => hub::<Oddwire>(),
        ["hub", Ldk::NAME] => hub::<Ldk>(),
        ["crowd", ref hub @ ..] => crowd(hub),
        ref other => unreachable!("no such role: {other:?}"),
    }
}

/// As many peers as this machine allows.
fn crowds() -> Vec<u32> {
    let most = descriptors().saturating_sub(OTHER_DESCRIPTORS);
    let wanted = CROWDS.iter().max().copied().unwrap_or_default();
    if most < wanted {
        figures::note(
            BENCH,
            &format!(
                "only {most} descriptors can be open in a process here, so {wanted} peers were too many"
            ),
        );
    }
    let mut crowds = CROWDS.map(|crowd| crowd.min(most)).to_vec();
    crowds.dedup();
    crowds
}

fn measure<E: End>(criterion: &mut Criterion, crowds: &[u32]) {
    if !settings::is_wanted(&format!("{BENCH}/{}", E::NAME)) {
        return;
    }
    let settings = settings::across_processes();
    let mut group = criterion.benchmark_group("peers");
    group.warm_up_time(settings.warm_up).measurement_time(settings.measurement);
    group.sample_size(settings.samples).sampling_mode(SamplingMode::Flat);

    let (mut hub, ready) = Player::start(&format!("hub {}", E::NAME)).expect("a hub");
    let (mut peers, _) = Player::start(&format!("crowd {ready}")).expect("a crowd");
    let mut few: Option<(u32, f64)> = None;
    for crowd in crowds {
        let before = Instant::now();
        peers.ask(&format!("grow {crowd}")).expect("the crowd lives");
        let took = before.elapsed();
        let resident: f64 =
            hub.ask(&format!("resident {crowd}")).expect("the hub lives").parse().expect("bytes");
        if let Some((fewer, then)) = few {
            let case = format!("{crowd} peers");
            let each = (resident - then) / f64::from(crowd - fewer) / 1024.0;
            figures::record(BENCH, &format!("resident memory per idle peer, {case}"), E::NAME, each, "KiB");
            figures::record(
                BENCH,
                &format!("resident memory of the process, {case}"),
                E::NAME,
                resident / 1024.0 / 1024.0,
                "MiB",
            );
            figures::record(BENCH, &format!("time to connect all, {case}"), E::NAME, took.as_secs_f64(), "s");
        } else {
            few = Some((*crowd, resident));
        }
        group.bench_function(BenchmarkId::new(E::NAME, format!("message to one of {crowd}")), |bencher| {
            bencher.iter_custom(|messages| {
                let rounded = messages.next_multiple_of(ACKNOWLEDGED_EACH);
                let nanoseconds = hub.ask(&format!("send {rounded}")).expect("the hub lives");
                let elapsed = Duration::from_nanos(nanoseconds.parse().expect("a time"));
                share_of(elapsed, rounded, messages)
            });
        });
    }
    group.finish();
}

/// The process that is measured.
fn hub<E: End>() {
    descriptors();
    let runtime = workers();
    let acknowledged = Arc::new((AtomicU64::new(0), Notify::new()));
    let counted = Arc::clone(&acknowledged);
    let addresses: Vec<SocketAddr> = (1..=LISTENERS).map(loopback).collect();
    let hub = runtime.block_on(E::start(&secret(0), &addresses, move |_: &[u8]| {
        counted.0.fetch_add(ACKNOWLEDGED_EACH, Ordering::Relaxed);
        counted.1.notify_one();
    }));
    let listening: Vec<String> = hub.listening().iter().map(SocketAddr::to_string).collect();
    child::say(&format!("{} {}", hub.id(), listening.join(" "))).expect("the benchmark lives");

    let first = oddwire_node::Identity::from_secret(&secret(1)).expect("a valid key").node_id();
    let payload = payload(SIZE - 2);
    let mut sent = 0;
    for command in child::commands() {
        let answer = match command.split_once(' ') {
            Some(("resident", crowd)) => runtime.block_on(async {
                let crowd: usize = crowd.parse().expect("a number");
                // The crowd has seen the last handshake end a little earlier than the hub.
                while hub.peers() < crowd {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
                resident_bytes().to_string()
            }),
            Some(("send", count)) => {
                let target = sent + count.parse::<u64>().expect("a number");
                let start = Instant::now();
                runtime.block_on(async {
                    let arrived = || acknowledged.0.load(Ordering::Relaxed);
                    while arrived() < target {
                        if sent < target && sent - arrived() < WINDOW {
                            sent += hub.send(E::peer(&first), &payload, 1) as u64;
                        } else {
                            acknowledged.1.notified().await;
                        }
                    }
                });
                start.elapsed().as_nanos().to_string()
            }
            _ => unreachable!("no such command: {command}"),
        };
        child::say(&answer).expect("the benchmark lives");
    }
}

/// The process with all the peers.
fn crowd(hub: &[&str]) {
    descriptors();
    let (id, addresses) = hub.split_first().expect("the hub's id");
    let id: NodeId = id.parse().expect("an id");
    let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
    let runtime = workers();
    let mut nodes: Vec<Node> = Vec::new();
    child::say("ready").expect("the benchmark lives");
    for command in child::commands() {
        let Some(("grow", size)) = command.split_once(' ') else {
            unreachable!("no such command: {command}")
        };
        let size: usize = size.parse().expect("a number");
        let dials = Arc::new(Semaphore::new(DIALS));
        runtime.block_on(async {
            let mut dialling = JoinSet::new();
            for number in nodes.len()..size {
                let address = addresses[number % addresses.len()];
                let dials = Arc::clone(&dials);
                dialling.spawn(async move {
                    let _turn = dials.acquire().await.expect("nobody closes it");
                    let number = u32::try_from(number + 1).expect("a small number");
                    let node = Oddwire::start_mute(&secret(number)).await.expect("a node");
                    if number == 1 {
                        tokio::spawn(acknowledge(node.clone(), id));
                    }
                    node.connect(id, address).await.expect("the hub takes all");
                    node
                });
            }
            nodes.append(&mut dialling.join_all().await);
        });
        child::say("grown").expect("the benchmark lives");
    }
    // Ten thousand goodbyes are of no interest.
    std::process::exit(0);
}

/// The one peer that gets messages.
async fn acknowledge(node: Node, hub: NodeId) {
    let mut inbox = node.subscribe(EventFilter::messages());
    let mut received = 0_u64;
    while let Some(delivery) = inbox.next().await {
        match delivery {
            Delivery::Event(Event::CustomMessage { .. }) => received += 1,
            Delivery::Event(_) => continue,
            Delivery::Gap { missed } => received += missed,
        }
        if received.is_multiple_of(ACKNOWLEDGED_EACH) {
            node.send_custom_message(&hub, KIND, &[]).expect("the hub reads");
        }
    }
}

/// Raises the limit of open descriptors as far as this user may, and answers what it is.
fn descriptors() -> u32 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A refusal leaves the limit where it was, and that is what counts.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current.map_or(u32::MAX, |limit| u32::try_from(limit).unwrap_or(u32::MAX))
}

/// Memory of this process that lies in the machine's, in bytes.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a system with /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line about it");
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    kib * 1024
}

fn workers() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}
