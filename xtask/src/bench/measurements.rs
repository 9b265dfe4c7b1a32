//! What was measured: criterion's results, and the figures that the benchmarks write down beside them.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::Value;

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measurement {
    /// The group of comparable cases: `frame/seal`. Begins with the name of the benchmark.
    pub(super) group: String,
    /// What was done: `64 B`.
    pub(super) case: String,
    /// Who did it.
    pub(super) name: String,
    /// The median; nanoseconds, or what `unit` says.
    pub(super) value: f64,
    /// Half the distance between the 10th and the 90th percentile of the samples, as a part of the median.
    pub(super) noise: Option<f64>,
    /// `None`: nanoseconds.
    pub(super) unit: Option<String>,
    /// When it was written down.
    at: SystemTime,
}

/// All figures of a run, in the order in which they were measured.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) measurements: Vec<Measurement>,
    /// What a reader must know: the benchmark, and a sentence.
    pub(super) notes: Vec<(String, String)>,
}

impl Results {
    /// Reads what was written since `since`: results of earlier runs lie beside those of this one.
    pub(super) fn read(criterion: &Path, figures: &Path, since: SystemTime) -> Result<Results> {
        let mut results = Results::default();
        collect(criterion, since, &mut results.measurements)?;
        results.measurements.sort_by_key(|one| one.at);
        if let Ok(text) = fs::read_to_string(figures) {
            for line in text.lines() {
                results.take_figure(line)?;
            }
        }
        Ok(results)
    }

    /// The figure of one candidate in one case.
    pub(super) fn get(&self, group: &str, case: &str, name: &str) -> Option<&Measurement> {
        self.measurements.iter().find(|one| one.group == group && one.case == case && one.name == name)
    }

    /// The groups of a benchmark, in order.
    pub(super) fn groups(&self, bench: &str) -> Vec<&str> {
        let of_bench = |one: &&Measurement| one.group.split('/').next() == Some(bench);
        unique(self.measurements.iter().filter(of_bench).map(|one| one.group.as_str()))
    }

    /// The cases of a group, in order.
    pub(super) fn cases(&self, group: &str) -> Vec<&str> {
        unique(self.measurements.iter().filter(|one| one.group == group).map(|one| one.case.as_str()))
    }

    /// The candidates of a group, in order.
    pub(super) fn names(&self, group: &str) -> Vec<&str> {
        unique(self.measurements.iter().filter(|one| one.group == group).map(|one| one.name.as_str()))
    }

    fn take_figure(&mut self, line: &str) -> Result<()> {
        let figure: Value = serde_json::from_str(line).context("a figure is not JSON")?;
        let text = |key: &str| figure[key].as_str().unwrap_or_default().to_owned();
        if let Some(note) = figure["note"].as_str() {
            self.notes.push((text("bench"), note.to_owned()));
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "compared with the times of files")]
        let now = SystemTime::now();
        self.measurements.push(Measurement {
            group: text("bench"),
            case: text("case"),
            name: text("name"),
            value: figure["value"].as_f64().context("a figure without a value")?,
            noise: None,
            unit: Some(text("unit")),
            at: now,
        });
        Ok(())
    }
}

/// Criterion keeps each result in a directory `.../new` with the names in one file and the figures in others.
fn collect(directory: &Path, since: SystemTime, measurements: &mut Vec<Measurement>) -> Result<()> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "new") {
            let measurement = read(&path)?;
            if measurement.at >= since {
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
    let sample_file = directory.join("sample.json");
    let sample = json(&sample_file)?;
    let text = |key: &str| names[key].as_str().unwrap_or_default().to_owned();
    let numbers = |key: &str| sample[key].as_array().into_iter().flatten().filter_map(Value::as_f64);
    let mut times: Vec<f64> =
        numbers("times").zip(numbers("iters")).map(|(time, iterations)| time / iterations).collect();
    times.sort_by(f64::total_cmp);
    let at_tenths = |tenths: usize| times.get((times.len().saturating_sub(1) * tenths).div_ceil(10)).copied();
    let median = at_tenths(5).context("a result without samples")?;
    let spread = at_tenths(9).zip(at_tenths(1)).map(|(high, low)| (high - low) / 2.0 / median);
    Ok(Measurement {
        group: text("group_id"),
        case: text("value_str"),
        name: text("function_id"),
        value: median,
        noise: spread,
        unit: None,
        at: fs::metadata(&sample_file)?.modified()?,
    })
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

#[cfg(test)]
pub(super) fn measured(group: &str, case: &str, name: &str, value: f64) -> Measurement {
    let [group, case, name] = [group, case, name].map(str::to_owned);
    Measurement { group, case, name, value, noise: Some(0.02), unit: None, at: SystemTime::UNIX_EPOCH }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_are_read_and_those_of_an_earlier_run_are_left_out() {
        let home = tempfile::tempdir().unwrap();
        let new = home.path().join("criterion/frame_seal/Oddwire/64 B/new");
        fs::create_dir_all(&new).unwrap();
        let names = r#"{"group_id":"frame/seal","function_id":"Oddwire","value_str":"64 B"}"#;
        fs::write(new.join("benchmark.json"), names).unwrap();
        let samples = r#"{"iters":[1.0,2.0,1.0,1.0,1.0],"times":[90.0,180.0,100.0,110.0,500.0]}"#;
        fs::write(new.join("sample.json"), samples).unwrap();
        let figures = home.path().join("figures");
        let lines = [
            r#"{"bench":"peers","case":"memory","name":"LDK","value":9.5,"unit":"KiB"}"#,
            r#"{"bench":"peers","note":"few descriptors"}"#,
        ];
        fs::write(&figures, lines.join("\n")).unwrap();

        let read = |since| Results::read(&home.path().join("criterion"), &figures, since).unwrap();
        let results = read(SystemTime::UNIX_EPOCH);
        let seal = results.get("frame/seal", "64 B", "Oddwire").unwrap();
        assert_eq!((seal.value, seal.noise, &seal.unit), (100.0, Some(2.05), &None));
        let memory = results.get("peers", "memory", "LDK").unwrap();
        assert_eq!((memory.value, memory.unit.as_deref()), (9.5, Some("KiB")));
        assert_eq!(results.notes, [("peers".to_owned(), "few descriptors".to_owned())]);
        assert_eq!(results.groups("frame"), ["frame/seal"]);

        #[expect(clippy::disallowed_methods, reason = "compared with the times of files")]
        let now = SystemTime::now();
        let later = read(now + Duration::from_mins(1));
        assert_eq!(later.measurements.len(), 1, "the figures' file is made anew by each run");
    }
}
