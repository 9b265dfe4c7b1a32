//! The rounds of attacks, and what they come to.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use crate::hub;
use crate::measure::{Figures, Latency, Process};
use crate::options::Options;
use crate::player::{self, Player};

/// Between the end of an attack and what is quiet again, for its connections to go.
const REST: Duration = Duration::from_secs(3);

/// Peers that connect anew during each part.
const NEWCOMERS: u32 = 8;

/// What wolves do while the crowd measures.
struct Attack {
    /// Those that are let loose.
    begin: &'static [&'static str],
    /// What is measured meanwhile, one after the other.
    parts: &'static [&'static str],
}

const QUIET: &str = "quiet";

/// Those who flood take seconds of both processors to begin, for handshakes and for what fills the system's buffers. How it is
/// then is what stays.
const ATTACKS: [Attack; 4] = [
    Attack { begin: &["flood"], parts: &["senders that begin", "senders that never read"] },
    Attack { begin: &["silent"], parts: &["silent strangers"] },
    Attack { begin: &["drip"], parts: &["a byte a second"] },
    Attack { begin: &["flood", "silent", "drip"], parts: &["all of these"] },
];

/// Of a part's name, where it is printed.
const WIDTH: usize = 24;

/// A part of the proof as it was in one round.
struct Part {
    name: &'static str,
    latency: Latency,
    /// How many times its 99th percentile is what is quiet around it.
    ratio: f64,
}

/// Those who play, and what they have come to so far.
struct Proof<'a> {
    options: &'a Options,
    hub: Process,
    crowd: Player,
    wolves: Player,
    quiet: Vec<Latency>,
    parts: Vec<Part>,
    totals: Totals,
    failures: Vec<String>,
}

/// Of all parts, quiet ones too.
#[derive(Default)]
struct Totals {
    sent: u64,
    lost: u64,
    damaged: u64,
}

/// Plays all of it and prints it.
pub(crate) fn prove(options: &Options) -> ExitCode {
    let Options { peers, hostile, seconds, rounds, .. } = *options;
    println!(
        "{peers} honest peers, {hostile} of each kind of wolf, {seconds} s for each part, rounds: {rounds}"
    );
    player::raise_descriptors();
    let places = peers + 3 * hostile + 16 * NEWCOMERS;
    let (hub, ready) = Player::start(&format!("hub {places}"));
    let (crowd, _) = Player::start(&format!("crowd {ready}"));
    let (wolves, _) = Player::start_idle(&format!("wolves {ready}"));
    let mut proof = Proof {
        options,
        hub: Process::of(hub.id()),
        crowd,
        wolves,
        quiet: Vec::new(),
        parts: Vec::new(),
        totals: Totals::default(),
        failures: Vec::new(),
    };

    println!("connected: {}", proof.crowd.ask(&format!("grow {peers}")));
    let (base, descriptors) = (proof.hub.resident(), proof.hub.descriptors());
    println!("the hub at rest: {} MiB, {descriptors} descriptors", base >> 20);
    proof.measure("warming up", 0);
    for _ in 0..rounds {
        proof.round();
    }
    proof.judge(base)
}

