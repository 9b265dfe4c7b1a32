//! `cargo xtask bench`: the benchmarks, and their medians side by side.
//!
//! Criterion prints a page per measurement; what a reader wants is one line each, and beside it how it stands to the
//! first of its case, which is ours. The figures are of the machine that they were measured on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::run;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// Only the measurements whose name contains this
    filter: Option<String>,
}

struct Measurement {
    /// What is compared: the group and the size or number of threads.
    case: String,
    /// Who was measured.
    name: String,
    median: f64,
    measured: SystemTime,
}

pub(crate) fn bench(workspace: &Workspace, options: &Options) -> Result<()> {
    let started = SystemTime::now();
    let mut command = workspace.cargo(&["bench", "--package=oddwire-benches", "--locked"]);
    if let Some(filter) = &options.filter {
        command.args(["--", filter]);
    }
    run::show(&mut command)?;

    let mut measurements = Vec::new();
    collect(&workspace.target().join("criterion"), started, &mut measurements)?;
    if measurements.is_empty() {
        bail!("no benchmark ran; is the filter the name of one?");
    }
    print(&mut measurements);
    Ok(())
}

/// Criterion keeps each result in a directory `.../new` with the names in one file and the figures in another.
fn collect(directory: &Path, since: SystemTime, measurements: &mut Vec<Measurement>) -> Result<()> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "new") {
            // Results of earlier runs lie beside those of this one.
            let measurement = read(&path)?;
            if measurement.measured >= since {
                measurements.push(measurement);
            }
        } else if path.is_dir() {
            collect(&path, since, measurements)?;
        }
    }
    Ok(())
}

fn read(directory: &Path) -> Result<Measurement> {
    let names = json(&directory.join("benchmark.json"))?;
    let estimates = directory.join("estimates.json");
    let figures = json(&estimates)?;
    let text = |key: &str| names[key].as_str().unwrap_or_default().to_owned();
    Ok(Measurement {
        case: format!("{} {}", text("group_id"), text("value_str")).trim_end().to_owned(),
        name: text("function_id"),
        median: figures["median"]["point_estimate"].as_f64().context("an estimate without a median")?,
        measured: fs::metadata(&estimates)?.modified()?,
    })
}

fn json(path: &PathBuf) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// One case after the other, ours first in each, and the others' time as a multiple of ours.
fn print(measurements: &mut [Measurement]) {
    measurements.sort_by_key(|one| one.measured);
    let mut cases: Vec<&str> = Vec::new();
    for Measurement { case, .. } in measurements.iter() {
        if !cases.contains(&case.as_str()) {
            cases.push(case);
        }
    }
    println!("\n{:<44} {:>14} {:>10}", "median", "time", "to ours");
    for case in cases {
        println!("{case}");
        let of_case = measurements.iter().filter(|one| one.case == case);
        let ours = of_case.clone().next().map_or(1.0, |first| first.median);
        for Measurement { name, median, .. } in of_case {
            println!("  {name:<42} {:>14} {:>9.2}x", time(*median), median / ours);
        }
    }
}

/// Nanoseconds in the unit that keeps three digits before the point.
fn time(nanoseconds: f64) -> String {
    let units = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let (unit, size) = units.into_iter().rev().find(|(_, size)| nanoseconds >= *size).unwrap_or(("ns", 1.0));
    format!("{:.2} {unit}", nanoseconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_of_criterion_is_read_and_an_old_one_is_left_out() {
        let home = tempfile::tempdir().unwrap();
        let new = home.path().join("seal/oddwire/64/new");
        fs::create_dir_all(&new).unwrap();
        fs::write(
            new.join("benchmark.json"),
            r#"{"group_id":"seal","function_id":"oddwire","value_str":"64"}"#,
        )
        .unwrap();
        fs::write(new.join("estimates.json"), r#"{"median":{"point_estimate":1234.5}}"#).unwrap();

        let mut measurements = Vec::new();
        collect(home.path(), SystemTime::UNIX_EPOCH, &mut measurements).unwrap();
        let [one] = &measurements[..] else { panic!("{}", measurements.len()) };
        assert_eq!((one.case.as_str(), one.name.as_str(), one.median), ("seal 64", "oddwire", 1234.5));

        measurements.clear();
        let later = SystemTime::now() + std::time::Duration::from_mins(1);
        collect(home.path(), later, &mut measurements).unwrap();
        assert!(measurements.is_empty());
    }

    #[test]
    fn times_are_printed_in_a_readable_unit() {
        assert_eq!(
            [time(0.5), time(999.0), time(1500.0), time(2e9)],
            ["0.50 ns", "999.00 ns", "1.50 us", "2.00 s"]
        );
    }
}
