//! `cargo xtask test`: everything that proves the project. `.ci/run` calls it and nothing else.
//!
//! The order is by cost: what fails fast comes first, and each check finds the dependencies already built by the one
//! before it. All of them run even if one fails.

use anyhow::{Result, bail};
use clap::Args;

use crate::report::Report;
use crate::workspace::Workspace;
use crate::{
    demo, dependencies, features, firmware, fuzz, interop, load, loom, needs, run, simulate, soak, tidy,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this check; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Name the checks and what each proves, run nothing
    #[arg(long)]
    list: bool,
}

struct Check {
    name: &'static str,
    proves: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

const CHECKS: &[Check] = &[
    Check { name: "needs", proves: "the machine has what the checks need", run: needs::needs },
    Check { name: "tidy", proves: "the rules of the house that a program can hold", run: tidy::tidy },
    Check {
        name: "dependencies",
        proves: "licences, sources and single versions of what is linked in, and no advisory where RustSec is in reach",
        run: dependencies::dependencies,
    },
    Check { name: "fmt", proves: "the code is formatted", run: fmt },
    Check { name: "clippy", proves: "no warning of the compiler or clippy, in any target", run: clippy },
    Check { name: "build", proves: "the library crates and both programs build", run: build },
    Check { name: "tests", proves: "unit and integration tests, LDK as the peer, fuzz corpora", run: tests },
    Check { name: "doctests", proves: "the examples in the documentation and the README run", run: doctests },
    Check { name: "docs", proves: "the documentation builds without a warning", run: docs },
    Check {
        name: "features",
        proves: "wire-core needs neither std nor an allocator, and does the same with either curve",
        run: features::features,
    },
    Check {
        name: "firmware",
        proves: "wire-core on a Cortex-M in QEMU talks with a real oddwired and outlives hostile peers",
        run: firmware::check,
    },
    Check { name: "loom", proves: "the send queue holds under every interleaving", run: loom::loom },
    Check {
        name: "fuzz",
        proves: "every fuzz target holds for a minute, from the corpus on",
        run: fuzz::check,
    },
    Check {
        name: "simulation",
        proves: "whole nodes keep what they promise on a network that fails, in thousands of runs",
        run: simulate::check,
    },
    Check {
        name: "interop",
        proves: "pyln-proto as a peer, pyln-client as a client, pyln-testing as a suite",
        run: interop::interop,
    },
    Check {
        name: "load",
        proves: "no honest message is lost among a thousand peers and hostile ones, and memory stays in its limits",
        run: load::check,
    },
    Check {
        name: "soak",
        proves: "a minute of everything at once: kills, plugins, floods, clients of all kinds; no message lost without word",
        run: soak::check,
    },
    Check { name: "demo", proves: "the two programs do the main job, as a user would", run: demo::demo },
];

/// Runs the chosen checks.
///
/// # Errors
/// A check failed, or a name is not that of a check.
pub(crate) fn test(workspace: &Workspace, options: &Options) -> Result<()> {
    let chosen = choose(&options.only)?;
    if options.list {
        for check in chosen {
            println!("{:<13} {}", check.name, check.proves);
        }
        return Ok(());
    }
    let mut report = Report::start();
    for check in chosen {
        report.check(check.name, || (check.run)(workspace));
    }
    report.finish()
}

fn choose(only: &[String]) -> Result<Vec<&'static Check>> {
    if let Some(unknown) = only.iter().find(|name| CHECKS.iter().all(|check| check.name != **name)) {
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        bail!("there is no check {unknown}; there are: {}", names.join(", "));
    }
    Ok(CHECKS.iter().filter(|check| only.is_empty() || only.iter().any(|name| name == check.name)).collect())
}

fn fmt(workspace: &Workspace) -> Result<()> {
    run::show(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    let firmware = ["fmt", "--check", "--manifest-path=wire-core/firmware/Cargo.toml"];
    run::show(&mut workspace.cargo(&firmware))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny=warnings"];
    run::show(&mut workspace.cargo(&arguments))
}

fn build(workspace: &Workspace) -> Result<()> {
    run::show(&mut workspace.cargo(&["build", "--workspace", "--locked"]))
}

/// The binaries are built too: tests of the daemon start it as a process. So is the example that one of them starts as a
/// plugin, which `cargo test` would build as a test only.
fn tests(workspace: &Workspace) -> Result<()> {
    run::show(&mut workspace.cargo(&["build", "--package=oddwire-rpc", "--examples", "--locked"]))?;
    let arguments =
        ["test", "--workspace", "--locked", "--lib", "--bins", "--tests", "--examples", "--no-fail-fast"];
    run::show(&mut workspace.cargo(&arguments))
}

fn doctests(workspace: &Workspace) -> Result<()> {
    run::show(&mut workspace.cargo(&["test", "--workspace", "--locked", "--doc", "--no-fail-fast"]))
}

fn docs(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["doc", "--workspace", "--locked", "--no-deps"]);
    run::show(command.env("RUSTDOCFLAGS", "--deny=warnings"))
}

#[cfg(test)]
mod tests_of_the_choice {
    use super::*;

    #[test]
    fn without_a_name_every_check_runs_in_its_order() {
        let names: Vec<&str> = choose(&[]).unwrap().iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        assert_eq!(names[0], "needs");
    }

    #[test]
    fn only_the_named_checks_run() {
        let names: Vec<&str> =
            choose(&["demo".into(), "fmt".into()]).unwrap().iter().map(|check| check.name).collect();
        assert_eq!(names, ["fmt", "demo"]);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = choose(&["fmtt".into()]).err().unwrap().to_string();
        assert!(error.starts_with("there is no check fmtt") && error.contains("clippy"), "{error}");
    }

    #[test]
    fn no_two_checks_share_a_name() {
        for (index, check) in CHECKS.iter().enumerate() {
            assert!(CHECKS[..index].iter().all(|other| other.name != check.name), "{}", check.name);
        }
    }
}