impl Proof<'_> {
    /// All attacks, and what is quiet before, between and behind them.
    fn round(&mut self) {
        let mut before = self.measure(QUIET, NEWCOMERS);
        for Attack { begin, parts: names } in ATTACKS {
            if self.options.hostile == 0 {
                break;
            }
            for kind in begin {
                self.wolves.ask(&format!("{kind} {}", self.options.hostile));
            }
            let latencies: Vec<_> = names.iter().map(|name| (*name, self.measure(name, NEWCOMERS))).collect();
            println!("{:<WIDTH$} {}", "", self.wolves.ask("stop"));
            sleep(REST);
            let after = self.measure(QUIET, NEWCOMERS);
            let around = (before.p99 + after.p99) / 2;
            self.parts.extend(latencies.into_iter().map(|(name, latency)| {
                let ratio = latency.p99.as_secs_f64() / around.as_secs_f64();
                Part { name, latency, ratio }
            }));
            self.quiet.push(std::mem::replace(&mut before, after));
        }
        self.quiet.push(before);
    }

    fn measure(&mut self, name: &str, newcomers: u32) -> Latency {
        let Options { seconds, rate, .. } = self.options;
        let cpu = self.hub.cpu();
        let latency = Latency::read(&self.crowd.ask(&format!("measure {seconds} {rate} {newcomers}")));
        let cpu = self.hub.cpu().saturating_sub(cpu).as_secs_f64();
        println!("{name:<WIDTH$} {latency}, hub {cpu:.1} s of CPU, {} MiB", self.hub.resident() >> 20);
        self.totals.sent += latency.sent;
        self.totals.lost += latency.lost;
        self.totals.damaged += latency.damaged;
        if latency.refused_newcomers > 0 {
            self.failures.push(format!("{name}: {} newcomers did not get in", latency.refused_newcomers));
        }
        latency
    }

    /// Prints what was found, and whether it is good enough.
    fn judge(mut self, base: u64) -> ExitCode {
        let Options { peers, hostile, rounds, .. } = *self.options;
        let mut figures = Figures::new("load");
        figures.add("honest peers", peers);
        figures.add("hostile peers of each kind", hostile);
        figures.add("rounds", rounds);
        figures.add(
            "latency of honest messages, quiet",
            middle(self.quiet.iter(), |latency| latency.p99).times(),
        );
        let slowest = |latencies: &mut dyn Iterator<Item = &Latency>| {
            format!("{} ms", latencies.map(|latency| latency.newcomer).max().unwrap_or_default().as_millis())
        };
        figures.add("slowest newcomer, quiet", slowest(&mut self.quiet.iter()));
        let mut worst: f64 = 1.0;
        for name in ATTACKS.iter().flat_map(|attack| attack.parts) {
            let of_rounds = || self.parts.iter().filter(|part| part.name == *name);
            if of_rounds().next().is_none() {
                continue;
            }
            let Part { latency, ratio, .. } = middle(of_rounds(), |part| part.ratio);
            let ratios = of_rounds().map(|part| part.ratio);
            let (least, most) = (ratios.clone().fold(f64::MAX, f64::min), ratios.fold(0.0, f64::max));
            worst = worst.max(*ratio);
            figures.add(
                &format!("latency of honest messages, {name}"),
                format!(
                    "{}; 99 % are {ratio:.2} times the quiet ones ({least:.2} to {most:.2})",
                    latency.times()
                ),
            );
            figures.add(
                &format!("slowest newcomer, {name}"),
                slowest(&mut of_rounds().map(|part| &part.latency)),
            );
            if self.options.ratio.is_some_and(|limit| *ratio > limit) {
                self.failures.push(format!("{name}: the 99th percentile is {ratio:.2} times the quiet one"));
            }
        }
        let Totals { sent, lost, damaged } = self.totals;
        figures.add("honest messages", sent);
        figures.add("honest messages lost", lost);
        figures.add("honest messages changed or answered twice", damaged);
        let [base, budget, peak] =
            [base, base + hub::budget(hostile), self.hub.peak_resident()].map(|bytes| bytes >> 20);
        figures.add("memory of the hub, at rest with all honest peers", format!("{base} MiB"));
        figures
            .add("memory of the hub, at most", format!("{peak} MiB of {budget} that its limits add up to"));
        figures.add("descriptors of the hub at the end", self.hub.descriptors());
        let connected = self.crowd.ask("connected");
        figures.add("honest peers connected at the end", &connected);
        if lost + damaged > 0 {
            self.failures.push(format!(
                "of {sent} honest messages {lost} were lost and {damaged} came wrong or twice"
            ));
        }
        if peak > budget {
            self.failures
                .push(format!("the hub had {peak} MiB, more than the {budget} that its limits add up to"));
        }
        if connected != peers.to_string() {
            self.failures.push(format!("of {peers} honest peers {connected} are still connected"));
        }
        println!("\n{figures}");
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
        if !self.failures.is_empty() {
            return ExitCode::FAILURE;
        }
        println!("No honest message was lost; the worst 99th percentile is {worst:.2} times the quiet one.");
        figures.write();
        ExitCode::SUCCESS
    }
}

/// The one in the middle, by this measure.
fn middle<'a, T, M: PartialOrd>(all: impl Iterator<Item = &'a T>, measure: impl Fn(&T) -> M) -> &'a T {
    let mut all: Vec<&T> = all.collect();
    all.sort_by(|a, b| measure(a).partial_cmp(&measure(b)).expect("times and ratios are numbers"));
    all[all.len() / 2]
}
