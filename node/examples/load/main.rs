//! The load proof: a node with thousands of honest peers, and then thousands of hostile ones beside them.
//!
//! ```text
//!   crowd (a process)  ── messages, each with its number, time and checksum ──►  hub (a process): one node, and a
//!          ◄── the same, sent back ────────────────────────────────────────────  program that answers every message
//!   wolves (a process) ── flood and never read / say nothing / a byte a second ──►
//! ```
//!
//! Measured is what the crowd sees, from the call that queues a message until the answer is there: first in quiet, then with
//! each kind of wolf, then with all of them. What must hold, or the status is 1: every honest message is answered, unchanged
//! and once; no honest peer is disconnected; newcomers get in; the hub's memory stays within what its limits add up to.
//! The latency of the 99th percentile is compared with the quiet one, and must hold if `--ratio` says so.
//!
//! An attacker brings processors and memory of his own. So wolves get the time that others leave (`chrt`, of util-linux), and small
//! buffers for what they send; what they send lies in the hub's buffers all the same, and fills them.
//!
//! `cargo xtask load` builds and runs it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a proof that cannot be set up has failed, and says so by a panic"
)]

mod crowd;
mod hub;
mod measure;
mod options;
mod player;
mod wolves;

use std::process::ExitCode;
use std::time::Duration;

use measure::{Figures, Latency, Process};
use options::Options;
use player::Player;

/// Between the end of an attack and the next one, for its connections to go.
const REST: Duration = Duration::from_secs(3);

/// Peers that connect anew during each part.
const NEWCOMERS: u32 = 8;

fn main() -> ExitCode {
    match player::role().unwrap_or_default().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => prove(&Options::read()),
        ["hub", peers] => hub::play(peers.parse().expect("a number")),
        ["crowd", ref hub @ ..] => crowd::play(&crowd::Target::read(hub)),
        ["wolves", ref hub @ ..] => wolves::play(&crowd::Target::read(hub)),
        ref other => panic!("no such role: {other:?}"),
    }
}

/// What wolves do while the crowd measures.
struct Attack {
    name: &'static str,
    /// Those that are let loose, beside those of the attack before if it goes on.
    begin: &'static [&'static str],
    /// Into the next one.
    goes_on: bool,
}

/// The attack that is none.
const QUIET: &str = "quiet";

/// Those who flood take seconds of both processors to begin, for handshakes and for what fills the system's buffers. How it is
/// then is what stays.
const ATTACKS: [Attack; 6] = [
    Attack { name: QUIET, begin: &[], goes_on: false },
    Attack { name: "senders that begin", begin: &["flood"], goes_on: true },
    Attack { name: "senders that never read", begin: &[], goes_on: false },
    Attack { name: "silent strangers", begin: &["silent"], goes_on: false },
    Attack { name: "a byte a second", begin: &["drip"], goes_on: false },
    Attack { name: "all of these", begin: &["flood", "silent", "drip"], goes_on: false },
];

/// Of a part's name, where it is printed.
const WIDTH: usize = 24;

/// What one part of the proof came to.
struct Part {
    name: &'static str,
    latency: Latency,
    resident: u64,
}

