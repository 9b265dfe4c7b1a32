//! CONFORMANCE.md as data: documents of the specification, their sections, and a row for each requirement.
//!
//! The document is the source: it is read here, never written. Its form:
//!
//! ```text
//! ## BOLT 1: `01-messaging.md`
//! ### Connection Handling and Multiplexing (1)
//! | line | asked | done | held by |
//! |---|---|---|---|
//! | 41 | one connection per peer | [`Registry`](node/src/registry.rs) | [`test`](node/tests/peers/takeover.rs) |
//! | 55, 56 | ... | does not apply: why | |
//! | - | what is said without one of the three words | ... | ... |
//! ```
//!
//! The number behind a section is that of the lines of the specification which its rows place.

use std::fmt;

use crate::tidy::claims::{Claim, claims};

/// The whole of it, and what is wrong with its form.
pub(crate) struct Ledger<'t> {
    pub(crate) documents: Vec<Document<'t>>,
    pub(crate) flaws: Vec<Flaw>,
}

/// A document of the specification.
pub(crate) struct Document<'t> {
    /// `BOLT 1`.
    pub(crate) name: &'t str,
    /// `01-messaging.md`.
    pub(crate) file: &'t str,
    pub(crate) sections: Vec<Section<'t>>,
}

/// A section with requirements.
pub(crate) struct Section<'t> {
    /// As the specification calls it.
    pub(crate) title: &'t str,
    /// Where it stands in the ledger.
    line: usize,
    /// How many lines with requirements it has, as the ledger says.
    stated: usize,
    pub(crate) rows: Vec<Row<'t>>,
}

/// One or several requirements that the same thing fulfils.
pub(crate) struct Row<'t> {
    /// Where it stands in the ledger.
    pub(crate) line: usize,
    /// Lines of the specification.
    pub(crate) places: Vec<usize>,
    /// In our words.
    pub(crate) asked: &'t str,
    pub(crate) verdict: Verdict,
    /// The tests that hold it.
    pub(crate) held_by: Vec<Claim<'t>>,
}

/// What becomes of a requirement here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done, and tests hold it.
    Held,
    /// Something else is done, on purpose.
    Otherwise,
    /// It is about what this node does not have.
    DoesNotApply,
    /// It is not done, or no test holds it.
    NotHeld,
}

/// How a cell begins that does not say who does what is asked.
const VERDICTS: [(&str, Verdict); 3] = [
    ("done otherwise: ", Verdict::Otherwise),
    ("does not apply: ", Verdict::DoesNotApply),
    ("not held: ", Verdict::NotHeld),
];

/// Something in the ledger that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl<'t> Ledger<'t> {
    pub(crate) fn read(text: &'t str) -> Self {
        let mut ledger = Self { documents: Vec::new(), flaws: Vec::new() };
        for (line, content) in text.lines().enumerate().map(|(index, content)| (index + 1, content)) {
            if let Some(heading) = content.strip_prefix("## ") {
                if let Some((name, file)) = heading.split_once(": ") {
                    let file = file.trim_matches('`');
                    ledger.documents.push(Document { name, file, sections: Vec::new() });
                }
            } else if let Some(heading) = content.strip_prefix("### ") {
                ledger.open_section(line, heading);
            } else if let Some(cells) = content.strip_prefix("| ") {
                ledger.read_row(line, cells);
            }
        }
        ledger.check();
        ledger
    }

    fn flaw(&mut self, line: usize, what: impl fmt::Display) {
        self.flaws.push(Flaw { line, what: what.to_string() });
    }

    fn open_section(&mut self, line: usize, heading: &'t str) {
        let parts = heading
            .rsplit_once(" (")
            .and_then(|(title, count)| Some((title, count.strip_suffix(')')?.parse().ok()?)));
        match (parts, self.documents.last_mut()) {
            (Some((title, stated)), Some(document)) => {
                document.sections.push(Section { title, line, stated, rows: Vec::new() });
            }
            _ => self.flaw(line, "a section is `### Title (number)`, under a document"),
        }
    }

    fn read_row(&mut self, line: usize, cells: &'t str) {
        let Some(section) = self.documents.last_mut().and_then(|document| document.sections.last_mut())
        else {
            return;
        };
        let cells: Vec<&str> = cells.trim_end().trim_end_matches('|').split(" | ").map(str::trim).collect();
        match Row::read(line, &cells) {
            Ok(Some(row)) => section.rows.push(row),
            Ok(None) => {}
            Err(what) => self.flaw(line, what),
        }
    }

    /// Counts, and lines that are placed twice.
    fn check(&mut self) {
        let mut flaws = Vec::new();
        for document in &self.documents {
            let mut seen = Vec::new();
            for section in &document.sections {
                let placed: usize = section.rows.iter().map(|row| row.places.len()).sum();
                if placed != section.stated {
                    let what = format!(
                        "{} requirements are placed, and the heading says {}",
                        placed, section.stated
                    );
                    flaws.push(Flaw { line: section.line, what });
                }
                for row in &section.rows {
                    for place in &row.places {
                        if seen.contains(place) {
                            let what = format!("line {place} of {} is placed twice", document.file);
                            flaws.push(Flaw { line: row.line, what });
                        }
                        seen.push(*place);
                    }
                }
            }
        }
        self.flaws.extend(flaws);
    }

    /// The table of what there is, as the ledger shows it.
    pub(crate) fn summary(&self) -> Vec<String> {
        let of = |documents: &[Document<'t>], verdict: Verdict| -> usize {
            let rows =
                documents.iter().flat_map(|document| document.sections.iter().flat_map(|one| &one.rows));
            rows.filter(|row| row.verdict == verdict).map(|row| row.places.len()).sum()
        };
        let line = |name: &str, documents: &[Document<'t>]| {
            let counts = [Verdict::Held, Verdict::Otherwise, Verdict::DoesNotApply, Verdict::NotHeld]
                .map(|verdict| of(documents, verdict));
            let [held, otherwise, no, open] = counts;
            format!("| {name} | {} | {held} | {otherwise} | {no} | {open} |", counts.iter().sum::<usize>())
        };
        let mut lines: Vec<String> = self
            .documents
            .iter()
            .map(|document| line(document.name, std::slice::from_ref(document)))
            .collect();
        lines.push(line("all", &self.documents));
        lines
    }
}

