//! A run of several checks: each announced, timed and kept, whatever the others did, and a summary at the end.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The checks that have run so far.
pub(crate) struct Report {
    started: Instant,
    entries: Vec<Entry>,
}

struct Entry {
    name: &'static str,
    took: Duration,
    failure: Option<String>,
}

impl Report {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), entries: Vec::new() }
    }

    /// Runs one check. A failure is printed and kept; the next check runs all the same.
    pub(crate) fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) {
        println!("\n==> {name}");
        let started = Instant::now();
        let failure = check().err().map(|error| format!("{error:#}"));
        let took = started.elapsed();
        match &failure {
            None => println!("<== {name}: passed in {}", seconds(took)),
            Some(why) => println!("<== {name}: FAILED in {}\n{why}", seconds(took)),
        }
        self.entries.push(Entry { name, took, failure });
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// At least one check failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!("\nSummary");
        for Entry { name, took, failure } in &self.entries {
            let verdict = if failure.is_none() { "passed" } else { "FAILED" };
            println!("  {name:<12} {verdict}  {:>9}", seconds(*took));
        }
        let failed = self.entries.iter().filter(|entry| entry.failure.is_some()).count();
        println!("  {:<12}         {:>9}", "all", seconds(self.started.elapsed()));
        for Entry { name, failure, .. } in &self.entries {
            if let Some(why) = failure {
                println!("\n{name} failed: {why}");
            }
        }
        println!("\nchecks: {} passed, {failed} failed", self.entries.len() - failed);
        if failed > 0 {
            bail!("{failed} of {} checks failed", self.entries.len());
        }
        Ok(())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_does_not_stop_the_next_one_and_fails_the_whole() {
        let mut report = Report::start();
        let mut ran = Vec::new();
        report.check("first", || bail!("broken"));
        report.check("second", || {
            ran.push("second");
            Ok(())
        });
        assert_eq!(ran, ["second"]);
        assert_eq!(report.finish().unwrap_err().to_string(), "1 of 2 checks failed");
    }

    #[test]
    fn a_report_without_failures_is_a_success() {
        let mut report = Report::start();
        report.check("only", || Ok(()));
        report.finish().unwrap();
    }
}
