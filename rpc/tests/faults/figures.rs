//! What these tests found, for the report: `faults.tsv` in the directory that `ODDWIRE_FIGURES` names, one line for each
//! figure, written when the test that found it ends well.

use std::fmt::{Display, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;

static FOUND: Mutex<Vec<(&str, String)>> = Mutex::new(Vec::new());

/// Adds a figure; without the variable it is only printed.
pub(crate) fn record(what: &'static str, value: impl Display) {
    println!("{what}: {value}");
    let Some(directory) = std::env::var_os("ODDWIRE_FIGURES") else { return };
    // The tests of this program run side by side.
    let mut found = FOUND.lock().unwrap();
    found.push((what, value.to_string()));
    let mut text = String::new();
    for (what, value) in found.iter() {
        writeln!(text, "{what}\t{value}").unwrap();
    }
    std::fs::write(PathBuf::from(directory).join("faults.tsv"), text).unwrap();
}
