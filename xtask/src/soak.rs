//! `cargo xtask soak`: everything at once, for as long as is asked for, and at the end a balance of every message.
//!
//! ```text
//!     alice ◄──── two streams ────► bob      alice and bob live through all of it
//!       ▲                            ▲
//!       └── two streams ─► carol     └── wolves; plugins; clients that misbehave or read slowly
//!                          carol is killed and started again, and carries onion messages from alice to bob
//! ```
//!
//! - `stream`: honest messages with number and checksum, and the book of them.
//! - `daemon`: an `oddwired` and what it holds; `client`: a client of its socket.
//! - `nuisance`: all that is there to disturb them.
//! - `ending`: the end, for which the threads wait while they rest.
//! - `dice`: chance, from a seed. What the machine's scheduler does it cannot repeat.
//!
//! Ends with status 0 only if no message was lost without word, none was changed or came twice, memory and descriptors stayed
//! within bounds, no log has a line that calls itself broken, and every daemon stops well.

mod client;
mod daemon;
mod dice;
mod ending;
mod nuisance;
mod stream;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::daemon::{Daemon, Holding};
use self::dice::Dice;
use self::ending::Ending;
use self::nuisance::Nuisance;
use self::stream::{Balance, Stream};
use crate::patience::Patience;
use crate::run;
use crate::workspace::Workspace;

/// Between two lines of the report.
const REPORT: Duration = Duration::from_secs(10);
/// How long what is on the way may take in the end.
const SETTLE: Duration = Duration::from_secs(30);
/// What a daemon may hold in all of this: the backlogs of a dozen subscriptions and plugins that do not read. A leak of a
/// hundred bytes for each message shows in ten minutes.
const MOST_MEMORY: u64 = 400 << 20;
/// Descriptors that a daemon may have more in the end than at the beginning: connections that are just ending.
const MORE_DESCRIPTORS: usize = 8;

#[derive(Args)]
pub(crate) struct Options {
    /// How long
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// What chance decides
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Hostile peers of each of three kinds
    #[arg(long, default_value_t = 30)]
    hostile: u32,
    /// In the release profile, as users run it
    #[arg(long)]
    release: bool,
}

/// What `cargo xtask test` does: one minute.
///
/// # Errors
/// As [`soak`].
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    soak(workspace, &Options { minutes: 1.0, seed: 1, hostile: 30, release: false })
}

