//! The page of results: Markdown that a reader can judge the figures by.

use std::fmt::Write as _;

use super::aims::{Aim, times};
use super::measurements::{Measurement, Results};
use super::plot::Plot;
use super::suite::Bench;

/// All that the page says.
pub(super) struct Page<'a> {
    pub(super) machine: Vec<(&'static str, String)>,
    pub(super) is_quick: bool,
    pub(super) benches: &'a [&'static Bench],
    pub(super) results: &'a Results,
    pub(super) aims: &'a [Aim],
    pub(super) plots: &'a [Plot],
    /// Benchmarks that ended early.
    pub(super) failed: &'a [String],
}

impl Page<'_> {
    pub(super) fn to_markdown(&self) -> String {
        let mut page = String::from("# Results\n\n");
        self.introduction(&mut page);
        self.aims(&mut page);
        for bench in self.benches {
            self.bench(bench, &mut page);
        }
        self.profiles(&mut page);
        page
    }

    fn introduction(&self, page: &mut String) {
        page.push_str(
            "Written by `cargo xtask bench`: all figures of one run on one machine. Only ratios mean anything elsewhere, and \
             those only roughly. Each figure is the median of its samples; ± is half the distance between their 10th and \
             90th percentile. `×` is the time in units of Oddwire's: 2.00 × takes twice as long.\n\n",
        );
        if self.is_quick {
            page.push_str("**A quick run: the figures are noisy and for a first look only.**\n\n");
        }
        for name in self.failed {
            line(page, format_args!("**`{name}` ended early: its figures are missing or incomplete.**\n"));
        }
        page.push_str("| machine | |\n|---|---|\n");
        for (name, value) in &self.machine {
            line(page, format_args!("| {name} | {value} |"));
        }
    }

    fn aims(&self, page: &mut String) {
        if self.aims.is_empty() {
            return;
        }
        page.push_str("\n## Aims\n\n| aim | measured | met |\n|---|---|---|\n");
        for aim in self.aims {
            let met = match (aim.is_met, &aim.profile) {
                (true, _) => "yes".to_owned(),
                (false, Some(_)) => {
                    format!("**no**, see [where the time goes](#{})", anchor(&heading(&aim.id)))
                }
                (false, None) => "**no**".to_owned(),
            };
            line(page, format_args!("| {} | {} | {met} |", aim.wanted, aim.measured));
        }
    }

    fn bench(&self, bench: &Bench, page: &mut String) {
        let groups = self.results.groups(bench.name);
        if groups.is_empty() {
            return;
        }
        line(page, format_args!("\n## {}\n\n{}", bench.title, bench.about));
        for (_, note) in self.results.notes.iter().filter(|(of, _)| of == bench.name) {
            line(page, format_args!("\nOn this machine: {note}."));
        }
        for group in groups {
            self.table(bench, group, page);
        }
        for plot in self.plots.iter().filter(|plot| plot.bench == bench.name) {
            line(page, format_args!("\n![{}](plots/{})", plot.title, plot.file));
        }
    }

    /// Cases down, candidates across.
    fn table(&self, bench: &Bench, group: &str, page: &mut String) {
        let names = self.results.names(group);
        let title = group.split_once('/').map_or("", |(_, title)| title);
        line(page, format_args!("\n| {title} | {} |", names.join(" | ")));
        line(page, format_args!("|---|{}", "--:|".repeat(names.len())));
        for case in self.results.cases(group) {
            let first = names.first().and_then(|name| self.results.get(group, case, name));
            let cells: Vec<String> = names
                .iter()
                .map(|name| {
                    let figure = self.results.get(group, case, name);
                    figure.map_or_else(String::new, |figure| cell(bench, figure, first))
                })
                .collect();
            line(page, format_args!("| {case} | {} |", cells.join(" | ")));
        }
    }

    fn profiles(&self, page: &mut String) {
        let missed: Vec<&Aim> = self.aims.iter().filter(|aim| aim.profile.is_some()).collect();
        if missed.is_empty() {
            return;
        }
        page.push_str(
            "\n## Where the time goes\n\nOf what missed an aim: samples of `perf` over all processes of the measurement \
             (`cargo xtask bench --profile NAME`), thread by thread, the busiest first.\n",
        );
        let mut shown: Vec<&str> = Vec::new();
        for aim in missed {
            if !shown.contains(&aim.id.as_str()) {
                shown.push(&aim.id);
                let profile = aim.profile.as_deref().unwrap_or_default();
                line(page, format_args!("\n### {}\n\n```text\n{profile}```", heading(&aim.id)));
            }
        }
    }
}

