//! What a run of all targets came to: the table in `fuzz/README.md`, and the figures for `RELIABILITY.md`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

use super::libfuzzer::Outcome;
use super::names_below;
use crate::workspace::Workspace;

const BEGIN: &str = "<!-- cargo xtask fuzz report: begin -->\n";
const END: &str = "<!-- cargo xtask fuzz report: end -->\n";

/// Writes `fuzz.tsv` into the directory that `ODDWIRE_FIGURES` names, if it names one; only of a run that found nothing.
///
/// # Errors
/// The file cannot be written.
pub(super) fn figures(outcomes: &[Outcome], seconds: u32) -> Result<()> {
    let Some(directory) = env::var_os("ODDWIRE_FIGURES") else { return Ok(()) };
    let file = PathBuf::from(directory).join("fuzz.tsv");
    let executions: u64 = outcomes.iter().map(|outcome| outcome.figures.executions).sum();
    let text = format!(
        "targets\t{}\ntime for each\t{seconds} s\ninputs tried\t{executions}\ninputs that broke a promise\t0\n",
        outcomes.len()
    );
    fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))
}

/// Replaces the table in `fuzz/README.md`.
///
/// # Errors
/// The file cannot be read or written, or has no place for the table.
pub(super) fn write(workspace: &Workspace, outcomes: &[Outcome], seconds: u32) -> Result<()> {
    let path = workspace.root().join("fuzz/README.md");
    let readme = fs::read_to_string(&path).context("could not read fuzz/README.md")?;
    let (before, rest) = readme.split_once(BEGIN).context("fuzz/README.md has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the place for the table in fuzz/README.md has no end")?;
    let mut table = format!(
        "Each target for {seconds} s.\n\n\
         | target | inputs | a second | edges reached | of edges linked | corpus here | worth keeping | memory |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for outcome in outcomes {
        let figures = &outcome.figures;
        let here = names_below(&workspace.root().join("fuzz/corpus").join(&outcome.name))?.len();
        writeln!(
            table,
            "| `{}` | {} | {} | {} | {} | {here} | {} | {} MB |",
            outcome.name,
            figures.executions,
            figures.executions / figures.seconds.max(1),
            figures.edges,
            figures.all_edges,
            figures.corpus,
            figures.memory
        )?;
    }
    fs::write(&path, [before, BEGIN, &table, END, after].concat()).context("could not write fuzz/README.md")
}
