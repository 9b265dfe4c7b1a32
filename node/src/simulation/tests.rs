//! The runs, many at a time.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Story, Sums, run};

/// Runs in the ordinary tests; `cargo xtask simulate` has thousands.
const USUAL: u64 = 60;

/// How long one run may take, of real time: hundreds of times as long as it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so many failed runs the others are not made.
const MOST_FAILURES: usize = 5;

/// How many of a failed run's lines are shown; all of them when it runs alone.
const LAST_LINES: usize = 60;

/// A run in a thread of its own: nothing that a thread keeps goes from one run to the next. One that takes too long has met a
/// lock that does not open, or goes round without simulated time passing; its thread is left behind.
fn run_apart(seed: u64) -> (Story, Sums) {
    let (teller, outcome) = mpsc::channel();
    let thread = thread::Builder::new().name(format!("seed {seed}"));
    thread.spawn(move || teller.send(run(seed))).expect("a thread");
    let failed = |why: &str| {
        let story = Story { violations: vec![why.to_owned()], ..Story::default() };
        (story, Sums::default())
    };
    match outcome.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => failed("the run hangs"),
        Err(RecvTimeoutError::Disconnected) => failed("the simulation itself has panicked"),
    }
}

/// A run whose story is printed as it happens, with the log of the nodes.
fn tell(seed: u64) -> (Story, Sums) {
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .without_time()
        .with_writer(std::io::stdout)
        .finish();
    tracing::subscriber::with_default(log, || run(seed))
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_promise_holds_in_every_run() {
    if let Some(seed) = setting("ODDWIRE_SIMULATION_SEED") {
        let (story, sums) = tell(seed);
        println!("{sums:?}");
        assert!(story.violations.is_empty(), "seed {seed}: {:#?}", story.violations);
        return;
    }
    let first = setting("ODDWIRE_SIMULATION_FIRST").unwrap_or(1);
    let count = setting("ODDWIRE_SIMULATION_SEEDS").unwrap_or(USUAL);
    let (next, total) = (AtomicU64::new(first), Mutex::new(Total::default()));
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let failures = total.lock().unwrap_or_else(PoisonError::into_inner).failed.len();
                    if seed >= first + count || failures >= MOST_FAILURES {
                        return;
                    }
                    let (story, sums) = run_apart(seed);
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(seed, &story, sums);
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", total.figures(count));
    if let Some(directory) = std::env::var_os("ODDWIRE_FIGURES").filter(|_| total.failed.is_empty()) {
        fs::write(Path::new(&directory).join("simulation.tsv"), total.figures(count)).unwrap();
    }
    assert!(
        total.failed.is_empty(),
        "{} of {count} runs failed: {:?}; the whole story of one: cargo xtask simulate --seed {}",
        total.failed.len(),
        total.failed,
        total.failed[0]
    );
}

/// A seed is worth something only if it gives the same run again.
#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..=setting("ODDWIRE_SIMULATION_TWICE").unwrap_or(10) {
        let [(first, _), (second, _)] = [run_apart(seed), run_apart(seed)];
        let differing = first.lines.iter().zip(&second.lines).position(|(first, second)| first != second);
        if let Some(line) = differing {
            let from = line.saturating_sub(10);
            panic!(
                "seed {seed} differs from itself in line {line}:\n{}\nor\n{}",
                first.lines[from..=line].join("\n"),
                second.lines[from..=line].join("\n")
            );
        }
        assert_eq!(first.lines.len(), second.lines.len(), "seed {seed} differs from itself");
    }
}

/// What came of all runs.
#[derive(Default)]
struct Total {
    sums: Sums,
    lines: usize,
    failed: Vec<u64>,
}

impl Total {
    fn add(&mut self, seed: u64, story: &Story, sums: Sums) {
        self.lines += story.lines.len();
        let Sums { accepted, delivered, reported, broken_off, killed, unseen, lost } = sums;
        self.sums.accepted += accepted;
        self.sums.delivered += delivered;
        self.sums.reported += reported;
        self.sums.broken_off += broken_off;
        self.sums.killed += killed;
        self.sums.unseen += unseen;
        self.sums.lost += lost;
        if story.violations.is_empty() {
            return;
        }
        self.failed.push(seed);
        if self.failed.len() == 1 {
            let from = story.lines.len().saturating_sub(LAST_LINES);
            eprintln!("seed {seed}:\n{}", story.lines[from..].join("\n"));
        }
        eprintln!("seed {seed}: {}", story.violations.join("\n  "));
    }

    fn figures(&self, seeds: u64) -> String {
        let Sums { accepted, delivered, reported, broken_off, killed, unseen, lost } = self.sums;
        let lines = [
            ("seeds", seeds.to_string()),
            ("messages accepted", accepted.to_string()),
            ("delivered", delivered.to_string()),
            ("reported to their senders as unsent", reported.to_string()),
            ("written to connections that broke", broken_off.to_string()),
            ("gone with nodes that were killed", killed.to_string()),
            ("not followed, behind gaps that subscribers were told of", unseen.to_string()),
            ("lost without word", lost.to_string()),
        ];
        lines.map(|(what, value)| format!("{what}\t{value}\n")).concat()
    }
}
