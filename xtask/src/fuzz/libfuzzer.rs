//! libFuzzer: the programs with it in them, what they are told, and what they say.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::names_below;
use crate::run;
use crate::workspace::Workspace;

/// Memory that a target may take, in megabytes: far beyond what any promise allows, since the corpus counts too.
const RSS_LIMIT: u32 = 2048;
/// How long one input may take, in seconds; most take less than a millisecond.
const INPUT_TIMEOUT: u32 = 25;

/// Where a run's words go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Into the terminal.
    Shown,
    /// Into the log of the target.
    Logged,
}

/// What a run of one target came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) name: String,
    /// Ended by an input that breaks a promise, or by an error of the program.
    failure: Option<String>,
    pub(super) figures: Figures,
}

/// What libFuzzer says of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Figures {
    /// Inputs that were run, the corpus included.
    pub(super) executions: u64,
    /// Seconds from the first to the last of them.
    pub(super) seconds: u64,
    /// Edges between basic blocks that some input took.
    pub(super) edges: u64,
    /// Edges of all instrumented code in the program, reachable or not.
    pub(super) all_edges: u64,
    /// Inputs that are worth keeping.
    pub(super) corpus: u64,
    /// Memory at most, in megabytes.
    pub(super) memory: u64,
}

/// The directory of a target's runs.
fn home(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.target().join("fuzz").join(name)
}

/// Builds targets in the usual target directory: dependencies are those of `cargo build --workspace`, and only our crates are
/// compiled again, instrumented and optimised, with overflow checks and debug assertions.
///
/// # Errors
/// They do not build.
pub(super) fn build(workspace: &Workspace, targets: &[String]) -> Result<()> {
    let mut command =
        workspace.cargo(&["build", "--workspace", "--locked", "--features=oddwire-fuzz/libfuzzer"]);
    command.args(targets.iter().map(|name| format!("--bin={name}")));
    command.env("RUSTC_WORKSPACE_WRAPPER", workspace.root().join("fuzz/instrument"));
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2").env("CARGO_INCREMENTAL", "0");
    run::show(&mut command)
}

/// Runs one target. libFuzzer writes what it finds into the first corpus and only reads the second.
///
/// # Errors
/// It could not be started.
pub(super) fn run(workspace: &Workspace, name: &str, seconds: u32, output: Output) -> Result<Outcome> {
    let home = home(workspace, name);
    let (found, artifacts, log) = (home.join("corpus"), home.join("artifacts"), home.join("log"));
    for directory in [&found, &artifacts] {
        fs::create_dir_all(directory).with_context(|| format!("could not make {}", directory.display()))?;
    }
    let mut command = workspace.program(workspace.binary(name));
    command.arg(&found).arg(format!("fuzz/corpus/{name}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-rss_limit_mb={RSS_LIMIT}")).arg(format!("-timeout={INPUT_TIMEOUT}"));
    command.arg("-print_final_stats=1");
    if output == Output::Shown {
        let failure = run::show(&mut command).err().map(|error| format!("{error:#}"));
        return Ok(Outcome { name: name.to_owned(), failure, figures: Figures::default() });
    }
    let file = File::create(&log).with_context(|| format!("could not make {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = command.status().with_context(|| format!("could not start the target {name}"))?;
    let text = fs::read(&log).with_context(|| format!("could not read {}", log.display()))?;
    let failure = (!status.success()).then(|| {
        let found = names_below(&artifacts).unwrap_or_default();
        format!(
            "{name} ended with {status}; see {}; inputs that broke it, in {}: {}",
            log.display(),
            artifacts.display(),
            found.join(", ")
        )
    });
    let figures = Figures::read(&String::from_utf8_lossy(&text));
    Ok(Outcome { name: name.to_owned(), failure, figures })
}

/// Adds to the corpus in the checkout what reaches something that nothing there reaches.
///
/// # Errors
/// libFuzzer does not end well.
pub(super) fn merge(workspace: &Workspace, name: &str) -> Result<()> {
    let mut command = workspace.program(workspace.binary(name));
    // By edges alone: by how often each was taken as well, ten times as many would be worth keeping.
    command
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(format!("fuzz/corpus/{name}"))
        .arg(home(workspace, name).join("corpus"));
    run::show(&mut command)
}

impl Outcome {
    /// # Errors
    /// The target was broken.
    pub(super) fn judge(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => bail!("{failure}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { executions, seconds, edges, all_edges, corpus, memory } = &self.figures;
        let end = if self.failure.is_some() { "BROKEN" } else { "holds" };
        write!(
            f,
            "{:<12} {end:<6} {executions:>10} inputs in {seconds} s, {edges} of {all_edges} edges, {corpus} inputs worth \
             keeping, {memory} MB",
            self.name
        )
    }
}

impl Figures {
    /// Reads libFuzzer's words: lines such as `#123 DONE cov: 45 ft: 67 corp: 8/9b`, `stat::number_of_executed_units: 123`.
    fn read(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines() {
            if let Some((name, value)) = line.strip_prefix("stat::").and_then(|rest| rest.split_once(':')) {
                let value = value.trim().parse().unwrap_or_default();
                match name {
                    "number_of_executed_units" => figures.executions = value,
                    "peak_rss_mb" => figures.memory = value,
                    _ => {}
                }
            } else if let Some(rest) = line.split_once("inline 8-bit counters").map(|(before, _)| before) {
                let counters = rest.rsplit('(').next().unwrap_or_default();
                figures.all_edges = counters.trim().parse().unwrap_or_default();
            } else if let Some(ran) = line.strip_prefix("Done ") {
                figures.seconds = number_behind(ran, "runs in ").unwrap_or_default();
            } else if line.starts_with('#') && line.contains(" cov: ") {
                figures.edges = number_behind(line, " cov: ").unwrap_or(figures.edges);
                figures.corpus = number_behind(line, " corp: ").unwrap_or(figures.corpus);
            }
        }
        figures
    }
}

/// The digits that follow a mark.
fn number_behind(text: &str, mark: &str) -> Option<u64> {
    let (_, behind) = text.split_once(mark)?;
    let end = behind.find(|other: char| !other.is_ascii_digit()).unwrap_or(behind.len());
    behind.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_libfuzzer_are_read() {
        let text = "INFO: Loaded 1 modules   (2345 inline 8-bit counters): 2345 [0x1, 0x2), \n\
                    #2\tINITED cov: 100 ft: 120 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                    #65536\tDONE   cov: 217 ft: 590 corp: 71/4214b lim: 4096 exec/s: 32768 rss: 42Mb\n\
                    Done 65536 runs in 2 second(s)\n\
                    stat::number_of_executed_units: 65536\n\
                    stat::peak_rss_mb:              42\n";
        let figures =
            Figures { executions: 65_536, seconds: 2, edges: 217, all_edges: 2_345, corpus: 71, memory: 42 };
        assert_eq!(Figures::read(text), figures);
        assert_eq!(Figures::read("error: no\n"), Figures::default());
    }
}
