//! `cargo xtask tidy`: the rules of the house that a program can hold.
//!
//! ARCHITECTURE.md says what each layer must not know and where things live; these checks make it true. Rules of syntax
//! and of panics are clippy's (`[workspace.lints]`) and stand here only where clippy does not look. Every finding is
//! printed, as `path:line: what (why, what to do)`.
//!
//! A rule is a function from text to findings, so that each one has a test that shows it failing.

pub(crate) mod claims;
mod crate_graph;
mod layout;
mod proofs;
mod source_text;
mod sources;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run;
use crate::workspace::Workspace;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// From 1; 0 when the finding is about the file or directory as a whole.
    line: usize,
    what: String,
    /// Why the rule is there and what to do.
    advice: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, advice } = self;
        match line {
            0 => write!(f, "{path}: {what} ({advice})"),
            _ => write!(f, "{path}:{line}: {what} ({advice})"),
        }
    }
}

/// A file of the project: tracked by git, or new and not ignored.
struct File {
    /// From the root, with `/`.
    path: String,
    /// Empty for a file that is not UTF-8: no rule is about those.
    text: String,
}

impl File {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = Path::new(&self.path).extension();
        extensions.iter().any(|one| extension.is_some_and(|extension| extension == *one))
    }
}

/// Runs every rule.
///
/// # Errors
/// At least one finding, or a file or the crate graph could not be read.
pub(crate) fn tidy(workspace: &Workspace) -> Result<()> {
    let files = files(workspace)?;
    let mut findings = Vec::new();
    findings.extend(crate_graph::check(workspace)?);
    findings.extend(sources::check(&files));
    findings.extend(layout::check(&files));
    let names = claims::Names::new(&files);
    findings.extend(claims::check(&files, &names));
    findings.extend(proofs::check(&files, &names));
    findings.extend(layout::paths_of_one_machine(&files, &machine_paths(workspace)));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

fn files(workspace: &Workspace) -> Result<Vec<File>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let list = run::capture(workspace.program("git").args(arguments))
        .context("tidy looks at the files that git knows; it needs git and a checkout")?;
    let mut paths: Vec<&str> = list.split_terminator('\0').collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        let full = workspace.root().join(path);
        // A file that was deleted and not yet committed is still listed.
        if full.is_file() {
            let bytes = fs::read(&full).with_context(|| format!("could not read {path}"))?;
            files.push(File { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() });
        }
    }
    Ok(files)
}

/// Directories of this machine that must not be named in the project: they exist nowhere else.
fn machine_paths(workspace: &Workspace) -> Vec<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    [Some(workspace.root().to_owned()), Some(workspace.target().to_owned()), home]
        .into_iter()
        .flatten()
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| path.len() > 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_its_line_if_it_has_one() {
        let mut finding =
            Finding { path: "a.rs".into(), line: 7, what: "unsafe".into(), advice: "not here, move it" };
        assert_eq!(finding.to_string(), "a.rs:7: unsafe (not here, move it)");
        finding.line = 0;
        assert_eq!(finding.to_string(), "a.rs: unsafe (not here, move it)");
    }
}
