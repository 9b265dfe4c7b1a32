//! The figures of the image: what it takes in flash and RAM, and how many instructions the work costs.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::Curve;
use super::machine::{RAM, emulator};
use super::panics::Left;
use crate::run;
use crate::workspace::Workspace;

/// What the start-up code paints the stack with: feature `paint-stack` of cortex-m-rt.
const PAINT: [u8; 4] = [0xcc; 4];
/// Between these lines of wire-core's README the figures stand.
const BEGIN: &str = "<!-- figures: cargo xtask firmware --report -->\n";
const END: &str = "<!-- end of figures -->\n";

/// What the device takes, all in bytes.
pub(super) struct Footprint {
    flash: usize,
    statics: usize,
    stack: usize,
    state: usize,
}

impl Footprint {
    /// Reads sections of the image, the painted stack after all scenes, and what the device says of itself.
    pub(super) fn read(image: &Path, memory: &[u8], state: &str) -> Result<Self> {
        let sizes = run::capture(Command::new("arm-none-eabi-size").arg(image))?;
        let sizes: Vec<usize> = sizes
            .lines()
            .nth(1)
            .unwrap_or("")
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let [text, data, ..] = sizes[..] else { bail!("arm-none-eabi-size says nothing of use") };
        let symbols = run::capture(Command::new("arm-none-eabi-nm").arg(image))?;
        // How far into RAM a symbol of the linker is.
        let offset = |name: &str| -> Result<usize> {
            let line = symbols.lines().find(|line| line.split(' ').next_back() == Some(name));
            let address = line.and_then(|line| line.split(' ').next());
            let address =
                u64::from_str_radix(address.with_context(|| format!("the image has no {name}"))?, 16)?;
            Ok(usize::try_from(address.saturating_sub(RAM))?)
        };
        // The stack begins at the end of RAM and may reach down to the statics, gaps between their sections included.
        let (statics, top) = (offset("_stack_end")?, offset("_stack_start")?);
        let above = memory.get(statics..top).context("no RAM beside the statics")?;
        let untouched = above.chunks(4).take_while(|word| *word == PAINT).count() * 4;
        ensure!(untouched > 0, "the stack has reached the statics: it needs more RAM");
        let state = state.split_whitespace().filter_map(|word| word.parse().ok()).next_back();
        let state = state.context("the device does not say how large its state is")?;
        let stack = above.len() - untouched;
        Ok(Self { flash: text + data, statics, stack, state })
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flash, statics, stack, state } = self;
        write!(
            f,
            "flash {flash}, static RAM {statics}, deepest stack {stack}, state of a connection {state} bytes"
        )
    }
}

/// Runs the measuring image: names and counts of instructions.
pub(super) fn measure(image: &Path, defmt_print: &Path) -> Result<Vec<(String, u64)>> {
    let mut qemu = emulator(image).stdout(Stdio::piped()).spawn().context("could not start QEMU")?;
    let log = qemu.stdout.take().context("QEMU has no output")?;
    let mut decoder = Command::new(defmt_print)
        .args(["--log-format", "{s}", "-e"])
        .arg(image)
        .stdin(Stdio::from(log))
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start defmt-print")?;
    let lines = BufReader::new(decoder.stdout.take().context("defmt-print has no output")?).lines();
    let measured = lines
        .map_while(Result::ok)
        .filter_map(|line| {
            let (name, count) = line.strip_prefix("measured ")?.rsplit_once(": ")?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        })
        .collect();
    ensure!(qemu.wait()?.success(), "the measuring image failed");
    decoder.wait()?;
    Ok(measured)
}

/// What was found out about the images with one curve.
pub(super) struct Column {
    pub(super) curve: Curve,
    pub(super) footprint: Footprint,
    pub(super) measured: Vec<(String, u64)>,
    pub(super) panics: Left,
}

/// Puts the figures into wire-core's README.
pub(super) fn write(workspace: &Workspace, columns: &[Column]) -> Result<()> {
    let path = workspace.root().join("wire-core/README.md");
    let text = fs::read_to_string(&path).context("wire-core has no README")?;
    let (before, rest) = text.split_once(BEGIN).context("the README has no place for figures")?;
    let (_, after) = rest.split_once(END).context("the README has no end of figures")?;
    let tables = format!("\n{}\n{}\n{}\n", bytes(columns)?, instructions(columns)?, panics(columns)?);
    fs::write(&path, format!("{before}{BEGIN}{tables}{END}{after}"))?;
    println!("  written: {}", workspace.relative(&path).display());
    Ok(())
}

fn bytes(columns: &[Column]) -> Result<String> {
    let mut table = head("bytes", columns);
    let footprints = || columns.iter().map(|column| &column.footprint);
    row(&mut table, "flash, the whole image", footprints().map(|it| it.flash))?;
    row(&mut table, "static RAM, buffers included", footprints().map(|it| it.statics))?;
    row(&mut table, "deepest stack", footprints().map(|it| it.stack))?;
    row(&mut table, "RAM in all", footprints().map(|it| it.statics + it.stack))?;
    row(&mut table, "of it, state of one connection", footprints().map(|it| it.state))?;
    Ok(table)
}

fn instructions(columns: &[Column]) -> Result<String> {
    let mut table = head("instructions", columns);
    for (name, _) in columns.first().map(|column| &column.measured).into_iter().flatten() {
        let count =
            |column: &Column| column.measured.iter().find(|(other, _)| other == name).map_or(0, |it| it.1);
        row(&mut table, name, columns.iter().map(count))?;
    }
    Ok(table)
}

fn panics(columns: &[Column]) -> Result<String> {
    let mut table = head("calls of panics left in the image", columns);
    row(&mut table, "from wire-core", columns.iter().map(|_| 0))?;
    let all = columns.iter().flat_map(|column| &column.panics).map(|(_, why)| why);
    let mut reasons: Vec<&String> = Vec::new();
    for why in all {
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    for why in reasons {
        let count = |column: &Column| column.panics.iter().find(|it| it.1 == *why).map_or(0, |it| it.0);
        row(&mut table, why, columns.iter().map(count))?;
    }
    Ok(table)
}

fn head(what: &str, columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.curve.name()).collect();
    format!("| {what} | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(columns.len()))
}

fn row(table: &mut String, name: &str, values: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
    write!(table, "| {name} |")?;
    for value in values {
        write!(table, " {value} |")?;
    }
    writeln!(table)
}
