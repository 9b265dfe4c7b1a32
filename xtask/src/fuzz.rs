//! `cargo xtask fuzz`: the fuzz targets, run for a while with libFuzzer.
//!
//! What the targets do stands in `fuzz/src`, and their corpora are replayed by the ordinary tests; this command looks for new
//! inputs. It needs no other compiler and no cargo-fuzz: the instrumentation is a matter of flags, see `fuzz/instrument`.
//!
//! - `libfuzzer`: building the targets, running one, reading what it says of itself.
//! - `report`: the table in `fuzz/README.md`, and the figures of a run.
//!
//! What a run finds lies in `target/fuzz/NAME`: `corpus` (new inputs), `artifacts` (those that break something) and `log`.

mod libfuzzer;
mod report;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use self::libfuzzer::{Outcome, Output};
use crate::workspace::Workspace;

/// How long each target runs in CI, in seconds.
const SECONDS_IN_CI: u32 = 60;

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Name the targets
    List,
    /// Run one target before your eyes
    Run {
        /// A name that `list` prints
        name: String,
        /// How long to run
        #[arg(long, default_value_t = SECONDS_IN_CI, value_name = "SECONDS")]
        seconds: u32,
    },
    /// Run all targets, as many at a time as there are processors
    All(All),
    /// Run all targets and write what came of it into fuzz/README.md
    Report(All),
    /// Take what the runs have found into the corpus of a target, as far as it reaches what nothing there reaches
    Keep {
        /// A name that `list` prints
        name: String,
    },
}

#[derive(Args)]
struct All {
    /// How long each runs
    #[arg(long, default_value_t = SECONDS_IN_CI, value_name = "SECONDS")]
    seconds: u32,
    /// How many at a time
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
}

/// # Errors
/// Something could not be built or run, or a target has found an input that breaks a promise.
pub(crate) fn fuzz(workspace: &Workspace, options: &Options) -> Result<()> {
    let targets = targets(workspace)?;
    let known = |name: &String| -> Result<()> {
        if !targets.contains(name) {
            bail!("there is no fuzz target {name}; there are: {}", targets.join(", "));
        }
        Ok(())
    };
    match &options.action {
        Action::List => {
            println!("{}", targets.join("\n"));
            Ok(())
        }
        Action::Run { name, seconds } => {
            known(name)?;
            libfuzzer::build(workspace, std::slice::from_ref(name))?;
            libfuzzer::run(workspace, name, *seconds, Output::Shown)?.judge()
        }
        Action::All(all) => run_all(workspace, &targets, all).map(drop),
        Action::Report(all) => {
            let outcomes = run_all(workspace, &targets, all)?;
            report::write(workspace, &outcomes, all.seconds)
        }
        Action::Keep { name } => {
            known(name)?;
            libfuzzer::build(workspace, std::slice::from_ref(name))?;
            libfuzzer::merge(workspace, name)
        }
    }
}

/// What `cargo xtask test` does: every target for a minute.
///
/// # Errors
/// As [`fuzz`].
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let all = All { seconds: SECONDS_IN_CI, jobs: None };
    run_all(workspace, &targets(workspace)?, &all).map(drop)
}

fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let directory = workspace.root().join("fuzz/fuzz_targets");
    names_below(&directory)
        .map(|names| names.iter().filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect())
        .context("could not list fuzz/fuzz_targets")
}

/// The names in a directory, in their order.
fn names_below(directory: &Path) -> io::Result<Vec<String>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(directory).and_then(Iterator::collect);
    let mut names: Vec<String> =
        entries?.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn run_all(workspace: &Workspace, targets: &[String], all: &All) -> Result<Vec<Outcome>> {
    let began = Instant::now();
    libfuzzer::build(workspace, targets)?;
    println!("built in {} s", began.elapsed().as_secs());
    let jobs = all.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(name) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = libfuzzer::run(workspace, name, all.seconds, Output::Logged);
                    if let Ok(outcome) = &outcome {
                        println!("{outcome}");
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().collect::<Result<_>>()?;
    outcomes.sort_by(|one, other| one.name.cmp(&other.name));
    let broken: Vec<String> =
        outcomes.iter().filter_map(|outcome| outcome.judge().err()).map(|error| error.to_string()).collect();
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    report::figures(&outcomes, all.seconds)?;
    Ok(outcomes)
}
