//! Where the time of one measurement goes: a sampling profile by `perf`, of all its processes, as text.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run;
use crate::workspace::Workspace;

/// Functions that are shown of each thread.
const SHOWN: usize = 12;
/// Seconds for which criterion runs the measurement, without looking at its times: most of what is sampled must be that
/// and not what comes before.
const SECONDS: &str = "5";
/// Read by the benchmarks: see `benches/src/settings.rs`.
const ONLY: &str = "ODDWIRE_BENCH_ONLY";

/// Runs what criterion knows by `id`, or all that begins with it, under `perf`, and answers the functions that took most of
/// the time.
///
/// The event is the processor's clock as the kernel counts it, which virtual machines have too.
pub(super) fn profile(workspace: &Workspace, bench: &str, id: &str) -> Result<String> {
    let recorded = workspace.target().join("bench.perf");
    if !run::succeeds(workspace.program("perf").arg("--version")) {
        bail!("`perf` is not here; `apt-get install linux-perf` has it");
    }
    let mut record = workspace.program("perf");
    record
        .args(["record", "--quiet", "--event=cpu-clock", "--freq=997", "--output"])
        .arg(&recorded)
        .arg("--");
    record.arg(executable(workspace, bench)?).args(["--bench", "--profile-time", SECONDS]);
    record.arg(format!("^{}", escaped(id))).env(ONLY, id);
    // The benchmark's own words are of no interest here, unless it fails.
    run::capture(&mut record)?;
    let mut report = workspace.program("perf");
    report.args([
        "report",
        "--stdio",
        "--no-children",
        "--sort=pid,symbol",
        "--field-separator=\t",
        "--input",
    ]);
    let text = run::capture(report.arg(&recorded))?;
    Ok(in_short(&text))
}

/// The benchmark's program, built if need be.
fn executable(workspace: &Workspace, bench: &str) -> Result<PathBuf> {
    let name = format!("--bench={bench}");
    let mut build = workspace.cargo(&["bench", "--package=oddwire-benches", "--locked", "--no-run", &name]);
    let messages = run::capture(build.arg("--message-format=json"))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == bench)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no program for the benchmark {bench}"))
}

/// An id as a regular expression, which is what criterion takes.
fn escaped(id: &str) -> String {
    id.chars().flat_map(|c| ["().+*?[]{}|^$".contains(c).then_some('\\'), Some(c)]).flatten().collect()
}

/// The first functions of each thread, in the order of their share of all time.
fn in_short(report: &str) -> String {
    let mut threads: Vec<(&str, Vec<(f64, &str)>)> = Vec::new();
    for line in report.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t').map(str::trim);
        if let (Some(share), Some(thread), Some(symbol)) = (fields.next(), fields.next(), fields.next())
            && let Ok(share) = share.trim_end_matches('%').parse::<f64>()
        {
            match threads.iter_mut().find(|(name, _)| *name == thread) {
                Some((_, functions)) => functions.push((share, symbol)),
                None => threads.push((thread, vec![(share, symbol)])),
            }
        }
    }
    let total = |functions: &[(f64, &str)]| functions.iter().map(|(share, _)| share).sum::<f64>();
    threads.sort_by(|(_, one), (_, other)| total(other).total_cmp(&total(one)));
    let mut text = String::new();
    for (number, (_, functions)) in threads.iter().enumerate().filter(|(_, (_, all))| total(all) >= 2.0) {
        // Writing to a string does not fail.
        // From zero, for the sum of nothing is a negative zero.
        let of_kernel = (functions.iter())
            .filter(|(_, name)| is_of_kernel(name))
            .fold(0.0, |sum, (share, _)| sum + share);
        let _ = writeln!(
            text,
            "thread {}: {:.0} % of the samples, {of_kernel:.0} % in the kernel",
            number + 1,
            total(functions)
        );
        for (share, symbol) in functions.iter().take(SHOWN).filter(|(share, _)| *share >= 0.5) {
            let name = symbol.split_once(' ').map_or(*symbol, |(_, name)| name.trim());
            let kernel = if is_of_kernel(symbol) { "kernel: " } else { "" };
            let _ = writeln!(text, "{share:6.1} %  {kernel}{}", shortened(name));
        }
    }
    text
}

/// `perf` says so before the name.
fn is_of_kernel(symbol: &str) -> bool {
    symbol.starts_with("[k]")
}

/// A function's name without the hash at its end, and not longer than a line.
fn shortened(name: &str) -> String {
    let name = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(name, _)| name);
    if name.chars().count() > 100 { name.chars().take(99).chain(['…']).collect() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_perf_becomes_a_few_lines_per_thread() {
        let report = "# comment\n 40.00%\t  11:frame\t[.] seal::h0123456789abcdef  \t-\t-\n 30.00%\t 12:frame\t[k] copy\n 25.00%\t 11:frame\t[.] open\n";
        let expected = "thread 1: 65 % of the samples, 0 % in the kernel\n  40.0 %  seal\n  25.0 %  open\n\
                        thread 2: 30 % of the samples, 30 % in the kernel\n  30.0 %  kernel: copy\n";
        assert_eq!(in_short(report), expected);
    }

    #[test]
    fn an_id_is_taken_word_for_word() {
        assert_eq!(escaped("rpc/a (b)"), "rpc/a \\(b\\)");
    }
}
