//! `cargo xtask loom`: the model checker over the send queue.
//!
//! Under `--cfg oddwire_loom` the queue's atomics are loom's, and each model is run once for every interleaving that the
//! memory model allows. The usual name of the flag, `loom`, would take the sockets out of tokio. The flag changes every crate
//! of the build, so it has a target directory of its own inside the shared one.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::run;
use crate::workspace::Workspace;

/// The module that holds the models.
const MODELS: &str = "send_queue::loom";

pub(crate) fn loom(workspace: &Workspace) -> Result<()> {
    // First on its own: what runs below then prints results only.
    run::show(models(workspace).arg("--no-run"))?;
    let list = run::capture(models(workspace).args(["--", "--list", "--format=terse"]))?;
    let count = list.lines().filter(|line| line.ends_with(": test")).count();
    ensure!(
        count > 0,
        "no test of oddwire-node is in {MODELS}: the models have moved, or the flag does not reach them"
    );
    run::show(&mut models(workspace))
}

fn models(workspace: &Workspace) -> Command {
    let mut command =
        workspace.cargo(&["test", "--quiet", "--locked", "--release", "--package=oddwire-node", "--lib"]);
    command.arg(MODELS);
    command.env("RUSTFLAGS", "--cfg oddwire_loom").env("CARGO_TARGET_DIR", workspace.target().join("loom"));
    // The models need optimised code, not the last percent of it: linking is what takes the time.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command
}
