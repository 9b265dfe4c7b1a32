//! `cargo xtask simulate`: several whole nodes in a simulated world, thousands of runs, or the whole story of one.
//!
//! The simulation is among the tests of `oddwire-node`, which run a few dozen seeds of it. What a run is, and what is held
//! against it, stands in `node/src/simulation.rs`.

use anyhow::Result;
use clap::Args;

use crate::run;
use crate::workspace::Workspace;

/// Runs of CI. A run takes about 70 ms of one core.
const SEEDS: u64 = 2_000;

/// Runs of CI that are made a second time, to see that a seed gives the same run again.
const TWICE: u64 = 100;

/// The test that makes the runs, and the module of all such tests.
const RUNS: &str = "simulation::tests::every_promise_holds_in_every_run";
const MODULE: &str = "simulation::tests";

#[derive(Args)]
pub(crate) struct Options {
    /// How many runs
    #[arg(long, default_value_t = SEEDS, value_name = "N")]
    seeds: u64,
    /// The seed of the first one; the others follow
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    first: u64,
    /// Make this one run and print what happens, with the log of the nodes
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
}

pub(crate) fn simulate(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut command = workspace.cargo(&["test", "--quiet", "--locked", "--package=oddwire-node", "--lib"]);
    command.args([RUNS, "--", "--exact", "--nocapture"]);
    match options.seed {
        Some(seed) => command.env("ODDWIRE_SIMULATION_SEED", seed.to_string()),
        None => command
            .env("ODDWIRE_SIMULATION_SEEDS", options.seeds.to_string())
            .env("ODDWIRE_SIMULATION_FIRST", options.first.to_string()),
    };
    run::show(&mut command)
}

/// As part of all checks, out of what these have built already.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["test", "--quiet", "--locked", "--workspace", "--lib"]);
    command.args([MODULE, "--", "--nocapture"]);
    command.env("ODDWIRE_SIMULATION_SEEDS", SEEDS.to_string());
    command.env("ODDWIRE_SIMULATION_TWICE", TWICE.to_string());
    run::show(&mut command)
}
