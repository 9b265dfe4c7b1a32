//! `cargo xtask bench`: runs the benchmarks and writes what came of it: a table with ratios and noise, the aims and whether
//! they are met, the machine, plots, and for each missed aim a profile of where the time went.
//!
//! The benchmarks measure; nothing is timed here and nothing fails for being slow. A complete run is written to `benches/`,
//! where the documents show it; a quick or partial one to the target directory, since ratios count only within one run.

mod aims;
pub(crate) mod machine;
mod measurements;
mod plot;
mod profile;
mod report;
mod suite;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::measurements::Results;
use self::suite::{Bench, SUITE};
use crate::run;
use crate::workspace::Workspace;

/// Read by the benchmarks: see `benches/src/settings.rs` and `benches/src/figures.rs`.
const QUICK: &str = "ODDWIRE_BENCH_QUICK";
const FIGURES: &str = "ODDWIRE_BENCH_FIGURES";

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this benchmark; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A first look: shorter measurements, more noise
    #[arg(long)]
    quick: bool,
    /// Where to write RESULTS.md and plots/ [default: benches for a complete run, else target/bench]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Measure nothing; show where the time of one benchmark goes, by its name or by that of a measurement, such as
    /// `two_processes/Oddwire/64 B`
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Name the benchmarks
    #[arg(long)]
    list: bool,
}

pub(crate) fn bench(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.list {
        for bench in SUITE {
            println!("{:<16}{}", bench.name, bench.title);
        }
        return Ok(());
    }
    if let Some(id) = &options.profile {
        let bench = suite::find(id.split('/').next().unwrap_or(id))?;
        println!("{}", profile::profile(workspace, bench.name, id)?);
        return Ok(());
    }
    let wanted: Vec<&Bench> = if options.only.is_empty() {
        SUITE.iter().collect()
    } else {
        options.only.iter().map(|name| suite::find(name)).collect::<Result<_>>()?
    };

    let (results, failed) = measure(workspace, &wanted, options.quick)?;
    let mut aims = aims::aims(&results);
    let mut profiles: BTreeMap<String, String> = BTreeMap::new();
    for aim in aims.iter_mut().filter(|aim| !aim.is_met) {
        let profile = profiles.entry(aim.id.clone()).or_insert_with_key(|id| {
            let bench = id.split('/').next().unwrap_or_default();
            // A reader without a profiler still has the table.
            profile::profile(workspace, bench, id).unwrap_or_else(|error| format!("no profile: {error:#}\n"))
        });
        aim.profile = Some(profile.clone());
    }

    let is_complete = options.only.is_empty() && !options.quick && failed.is_empty();
    let out = match &options.out {
        Some(out) => out.clone(),
        None if is_complete => workspace.root().join("benches"),
        None => workspace.target().join("bench"),
    };
    let plots = plot::plots(&results);
    let page = report::Page {
        machine: machine::describe(workspace),
        is_quick: options.quick,
        benches: &wanted,
        results: &results,
        aims: &aims,
        plots: &plots,
        failed: &failed,
    };
    fs::create_dir_all(out.join("plots"))?;
    fs::write(out.join("RESULTS.md"), page.to_markdown())?;
    for plot in &plots {
        fs::write(out.join("plots").join(plot.file), &plot.svg)?;
    }
    println!("\n{}", report::aims_in_short(&aims));
    println!("written: {}", workspace.relative(&out.join("RESULTS.md")).display());
    if !failed.is_empty() {
        bail!("these ended early and have no figures, or not all: {}", failed.join(", "));
    }
    Ok(())
}

/// Runs the benchmarks one after the other. One that fails keeps none of the others from running; it is named in the
/// answer.
fn measure(workspace: &Workspace, wanted: &[&Bench], is_quick: bool) -> Result<(Results, Vec<String>)> {
    let build = ["bench", "--package=oddwire-benches", "--locked"];
    // All that are wanted first, so that no compiler runs beside a measurement. Each is linked with all that it is compared
    // with, which takes minutes: the others are left alone.
    let names = wanted.iter().map(|bench| format!("--bench={}", bench.name));
    run::show(workspace.cargo(&build).arg("--no-run").args(names))?;
    let figures = workspace.target().join("bench-figures.jsonl");
    if figures.exists() {
        fs::remove_file(&figures).with_context(|| format!("could not remove {}", figures.display()))?;
    }
    #[expect(clippy::disallowed_methods, reason = "compared with the times of files")]
    let started = SystemTime::now();
    let mut failed = Vec::new();
    for bench in wanted {
        let mut command = workspace.cargo(&build);
        command.arg(format!("--bench={}", bench.name)).env(FIGURES, &figures);
        if is_quick {
            command.env(QUICK, "1");
        }
        if let Err(error) = run::show(&mut command) {
            eprintln!("{error:#}");
            failed.push(bench.name.to_owned());
        }
    }
    Ok((Results::read(&workspace.target().join("criterion"), &figures, started)?, failed))
}
