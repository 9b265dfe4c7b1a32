//! `cargo xtask load`: the load proof of `node/examples/load`, which says what is measured and what must hold.

use anyhow::Result;
use clap::Args;

use crate::run;
use crate::workspace::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// Honest peers
    #[arg(long, default_value_t = 1_000)]
    peers: u32,
    /// Hostile peers of each of three kinds: that flood and never read, that say nothing, that send a byte a second
    #[arg(long, default_value_t = 100)]
    hostile: u32,
    /// How long each part lasts: one to warm up, and ten of a round
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often all attacks are played; of each the middle one counts
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Messages a second of all honest peers together
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Fail if the 99th percentile of the honest peers' latency under attack is more than so many times what is quiet around it; for
    /// a machine that does nothing else
    #[arg(long)]
    ratio: Option<f64>,
    /// In the release profile, as users run it
    #[arg(long)]
    release: bool,
}

/// What `cargo xtask test` does: a tenth of the full size. Times are printed and not judged, since nobody knows what else the
/// machine does.
///
/// # Errors
/// As [`load`].
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let options = Options {
        peers: 1_000,
        hostile: 100,
        seconds: 2,
        rounds: 1,
        rate: 1_000,
        ratio: None,
        release: false,
    };
    load(workspace, &options)
}

/// Runs the proof.
///
/// # Errors
/// It cannot be built, or something did not hold.
pub(crate) fn load(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut command =
        workspace.cargo(&["run", "--quiet", "--locked", "--package=oddwire-node", "--example=load"]);
    if options.release {
        command.arg("--release");
    }
    command.arg("--");
    let numbers = [
        ("--peers", options.peers),
        ("--hostile", options.hostile),
        ("--rounds", options.rounds),
        ("--rate", options.rate),
    ];
    for (name, value) in numbers {
        command.args([name, &value.to_string()]);
    }
    command.args(["--seconds", &options.seconds.to_string()]);
    if let Some(ratio) = options.ratio {
        command.args(["--ratio", &ratio.to_string()]);
    }
    run::show(&mut command)
}