impl<'t> Row<'t> {
    /// `None` for the head of a table.
    fn read(line: usize, cells: &[&'t str]) -> Result<Option<Self>, String> {
        let [places, asked, done, held_by] = cells[..] else {
            return Err(format!("a row has 4 cells, not {}", cells.len()));
        };
        if places == "line" {
            return Ok(None);
        }
        let places: Vec<usize> = match places {
            "-" => Vec::new(),
            places => places
                .split(", ")
                .map(|place| place.parse().map_err(|_| format!("{place} is no line of the specification")))
                .collect::<Result<_, _>>()?,
        };
        let told = VERDICTS.iter().find(|(beginning, _)| done.starts_with(beginning));
        let verdict = told.map_or(Verdict::Held, |(_, verdict)| *verdict);
        if verdict == Verdict::Held
            && (claims(done).is_empty() || claims(held_by).iter().all(|claim| claim.name.is_none()))
        {
            return Err("what is done names its place, and a test that holds it".into());
        }
        Ok(Some(Self { line, places, asked, verdict, held_by: claims(held_by) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "## How to read\n\n| document | lines |\n|---|--:|\n\n## BOLT 1: `01-a.md`\n\n### First (3)\n\n\
                        | line | asked | done | held by |\n|---|---|---|---|\n\
                        | 5 | a | [`x`](x.rs) | [`t`](t.rs) |\n| 6, 8 | b | does not apply: no | |\n| - | c | [`x`](x.rs) | [`t`](t.rs), [`u`](t.rs) |\n";

    fn whats(text: &str) -> Vec<String> {
        Ledger::read(text).flaws.into_iter().map(|flaw| format!("{}: {}", flaw.line, flaw.what)).collect()
    }

    #[test]
    fn a_ledger_in_order_has_no_flaw_and_is_counted() {
        let ledger = Ledger::read(GOOD);
        assert_eq!(ledger.flaws, []);
        assert_eq!(ledger.summary(), ["| BOLT 1 | 3 | 1 | 0 | 2 | 0 |", "| all | 3 | 1 | 0 | 2 | 0 |"]);
        let [document] = &ledger.documents[..] else { panic!("one document") };
        assert_eq!((document.file, document.sections[0].title), ("01-a.md", "First"));
        assert_eq!(document.sections[0].rows[2].held_by.len(), 2);
    }

    #[test]
    fn what_is_missing_is_found() {
        assert_eq!(
            whats(&GOOD.replace("(3)", "(4)")),
            ["8: 3 requirements are placed, and the heading says 4"]
        );
        assert_eq!(whats(&GOOD.replace("6, 8", "6, 5")), ["13: line 5 of 01-a.md is placed twice"]);
        assert_eq!(whats(&GOOD.replace("6, 8", "6 to 8")).len(), 2);
        let no_test = GOOD.replace("| [`t`](t.rs) |", "| some test |");
        assert!(
            whats(&no_test).contains(&"12: what is done names its place, and a test that holds it".into())
        );
        assert!(whats(&GOOD.replace("| a | ", "| ")).contains(&"12: a row has 4 cells, not 3".into()));
        assert_eq!(
            whats(&GOOD.replace("### First (3)", "### First"))[0],
            "8: a section is `### Title (number)`, under a document"
        );
    }
}