/// The aims for a terminal.
pub(super) fn aims_in_short(aims: &[Aim]) -> String {
    let mut text = String::new();
    for aim in aims {
        let met = if aim.is_met { "met   " } else { "missed" };
        line(&mut text, format_args!("{met}  {}: {}", aim.wanted, aim.measured));
    }
    text
}

fn cell(bench: &Bench, figure: &Measurement, first: Option<&Measurement>) -> String {
    let mut cell = figure.unit.as_ref().map_or_else(
        || duration(figure.value),
        |unit| format!("{:.*} {unit}", usize::from(figure.value < 100.0), figure.value),
    );
    if let Some(noise) = figure.noise {
        let _ = write!(cell, " ±{:.0} %", noise * 100.0);
    }
    if bench.is_rate && figure.unit.is_none() {
        let _ = write!(cell, ", {} /s", grouped(1e9 / figure.value));
    }
    if let Some(first) = first.filter(|first| first.name != figure.name) {
        let _ = write!(cell, " ({})", times(figure.value / first.value));
    }
    cell
}

/// Nanoseconds in the unit that keeps one to three digits before the point.
pub(super) fn duration(nanoseconds: f64) -> String {
    let units = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    let (unit, size) = units.into_iter().rev().find(|(_, size)| nanoseconds >= *size).unwrap_or(("ns", 1.0));
    let value = nanoseconds / size;
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// A whole number, its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if first > 0 {
        groups.extend(digits.get(..first));
    }
    let mut rest = digits.get(first..).unwrap_or_default();
    while let Some((group, later)) = rest.split_at_checked(3) {
        groups.push(group);
        rest = later;
    }
    groups.join(",")
}

/// What a profile is headed by: the measurement, readable.
fn heading(id: &str) -> String {
    id.replace('/', ", ")
}

/// How GitHub and others name a heading in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Writing to a string does not fail.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::super::measurements::measured;
    use super::super::suite::SUITE;
    use super::*;

    #[test]
    fn a_page_has_a_table_per_group_and_a_profile_per_missed_aim() {
        let results = Results {
            measurements: vec![
                measured("rpc", "requests", "Oddwire", 2_000.0),
                measured("rpc", "requests", "echo server", 1_000.0),
            ],
            notes: vec![("rpc".into(), "one processor only".into())],
        };
        let aims = [Aim {
            wanted: "as fast".into(),
            measured: "50 %".into(),
            is_met: false,
            id: "rpc/Oddwire/requests".into(),
            profile: Some("process 1\n".into()),
        }];
        let benches: Vec<&Bench> = SUITE.iter().collect();
        let page = Page {
            machine: vec![("kernel", "6.1".into())],
            is_quick: false,
            benches: &benches,
            results: &results,
            aims: &aims,
            plots: &[],
            failed: &[],
        };
        let page = page.to_markdown();
        for expected in [
            "| kernel | 6.1 |",
            "| as fast | 50 % | **no**, see [where the time goes](#rpc-oddwire-requests) |",
            "| requests | 2.00 µs ±2 %, 500,000 /s | 1.00 µs ±2 %, 1,000,000 /s (0.50 ×) |",
            "On this machine: one processor only.",
            "### rpc, Oddwire, requests\n\n```text\nprocess 1\n```",
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
        assert!(!page.contains("Handshakes"), "what was not measured is not there");
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(
            [0.5, 99.94, 999.0, 1500.0, 2e9].map(duration),
            ["0.50 ns", "99.9 ns", "999 ns", "1.50 µs", "2.00 s"]
        );
        assert_eq!([7.0, 123.0, 1234.0, 4_366_300.0].map(grouped), ["7", "123", "1,234", "4,366,300"]);
    }
}
