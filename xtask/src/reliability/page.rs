//! RELIABILITY.md, from the promises and the figures.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::PASSED;
use super::figures::Figures;
use super::promises::{Figure, NOT_PROVEN, PROMISES, Promise};
use super::proofs::{PROOFS, Proof, group};

/// # Errors
/// A promise names a figure that its proof has run without.
pub(super) fn page(figures: &Figures) -> Result<String> {
    let mut page = String::from(
        "# Reliability\n\nWhat is promised, the tests that hold it, and the figures of the last run. Written by `cargo xtask \
         reliability`; the promises stand in `xtask/src/reliability/promises.rs`. `cargo xtask tidy` refuses a promise whose test is \
         not there. What the specification asks stands in [CONFORMANCE.md](CONFORMANCE.md), who attacks and what he can reach in \
         [SECURITY.md](SECURITY.md), what each fuzz target found in \
         [fuzz/README.md](fuzz/README.md), how fast it is in [benches/RESULTS.md](benches/RESULTS.md).\n\n## Promises\n\n\
         | promise | held by | last run |\n|---|---|---|\n",
    );
    for promise in PROMISES {
        let _ =
            writeln!(page, "| {} | {} | {} |", promise.words, tests(promise), last_run(promise, figures)?);
    }
    page.push_str("\n## The last run\n");
    if !figures.of("machine").is_empty() {
        page.push_str("\n| machine | |\n|---|---|\n");
        rows(&mut page, figures.of("machine"));
    }
    for proof in PROOFS {
        section(&mut page, proof, figures);
    }
    page.push_str("\n## Not proven\n\n");
    for what in NOT_PROVEN {
        let _ = writeln!(page, "- {what}");
    }
    Ok(page)
}

fn tests(promise: &Promise) -> String {
    let links: Vec<String> = promise.tests.iter().map(|(name, path)| format!("[`{name}`]({path})")).collect();
    links.join(", ")
}

fn last_run(promise: &Promise, figures: &Figures) -> Result<String> {
    let mut cells = Vec::new();
    for Figure { group: file, what } in promise.figures {
        let Some(proof) = PROOFS.iter().find(|proof| proof.figures.contains(file)) else {
            bail!("the promise \"{}\" names figures of {file}, which no proof writes", promise.words);
        };
        // What stands behind a colon explains the value, and is its proof's business.
        let is_meant = |name: &str| {
            name.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        };
        let figure = figures.of(&group(proof, file)).iter().find(|(name, _)| is_meant(name));
        match (figure, figures.get(proof.name, "outcome")) {
            (Some((name, value)), _) => cells.push(format!("{file}, {name}: {value}")),
            (None, None) => {}
            (None, Some(outcome)) if !outcome.starts_with(PASSED) => {
                cells.push(format!("**{} has failed**", proof.name));
            }
            (None, Some(_)) => bail!(
                "the promise \"{}\" names the figure \"{what}\", and {file} has none of that name",
                promise.words
            ),
        }
    }
    Ok(cells.join("; "))
}

fn section(page: &mut String, proof: &Proof, figures: &Figures) {
    let _ = writeln!(page, "\n### {}\n\n{}\n", proof.name, proof.about);
    let Some(outcome) = figures.get(proof.name, "outcome") else {
        let _ = writeln!(page, "**Not run yet.** `cargo {}`", proof.command(false).join(" "));
        return;
    };
    let command = figures.get(proof.name, "command").unwrap_or_default();
    let size = figures.get(proof.name, "size").map(|size| format!(" ({size})")).unwrap_or_default();
    let outcome = if outcome.starts_with(PASSED) { outcome.to_owned() } else { format!("**{outcome}**") };
    let _ = writeln!(page, "`{command}`: {outcome}{size}.");
    for file in proof.figures {
        let all = figures.of(&group(proof, file));
        if !all.is_empty() {
            let _ = writeln!(page, "\n| {} | |\n|---|--:|", file.replace('-', " "));
            rows(page, all);
        }
    }
}

fn rows(page: &mut String, figures: &[(String, String)]) {
    for (what, value) in figures {
        let _ = writeln!(page, "| {what} | {value} |");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_run_the_page_says_so() {
        let page = page(&Figures::default()).unwrap();
        assert_eq!(page.matches("**Not run yet.**").count(), PROOFS.len());
        assert!(page.contains("## Not proven\n\n- "));
    }

    #[test]
    fn a_failed_proof_stands_out_and_figures_are_shown() {
        let mut figures = Figures::default();
        figures.set("machine", [("processor", "x".into())]);
        let ran = |outcome: &str| [("command", "cargo xtask loom".into()), ("outcome", outcome.to_owned())];
        figures.set("loom", ran("FAILED on a day in 1 s"));
        let failed = page(&figures).unwrap();
        assert!(failed.contains("`cargo xtask loom`: **FAILED on a day in 1 s**."), "{failed}");
        figures.set("loom", ran("passed on a day in 1 s"));
        let passed = page(&figures).unwrap();
        assert!(passed.contains("`cargo xtask loom`: passed on a day in 1 s."), "{passed}");
        assert!(passed.contains("| processor | x |"), "{passed}");
    }

    /// The first figure that a promise names, with its proof.
    fn named() -> (&'static Proof, &'static str) {
        let figure = PROMISES.iter().find_map(|promise| promise.figures.first()).unwrap();
        (PROOFS.iter().find(|proof| proof.figures.contains(&figure.group)).unwrap(), figure.group)
    }

    #[test]
    fn a_figure_that_was_renamed_is_found() {
        let (proof, file) = named();
        let mut figures = Figures::default();
        figures.set(&group(proof, file), [("something else", "1".into())]);
        figures.set(proof.name, [("outcome", "passed on a day in 1 s".into())]);
        assert!(page(&figures).unwrap_err().to_string().contains("has none of that name"));
    }

    #[test]
    fn a_figure_may_be_explained_behind_a_colon() {
        let (proof, file) = named();
        let promise = PROMISES.iter().find(|promise| !promise.figures.is_empty()).unwrap();
        let mut figures = Figures::default();
        let names: Vec<String> =
            promise.figures.iter().map(|figure| format!("{}: of what kind", figure.what)).collect();
        figures.set(&group(proof, file), names.iter().map(|name| (name.as_str(), "7".to_owned())));
        figures.set(proof.name, [("outcome", "passed on a day in 1 s".into())]);
        assert!(page(&figures).unwrap().contains(&format!("{file}, {}: 7", names[0])));
    }

    #[test]
    fn a_promise_whose_proof_failed_says_so() {
        let (proof, file) = named();
        let mut figures = Figures::default();
        figures.set(&group(proof, file), [("something else", "1".into())]);
        figures.set(proof.name, [("outcome", "FAILED on a day in 1 s".into())]);
        assert!(page(&figures).unwrap().contains(&format!("**{} has failed**", proof.name)));
    }
}
