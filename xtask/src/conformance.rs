//! `cargo xtask conformance`: what CONFORMANCE.md says, and whether it leaves out anything of the specification.
//!
//! The ledger names requirements by their lines in one version of the documents. With `--text DIRECTORY`, where that version
//! lies, every line that says MUST, SHOULD or MAY must have its place in the ledger, under the section it stands in. The
//! text is not part of the project, so `cargo xtask tidy` holds what can be held without it: the counts, and that all that
//! is named is there.

pub(crate) mod ledger;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::ledger::{Document, Ledger, Verdict};
use crate::workspace::Workspace;

/// The ledger, from the root.
pub(crate) const LEDGER: &str = "CONFORMANCE.md";

#[derive(Args)]
pub(crate) struct Options {
    /// Compare with the text of the specification, which lies in this directory
    #[arg(long, value_name = "DIRECTORY")]
    text: Option<PathBuf>,
}

/// # Errors
/// The ledger leaves something out, or names lines that ask for nothing.
pub(crate) fn conformance(workspace: &Workspace, options: &Options) -> Result<()> {
    let text = fs::read_to_string(workspace.root().join(LEDGER)).context("could not read the ledger")?;
    let ledger = Ledger::read(&text);
    println!("| document | lines | held | done otherwise | does not apply | not held |");
    println!("{}", ledger.summary().join("\n"));
    for document in &ledger.documents {
        for row in document.sections.iter().flat_map(|section| &section.rows) {
            if row.verdict == Verdict::NotHeld {
                println!("not held: {}, {:?}: {}", document.name, row.places, row.asked);
            }
        }
    }
    let mut missing: Vec<String> =
        ledger.flaws.iter().map(|flaw| format!("{LEDGER}:{}: {}", flaw.line, flaw.what)).collect();
    if let Some(directory) = &options.text {
        for document in &ledger.documents {
            missing.extend(compare(document, &read(directory, document)?));
        }
    }
    for finding in &missing {
        println!("{finding}");
    }
    if !missing.is_empty() {
        bail!("{} findings", missing.len());
    }
    Ok(())
}

fn read(directory: &Path, document: &Document<'_>) -> Result<String> {
    let path = directory.join(document.file);
    fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))
}

/// What is in the text and not in the ledger, and the other way round.
fn compare(document: &Document<'_>, text: &str) -> Vec<String> {
    let asked = requirements(text);
    let mut placed = BTreeMap::new();
    for section in &document.sections {
        for place in section.rows.iter().flat_map(|row| &row.places) {
            placed.insert(*place, section.title);
        }
    }
    let mut findings = Vec::new();
    for (line, title) in &asked {
        match placed.get(line) {
            None => findings.push(format!("{}:{line}: not in the ledger ({title})", document.file)),
            Some(under) if under != title => {
                findings.push(format!(
                    "{}:{line}: stands under {title}, in the ledger under {under}",
                    document.file
                ));
            }
            Some(_) => {}
        }
    }
    let nothing = placed.keys().filter(|line| !asked.contains_key(line));
    findings.extend(nothing.map(|line| format!("{}:{line}: asks for nothing", document.file)));
    findings
}

/// The lines of a document that ask for something, with the title of their section.
fn requirements(text: &str) -> BTreeMap<usize, String> {
    let mut headings: Vec<(usize, &str)> = Vec::new();
    let mut found = BTreeMap::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let depth = line.len() - line.trim_start_matches('#').len();
        if depth > 0 && !is_code && line[depth..].starts_with(' ') {
            headings.retain(|(above, _)| *above < depth);
            headings.push((depth, line[depth..].trim()));
        }
        let mut words = line.split(|char: char| !char.is_alphanumeric() && char != '_');
        if words.any(|word| ["MUST", "SHOULD", "MAY"].contains(&word)) {
            // Sections that are called thus are parts of the one above them.
            let mut titles = headings.iter().rev().map(|(_, title)| title.trim_end_matches(':'));
            let title = titles.find(|title| !["Requirements", "Rationale"].contains(title));
            found.insert(index + 1, title.unwrap_or_default().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A\n\nIt MUST.\n## B\n### Requirements\n - SHOULD\n - MUSTARD\n```\n# MAY be code\n```\n## Rationale\nMAY\n";

    #[test]
    fn requirements_have_the_title_of_their_section() {
        let found: Vec<(usize, String)> = requirements(TEXT).into_iter().collect();
        let expected =
            [(3, "A"), (6, "B"), (9, "B"), (12, "A")].map(|(line, title)| (line, title.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_left_out_or_out_of_place_is_found() {
        let ledger = "## BOLT 1: `a.md`\n### A (2)\n| 3, 6 | a | does not apply: b | |\n### B (2)\n| 9, 7 | a | does not apply: b | |\n";
        let ledger = Ledger::read(ledger);
        assert_eq!(ledger.flaws, []);
        assert_eq!(
            compare(&ledger.documents[0], TEXT),
            [
                "a.md:6: stands under B, in the ledger under A",
                "a.md:12: not in the ledger (A)",
                "a.md:7: asks for nothing"
            ]
        );
    }
}