fn prove(options: &Options) -> ExitCode {
    let Options { peers, hostile, seconds, .. } = *options;
    println!("{peers} honest peers, {hostile} of each kind of wolf, {seconds} s for each part");
    player::raise_descriptors();
    let places = peers + 3 * hostile + 16 * NEWCOMERS;
    let (hub, ready) = Player::start(&format!("hub {places}"));
    let hub_process = Process::of(hub.id());
    let (mut crowd, _) = Player::start(&format!("crowd {ready}"));
    let (mut wolves, _) = Player::start_idle(&format!("wolves {ready}"));

    println!("connected: {}", crowd.ask(&format!("grow {peers}")));
    let (base, fds_before) = (hub_process.resident(), hub_process.descriptors());
    println!("the hub at rest: {} MiB, {fds_before} descriptors", base >> 20);

    let warm_up = Latency::read(&crowd.ask(&format!("measure {seconds} {} 0", options.rate)));
    println!("{:<WIDTH$} {warm_up}", "warming up");
    let mut parts: Vec<Part> = Vec::new();
    for Attack { name, begin, goes_on } in ATTACKS {
        if name != QUIET && hostile == 0 {
            continue;
        }
        for kind in begin {
            wolves.ask(&format!("{kind} {hostile}"));
        }
        let cpu = hub_process.cpu();
        let newcomers = crowd.ask(&format!("measure {seconds} {} {NEWCOMERS}", options.rate));
        let latency = Latency::read(&newcomers);
        let cpu = hub_process.cpu().saturating_sub(cpu);
        println!(
            "{name:<WIDTH$} {latency}, hub {:.1} s of CPU, {} MiB",
            cpu.as_secs_f64(),
            hub_process.resident() >> 20
        );
        parts.push(Part { name, latency, resident: hub_process.peak_resident() });
        if !goes_on {
            println!("{:<WIDTH$} {}", "", wolves.ask("stop"));
            std::thread::sleep(REST);
        }
    }
    let last = crowd.ask("connected");
    judge(options, &warm_up, &parts, base, &hub_process, &last)
}

/// Prints what was found, and whether it is good enough.
fn judge(
    options: &Options,
    warm_up: &Latency,
    parts: &[Part],
    base: u64,
    hub: &Process,
    connected: &str,
) -> ExitCode {
    let mut failures = Vec::new();
    let mut figures = Figures::new("load");
    figures.add("honest peers", options.peers);
    figures.add("hostile peers of each kind", options.hostile);
    let quiet = &parts[0].latency;
    let (mut sent, mut lost, mut damaged) = (warm_up.sent, warm_up.lost, warm_up.damaged);
    let mut worst: f64 = 0.0;
    for part in parts {
        let ratio = part.latency.p99.as_secs_f64() / quiet.p99.as_secs_f64();
        let typical = part.latency.typical_p99.as_secs_f64() / quiet.typical_p99.as_secs_f64();
        worst = worst.max(ratio);
        figures.add(
            &format!("latency of honest messages, {}", part.name),
            format!("{}; 99 % are {ratio:.2} and {typical:.2} of the quiet ones", part.latency.times()),
        );
        figures.add(
            &format!("slowest newcomer, {}", part.name),
            format!("{} ms", part.latency.newcomer.as_millis()),
        );
        sent += part.latency.sent;
        lost += part.latency.lost;
        damaged += part.latency.damaged;
        if part.latency.refused_newcomers > 0 {
            failures
                .push(format!("{}: {} newcomers did not get in", part.name, part.latency.refused_newcomers));
        }
        if options.ratio.is_some_and(|limit| ratio > limit) {
            failures.push(format!("{}: the 99th percentile is {ratio:.2} times the quiet one", part.name));
        }
    }
    figures.add("honest messages", sent);
    figures.add("honest messages lost", lost);
    figures.add("honest messages changed or answered twice", damaged);
    let budget = base + hub::budget(options.hostile);
    let peak = parts.iter().map(|part| part.resident).max().unwrap_or_default();
    figures.add("memory of the hub, at rest with all honest peers", format!("{} MiB", base >> 20));
    figures.add(
        "memory of the hub, at most",
        format!("{} MiB of {} that its limits add up to", peak >> 20, budget >> 20),
    );
    figures.add("descriptors of the hub at the end", hub.descriptors());
    figures.add("honest peers connected at the end", connected);
    if lost + damaged > 0 {
        failures
            .push(format!("of {sent} honest messages {lost} were lost and {damaged} came wrong or twice"));
    }
    if peak > budget {
        failures.push(format!(
            "the hub had {} MiB, more than the {} that its limits add up to",
            peak >> 20,
            budget >> 20
        ));
    }
    if connected != options.peers.to_string() {
        failures.push(format!("of {} honest peers {connected} are still connected", options.peers));
    }
    println!("\n{figures}");
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    if !failures.is_empty() {
        return ExitCode::FAILURE;
    }
    println!("No honest message was lost; the worst 99th percentile is {worst:.2} times the quiet one.");
    figures.write();
    ExitCode::SUCCESS
}
