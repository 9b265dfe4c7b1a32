//! `cargo xtask fuzz`: the fuzz targets, run for a while with libFuzzer.
//!
//! What the targets do stands in `fuzz/src`, and their corpora are replayed by the ordinary tests; this command is for
//! looking for new inputs, and needs a nightly compiler and cargo-fuzz.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::run;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Name the targets
    List,
    /// Run one target; new inputs go to a corpus under the target directory, not into the checkout
    Run {
        /// A name that `list` prints
        name: String,
        /// How long to run
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        seconds: u32,
    },
}

pub(crate) fn fuzz(workspace: &Workspace, options: &Options) -> Result<()> {
    let targets = targets(&workspace.root().join("fuzz/fuzz_targets"))?;
    match &options.action {
        Action::List => {
            println!("{}", targets.join("\n"));
            Ok(())
        }
        Action::Run { name, seconds } => {
            if !targets.contains(name) {
                bail!("there is no fuzz target {name}; there are: {}", targets.join(", "));
            }
            run_target(workspace, name, *seconds)
        }
    }
}

fn targets(directory: &Path) -> Result<Vec<String>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(directory).and_then(Iterator::collect);
    let mut names: Vec<String> = entries
        .context("could not list fuzz/fuzz_targets")?
        .iter()
        .filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

fn run_target(workspace: &Workspace, name: &str, seconds: u32) -> Result<()> {
    if !run::succeeds(Command::new("rustup").args(["run", "nightly", "cargo", "fuzz", "--version"])) {
        bail!(
            "fuzzing needs a nightly compiler and cargo-fuzz: rustup toolchain install nightly; cargo install cargo-fuzz --locked"
        );
    }
    // libFuzzer writes what it finds into the first directory and only reads the second.
    let found = workspace.target().join("fuzz-corpus").join(name);
    fs::create_dir_all(&found).with_context(|| format!("could not make {}", found.display()))?;
    let mut command = workspace.program("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", "run", "--features=libfuzzer", name]);
    command.arg(&found).arg(format!("fuzz/corpus/{name}"));
    // Link-time optimisation of an instrumented program takes minutes and finds nothing.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command.args(["--", &format!("-max_total_time={seconds}"), "-rss_limit_mb=2048", "-timeout=10"]);
    run::show(&mut command)
}
