//! `cargo xtask ci`: the script that CI runs, as CI runs it.

use anyhow::Result;

use crate::run;
use crate::workspace::Workspace;

/// Installs what is missing and runs every check, without a terminal and with `CI=true`.
pub(crate) fn ci(workspace: &Workspace) -> Result<()> {
    run::show(workspace.program("bash").arg(".ci/run").env("CI", "true"))
}
