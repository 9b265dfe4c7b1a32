//! `cargo xtask firmware`: builds the image of `wire-core/firmware`, boots it in QEMU, and has it talk with a real `oddwired`
//! and with peers that misbehave.
//!
//! - `toolchain`: who builds it; `machine`: the emulator; `line`: its serial line, bridged to TCP.
//! - `host`: the daemon; `peer`: a peer played by hand; `secrets`: what must not be left in memory.
//! - `panics`: what of panics the image still has.
//! - `scenes`: what happens, in order.
//! - `report`: the figures of wire-core's README, with `--report`.

mod host;
mod line;
mod machine;
mod panics;
mod peer;
mod report;
mod scenes;
mod secrets;
mod toolchain;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::run;
use crate::workspace::Workspace;
use host::Host;
use machine::Machine;
use toolchain::Toolchain;

/// How long anything that is waited for may take. A machine that does much else at the time is slow.
const PATIENCE: Duration = Duration::from_mins(1);
/// What computes on the curve: a feature of wire-core.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    Libsecp256k1,
    K256,
}

impl Curve {
    /// The feature.
    fn name(self) -> &'static str {
        match self {
            Self::Libsecp256k1 => "libsecp256k1",
            Self::K256 => "k256",
        }
    }
}

#[derive(Args)]
pub(crate) struct Options {
    /// Measure too, and write the figures into wire-core/README.md
    #[arg(long)]
    report: bool,
}

/// What `cargo xtask test` does: builds, boots and plays all scenes.
///
/// # Errors
/// As [`firmware`].
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    firmware(workspace, &Options { report: false })
}

/// Whether something here builds for a Cortex-M.
pub(crate) fn has_compiler(workspace: &Workspace) -> bool {
    Toolchain::find(workspace).is_ok()
}

/// Builds, boots and plays all scenes, once with each curve; measures if that is wanted.
///
/// # Errors
/// Something to build or run it is missing, or a scene did not go as it should.
pub(crate) fn firmware(workspace: &Workspace, options: &Options) -> Result<()> {
    toolchain::programs()?;
    let toolchain = Toolchain::find(workspace)?;
    let defmt_print = toolchain.defmt_print(workspace)?;
    run::show(&mut workspace.cargo(&["build", "--locked", "--package", "oddwire-rpc", "--bins"]))?;
    toolchain.clippy(workspace)?;
    let mut columns = Vec::new();
    for curve in [Curve::Libsecp256k1, Curve::K256] {
        let images = toolchain.build(workspace, curve)?;
        let device = images.join("device");
        let panics = panics::check(&device)?;
        for (count, why) in &panics {
            println!("  {count} panics that no peer reaches: {why}");
        }
        let footprint = play(workspace, curve, &device, &defmt_print)?;
        println!("  {}: {footprint}", curve.name());
        if options.report {
            let measured = report::measure(&images.join("measure"), &defmt_print)?;
            columns.push(report::Column { curve, footprint, measured, panics });
        }
    }
    if options.report {
        report::write(workspace, &columns)?;
    }
    Ok(())
}

/// Boots the image and plays the scenes.
fn play(workspace: &Workspace, curve: Curve, device: &Path, defmt_print: &Path) -> Result<report::Footprint> {
    let mut host = Host::start(workspace)?;
    let mut machine = Machine::boot(device, defmt_print)?;
    let state = machine.hear("bytes of state")?;
    machine.hear("StaticKey(redacted")?;
    let memory = scenes(curve, &mut machine, &mut host).inspect_err(|_| {
        println!("  what the device logged last:");
        machine.show_logs();
    })?;
    report::Footprint::read(device, &memory, &state)
}

/// All scenes; returns the memory that they left behind.
fn scenes(curve: Curve, machine: &mut Machine, host: &mut Host) -> Result<Vec<u8>> {
    scenes::honest(machine, host)?;
    scenes::called(machine, host)?;
    scenes::hostile_handshakes(machine)?;
    // After the handshake the curve makes no difference.
    if curve == Curve::Libsecp256k1 {
        scenes::hostile_traffic(machine)?;
    }
    scenes::wiped(machine)?;
    let memory = machine.memory()?;
    scenes::last(machine, host)?;
    Ok(memory)
}
