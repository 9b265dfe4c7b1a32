//! Figures that criterion has no place for, such as memory and percentiles: printed, and written to a file if someone
//! collects them.
//!
//! The file has one JSON object a line: `bench`, `case`, `name` and either `value` with its `unit`, or a `note`. Its path is
//! in the environment variable [`FILE`]; `cargo xtask bench` sets it and reads the file into the table.

use std::fs::OpenOptions;
use std::io::Write as _;

use serde_json::{Value, json};

/// Names the file to add figures to.
pub const FILE: &str = "ODDWIRE_BENCH_FIGURES";

/// Writes one figure down: of which benchmark, of which case, whose, and what it is.
pub fn record(bench: &str, case: &str, name: &str, value: f64, unit: &str) {
    println!("{bench}: {case}: {name}: {value:.2} {unit}");
    append(&json!({ "bench": bench, "case": case, "name": name, "value": value, "unit": unit }));
}

/// Writes down what a reader of the figures must know, such as that a limit of the machine made a case smaller.
pub fn note(bench: &str, note: &str) {
    println!("{bench}: note: {note}");
    append(&json!({ "bench": bench, "note": note }));
}

fn append(line: &Value) {
    let Some(path) = std::env::var_os(FILE) else { return };
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("figures cannot be written to {}: {error}", path.display());
    }
}
