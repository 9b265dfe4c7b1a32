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
/// Between two looks at what announces itself to nobody.
const PAUSE: Duration = Duration::from_millis(5);

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

/// Builds, boots and plays all scenes; measures if that is wanted.
///
/// # Errors
/// Something to build or run it is missing, or a scene did not go as it should.
pub(crate) fn firmware(workspace: &Workspace, options: &Options) -> Result<()> {
    let toolchain = Toolchain::find(workspace)?;
    let defmt_print = toolchain.defmt_print(workspace)?;
    let images = toolchain.build(workspace, None)?;
    run::show(&mut workspace.cargo(&["build", "--locked", "--package", "oddwire-rpc", "--bins"]))?;

    let mut host = Host::start(workspace)?;
    let device = images.join("device");
    let panics = panics::check(&device)?;
    for (count, why) in &panics {
        println!("  {count} panics that no peer reaches: {why}");
    }
    let mut machine = Machine::boot(&device, &defmt_print)?;
    let state = machine.hear("bytes of state")?;
    scenes::honest(&machine, &mut host)?;
    scenes::called(&machine, &mut host)?;
    scenes::hostile_handshakes(&machine)?;
    scenes::hostile_traffic(&machine)?;
    scenes::wiped(&mut machine)?;
    let memory = machine.memory()?;
    scenes::last(&mut machine, &mut host)?;
    let footprint = report::Footprint::read(&device, &memory, &state)?;
    println!("  {footprint}");
    if options.report {
        report::write(
            workspace,
            &footprint,
            &panics,
            &report::measure(&images.join("measure"), &defmt_print)?,
        )?;
    }
    Ok(())
}
