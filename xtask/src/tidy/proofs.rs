//! Rules about the two documents that say what is proven: CONFORMANCE.md and RELIABILITY.md.
//!
//! A row that says it is held names a test that is one. The ledger's counts are those of its rows. The page on reliability is
//! what its source and the figures of the last run make.

use super::claims::{Claim, Names, Standing};
use super::{File, Finding};
use crate::conformance::LEDGER;
use crate::conformance::ledger::{Ledger, Verdict};
use crate::reliability;

pub(super) fn check(files: &[File], names: &Names<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    if let Some(ledger) = text(LEDGER) {
        findings.extend(conformance(ledger, names));
    }
    if let Some(page) = text(reliability::PAGE) {
        findings.extend(reliability(page, text(reliability::FIGURES).unwrap_or_default(), names));
    }
    findings
}

fn conformance(text: &str, names: &Names<'_>) -> Vec<Finding> {
    let finding = |line, what| Finding {
        path: LEDGER.into(),
        line,
        what,
        advice: "the ledger is worth what its rows can show; `cargo xtask conformance` counts them",
    };
    let ledger = Ledger::read(text);
    let mut findings: Vec<Finding> =
        ledger.flaws.iter().map(|flaw| finding(flaw.line, flaw.what.clone())).collect();
    let rows =
        ledger.documents.iter().flat_map(|document| document.sections.iter().flat_map(|one| &one.rows));
    for row in rows.filter(|row| row.verdict == Verdict::Held) {
        findings.extend(no_tests(&row.held_by, names).into_iter().map(|what| finding(row.line, what)));
    }
    for line in ledger.summary().into_iter().filter(|line| !text.lines().any(|other| other == line)) {
        findings.push(finding(0, format!("its summary does not say `{line}`")));
    }
    findings
}

fn reliability(page: &str, figures: &str, names: &Names<'_>) -> Vec<Finding> {
    let finding = |line, what, advice| Finding { path: reliability::PAGE.into(), line, what, advice };
    let mut findings = Vec::new();
    match reliability::render(figures) {
        Ok(made) if made == page => {}
        Ok(_) => findings.push(finding(
            0,
            "is not what its source makes".to_owned(),
            "it is written by `cargo xtask reliability --render`; change the source, not the page",
        )),
        Err(error) => findings.push(finding(0, format!("{error:#}"), "mend the figures or the promises")),
    }
    for claim in reliability::tests() {
        findings.extend(
            no_tests(&[claim], names)
                .into_iter()
                .map(|what| finding(0, what, "a promise is worth what holds it; name a test that is there")),
        );
    }
    findings
}

/// Those that are not tests.
fn no_tests(claims: &[Claim<'_>], names: &Names<'_>) -> Vec<String> {
    let tests = claims.iter().filter_map(|claim| Some((claim.path, claim.name?)));
    tests
        .filter(|(path, name)| names.standing(path, name) != Standing::Test)
        .map(|(path, name)| format!("{name} is no test in {path}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(ledger: &str) -> Vec<String> {
        let files = [
            File { path: LEDGER.into(), text: ledger.into() },
            File { path: "a/t.rs".into(), text: "#[test]\nfn held() {}\nfn helper() {}\n".into() },
        ];
        let names = Names::new(&files);
        check(&files, &names).into_iter().map(|one| format!("{}: {}", one.line, one.what)).collect()
    }

    const GOOD: &str = "| BOLT 1 | 2 | 2 | 0 | 0 | 0 |\n| all | 2 | 2 | 0 | 0 | 0 |\n## BOLT 1: `1.md`\n### A (2)\n\
                        | 1, 2 | x | [`helper`](a/t.rs) | [`held`](a/t.rs) |\n";

    #[test]
    fn a_ledger_whose_tests_are_there_passes() {
        assert!(whats(GOOD).is_empty(), "{:?}", whats(GOOD));
    }

    #[test]
    fn a_test_that_is_gone_or_is_none_is_found() {
        let gone = GOOD.replace("[`held`]", "[`hold`]");
        assert_eq!(whats(&gone), ["5: hold is no test in a/t.rs"]);
        let none = GOOD.replace("[`held`]", "[`helper`]");
        assert_eq!(whats(&none), ["5: helper is no test in a/t.rs"]);
    }

    #[test]
    fn a_summary_that_is_out_of_date_is_found() {
        let later = GOOD.replace("(2)", "(3)").replace("1, 2 |", "1, 2, 3 |");
        assert_eq!(whats(&later).len(), 2);
        assert!(whats(&later)[0].contains("| BOLT 1 | 3 | 3 | 0 | 0 | 0 |"), "{:?}", whats(&later));
    }
}