/// Runs it.
///
/// # Errors
/// Something cannot be built or started, or did not hold.
pub(crate) fn soak(workspace: &Workspace, options: &Options) -> Result<()> {
    let programs = build(workspace, options.release)?;
    let mut dice = Dice::new(options.seed);
    println!("{} minutes, seed {}", options.minutes, options.seed);
    let daemons = start_daemons(&programs)?;
    let [alice, bob, carol] = &daemons;
    let streams =
        [(33_001, alice, bob), (33_003, bob, alice), (33_005, alice, carol), (33_007, carol, alice)]
            .map(|(kind, from, to)| Stream::new(kind, from, to));
    let end = Arc::<Ending>::default();
    let end_of_listening = Arc::<Ending>::default();
    let before = [alice, bob].map(|daemon| daemon.holding().unwrap_or_default());

    let nuisance = Nuisance::begin(&programs, &daemons, &mut dice, options.hostile)?;
    let (mut threads, mut listeners) = (Vec::new(), Vec::new());
    for stream in &streams {
        let (one, over) = (Arc::clone(stream), Arc::clone(&end_of_listening));
        listeners.push(thread::spawn(move || one.listen(&over)));
        let (one, over) = (Arc::clone(stream), Arc::clone(&end_of_listening));
        listeners.push(thread::spawn(move || one.listen_for_unsent(&over)));
        let (one, over, dice) = (Arc::clone(stream), Arc::clone(&end), dice.fork());
        threads.push(thread::spawn(move || one.send(dice, &over)));
    }
    let with_carol = [Arc::clone(&streams[2]), Arc::clone(&streams[3])];
    let (carol_again, over, dice) = (Arc::clone(carol), Arc::clone(&end), dice.fork());
    threads.push(thread::spawn(move || kill_again_and_again(&carol_again, &with_carol, dice, &over)));

    let watched = watch(options, [alice, bob], &streams, &nuisance);
    end.come();
    threads.into_iter().for_each(join);
    for stream in &streams {
        stream.settle(SETTLE);
    }
    let nuisances = nuisance.end();
    end_of_listening.come();
    listeners.into_iter().for_each(join);

    let mut failures: Vec<String> = streams.iter().filter_map(|stream| stream.complaint()).collect();
    let after = settled_holdings([alice, bob], &before);
    let stopped: Vec<_> = daemons.iter().map(|daemon| daemon.stop()).collect();
    failures.extend(stopped.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")));
    failures.extend(daemons.iter().flat_map(|daemon| daemon.alarms()));
    failures.extend(nuisances.complaints);
    failures.extend(watched.err().map(|error| format!("{error:#}")));
    let mut lines = balance_lines(&streams);
    for (daemon, (before, after)) in [alice, bob].iter().zip(before.iter().zip(&after)) {
        lines.push((
            format!("{}'s memory at the beginning, at the end, at most", daemon.name),
            memory(before, after),
        ));
        lines.push((
            format!("{}'s descriptors at the beginning and at the end", daemon.name),
            format!("{} and {}", before.descriptors, after.descriptors),
        ));
        lines.push((format!("{}'s CPU", daemon.name), format!("{:.1} s", after.cpu.as_secs_f64())));
        if after.peak > MOST_MEMORY {
            failures.push(format!("{} held {} MiB", daemon.name, after.peak >> 20));
        }
        if after.descriptors > before.descriptors + MORE_DESCRIPTORS {
            failures.push(format!("{} has {} descriptors at the end", daemon.name, after.descriptors));
        }
    }
    lines.push(("times that carol was killed".to_owned(), streams[2].kills().to_string()));
    lines.extend(nuisances.lines);
    report(options, &lines, &failures)
}

/// Where the programs are.
struct Programs {
    oddwired: std::path::PathBuf,
    wolves: std::path::PathBuf,
}

fn build(workspace: &Workspace, release: bool) -> Result<Programs> {
    let profile: &[&str] = if release { &["--release"] } else { &[] };
    let daemon = ["build", "--quiet", "--locked", "--package=oddwire-rpc", "--bins"];
    run::show(workspace.cargo(&daemon).args(profile))?;
    let wolves = ["build", "--quiet", "--locked", "--package=oddwire-node", "--example=load"];
    run::show(workspace.cargo(&wolves).args(profile))?;
    let made = workspace.target().join(if release { "release" } else { "debug" });
    Ok(Programs { oddwired: made.join("oddwired"), wolves: made.join("examples/load") })
}

fn start_daemons(programs: &Programs) -> Result<[Arc<Daemon>; 3]> {
    let start = |name| Daemon::start(programs.oddwired.clone(), name, &[]).map(Arc::new);
    Ok([start("alice")?, start("bob")?, start("carol")?])
}

/// Carol's lives: five to fifteen seconds each.
fn kill_again_and_again(carol: &Daemon, streams: &[Arc<Stream>], mut dice: Dice, end: &Ending) {
    loop {
        if end.comes_within(Duration::from_millis(5_000 + dice.below(10_000))) {
            return;
        }
        for stream in streams {
            stream.note_kill();
        }
        let lived = carol.kill().and_then(|()| {
            end.comes_within(Duration::from_millis(dice.below(1_000)));
            carol.run()
        });
        if let Err(error) = lived {
            println!("carol does not come back: {error:#}");
            return;
        }
        // Whoever listens at carol says so himself when he is back.
        for stream in streams.iter().filter(|stream| stream.to.name != carol.name) {
            stream.note_revival();
        }
    }
}

/// A line every ten seconds, to the end of the time.
fn watch(
    options: &Options,
    daemons: [&Arc<Daemon>; 2],
    streams: &[Arc<Stream>],
    nuisance: &Nuisance,
) -> Result<()> {
    let start = Instant::now();
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    while let Some(left) = time.checked_sub(start.elapsed()) {
        // The length of the soak is what is asked for: there is nothing else to wait for.
        thread::sleep(REPORT.min(left));
        let total = total(streams);
        let mut line = format!(
            "{:>4} s  accepted {}, delivered {}, told unsent {}, in doubt {}, wrong {}",
            start.elapsed().as_secs(),
            total.accepted,
            total.delivered,
            total.unsent,
            total.in_doubt,
            total.wrong
        );
        for daemon in daemons {
            let holding = daemon.holding().with_context(|| format!("{} has ended", daemon.name))?;
            let _ =
                write!(line, "; {} {} MiB {} fds", daemon.name, holding.resident >> 20, holding.descriptors);
        }
        println!("{line}; {}", nuisance.summary());
    }
    Ok(())
}

/// When connections that were just closed are gone.
fn settled_holdings(daemons: [&Arc<Daemon>; 2], before: &[Holding; 2]) -> [Holding; 2] {
    let holdings = || daemons.map(|daemon| daemon.holding().unwrap_or_default());
    let settled = Patience::new(SETTLE).wait_for("connections to go", || {
        let now = holdings();
        let is_settled = now
            .iter()
            .zip(before)
            .all(|(now, before)| now.descriptors <= before.descriptors + MORE_DESCRIPTORS);
        Ok(is_settled.then_some(now))
    });
    // What is too much shows in the judgement.
    settled.unwrap_or_else(|_| holdings())
}

fn total(streams: &[Arc<Stream>]) -> Balance {
    streams.iter().map(|stream| stream.balance()).fold(Balance::default(), |sum, one| Balance {
        accepted: sum.accepted + one.accepted,
        delivered: sum.delivered + one.delivered,
        unsent: sum.unsent + one.unsent,
        missed: sum.missed + one.missed,
        in_doubt: sum.in_doubt + one.in_doubt,
        lost: sum.lost + one.lost,
        wrong: sum.wrong + one.wrong,
    })
}

fn balance_lines(streams: &[Arc<Stream>]) -> Vec<(String, String)> {
    let total = total(streams);
    let lines = [
        ("messages accepted", total.accepted),
        ("delivered", total.delivered),
        ("told as unsent to who sent them", total.unsent),
        ("told as missed to who listened", total.missed),
        ("in doubt: with the system when a daemon was killed", total.in_doubt),
        ("changed, twice or in the wrong order", total.wrong),
        ("lost without word", total.lost),
    ];
    lines.map(|(what, value)| (what.to_owned(), value.to_string())).into()
}

fn memory(before: &Holding, after: &Holding) -> String {
    format!("{}, {}, {} MiB", before.resident >> 20, after.resident >> 20, after.peak >> 20)
}

fn report(options: &Options, lines: &[(String, String)], failures: &[String]) -> Result<()> {
    let width = lines.iter().map(|(what, _)| what.len()).max().unwrap_or_default();
    println!("\nSoak");
    for (what, value) in lines {
        println!("  {what:<width$}  {value}");
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    if let Some(directory) = std::env::var_os("ODDWIRE_FIGURES") {
        let mut text = format!("minutes\t{}\nseed\t{}\n", options.minutes, options.seed);
        for (what, value) in lines {
            let _ = writeln!(text, "{what}\t{value}");
        }
        let path = Path::new(&directory).join("soak.tsv");
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A thread that panicked has said so.
fn join(thread: thread::JoinHandle<()>) {
    let _ = thread.join();
}
