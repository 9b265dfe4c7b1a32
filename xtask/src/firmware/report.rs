//! The figures of the image: what it takes in flash and RAM, and how many instructions the work costs.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::machine::{RAM, RAM_LEN, emulator};
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
        let end = symbols.lines().find_map(|line| line.strip_suffix(" _stack_end")?.split(' ').next());
        let end = usize::from_str_radix(end.context("the image has no _stack_end")?, 16)?;
        // Gaps between the sections included.
        let statics = end.saturating_sub(usize::try_from(RAM)?);
        let above = memory.get(statics..).context("no RAM beside the statics")?;
        let untouched = above.chunks(4).take_while(|word| *word == PAINT).count() * 4;
        ensure!(untouched > 0, "the stack has reached the statics: it needs more RAM");
        let state = state.split_whitespace().filter_map(|word| word.parse().ok()).next_back();
        let state = state.context("the device does not say how large its state is")?;
        let stack = RAM_LEN - statics - untouched;
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

/// Puts the figures into wire-core's README.
pub(super) fn write(
    workspace: &Workspace,
    footprint: &Footprint,
    panics: &Left,
    measured: &[(String, u64)],
) -> Result<()> {
    let path = workspace.root().join("wire-core/README.md");
    let text = fs::read_to_string(&path).context("wire-core has no README")?;
    let (before, rest) = text.split_once(BEGIN).context("the README has no place for figures")?;
    let (_, after) = rest.split_once(END).context("the README has no end of figures")?;
    let Footprint { flash, statics, stack, state } = footprint;
    let mut table = format!(
        "\n| bytes | |\n|---|---:|\n| flash, the whole image | {flash} |\n| static RAM, buffers included | {statics} |\n\
         | deepest stack | {stack} |\n| RAM in all | {} |\n| of it, state of one connection | {state} |\n\n\
         | instructions | |\n|---|---:|\n",
        statics + stack
    );
    for (name, count) in measured {
        writeln!(table, "| {name} | {count} |")?;
    }
    writeln!(table, "\n| calls of panics left in the image | |\n|---|---:|\n| from wire-core | 0 |")?;
    for (count, why) in panics {
        writeln!(table, "| {why} | {count} |")?;
    }
    fs::write(&path, format!("{before}{BEGIN}{table}\n{END}{after}"))?;
    println!("  written: {}", workspace.relative(&path).display());
    Ok(())
}
