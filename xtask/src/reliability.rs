//! `cargo xtask reliability`: runs the proofs and writes RELIABILITY.md: each promise, what holds it, the figures of the last
//! run, and what is not proven.
//!
//! A proof is a command of its own. It finds in `ODDWIRE_FIGURES` the directory for its figures, and writes `NAME.tsv` there
//! when it has ended well: `what<TAB>value` a line. They are kept in `figures.tsv` beside this module, so that the page can be
//! made again without a run, and tidy can see that nobody has changed it by hand.
//!
//! A run at full size replaces what is kept of the proofs it ran. One with `--quick` is for a first look, and writes to the
//! target directory. A proof that fails is on the page as failed, and the command fails too.

mod figures;
mod page;
mod promises;
mod proofs;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::figures::Figures;
use self::proofs::{PROOFS, Proof};
use crate::bench::machine;
use crate::run;
use crate::tidy::claims::Claim;
use crate::workspace::Workspace;

/// The page, from the root.
pub(crate) const PAGE: &str = "RELIABILITY.md";
/// What is kept of the last run, from the root.
pub(crate) const FIGURES: &str = "xtask/src/reliability/figures.tsv";

/// How the outcome of a proof begins that ended well.
const PASSED: &str = "passed";

/// Names the directory for figures to a proof.
const DIRECTORY: &str = "ODDWIRE_FIGURES";

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this proof; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A first look: small sizes; the page goes to the target directory
    #[arg(long)]
    quick: bool,
    /// Run nothing; write the page again from the figures that are kept
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    render: bool,
    /// Name the proofs and their commands
    #[arg(long)]
    list: bool,
}

/// # Errors
/// A proof failed, or the page could not be written.
pub(crate) fn reliability(workspace: &Workspace, options: &Options) -> Result<()> {
    let chosen = choose(&options.only)?;
    if options.list {
        for proof in chosen {
            println!("{:<12} {}", proof.name, proof.command(options.quick).join(" "));
        }
        return Ok(());
    }
    let kept = workspace.root().join(FIGURES);
    let mut figures = Figures::read(&fs::read_to_string(&kept).unwrap_or_default())?;
    if options.render {
        return write(workspace.root(), &figures);
    }
    let directory = workspace.target().join("reliability");
    let mut failed = Vec::new();
    figures.set("machine", machine::describe(workspace));
    for proof in chosen {
        if !run_proof(workspace, proof, options.quick, &directory, &mut figures)? {
            failed.push(proof.name);
        }
    }
    if options.quick {
        write(&directory, &figures)?;
    } else {
        fs::write(&kept, figures.to_text()).with_context(|| format!("could not write {}", kept.display()))?;
        write(workspace.root(), &figures)?;
    }
    if !failed.is_empty() {
        bail!("these proofs failed, and the page says so: {}", failed.join(", "));
    }
    Ok(())
}

/// The page as the kept figures make it.
///
/// # Errors
/// The figures have another form, or a promise names one that its proof does not have.
pub(crate) fn render(figures: &str) -> Result<String> {
    page::page(&Figures::read(figures)?)
}

/// The tests that hold promises.
pub(crate) fn tests() -> Vec<Claim<'static>> {
    let tests = promises::PROMISES.iter().flat_map(|promise| promise.tests);
    tests.map(|(name, path)| Claim { name: Some(*name), path }).collect()
}

fn choose(only: &[String]) -> Result<Vec<&'static Proof>> {
    if let Some(unknown) = only.iter().find(|name| PROOFS.iter().all(|proof| proof.name != **name)) {
        let names: Vec<&str> = PROOFS.iter().map(|proof| proof.name).collect();
        bail!("there is no proof {unknown}; there are: {}", names.join(", "));
    }
    Ok(PROOFS.iter().filter(|proof| only.is_empty() || only.iter().any(|name| name == proof.name)).collect())
}

/// Whether it ended well; its figures are taken over either way, so that none of an earlier run stays.
fn run_proof(
    workspace: &Workspace,
    proof: &Proof,
    is_quick: bool,
    directory: &Path,
    figures: &mut Figures,
) -> Result<bool> {
    let found = directory.join(proof.name);
    if found.exists() {
        fs::remove_dir_all(&found).with_context(|| format!("could not remove {}", found.display()))?;
    }
    fs::create_dir_all(&found).with_context(|| format!("could not make {}", found.display()))?;
    let arguments = proof.command(is_quick);
    let started = Instant::now();
    let outcome = run::show(workspace.cargo(arguments).env(DIRECTORY, &found));
    let took = started.elapsed().as_secs();
    let date = run::capture(workspace.program("date").args(["-u", "+%F"]))?;
    let outcome = match outcome {
        Ok(()) => PASSED,
        Err(error) => {
            eprintln!("{error:#}");
            "FAILED"
        }
    };
    let mut ran = vec![
        ("command", format!("cargo {}", arguments.join(" "))),
        ("outcome", format!("{outcome} on {} in {took} s", date.trim())),
    ];
    if is_quick {
        ran.push(("size", "small, for a first look".to_owned()));
    }
    figures.set(proof.name, ran);
    for name in proof.figures {
        let path = found.join(format!("{name}.tsv"));
        match fs::read_to_string(&path) {
            Ok(text) => figures.set_text(&proofs::group(proof, name), &text)?,
            Err(error) if outcome == PASSED => {
                bail!("{} passed and left no figures in {}: {error}", proof.name, path.display())
            }
            Err(_) => figures.set(&proofs::group(proof, name), Vec::<(&str, String)>::new()),
        }
    }
    Ok(outcome == PASSED)
}

fn write(directory: &Path, figures: &Figures) -> Result<()> {
    let path: PathBuf = directory.join(PAGE);
    fs::write(&path, page::page(figures)?).with_context(|| format!("could not write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn an_unknown_proof_is_an_error_that_lists_the_known_ones() {
        let error = choose(&["soaking".into()]).err().unwrap().to_string();
        assert!(error.starts_with("there is no proof soaking") && error.contains("faults"), "{error}");
        assert_eq!(choose(&[]).unwrap().len(), PROOFS.len());
    }

    #[test]
    fn a_promise_names_figures_that_a_proof_writes() {
        for figure in promises::PROMISES.iter().flat_map(|promise| promise.figures) {
            assert!(PROOFS.iter().any(|proof| proof.figures.contains(&figure.group)), "{}", figure.group);
        }
    }
}
